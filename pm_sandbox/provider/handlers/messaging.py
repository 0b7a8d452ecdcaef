"""SNS topics and SQS queues."""

import json
from typing import Any

from botocore.exceptions import ClientError

from pm_sandbox.provider.changes import MAP, changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, json_text, tag_list
from pm_sandbox.provider.registry import Context, Made, deletes, handles, puts, reads, updates

#: Pulumi's input -> the attribute of AWS.
_TOPIC = {
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}
_SUBSCRIPTION = {
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
}
_QUEUE = {
    "delaySeconds": "DelaySeconds",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
#: Value of a queue's attribute that the program takes away again: the defaults of SetQueueAttributes.
_QUEUE_DEFAULTS = {
    "delaySeconds": 0,
    "kmsDataKeyReusePeriodSeconds": 300,
    "maxMessageSize": 1048576,
    "messageRetentionSeconds": 345600,
    "receiveWaitTimeSeconds": 0,
    "sqsManagedSseEnabled": True,
    "visibilityTimeoutSeconds": 30,
}
_NUMBERS = {*_QUEUE_DEFAULTS} - {"sqsManagedSseEnabled"} | {"signatureVersion"}
_BOOLEANS = {"sqsManagedSseEnabled", "rawMessageDelivery"}


def _attribute(value: Any) -> str:
    """An attribute's value: these two services take text alone."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _attributes(inputs: Inputs, names: dict[str, str]) -> dict[str, str]:
    return {key: _attribute(value) for key, value in inputs.renamed(**names).items()}


def _told(attributes: dict[str, str], names: dict[str, str]) -> dict[str, Any]:
    """Attributes as inputs: numbers and truths as such, and None for those that are not set."""
    values: dict[str, Any] = {}
    for key, name in names.items():
        text = attributes.get(name) or None
        values[key] = (
            text == "true" if key in _BOOLEANS else int(text) if text is not None and key in _NUMBERS else text
        )
    return values


@handles("aws:sns/topic:Topic")
def topic(inputs: Inputs, context: Context) -> Made:
    """A topic."""
    made = context.client("sns").create_topic(
        Name=inputs.need("name"), Attributes=_attributes(inputs, _TOPIC), Tags=tag_list(inputs)
    )
    return made["TopicArn"], {"arn": made["TopicArn"], "owner": context.account_id}


@reads("aws:sns/topic:Topic")
def read_topic(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A topic with its tags."""
    client = context.client("sns")
    found = client.get_topic_attributes(TopicArn=id_)["Attributes"]
    tags = tags_of(client.list_tags_for_resource(ResourceArn=id_)["Tags"])
    return {"name": id_.rsplit(":", 1)[-1], **_told(found, _TOPIC), "tags": tags}


@updates("aws:sns/topic:Topic")
def update_topic(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A topic's attributes, one call each, and its tags."""
    client = context.client("sns")
    for key in changed(olds, news, *_TOPIC):
        client.set_topic_attributes(
            TopicArn=id_, AttributeName=_TOPIC[key], AttributeValue=_attribute(news.get(key, ""))
        )
    update_tags(olds, news, client.untag_resource, client.tag_resource, ResourceArn=id_)
    return {}


@deletes("aws:sns/topic:Topic")
def delete_topic(id_: str, state: dict[str, Any], context: Context) -> None:
    """A topic, with its subscriptions."""
    context.client("sns").delete_topic(TopicArn=id_)


@puts("aws:sns/topicPolicy:TopicPolicy")
def topic_policy(inputs: Inputs, context: Context) -> Made:
    """A topic's policy."""
    arn = inputs.need("arn")
    context.client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=json_text(inputs.need("policy"))
    )
    return arn, {"owner": context.account_id}


@reads("aws:sns/topicPolicy:TopicPolicy")
def read_topic_policy(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A topic's policy."""
    found = context.client("sns").get_topic_attributes(TopicArn=id_)["Attributes"]
    return {"arn": id_, "policy": found.get("Policy")}


@deletes("aws:sns/topicPolicy:TopicPolicy")
def delete_topic_policy(id_: str, state: dict[str, Any], context: Context) -> None:
    """Back to the policy that SNS gives to a new topic, since a topic always has one."""
    actions = (
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    )
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions],
        "Resource": id_,
        "Condition": {"StringEquals": {"AWS:SourceOwner": context.account_id}},
    }
    document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    context.client("sns").set_topic_attributes(
        TopicArn=id_, AttributeName="Policy", AttributeValue=json.dumps(document)
    )


