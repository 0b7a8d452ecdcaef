"""IoT rules of the emulated AWS: what they refuse, what their roles may do, where failures go.

Not proved here: that AWS evaluates the SQL in the same way, or that it waits as long.
"""

import base64
import io
import json
from typing import Any

import botocore.exceptions
import pyarrow.parquet as pq
import pytest

COLUMNS = {"device": "string", "value": "double"}


def make_rule(account: Any, sql: str, *actions: dict[str, Any], **payload: Any) -> None:
    name = f"{account.prefix}_{len(sql)}_{sum(map(ord, sql))}"
    rule = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": list(actions), **payload}
    account.cloud.client("iot").create_topic_rule(ruleName=name, topicRulePayload=rule)


def reading(site: str, **fields: Any) -> bytes:
    return json.dumps({"site": site, "device": "d", "value": 1.5, **fields}).encode()


def test_a_device_message_reaches_the_lake_as_parquet(account: Any) -> None:
    bucket = account.bucket()
    stream = account.reading_stream(bucket, COLUMNS)
    role = account.role("iot", ("firehose:PutRecord", account.arn("firehose", f"deliverystream/{stream}")))
    topic = f"{account.prefix}/reading"
    action = {"firehose": {"roleArn": role, "deliveryStreamName": stream, "separator": "\n"}}
    make_rule(account, f"SELECT * FROM '{topic}' WHERE value > 1", action)
    client = account.device("sensor", topic).connect()
    for value in (0.5, 1.5, 2.5):
        client.publish(topic, reading("lindau", value=value), qos=1).wait_for_publish(60)
    client.disconnect()
    client.loop_stop()

    assert account.delivered(stream, 2) == {"accepted": 2, "delivered": 2, "refused": 0}
    tables = [pq.read_table(io.BytesIO(body)) for body in account.objects(bucket, "reading/site=lindau/").values()]
    assert sorted(row["value"] for table in tables for row in table.to_pylist()) == [1.5, 2.5]
    assert tables[0].schema.names == list(COLUMNS)


def test_a_role_without_the_permission_fails_the_action_and_the_error_action_tells(account: Any) -> None:
    stream = account.reading_stream(account.bucket(), COLUMNS)
    queue = account.queue()
    role = account.role("iot", ("sqs:SendMessage", account.arn("sqs", queue.rsplit("/", 1)[-1])))
    topic = f"{account.prefix}/reading"
    make_rule(
        account,
        f"SELECT * FROM '{topic}'",
        {"firehose": {"roleArn": role, "deliveryStreamName": stream}},
        errorAction={"sqs": {"roleArn": role, "queueUrl": queue, "useBase64": False}},
    )
    account.cloud.client("iot-data").publish(topic=topic, qos=1, payload=reading("lindau"))

    told = account.receive(queue)
    (failure,) = told["failures"]
    assert failure["failedAction"] == "FirehoseAction"
    assert failure["failedResource"] == stream
    assert "not authorized to perform: firehose:PutRecord" in failure["errorMessage"]
    assert base64.b64decode(told["base64OriginalPayload"]) == reading("lindau")
    assert account.counts(stream)["accepted"] == 0


def test_a_role_that_does_not_trust_the_rules_engine_is_of_no_use(account: Any) -> None:
    queue, errors = account.queue(), account.queue("errors")
    stranger = account.role("lambda", ("sqs:SendMessage", "*"))
    trusted = account.role("iot", ("sqs:SendMessage", "*"))
    topic = f"{account.prefix}/reading"
    make_rule(
        account,
        f"SELECT * FROM '{topic}'",
        {"sqs": {"roleArn": stranger, "queueUrl": queue}},
        errorAction={"sqs": {"roleArn": trusted, "queueUrl": errors}},
    )
    account.cloud.client("iot-data").publish(topic=topic, qos=1, payload=reading("lindau"))
    assert "may not assume" in account.receive(errors)["failures"][0]["errorMessage"]


