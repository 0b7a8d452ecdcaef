"""`pm alarms`: the commands against an emulated table and queue, in this process.

Not proved here: what an acknowledgement that was sent does (tests/components/test_deployed_lake_and_alerting.py).
"""

import json
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pm_cli.main import app
from pm_sandbox import factory
from pm_sandbox.cloud import Cloud

RUNNER = CliRunner(env={"COLUMNS": "240"})


@pytest.fixture
def outputs(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    suffix = uuid.uuid4().hex[:8]
    dynamodb, sqs = cloud.client("dynamodb"), cloud.client("sqs")
    dynamodb.create_table(
        TableName=f"alarms-{suffix}",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "alarm", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "alarm", "AttributeType": "S"}],
    )
    for number, (state, by) in enumerate((("active", ""), ("cleared", ""), ("active", "Bob"))):
        item = {
            "alarm": f"lindau/fault/machine-0{number}",
            "state": state,
            "severity": "critical",
            "raised_at": f"2014-01-0{number + 1}T00:00:00+00:00",
            "acknowledged_by": by,
            "text": "It is about to fail [/] [bold]now \x1b[2J.",
        }
        dynamodb.put_item(
            TableName=f"alarms-{suffix}",
            Item={key: {"S": value} for key, value in item.items()} | {"escalated": {"BOOL": number == 0}},
        )
    made = {
        "alarm_table": f"alarms-{suffix}",
        "alarm_queue_url": sqs.create_queue(QueueName=f"alarms-{suffix}")["QueueUrl"],
    }
    attached = SimpleNamespace(cloud=cloud, deployment=SimpleNamespace(outputs=made))
    monkeypatch.setattr(factory.Factory, "attach", lambda _directory: attached)
    yield made
    dynamodb.delete_table(TableName=f"alarms-{suffix}")


def test_active_alarms_are_listed_the_latest_first(outputs: dict[str, Any]) -> None:
    told = RUNNER.invoke(app, ["alarms", "list"]).stdout
    assert "machine-01" not in told
    assert told.index("machine-02") < told.index("machine-00")
    assert "Bob" in told
    assert "It is about to fail [/] [bold]now \\x1b[2J." in told
    assert "machine-01" in RUNNER.invoke(app, ["alarms", "list", "--all"]).stdout


def test_an_acknowledgement_is_sent_with_who_and_why(outputs: dict[str, Any], cloud: Cloud) -> None:
    arguments = ["alarms", "acknowledge", "lindau", "fault/machine-00", "--by", "Ada", "--note", "on my way"]
    told = RUNNER.invoke(app, arguments)
    assert told.exit_code == 0, told.stdout
    received = cloud.client("sqs").receive_message(
        QueueUrl=outputs["alarm_queue_url"], MessageAttributeNames=["All"], WaitTimeSeconds=5
    )
    (message,) = received["Messages"]
    assert message["MessageAttributes"]["kind"]["StringValue"] == "acknowledgement"
    expected = {"site": "lindau", "dedupe_key": "fault/machine-00", "by": "Ada", "note": "on my way"}
    assert json.loads(message["Body"]) == expected


@pytest.mark.parametrize(
    ("alarm", "said"),
    [
        ("fault/machine-99", "there is no alarm 'fault/machine-99' at 'lindau'; active are: lindau fault/machine-02"),
        ("fault/machine-01", "is cleared: there is nothing to take on"),
        ("fault/machine-02", "Bob has taken fault/machine-02 at lindau on already"),
    ],
)
def test_what_cannot_be_acknowledged_is_said(outputs: dict[str, Any], alarm: str, said: str) -> None:
    told = RUNNER.invoke(app, ["alarms", "acknowledge", "lindau", alarm])
    assert told.exit_code == 2
    assert said in told.stderr
