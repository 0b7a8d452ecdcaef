"""Permission to invoke a Lambda function of the emulated AWS.

Not proved here: AWS's retries of a delivery that fails.
"""

import io
import json
import time
import zipfile
from typing import Any

import botocore.exceptions
import pytest

from tests.waiting import eventually

HANDLER = """
import json, os, boto3
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""


def function(account: Any, queue: str, *allowed: tuple[str | list[str], str | list[str]]) -> str:
    """The ARN of a function that sends each event to a queue."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", HANDLER)
    role = account.role("lambda", ("sqs:SendMessage", account.arn("sqs", queue.rsplit("/", 1)[-1])), *allowed)
    made = account.cloud.client("lambda").create_function(
        FunctionName=account.prefix,
        Runtime="python3.11",
        Role=role,
        Handler="code.handler",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": {"QUEUE": queue}},
        Timeout=20,
    )
    return str(made["FunctionArn"])


def permit(account: Any, function_arn: str, service: str, source: str) -> None:
    account.cloud.client("lambda").add_permission(
        FunctionName=function_arn,
        StatementId="invoke",
        Action="lambda:InvokeFunction",
        Principal=f"{service}.amazonaws.com",
        SourceArn=source,
    )


def test_sns_invokes_a_function_that_its_policy_lets_it(account: Any) -> None:
    queue, sns = account.queue(), account.cloud.client("sns")
    arn = function(account, queue)
    topic = sns.create_topic(Name=account.prefix)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="before")
    refusal = f"does not let sns.amazonaws.com invoke it for {topic}"
    eventually(lambda: refusal in account.cloud.log_file.read_text(), "a refusal in the log")
    permit(account, arn, "sns", topic)
    sns.publish(TopicArn=topic, Message="after")
    assert account.receive(queue)["Records"][0]["Sns"]["Message"] == "after"


def test_a_rule_invokes_a_function_that_its_policy_lets_it(account: Any) -> None:
    queue, errors = account.queue(), account.queue("errors")
    arn = function(account, queue)
    role = account.role("iot", ("sqs:SendMessage", account.arn("sqs", errors.rsplit("/", 1)[-1])))
    account.cloud.client("iot").create_topic_rule(
        ruleName=account.prefix,
        topicRulePayload={
            "sql": f"SELECT * FROM '{account.prefix}'",
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{"lambda": {"functionArn": arn}}],
            "errorAction": {"sqs": {"roleArn": role, "queueUrl": errors}},
        },
    )
    publish = account.cloud.client("iot-data").publish
    publish(topic=account.prefix, qos=1, payload=json.dumps({"n": 1}))
    (failure,) = account.receive(errors)["failures"]
    assert "does not let iot.amazonaws.com invoke it" in failure["errorMessage"]
    permit(account, arn, "iot", account.arn("iot", f"rule/{account.prefix}"))
    publish(topic=account.prefix, qos=1, payload=json.dumps({"n": 2}))
    assert account.receive(queue) == {"n": 2}


def test_a_queue_is_mapped_where_the_role_may_read_it(account: Any) -> None:
    queue, source = account.queue(), account.queue("source")
    source_arn = account.arn("sqs", source.rsplit("/", 1)[-1])
    arn = function(account, queue, (["sqs:ReceiveMessage", "sqs:GetQueueAttributes"], source_arn))
    create = account.cloud.client("lambda").create_event_source_mapping
    with pytest.raises(botocore.exceptions.ClientError, match="permissions to call DeleteMessage on SQS"):
        create(FunctionName=arn, EventSourceArn=source_arn)
    account.allow(f"{account.prefix}-lambda", ("sqs:*", "*"))
    time.sleep(1.1)  # a refusal is kept for a second
    create(FunctionName=arn, EventSourceArn=source_arn)
    account.cloud.client("sqs").send_message(QueueUrl=source, MessageBody="hello")
    assert account.receive(queue)["Records"][0]["body"] == "hello"
