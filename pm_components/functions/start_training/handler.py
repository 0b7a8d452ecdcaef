"""Alerts on forecasts from SQS -> an execution of the state machine, unless there was one a short while ago."""

import datetime as dt
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import boto3

from pm_components.functions.batches import work_off_each
from pm_components.functions.start_training import core
from pm_contracts.messages import Alert, decode


class Starter:
    """Starts the state machine.

    Args:
        client: a boto3 client of Step Functions.
        state_machine_arn: which.
        cooldown_seconds: in which a start is not followed by another one.
        now: the time, UTC.
    """

    def __init__(
        self,
        client: Any,
        state_machine_arn: str,
        cooldown_seconds: int,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._client = client
        self._arn = state_machine_arn
        self._cooldown_seconds = cooldown_seconds
        self._now = now

    def work(self, record: Mapping[str, Any]) -> str:
        """Start the state machine where the alert in a record of SQS asks for it; the word for what was done.

        Raises:
            Refused: where it is no alert.
        """
        alert = decode(record["body"].encode(), Alert)
        now = self._now()
        decision = core.decide(alert, self._latest_start(), now, self._cooldown_seconds)
        if decision != core.START:
            return decision
        try:
            self._client.start_execution(
                stateMachineArn=self._arn,
                name=core.execution_name(now, self._cooldown_seconds),
                input=core.execution_input(alert),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return core.COOL_DOWN  # another alert was faster
        return decision

    def _latest_start(self) -> dt.datetime | None:
        found = self._client.list_executions(stateMachineArn=self._arn, maxResults=1)["executions"]  # latest first
        return found[0]["startDate"] if found else None


@functools.cache
def _starter() -> Starter:
    return Starter(boto3.client("stepfunctions"), os.environ["STATE_MACHINE_ARN"], int(os.environ["COOLDOWN_SECONDS"]))


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return work_off_each(event, lambda record: _starter().work(record), "start-training")
