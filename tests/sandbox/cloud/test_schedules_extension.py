"""EventBridge Scheduler in the emulated AWS: groups in IAM, the target's role, and that a schedule fires once.

Not proved here: cron and rate expressions (the emulator's own), and how precise AWS is (a minute).
"""

import datetime as dt
import json
import uuid
from typing import Any

import boto3
import botocore.exceptions
import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.cloud.extensions.schedules import group_of
from tests.waiting import eventually


def role(cloud: Cloud, service: str, *statements: dict[str, Any]) -> str:
    iam, name = cloud.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    principal = {"AWS": "*"} if service == "*" else {"Service": service}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    if statements:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=json.dumps(document))
    return str(arn)


def queue(cloud: Cloud) -> tuple[str, str]:
    name = f"queue-{uuid.uuid4().hex[:8]}"
    url = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:{cloud.region}:{cloud.account_id}:{name}"


def group(cloud: Cloud) -> str:
    name = f"group-{uuid.uuid4().hex[:8]}"
    cloud.client("scheduler").create_schedule_group(Name=name)
    return name


def at_once(target: str, role_arn: str, **more: Any) -> dict[str, Any]:
    return {
        "ScheduleExpression": f"at({dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {"Arn": target, "RoleArn": role_arn, "Input": '{"hello": "world"}'},
        **more,
    }


def received(cloud: Cloud, url: str, seconds: int) -> list[str]:
    found = cloud.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=seconds, MaxNumberOfMessages=10)
    return [message["Body"] for message in found.get("Messages", [])]


def test_a_schedule_sends_once_and_is_gone(cloud: Cloud) -> None:
    url, arn = queue(cloud)
    sender = role(cloud, "scheduler.amazonaws.com", {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn})
    name, scheduler = group(cloud), cloud.client("scheduler")
    scheduler.create_schedule(Name="one", GroupName=name, **at_once(arn, sender))
    (body,) = eventually(lambda: received(cloud, url, 20), "what it sends")
    assert json.loads(body) == {"hello": "world"}
    # It goes when its target has been served.
    eventually(lambda: not scheduler.list_schedules(GroupName=name)["Schedules"], "the schedule to go")
    assert received(cloud, url, 2) == []


@pytest.mark.parametrize("service", ["scheduler.amazonaws.com", "lambda.amazonaws.com"])
def test_a_target_that_the_role_does_not_allow_gets_nothing(cloud: Cloud, service: str) -> None:
    url, arn = queue(cloud)
    action = "sqs:SendMessage" if service.startswith("lambda") else "sqs:ReceiveMessage"
    sender = role(cloud, service, {"Effect": "Allow", "Action": action, "Resource": arn})
    name, scheduler = group(cloud), cloud.client("scheduler")
    scheduler.create_schedule(Name="one", GroupName=name, **at_once(arn, sender))
    eventually(lambda: not scheduler.list_schedules(GroupName=name)["Schedules"], "the schedule to have had its time")
    assert received(cloud, url, 0) == []
    assert f"schedule/{name}/one starts nothing" in cloud.log_file.read_text()


SEND_MESSAGE = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"


def sent(url: str) -> dict[str, Any]:
    """A universal target's input: a message with an attribute, by the parameters of SendMessage."""
    attributes = {"kind": {"DataType": "String", "StringValue": "escalation"}}
    return {"QueueUrl": url, "MessageBody": "now", "MessageAttributes": attributes}


def test_a_universal_target_sends_a_message_with_attributes_where_the_role_allows_it(cloud: Cloud) -> None:
    (url, arn), (other_url, _) = queue(cloud), queue(cloud)
    sender = role(cloud, "scheduler.amazonaws.com", {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn})
    name, scheduler = group(cloud), cloud.client("scheduler")
    for key, to in (("one", url), ("other", other_url)):
        target = {"Arn": SEND_MESSAGE, "RoleArn": sender, "Input": json.dumps(sent(to))}
        scheduler.create_schedule(Name=key, GroupName=name, **{**at_once(arn, sender), "Target": target})

    def messages() -> list[dict[str, Any]]:
        found = cloud.client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=20)
        return list(found.get("Messages", []))

    (message,) = eventually(messages, "what it sends")
    assert message["Body"] == "now"
    assert message["MessageAttributes"]["kind"]["StringValue"] == "escalation"
    eventually(lambda: not scheduler.list_schedules(GroupName=name)["Schedules"], "the schedules to go")
    assert received(cloud, other_url, 0) == []
    assert f"schedule/{name}/other starts nothing" in cloud.log_file.read_text()


@pytest.mark.parametrize(
    ("target", "given", "told"),
    [
        ("arn:aws:scheduler:::aws-sdk:sqs:getQueueUrl", "{}", "is not honoured here"),
        ("arn:aws:scheduler:::aws-sdk:sns:publish", "{}", "is not honoured here"),
        (SEND_MESSAGE, "now", "must be a JSON object"),
        (SEND_MESSAGE, '{"QueueUrl": "u"}', "SendMessage needs MessageBody"),
        (SEND_MESSAGE, '{"QueueUrl": "u", "MessageBody": "b", "Body": "b"}', "SendMessage has no parameter Body"),
    ],
)
def test_a_universal_target_that_cannot_be_honoured_is_refused(
    cloud: Cloud, target: str, given: str, told: str
) -> None:
    name, scheduler = group(cloud), cloud.client("scheduler")
    schedule = at_once(target, role(cloud, "scheduler.amazonaws.com"))
    schedule["Target"]["Input"] = given
    with pytest.raises(botocore.exceptions.ClientError, match=told):
        scheduler.create_schedule(Name="one", GroupName=name, **schedule)
    assert scheduler.list_schedules(GroupName=name)["Schedules"] == []


def test_permissions_hold_schedules_to_their_group(cloud: Cloud) -> None:
    allowed, other = group(cloud), group(cloud)
    resource = f"arn:aws:scheduler:{cloud.region}:{cloud.account_id}:schedule/{allowed}/alarm-*"
    caller = role(
        cloud,
        "*",
        {"Effect": "Allow", "Action": ["scheduler:CreateSchedule", "scheduler:DeleteSchedule"], "Resource": resource},
    )
    credentials = cloud.client("sts").assume_role(RoleArn=caller, RoleSessionName="test")["Credentials"]
    scheduler = boto3.client(
        "scheduler",
        endpoint_url=cloud.endpoint,
        region_name=cloud.region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    _, arn = queue(cloud)
    later = {**at_once(arn, caller), "ScheduleExpression": "at(2040-01-01T00:00:00)"}
    scheduler.create_schedule(Name="alarm-1", GroupName=allowed, **later)
    scheduler.delete_schedule(Name="alarm-1", GroupName=allowed)
    for name, group_name in (("alarm-1", other), ("other", allowed)):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            scheduler.create_schedule(Name=name, GroupName=group_name, **later)
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        scheduler.create_schedule(Name="alarm-1", **later)


def test_the_group_is_read_from_query_or_body() -> None:
    assert group_of(b"", {"groupName": ["a"]}) == "a"
    assert group_of(b'{"GroupName": "b"}', {}) == "b"
    assert group_of(b"{", {}) == group_of(b"[]", {}) == "default"
