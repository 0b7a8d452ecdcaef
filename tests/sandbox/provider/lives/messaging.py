"""SNS and SQS."""

import json

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, life


@life("aws:sns/topic:Topic")
def _topic(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "displayName": "a", "kmsMasterKeyId": lab.key, "tags": TAGS},
        {"displayName": "b", "kmsMasterKeyId": None, "tags": OTHER_TAGS},
    )


def _publish(lab: Lab, topic: str, sid: str) -> str:
    return allow("sns:Publish", Sid=sid, Principal={"AWS": lab.role}, Resource=topic)


@life("aws:sns/topicPolicy:TopicPolicy")
def _topic_policy(lab: Lab) -> Life:
    arn = lab.make("aws:sns/topic:Topic", name=lab.name()).id
    owner = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            "SNS:GetTopicAttributes",
            "SNS:SetTopicAttributes",
            "SNS:AddPermission",
            "SNS:RemovePermission",
            "SNS:DeleteTopic",
            "SNS:Subscribe",
            "SNS:ListSubscriptionsByTopic",
            "SNS:Publish",
        ],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": "000000000000"}},
    }
    policy = json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [owner]})
    return Life(
        {"arn": arn, "policy": _publish(lab, arn, "a")},
        {"policy": _publish(lab, arn, "b")},
        left={"arn": arn, "policy": policy},
    )


@life("aws:sns/topicSubscription:TopicSubscription")
def _subscription(lab: Lab) -> Life:
    def filtered(kind: str) -> str:
        return json.dumps({"kind": [kind]})

    return Life(
        {
            "topic": lab.topic,
            "protocol": "sqs",
            "endpoint": lab.queue().outputs["arn"],
            "rawMessageDelivery": True,
            "filterPolicy": filtered("a"),
        },
        {"rawMessageDelivery": False, "filterPolicy": filtered("b")},
    )


@life("aws:sqs/queue:Queue")
def _queue(lab: Lab) -> Life:
    def redrive(count: int) -> str:
        return json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": count})

    dead = lab.queue().outputs["arn"]
    return Life(
        {
            "name": lab.name(),
            "delaySeconds": 1,
            "messageRetentionSeconds": 600,
            "visibilityTimeoutSeconds": 60,
            "sqsManagedSseEnabled": True,
            "redrivePolicy": redrive(3),
            "tags": TAGS,
        },
        {
            "delaySeconds": None,
            "messageRetentionSeconds": 700,
            "visibilityTimeoutSeconds": 90,
            "sqsManagedSseEnabled": False,
            "redrivePolicy": redrive(4),
            "tags": OTHER_TAGS,
        },
    )


@life("aws:sqs/queuePolicy:QueuePolicy")
def _queue_policy(lab: Lab) -> Life:
    queue = lab.queue()

    def policy(sid: str) -> str:
        return allow("sqs:SendMessage", Sid=sid, Principal={"AWS": lab.role}, Resource=queue.outputs["arn"])

    return Life({"queueUrl": queue.id, "policy": policy("a")}, {"policy": policy("b")})


@life("aws:sqs/redrivePolicy:RedrivePolicy")
def _redrive(lab: Lab) -> Life:
    def policy(count: int) -> str:
        return json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": count})

    dead = lab.queue().outputs["arn"]
    return Life({"queueUrl": lab.queue().id, "redrivePolicy": policy(3)}, {"redrivePolicy": policy(4)})


@life("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")
def _redrive_allow(lab: Lab) -> Life:
    def policy() -> str:
        return json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [lab.queue().outputs["arn"]]})

    return Life({"queueUrl": lab.queue().id, "redriveAllowPolicy": policy()}, {"redriveAllowPolicy": policy()})
