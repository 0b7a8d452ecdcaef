"""Queues, each with a place for its dead letters and an alarm that says when something lies there."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import pulumi
import pulumi_aws as aws

from pm_components import naming
from pm_components.limits import (
    QUEUE_NAME_LENGTH,
    QUEUE_RETENTION_SECONDS,
    RECEIVE_COUNT_BEFORE_DEAD_LETTER,
    RECEIVE_COUNT_MAXIMUM,
    VISIBILITY_TIMEOUTS_PER_FUNCTION_TIMEOUT,
)


class WorkQueue(NamedTuple):
    """A queue and the one that takes what could not be worked off."""

    queue: aws.sqs.Queue
    dead_letters: aws.sqs.Queue


def dead_letter_queue(
    name: str,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: Optional[pulumi.Input[Sequence[pulumi.Input[str]]]] = None,
    key_arn: Optional[pulumi.Input[str]] = None,
) -> aws.sqs.Queue:
    """The queue `{name}-dead-letters`, kept for 14 days, and the alarm `{name}-dead-letter-alarm` on its depth.

    Args:
        name: logical name of what the letters come from.
        parent: the component that it belongs to.
        alarm_topic_arns: SNS topics that hear of the alarm.
        key_arn: the customer's key that encrypts the letters; by default SQS does it with one of its own.
    """
    options = pulumi.ResourceOptions(parent=parent)
    queue = _queue(f"{name}-dead-letters", (name, "dead-letters"), options, key_arn)
    _depth_alarm(
        f"{name}-dead-letter-alarm",
        naming.physical_name(name, "dead-letters"),
        f"Something lies in the dead letters of {name}: read it, mend the cause, send it back.",
        queue,
        alarm_topic_arns,
        options,
    )
    return queue


def notice_queue(
    name: str,
    dead_letters: aws.sqs.Queue,
    alarm_description: str,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: Optional[pulumi.Input[Sequence[pulumi.Input[str]]]] = None,
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
    options = pulumi.ResourceOptions(parent=parent)
    queue = _queue(
        f"{name}-notices",
        (name, "notices"),
        options,
        key_arn,
        redrive_policy=_redrive(dead_letters, RECEIVE_COUNT_MAXIMUM),
    )
    _depth_alarm(
        f"{name}-notice-alarm",
        naming.physical_name(name, "notices"),
        alarm_description,
        queue,
        alarm_topic_arns,
        options,
    )
    return queue


def _depth_alarm(
    name: str,
    physical_name: str,
    description: str,
    queue: aws.sqs.Queue,
    topic_arns: Optional[pulumi.Input[Sequence[pulumi.Input[str]]]],
    options: pulumi.ResourceOptions,
) -> None:
    """An alarm as long as anything lies in `queue`."""
    aws.cloudwatch.MetricAlarm(
        name,
        name=physical_name,
        alarm_description=description,
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue.name},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        threshold=0,
        comparison_operator="GreaterThanThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=topic_arns,
        opts=options,
    )


def work_queue(
    name: str,
    consumer_timeout_seconds: int,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: Optional[pulumi.Input[Sequence[pulumi.Input[str]]]] = None,
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
