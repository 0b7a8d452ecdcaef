"""AWS IoT's topic rules."""

from typing import Any

from pm_sandbox.provider.changes import changed
from pm_sandbox.provider.handlers.iot_tags import iot_tags, update_iot_tags
from pm_sandbox.provider.inputs import Inputs, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates

#: Pulumi's input of a topic rule -> the action's name in AWS's interface. A rule holds a list of each.
_ACTIONS = {
    "dynamodbv2s": "dynamoDBv2",
    "firehoses": "firehose",
    "kineses": "kinesis",
    "lambdas": "lambda",
    "republishes": "republish",
    "s3": "s3",
    "sns": "sns",
    "sqs": "sqs",
}
_RULE = ("sql", "sqlVersion", "enabled", "description", "errorAction")
#: The same within an error action, which holds one.
_ERROR_ACTIONS = {
    "dynamodbv2": "dynamoDBv2",
    "firehose": "firehose",
    "kinesis": "kinesis",
    "lambda": "lambda",
    "republish": "republish",
    "s3": "s3",
    "sns": "sns",
    "sqs": "sqs",
}


@handles("aws:iot/topicRule:TopicRule")
def topic_rule(inputs: Inputs, context: Context) -> Made:
    """A rule with its actions and its error action; the cloud refuses an action that it cannot run."""
    name = inputs.need("name")
    tags = "&".join(f"{key}={value}" for key, value in sorted(inputs.get("tags", {}).items()))
    context.client("iot").create_topic_rule(ruleName=name, topicRulePayload=_rule_payload(inputs), tags=tags)
    return name, {"arn": context.arn("iot", f"rule/{name}")}


@reads("aws:iot/topicRule:TopicRule")
def read_topic_rule(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A rule with its actions, each kind in the order that the rule has them."""
    client = context.client("iot")
    try:
        answer = client.get_topic_rule(ruleName=id_)
    except client.exceptions.UnauthorizedException:
        if _is_topic_rule(client, id_):
            raise
        return None
    rule = answer["rule"]
    actions = {
        key: [action[kind] for action in rule["actions"] if kind in action] or None for key, kind in _ACTIONS.items()
    }
    error_action = {
        key: rule["errorAction"][kind] for key, kind in _ERROR_ACTIONS.items() if kind in rule.get("errorAction", {})
    }
    return {
        "name": id_,
        "enabled": not rule["ruleDisabled"],
        **told(rule, sql="sql", sqlVersion="awsIotSqlVersion", description="description"),
        **actions,
        "errorAction": error_action or None,
        "tags": iot_tags(context, answer["ruleArn"]),
    }


@updates("aws:iot/topicRule:TopicRule")
def update_topic_rule(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A rule's payload, all at once, and its tags."""
    if changed(olds, news, *_RULE, *_ACTIONS):
        context.client("iot").replace_topic_rule(ruleName=id_, topicRulePayload=_rule_payload(news))
    update_iot_tags(olds, news, context)
    return {}


@deletes("aws:iot/topicRule:TopicRule")
def delete_topic_rule(id_: str, state: dict[str, Any], context: Context) -> None:
    """A rule."""
    client = context.client("iot")
    try:
        client.delete_topic_rule(ruleName=id_)
    except client.exceptions.UnauthorizedException:
        if _is_topic_rule(client, id_):
            raise


def _is_topic_rule(client: Any, name: str) -> bool:
    """Return whether there is such a rule: for one that is not there, AWS answers that it is not for the caller."""
    pages = client.get_paginator("list_topic_rules").paginate()
    return name in {found["ruleName"] for page in pages for found in page["rules"]}


def _rule_payload(inputs: Inputs) -> dict[str, Any]:
    actions = [{action: dict(block)} for key, action in _ACTIONS.items() for block in inputs.get(key, [])]
    payload = {
        "sql": inputs.need("sql"),
        "ruleDisabled": not inputs.need("enabled"),
        "actions": actions,
        **inputs.renamed(description="description", sqlVersion="awsIotSqlVersion"),
    }
    if error_action := inputs.block("errorAction"):
        payload["errorAction"] = {
            action: dict(error_action.need(key)) for key, action in _ERROR_ACTIONS.items() if key in error_action
        }
    return payload
