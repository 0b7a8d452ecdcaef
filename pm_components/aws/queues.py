"""Queues, each with a place for its dead letters and an alarm that says when something lies there."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.alarms import Metric, TopicArns, alarm
from pm_components.aws.limits import (
    QUEUE_NAME_LENGTH,
    QUEUE_RETENTION_SECONDS,
    RECEIVE_COUNT_BEFORE_DEAD_LETTER,
    RECEIVE_COUNT_MAXIMUM,
    VISIBILITY_TIMEOUTS_PER_FUNCTION_TIMEOUT,
)


class WorkQueue(NamedTuple):
    """A queue with its dead-letter queue."""

    queue: aws.sqs.Queue
    dead_letters: aws.sqs.Queue


def dead_letter_queue(
    name: str,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns = None,
    key_arn: Optional[pulumi.Input[str]] = None,
) -> aws.sqs.Queue:
    """The queue `{name}-dead-letters`, kept for 14 days, and the alarm `{name}-dead-letter-alarm` on its depth.

    Args:
        name: logical name of what the letters come from.
        parent: the component that it belongs to.
        alarm_topic_arns: SNS topics that hear of the alarm.
        key_arn: the customer's key that encrypts the letters; by default SQS does it with one of its own.
    """
    told = f"Something lies in the dead letters of {name}: read it, mend the cause, send it back."
    return _watched_queue(name, "dead-letter", told, parent, alarm_topic_arns, key_arn)


def notice_queue(
    name: str,
    dead_letters: aws.sqs.Queue,
    alarm_description: str,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns = None,
    key_arn: Optional[pulumi.Input[str]] = None,
) -> aws.sqs.Queue:
    """The queue `{name}-notices`, of what waits for a person, and the alarm `{name}-notice-alarm` on its depth.

    Args:
        name: logical name of what the notices are of.
        dead_letters: where a notice goes that was looked at a thousand times.
        alarm_description: what the alarm says to do.
        parent: the component that it belongs to.
        alarm_topic_arns: SNS topics that hear of the alarm.
        key_arn: the customer's key that encrypts the notices; by default SQS does it with one of its own.
    """
    redrive_policy = _redrive(dead_letters, RECEIVE_COUNT_MAXIMUM)
    return _watched_queue(
        name, "notice", alarm_description, parent, alarm_topic_arns, key_arn, redrive_policy=redrive_policy
    )


def _watched_queue(
    name: str,
    word: str,
    alarm_description: str,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns,
    key_arn: Optional[pulumi.Input[str]],
    **settings: Any,
) -> aws.sqs.Queue:
    """A queue of `word`s, and an alarm as long as anything lies in it."""
    options = pulumi.ResourceOptions(parent=parent)
    queue = _queue(f"{name}-{word}s", (name, f"{word}s"), options, key_arn, **settings)
    alarm(
        f"{name}-{word}-alarm",
        naming.physical_name(name, f"{word}s"),
        alarm_description,
        Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue.name}, "Maximum"),
        0,
        alarm_topic_arns,
        parent=parent,
        period_seconds=60,
    )
    return queue


def work_queue(
    name: str,
    consumer_timeout_seconds: int,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns = None,
) -> WorkQueue:
    """The queue `{name}-queue` for a Lambda function with the given timeout, with its dead letters and their alarm."""
    dead_letters = dead_letter_queue(name, parent=parent, alarm_topic_arns=alarm_topic_arns)
    queue = _queue(
        f"{name}-queue",
        (name,),
        pulumi.ResourceOptions(parent=parent),
        visibility_timeout_seconds=consumer_timeout_seconds * VISIBILITY_TIMEOUTS_PER_FUNCTION_TIMEOUT,
        redrive_policy=_redrive(dead_letters, RECEIVE_COUNT_BEFORE_DEAD_LETTER),
    )
    return WorkQueue(queue, dead_letters)


def _queue(
    name: str,
    physical: Sequence[str],
    options: pulumi.ResourceOptions,
    key_arn: Optional[pulumi.Input[str]] = None,
    **settings: Any,
) -> aws.sqs.Queue:
    """A queue that keeps what lies in it for 14 days, encrypted with a key of SQS or with the customer's."""
    return aws.sqs.Queue(
        name,
        name=naming.physical_name(*physical, maximum=QUEUE_NAME_LENGTH),
        message_retention_seconds=QUEUE_RETENTION_SECONDS,
        sqs_managed_sse_enabled=True if key_arn is None else None,
        kms_master_key_id=key_arn,
        opts=options,
        **settings,
    )


def _redrive(dead_letters: aws.sqs.Queue, receive_count: int) -> pulumi.Output[str]:
    """The policy that takes a message to the dead letters once it was received so often."""
    return pulumi.Output.json_dumps({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": receive_count})
