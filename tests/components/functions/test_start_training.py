"""The causes of a training: the schedule and drift, one execution at a time.

Not proved here: that EventBridge Scheduler and the rule put these messages into the queue, which
tests/components/forecast_pipeline/test_model_trial.py shows for the rule; that Step Functions gives a name once, which
is AWS's promise.
"""

import datetime as dt
import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from pm_components.functions.start_training import core
from pm_components.functions.start_training.core import SCHEDULED, Executions, decide, execution_name
from pm_components.functions.start_training.handler import Starter
from pm_contracts.messages import Alert, Refused, encode

NOW = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)
ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:models"
NEVER = Executions(running=False, latest_start=None)


def _alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "site": "lindau",
        "device": "air-1",
        "cause": "forecast_quality",
        "severity": "warning",
        "state": "active",
        "raised_at": NOW,
        "dedupe_key": "forecast_quality/air-1",
        "text": "The forecasts have left the acceptable range.",
    }
    return Alert(**{**fields, **changes})


def _ago(seconds: int, running: bool = False) -> Executions:
    return Executions(running, NOW - dt.timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("alert", "executions", "expected"),
    [
        (_alert(), NEVER, "Started"),
        (_alert(), _ago(600), "Started"),
        (_alert(), _ago(599), "CoolingDown"),
        (_alert(), _ago(8 * 86_400, running=True), "AlreadyRunning"),
        (_alert(state="cleared"), NEVER, "Ignored"),
        (_alert(cause="fault"), NEVER, "Ignored"),
        (None, NEVER, "Started"),
        (None, _ago(1), "Started"),
        (None, _ago(8 * 86_400, running=True), "AlreadyRunning"),
    ],
)
def test_models_are_made_once_at_a_time_and_for_drift_after_a_while(
    alert: Alert | None, executions: Executions, expected: str
) -> None:
    assert decide(alert, executions, NOW, cooldown_seconds=600) == expected


def test_what_the_schedule_sends_is_told_from_an_alert_and_from_the_rest() -> None:
    assert core.cause(SCHEDULED.encode()) is None
    assert core.cause(encode(_alert())) == _alert()
    for other in (b"{}", b"", b'{"started_by": "somebody"}'):
        with pytest.raises(Refused):
            core.cause(other)
    assert json.loads(core.execution_input(None))["started_by"] == "schedule"
    assert json.loads(core.execution_input(_alert()))["started_by"] == "drift"


def test_those_who_start_at_once_have_one_name_whatever_their_cause() -> None:
    assert len({execution_name(NOW + dt.timedelta(seconds=seconds)) for seconds in (0, 1, 59)}) == 1
    assert execution_name(NOW) != execution_name(NOW + dt.timedelta(seconds=60))


def _work(body: str, latest: list[dict[str, Any]], running: list[dict[str, Any]], taken: bool | None = None) -> str:
    """The function's handling of a message, given Step Functions' answer; `taken`: the name is taken."""
    client = boto3.client("stepfunctions", region_name="eu-central-1")
    with Stubber(client) as stub:
        question = {"stateMachineArn": ARN, "maxResults": 1}
        stub.add_response("list_executions", {"executions": latest}, question)
        stub.add_response("list_executions", {"executions": running}, {**question, "statusFilter": "RUNNING"})
        if taken is not None:
            asked = {"stateMachineArn": ARN, "name": execution_name(NOW), "input": SCHEDULED}
            if taken:
                stub.add_client_error("start_execution", "ExecutionAlreadyExists", expected_params=asked)
            else:
                stub.add_response("start_execution", {"executionArn": ARN, "startDate": NOW}, asked)
        word = Starter(client, ARN, 600, lambda: NOW).work({"body": body})
        stub.assert_no_pending_responses()
    return word


def _execution(status: str, seconds_ago: int) -> dict[str, Any]:
    start = NOW - dt.timedelta(seconds=seconds_ago)
    return {"executionArn": ARN, "stateMachineArn": ARN, "name": status, "status": status, "startDate": start}


def test_the_function_starts_nothing_beside_an_execution_that_runs() -> None:
    old = [_execution("RUNNING", 700_000)]
    assert _work(SCHEDULED, [], [], taken=False) == "Started"
    assert _work(SCHEDULED, [_execution("SUCCEEDED", 10)], [], taken=False) == "Started"
    # One that was started by hand later and has ended does not hide the one that still runs.
    assert _work(SCHEDULED, [_execution("FAILED", 10)], old) == "AlreadyRunning"
    assert _work(encode(_alert()).decode(), old, old) == "AlreadyRunning"
    # Not listed yet, but its name is taken.
    assert _work(SCHEDULED, [], [], taken=True) == "AlreadyRunning"
