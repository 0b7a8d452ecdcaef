"""A message to the function itself at a later time, as the target of a schedule.

The target is the operation SendMessage rather than the queue: so the message has an attribute that says what it is. A
rule of AWS IoT gives a message none, so that no device can send one.
"""

import json

import msgspec

TIMER = "timer"
"""The value of the attribute `kind`."""


def target(queue_url: str, role_arn: str, message: msgspec.Struct) -> dict[str, str]:
    """The universal target that sends `message`: "Using universal targets", EventBridge Scheduler user guide.

    Args:
        queue_url: where it goes.
        role_arn: the role that sends it.
        message: tagged, so that it says which one it is.
    """
    sent = {
        "QueueUrl": queue_url,
        "MessageBody": msgspec.json.encode(message).decode(),
        "MessageAttributes": {"kind": {"DataType": "String", "StringValue": TIMER}},
    }
    partition = role_arn.split(":")[1]
    return {
        "Arn": f"arn:{partition}:scheduler:::aws-sdk:sqs:sendMessage",
        "RoleArn": role_arn,
        "Input": json.dumps(sent),
    }
