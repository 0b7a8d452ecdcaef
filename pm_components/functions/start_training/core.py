"""Whether an alert starts the making of models."""

import datetime as dt
import json

from pm_contracts.messages import Alert

CAUSE = "forecast_quality"
START = "Started"
IGNORE = "Ignored"
COOL_DOWN = "CoolingDown"


def decide(alert: Alert, latest_start: dt.datetime | None, now: dt.datetime, cooldown_seconds: int) -> str:
    """What follows from an alert.

    Args:
        alert: as it came.
        latest_start: when models were made last, whatever started it; None where they never were.
        now: UTC.
        cooldown_seconds: in which a start is not followed by another one.
    """
    if alert.cause != CAUSE or alert.state != "active":
        return IGNORE
    if latest_start is not None and (now - latest_start).total_seconds() < cooldown_seconds:
        return COOL_DOWN
    return START


def execution_name(now: dt.datetime, cooldown_seconds: int) -> str:
    """The name of the execution: the same for all that start in one stretch of time, since a name can be used once."""
    return f"drift-{int(now.timestamp()) // cooldown_seconds}"


def execution_input(alert: Alert) -> str:
    """What the execution is started with, JSON: nothing that it depends on, but who reads it sees why it ran."""
    return json.dumps({"started_by": "drift", "site": alert.site, "device": alert.device, "alert": alert.message_id})
