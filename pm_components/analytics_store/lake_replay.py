"""The lake's dead letters: who hears of them, and the function that replays them.

Amazon Data Firehose writes what it cannot convert or partition below the error prefix. No metric counts all of that, so
that S3 tells EventBridge of each such object, which puts a notice into a queue; the alarm is on the queue's depth, and
ends when the objects have been replayed.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple, Optional

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.alarms import TopicArns
from pm_components.aws.buckets import PrivateBucket
from pm_components.aws.lambda_function import contracts_layer, lambda_function
from pm_components.aws.limits import EVENT_RULE_NAME_LENGTH
from pm_components.aws.permissions import Statement, allow, policy_document
from pm_components.aws.queues import notice_queue

#: A run that does not get through says so, and the next one goes on.
_TIMEOUT_SECONDS = 600


class LakeDeadLetters(NamedTuple):
    """The sources of dead letters, and their destinations.

    Attributes:
        name: logical name of the lake's component.
        lake: the bucket.
        prefix: the error prefix in it.
        rules: the queue with what the IoT rules could not hand over.
        streams: the stream by table.
        key: the customer's key that bucket and queues are encrypted with.
    """

    name: str
    lake: PrivateBucket
    prefix: str
    rules: aws.sqs.Queue
    streams: Mapping[str, aws.kinesis.FirehoseDeliveryStream]
    key: Optional[aws.kms.Key]


def lake_replay(
    letters: LakeDeadLetters,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns,
) -> pulumi.Output[str]:
    """The notices, their alarm and the function; gives the function's name.

    Args:
        letters: what there is to replay.
        parent: the component that it belongs to.
        alarm_topic_arns: SNS topics that hear of refused records.
    """
    notices = _notices(letters, parent, alarm_topic_arns)
    function = lambda_function(
        f"{letters.name}-replay",
        "replay_dead_letters",
        parent=parent,
        description="Gives the lake's streams their dead letters again",
        statements=_statements(letters, notices),
        environment={
            "PLACE": pulumi.Output.json_dumps(
                {
                    "bucket": letters.lake.bucket,
                    "prefix": letters.prefix,
                    "notices_url": notices.url,
                    "letters_url": letters.rules.url,
                    "streams": {table: stream.name for table, stream in letters.streams.items()},
                }
            )
        },
        layers=[contracts_layer(f"{letters.name}-lake", parent=parent).arn],
        timeout_seconds=_TIMEOUT_SECONDS,
        memory_mebibytes=512,
    )
    return function.function.name


def _notices(
    letters: LakeDeadLetters,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns,
) -> aws.sqs.Queue:
    """The queue with a notice for each object below the error prefix."""
    options = pulumi.ResourceOptions(parent=parent)
    queue = notice_queue(
        f"{letters.name}-refused",
        letters.rules,
        f"Streams refused records, which lie in the lake below {letters.prefix}: mend the cause, and run the function "
        "that replays them.",
        parent=parent,
        alarm_topic_arns=alarm_topic_arns,
        key_arn=letters.key.arn if letters.key else None,
    )
    aws.s3.BucketNotification(
        f"{letters.name}-notification", bucket=letters.lake.bucket, eventbridge=True, opts=options
    )
    rule = aws.cloudwatch.EventRule(
        f"{letters.name}-refused-rule",
        name=naming.physical_name(letters.name, "refused", maximum=EVENT_RULE_NAME_LENGTH),
        description="Records that the lake's streams could not deliver",
        event_pattern=letters.lake.bucket.apply(
            lambda bucket: json.dumps(
                {
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": letters.prefix}]}},
                }
            )
        ),
        opts=options,
    )
    policies = [
        aws.sqs.QueuePolicy(
            f"{letters.name}-{word}-policy",
            queue_url=receiver.url,
            policy=policy_document([_from_rule(rule, receiver)]),
            opts=options,
        )
        for word, receiver in (("refused", queue), ("refused-dead-letter", letters.rules))
    ]
    aws.cloudwatch.EventTarget(
        f"{letters.name}-refused-target",
        rule=rule.name,
        target_id="notices",
        arn=queue.arn,
        dead_letter_config={"arn": letters.rules.arn},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=policies),
    )
    return queue


def _from_rule(rule: aws.cloudwatch.EventRule, receiver: aws.sqs.Queue) -> Statement:
    return {
        "Sid": "RefusedRecords",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": receiver.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
    }


def _statements(letters: LakeDeadLetters, notices: aws.sqs.Queue) -> list[Statement]:
    """The function's rights: read and take away dead letters, and feed the streams."""
    below = pulumi.Output.concat(letters.lake.arn, f"/{letters.prefix}*")
    statements = [
        allow(["s3:ListBucket"], [letters.lake.arn], {"StringLike": {"s3:prefix": f"{letters.prefix}*"}}),
        allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [below]),
        allow(
            ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
            [notices.arn, letters.rules.arn],
        ),
        allow(["firehose:PutRecordBatch"], [stream.arn for stream in letters.streams.values()]),
    ]
    if letters.key:
        statements.append(allow(["kms:Decrypt", "kms:GenerateDataKey"], [letters.key.arn]))
    return statements