@handles("aws:sns/topicSubscription:TopicSubscription")
def topic_subscription(inputs: Inputs, context: Context) -> Made:
    """A subscription of a topic."""
    arn = context.client("sns").subscribe(
        TopicArn=inputs.need("topic"),
        Protocol=inputs.need("protocol"),
        Endpoint=inputs.need("endpoint"),
        Attributes=_attributes(inputs, _SUBSCRIPTION),
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return arn, {"arn": arn, "ownerId": context.account_id}


@reads("aws:sns/topicSubscription:TopicSubscription")
def read_topic_subscription(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A subscription of a topic."""
    found = context.client("sns").get_subscription_attributes(SubscriptionArn=id_)["Attributes"]
    places = {"topic": found["TopicArn"], "protocol": found["Protocol"], "endpoint": found["Endpoint"]}
    return {**places, **_told(found, _SUBSCRIPTION)}


@updates("aws:sns/topicSubscription:TopicSubscription")
def update_topic_subscription(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A subscription's attributes, one call each."""
    empty = {"filterPolicy": "{}", "filterPolicyScope": "MessageAttributes", "rawMessageDelivery": False}
    for key in changed(olds, news, *_SUBSCRIPTION):
        context.client("sns").set_subscription_attributes(
            SubscriptionArn=id_,
            AttributeName=_SUBSCRIPTION[key],
            AttributeValue=_attribute(news.get(key, empty.get(key, ""))),
        )
    return {}


@deletes("aws:sns/topicSubscription:TopicSubscription")
def delete_topic_subscription(id_: str, state: dict[str, Any], context: Context) -> None:
    """A subscription; AWS does not delete one that nobody has confirmed, and drops it itself in the end."""
    try:
        context.client("sns").unsubscribe(SubscriptionArn=id_)
    except ClientError as error:
        if "pending confirmation" not in error.response["Error"]["Message"]:
            raise


@handles("aws:sqs/queue:Queue")
def queue(inputs: Inputs, context: Context) -> Made:
    """A queue."""
    client, name = context.client("sqs"), inputs.need("name")
    url = client.create_queue(QueueName=name, Attributes=_attributes(inputs, _QUEUE), tags=inputs.get("tags", {}))[
        "QueueUrl"
    ]
    return url, {"url": url, "arn": context.arn("sqs", name)}


@reads("aws:sqs/queue:Queue")
def read_queue(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A queue with its tags."""
    client = context.client("sqs")
    found = client.get_queue_attributes(QueueUrl=id_, AttributeNames=["All"])["Attributes"]
    tags = client.list_queue_tags(QueueUrl=id_).get("Tags", {})
    return {"name": id_.rsplit("/", 1)[-1], **_told(found, _QUEUE), "tags": tags}


@updates("aws:sqs/queue:Queue")
def update_queue(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A queue's attributes by one call, and its tags."""
    client = context.client("sqs")
    others = changed(olds, news, *_QUEUE)
    if others:
        values = {_QUEUE[key]: _attribute(news.get(key, _QUEUE_DEFAULTS.get(key, ""))) for key in others}
        client.set_queue_attributes(QueueUrl=id_, Attributes=values)
    update_tags(olds, news, client.untag_queue, client.tag_queue, MAP, QueueUrl=id_)
    return {}


@deletes("aws:sqs/queue:Queue")
def delete_queue(id_: str, state: dict[str, Any], context: Context) -> None:
    """A queue, with the messages in it."""
    context.client("sqs").delete_queue(QueueUrl=id_)


def _set_queue_attribute(inputs: Inputs, context: Context, key: str) -> Made:
    url = inputs.need("queueUrl")
    attributes = {_QUEUE[key]: json_text(inputs.need(key))}
    context.client("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url, {}


@puts("aws:sqs/queuePolicy:QueuePolicy")
def queue_policy(inputs: Inputs, context: Context) -> Made:
    """A queue's policy."""
    return _set_queue_attribute(inputs, context, "policy")


@puts("aws:sqs/redrivePolicy:RedrivePolicy")
def redrive_policy(inputs: Inputs, context: Context) -> Made:
    """The dead-letter queue of a queue."""
    return _set_queue_attribute(inputs, context, "redrivePolicy")


@puts("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")
def redrive_allow_policy(inputs: Inputs, context: Context) -> Made:
    """The queues that may use this one as their dead-letter queue."""
    return _set_queue_attribute(inputs, context, "redriveAllowPolicy")


def _reads_queue_attribute(token: str, key: str) -> None:
    """Register how a type that is one attribute of a queue is read and deleted."""

    @reads(token)
    def read(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
        client, name = context.client("sqs"), _QUEUE[key]
        found = client.get_queue_attributes(QueueUrl=id_, AttributeNames=[name]).get("Attributes", {})
        return {"queueUrl": id_, key: found[name]} if found.get(name) else None

    @deletes(token)
    def delete(id_: str, state: dict[str, Any], context: Context) -> None:
        context.client("sqs").set_queue_attributes(QueueUrl=id_, Attributes={_QUEUE[key]: ""})


_reads_queue_attribute("aws:sqs/queuePolicy:QueuePolicy", "policy")
_reads_queue_attribute("aws:sqs/redrivePolicy:RedrivePolicy", "redrivePolicy")
_reads_queue_attribute("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "redriveAllowPolicy")
