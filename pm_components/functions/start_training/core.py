"""The decision whether to start a training."""

import datetime as dt
import json
from typing import NamedTuple

from pm_contracts.messages import CAUSE_FORECAST_QUALITY, Alert, decode

START = "Started"
IGNORE = "Ignored"
COOL_DOWN = "CoolingDown"
RUNNING = "AlreadyRunning"

SCHEDULED = json.dumps({"started_by": "schedule"})
"""The message of the schedule, and the cause of its executions."""

#: ListExecutions is eventually consistent, so that an execution is listed a moment after its start; two that start in
#: one stretch of this length have one name, which Step Functions gives only once.
_STRETCH_SECONDS = 60


class Executions(NamedTuple):
    """The executions so far."""

    running: bool
    latest_start: dt.datetime | None
    """Whatever caused it; None if there never was one."""


def cause(body: bytes) -> Alert | None:
    """The alert that asks for a start, None if the schedule does.

    Raises:
        Refused: if it is neither.
    """
    return None if body.strip() == SCHEDULED.encode() else decode(body, Alert)


def decide(alert: Alert | None, executions: Executions, now: dt.datetime, cooldown_seconds: int) -> str:
    """The answer to a request: one training at a time, and for drift only after a pause.

    Args:
        alert: what asks for a start; None: the schedule.
        executions: so far.
        now: UTC.
        cooldown_seconds: in which a start is not followed by one for drift.
    """
    if alert is not None and (alert.cause != CAUSE_FORECAST_QUALITY or alert.state != "active"):
        return IGNORE
    if executions.running:
        return RUNNING
    latest = executions.latest_start
    if alert is not None and latest is not None and (now - latest).total_seconds() < cooldown_seconds:
        return COOL_DOWN
    return START


def execution_name(now: dt.datetime) -> str:
    """The name of the execution: the same for all that start in one stretch of time, since a name can be used once."""
    return f"start-{int(now.timestamp()) // _STRETCH_SECONDS}"


def execution_input(alert: Alert | None) -> str:
    """The execution's input, JSON: nothing depends on it, but it tells a reader why the execution ran."""
    if alert is None:
        return SCHEDULED
    return json.dumps({"started_by": "drift", "site": alert.site, "device": alert.device, "alert": alert.message_id})
