"""Messages to the function itself at a later time, as schedules that send one each.

Their target is the operation SendMessage rather than the queue: so the message has an attribute that says what it is. A
rule of AWS IoT gives a message none, so that no device can send one.
"""

import datetime as dt
import hashlib
import json
from typing import Any

import msgspec

NAME_PREFIX = "alarm-"
"""The beginning of all names of schedules, by which the function's role may make them."""
TIMER = "timer"
"""The value of the attribute `kind`."""


class Schedules:
    """Schedules by what they are for; each goes once it has sent its message.

    Args:
        client: a boto3 client of EventBridge Scheduler.
        group: the schedule group.
        queue_url: where messages go.
        role_arn: the role that sends them.
    """

    def __init__(self, client: Any, *, group: str, queue_url: str, role_arn: str) -> None:
        self._client = client
        self._group = group
        self._queue_url = queue_url
        self._role_arn = role_arn

    def begin(self, identity: str, at: dt.datetime, message: msgspec.Struct) -> None:
        """Let a message come at a time; what was begun goes on.

        Args:
            identity: what it is for.
            at: UTC, to the second.
            message: tagged, so that it says which one it is.
        """
        try:
            self._client.create_schedule(
                Name=schedule_name(identity),
                GroupName=self._group,
                ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target=self._target(message),
            )
        except self._client.exceptions.ConflictException:
            return

    def end(self, identity: str) -> None:
        """Let no message come any more."""
        try:
            self._client.delete_schedule(Name=schedule_name(identity), GroupName=self._group)
        except self._client.exceptions.ResourceNotFoundException:
            return

    def _target(self, message: msgspec.Struct) -> dict[str, str]:
        """The universal target that sends `message`: "Using universal targets", EventBridge Scheduler user guide."""
        sent = {
            "QueueUrl": self._queue_url,
            "MessageBody": msgspec.json.encode(message).decode(),
            "MessageAttributes": {"kind": {"DataType": "String", "StringValue": TIMER}},
        }
        partition = self._role_arn.split(":")[1]
        return {
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:sqs:sendMessage",
            "RoleArn": self._role_arn,
            "Input": json.dumps(sent),
        }


def schedule_name(identity: str) -> str:
    """The name of a schedule, in the 64 characters that are allowed."""
    return NAME_PREFIX + hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