def test_a_stream_that_is_gone_fails_the_action(account: Any) -> None:
    queue = account.queue()
    role = account.role("iot", (["sqs:SendMessage", "firehose:PutRecord"], "*"))
    topic = f"{account.prefix}/reading"
    make_rule(
        account,
        f"SELECT * FROM '{topic}'",
        {"firehose": {"roleArn": role, "deliveryStreamName": "nowhere"}},
        errorAction={"sqs": {"roleArn": role, "queueUrl": queue}},
    )
    account.cloud.client("iot-data").publish(topic=topic, qos=1, payload=reading("lindau"))
    assert "nowhere under account" in account.receive(queue)["failures"][0]["errorMessage"]


def test_selected_fields_go_on_as_a_message_of_their_own(account: Any) -> None:
    queue = account.queue()
    role = account.role("iot", ("sqs:SendMessage", "*"))
    topic = f"{account.prefix}/a/reading"
    sql = f"SELECT value AS v, topic(2) AS device FROM '{account.prefix}/+/reading' WHERE site = 'lindau'"
    make_rule(account, sql, {"sqs": {"roleArn": role, "queueUrl": queue}})
    publish = account.cloud.client("iot-data").publish
    publish(topic=topic, qos=1, payload=reading("elsewhere"))
    publish(topic=topic, qos=1, payload=reading("lindau"))
    assert account.receive(queue) == {"v": 1.5, "device": "a"}


SQS = {"roleArn": "arn:aws:iam::000000000000:role/r", "queueUrl": "https://sqs/000000000000/q"}
FIREHOSE = {"roleArn": "arn:aws:iam::000000000000:role/r", "deliveryStreamName": "s"}


@pytest.mark.parametrize(
    ("sql", "action", "reason"),
    [
        ("SELECT * FROM 'a'", {"kinesis": {"streamName": "s", "roleArn": "r"}}, "rule action kinesis is not honoured"),
        ("SELECT upper(a) FROM 'a'", {"sqs": SQS}, r"SQL function upper\(\) is not honoured"),
        ("SELECT * FROM 'a' WHERE mod(a, 2) = 1", {"sqs": SQS}, r"SQL function mod\(\) is not honoured"),
        ("SELECT * FROM 'a'", {"firehose": FIREHOSE | {"batchMode": True}}, "batchMode"),
        ("SELECT * FROM 'a'", {"firehose": FIREHOSE | {"separator": ";"}}, "separator"),
        ("SELECT * FROM 'a'", {"republish": {"topic": "b", "roleArn": "r", "headers": {}}}, "headers of rule action"),
        ("SELECT * FROM 'a'", {"sqs": SQS | {"queueUrl": "https://sqs/${topic()}"}}, "substitution templates"),
        ("SELECT * FROM 'a'", {"sns": {"targetArn": "t", "roleArn": "r", "messageFormat": "JSON"}}, "messageFormat"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    account: Any, sql: str, action: dict[str, Any], reason: str
) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match=reason):
        make_rule(account, sql, action)
    with pytest.raises(
        botocore.exceptions.ClientError, match=reason if "SELECT *" not in sql or "WHERE" in sql else "."
    ):
        make_rule(account, sql, {"sqs": SQS}, errorAction=action)


def test_the_older_sql_version_is_refused(account: Any) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="awsIotSqlVersion must be 2016-03-23"):
        make_rule(account, "SELECT * FROM 'a'", {"sqs": SQS}, awsIotSqlVersion="2015-10-08")


def test_a_client_without_a_certificate_is_shut_out(account: Any) -> None:
    with pytest.raises((OSError, ConnectionError)):
        account.connect_without_certificate()


def test_the_thing_name_in_a_policy_follows_an_exclusive_thing_only(account: Any) -> None:
    resource = "${iot:Connection.Thing.ThingName}-uplink"
    exclusive = account.device("one", "a", exclusive=True, client=resource)
    client = exclusive.connect(f"{exclusive.name}-uplink")
    client.disconnect()
    client.loop_stop()
    with pytest.raises(ConnectionError):
        exclusive.connect("another-uplink")
    shared = account.device("two", "a", client=resource)
    with pytest.raises(ConnectionError):
        shared.connect(f"{shared.name}-uplink")
