"""Requests for new models from SQS -> an execution of the state machine, unless one runs or was a short while ago."""

import datetime as dt
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import boto3

from pm_components.functions.batches import work_off_each
from pm_components.functions.start_training import core


class Starter:
    """Starts the state machine.

    Args:
        client: a boto3 client of Step Functions.
        state_machine_arn: which.
        cooldown_seconds: in which a start is not followed by one for drift.
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
        """Start the state machine where what is in a record of SQS asks for it; the word for what was done.

        Raises:
            Refused: if it is neither an alert nor what the schedule sends.
        """
        alert = core.cause(record["body"].encode())
        now = self._now()
        decision = core.decide(alert, self._executions(), now, self._cooldown_seconds)
        if decision != core.START:
            return decision
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, name=core.execution_name(now), input=core.execution_input(alert)
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return core.RUNNING  # another request was faster, and is not listed yet
        return decision

    def _executions(self) -> core.Executions:
        def found(**which: str) -> list[dict[str, Any]]:
            answer = self._client.list_executions(stateMachineArn=self._arn, maxResults=1, **which)
            return list(answer["executions"])

        latest = found()  # latest first
        return core.Executions(
            running=bool(found(statusFilter="RUNNING")), latest_start=latest[0]["startDate"] if latest else None
        )


@functools.cache
def _starter() -> Starter:
    return Starter(boto3.client("stepfunctions"), os.environ["STATE_MACHINE_ARN"], int(os.environ["COOLDOWN_SECONDS"]))


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return work_off_each(event, lambda record: _starter().work(record))
