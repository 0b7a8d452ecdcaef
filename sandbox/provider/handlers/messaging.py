"""SNS topics and SQS queues."""

from typing import Any

from sandbox.provider.inputs import Inputs, json_text, tag_list
from sandbox.provider.registry import Context, Made, handles


def _attribute(value: Any) -> str:
    """An attribute's value: these two services take text alone."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@handles("aws:sns/topic:Topic")
def topic(inputs: Inputs, context: Context) -> Made:
    """A topic."""
    attributes = inputs.renamed(
        displayName="DisplayName",
        kmsMasterKeyId="KmsMasterKeyId",
        policy="Policy",
        signatureVersion="SignatureVersion",
        tracingConfig="TracingConfig",
    )
    made = context.client("sns").create_topic(
        Name=inputs.need("name"),
        Attributes={key: _attribute(value) for key, value in attributes.items()},
        Tags=tag_list(inputs),
    )
    return made["TopicArn"], {"arn": made["TopicArn"], "owner": context.account_id}


@handles("aws:sns/topicPolicy:TopicPolicy")
def topic_policy(inputs: Inputs, context: Context) -> Made:
    """A topic's policy."""
    arn = inputs.need("arn")
    context.client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=json_text(inputs.need("policy"))
    )
    return arn, {"owner": context.account_id}


@handles("aws:sns/topicSubscription:TopicSubscription")
def topic_subscription(inputs: Inputs, context: Context) -> Made:
    """A subscription of a topic."""
    attributes = inputs.renamed(
        filterPolicy="FilterPolicy",
        filterPolicyScope="FilterPolicyScope",
        rawMessageDelivery="RawMessageDelivery",
        redrivePolicy="RedrivePolicy",
    )
    arn = context.client("sns").subscribe(
        TopicArn=inputs.need("topic"),
        Protocol=inputs.need("protocol"),
        Endpoint=inputs.need("endpoint"),
        Attributes={key: _attribute(value) for key, value in attributes.items()},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return arn, {"arn": arn, "ownerId": context.account_id}


@handles("aws:sqs/queue:Queue")
def queue(inputs: Inputs, context: Context) -> Made:
    """A queue."""
    attributes = inputs.renamed(
        delaySeconds="DelaySeconds",
        kmsDataKeyReusePeriodSeconds="KmsDataKeyReusePeriodSeconds",
        kmsMasterKeyId="KmsMasterKeyId",
        maxMessageSize="MaximumMessageSize",
        messageRetentionSeconds="MessageRetentionPeriod",
        policy="Policy",
        receiveWaitTimeSeconds="ReceiveMessageWaitTimeSeconds",
        redriveAllowPolicy="RedriveAllowPolicy",
        redrivePolicy="RedrivePolicy",
        sqsManagedSseEnabled="SqsManagedSseEnabled",
        visibilityTimeoutSeconds="VisibilityTimeout",
    )
    client, name = context.client("sqs"), inputs.need("name")
    url = client.create_queue(
        QueueName=name,
        Attributes={key: _attribute(value) for key, value in attributes.items()},
        tags=inputs.get("tags", {}),
    )["QueueUrl"]
    return url, {"url": url, "arn": context.arn("sqs", name)}


def _set_queue_attribute(inputs: Inputs, context: Context, attribute: str, key: str) -> Made:
    url = inputs.need("queueUrl")
    context.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={attribute: json_text(inputs.need(key))})
    return url, {}


@handles("aws:sqs/queuePolicy:QueuePolicy")
def queue_policy(inputs: Inputs, context: Context) -> Made:
    """A queue's policy."""
    return _set_queue_attribute(inputs, context, "Policy", "policy")


@handles("aws:sqs/redrivePolicy:RedrivePolicy")
def redrive_policy(inputs: Inputs, context: Context) -> Made:
    """Where a queue's messages go that nobody could handle."""
    return _set_queue_attribute(inputs, context, "RedrivePolicy", "redrivePolicy")


@handles("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")
def redrive_allow_policy(inputs: Inputs, context: Context) -> Made:
    """Which queues may send to this one what they could not handle."""
    return _set_queue_attribute(inputs, context, "RedriveAllowPolicy", "redriveAllowPolicy")
