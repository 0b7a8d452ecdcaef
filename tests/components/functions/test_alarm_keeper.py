"""The alarm keeper: what people read, and each alert once, on the emulated DynamoDB and SNS.

Not proved here: the way from the broker to the function and the permissions (test_deployed_lake_and_alerting.py), and
how a mail program shows the text.
"""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from pm_components.functions.alarm_keeper import handler
from pm_components.functions.alarm_keeper.alarms import Policy
from pm_components.functions.alarm_keeper.core import notification
from pm_components.functions.alarm_keeper.once import InProgress, Once
from pm_contracts.messages import Alert, decode, encode
from pm_sandbox.cloud import Cloud

POLICY = Policy(dedupe_seconds=3600, escalation_seconds=900, escalation_severities=["critical"])
ROLE = "arn:aws:iam::000000000000:role/escalation"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/000000000000/alarms"


def alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "site": "lindau",
        "device": "machine-03",
        "cause": "fault",
        "severity": "critical",
        "state": "active",
        "raised_at": dt.datetime(2014, 5, 6, 7, 8, 9, tzinfo=dt.UTC),
        "dedupe_key": "fault/machine-03",
        "text": "Machine 03 at lindau is about to fail.",
    }
    return Alert(**{**fields, **changes})


def test_what_people_read() -> None:
    out = notification(alert())
    assert out.subject == "[CRITICAL] lindau/machine-03: machine fault"
    by_protocol = json.loads(out.message)
    assert decode(by_protocol["sqs"].encode(), Alert) == alert()
    assert by_protocol["default"].startswith("Machine 03 at lindau is about to fail.\n\nSite:      lindau\n")
    assert "At:        2014-05-06 07:08:09 UTC" in by_protocol["default"]
    assert out.attributes["kind"] == "alert"


def test_a_cleared_alert_says_so_first() -> None:
    assert notification(alert(state="cleared")).subject == "[CLEARED] lindau/machine-03: machine fault"


def test_the_longest_subject_fits() -> None:
    longest = notification(alert(site="a" * 32, device="b" * 32, cause="forecast_quality", state="cleared"))
    assert len(longest.subject) <= 99
    assert longest.subject.endswith("forecasts out of range")
    assert longest.subject.isascii()


@pytest.fixture
def table(cloud: Cloud) -> Iterator[str]:
    client, name = cloud.client("dynamodb"), f"sent-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "message_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "message_id", "AttributeType": "S"}],
    )
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def alarm_table(cloud: Cloud) -> Iterator[str]:
    client, name = cloud.client("dynamodb"), f"alarms-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "alarm", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "alarm", "AttributeType": "S"}],
    )
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def digest_table(cloud: Cloud) -> Iterator[str]:
    client, name = cloud.client("dynamodb"), f"digests-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "site", "KeyType": "HASH"},
            {"AttributeName": "entry", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("site", "entry")],
    )
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def schedule_group(cloud: Cloud) -> str:
    name = f"escalations-{uuid.uuid4().hex[:8]}"
    cloud.client("scheduler").create_schedule_group(Name=name)
    return name


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def once(cloud: Cloud, table: str, clock: Clock) -> Once:
    return Once(cloud.client("dynamodb"), table, lease_seconds=60, keep_seconds=3600, clock=clock)


def test_what_failed_is_done_when_it_comes_again(once: Once) -> None:
    def down() -> None:
        raise ConnectionError("the topic is down")

    done: list[str] = []
    with pytest.raises(ConnectionError):
        once.do("a", down)
    assert once.do("a", lambda: done.append("a"))
    assert not once.do("a", lambda: done.append("again"))
    assert done == ["a"]


def test_a_claim_holds_others_off_until_its_lease_ends(once: Once, clock: Clock) -> None:
    done: list[str] = []

    def dies() -> None:
        with pytest.raises(InProgress):
            once.do("a", lambda: done.append("meanwhile"))
        raise SystemExit  # as a function that is ended; its claim is given up only because Python still runs

    with pytest.raises(SystemExit):
        once.do("a", dies)
    once._claim("b", int(clock()))  # as a function that was killed: the claim stays
    with pytest.raises(InProgress):
        once.do("b", lambda: done.append("too early"))
    clock.now += 60
    assert once.do("b", lambda: done.append("b"))
    assert done == ["b"]


def test_the_handler_publishes_to_the_topic_and_reports_the_poison(
    cloud: Cloud,
    table: str,
    alarm_table: str,
    digest_table: str,
    schedule_group: str,
    monkeypatch: pytest.MonkeyPatch,
    subscribed: Callable[[], list[dict[str, Any]]],
    topic: str,
    dead_letters: list[tuple[str, str]],
) -> None:
    settings = {
        "SENT_TABLE": table,
        "ALARM_TABLE": alarm_table,
        "DIGEST_TABLE": digest_table,
        "ALARM_POLICY": msgspec.json.encode(POLICY).decode(),
        "SCHEDULE_GROUP": schedule_group,
        "SCHEDULE_ROLE_ARN": ROLE,
        "QUEUE_URL": QUEUE,
        "TOPIC_ARN": topic,
    }
    for key, value in {**cloud.environment(), **settings}.items():
        monkeypatch.setenv(key, value)
    handler._keeper.cache_clear()
    cloud.client("iot").create_thing(
        thingName="lindau_machine-03", attributePayload={"attributes": {"site": "lindau", "device": "machine-03"}}
    )
    arrived = {"attributes": {"SentTimestamp": "1700000000000"}}
    good = {"messageId": "good", "body": encode(alert()).decode(), **arrived}
    stranger = {"messageId": "stranger", "body": encode(alert(device="machine-04")).decode(), **arrived}
    event = {"Records": [{"messageId": "poison", "body": "{"}, stranger, good, {**good, "messageId": "again"}]}
    assert handler.handle(event, None) == {"batchItemFailures": []}
    assert [body for body, _ in dead_letters] == ["{", stranger["body"]]
    assert "has none of that name in the registry" in dead_letters[1][1]
    (message,) = subscribed()
    assert decode(message["Body"].encode(), Alert) == alert()


@pytest.fixture
def topic(cloud: Cloud) -> str:
    return str(cloud.client("sns").create_topic(Name=f"alerts-{uuid.uuid4().hex[:8]}")["TopicArn"])


@pytest.fixture
def subscribed(cloud: Cloud, topic: str) -> Callable[[], list[dict[str, Any]]]:
    sqs = cloud.client("sqs")
    name = topic.rsplit(":", 1)[-1]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    cloud.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"kind": ["alert"]})},
    )

    def receive() -> list[dict[str, Any]]:
        return list(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10).get("Messages", []))

    return receive
