"""IoT Core: things, groups, policies, rules and what provisions devices."""

from typing import Any

from sandbox.provider.inputs import InputError, Inputs, json_text, tag_list
from sandbox.provider.registry import Context, Made, handles, records

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


@handles("aws:iot/thing:Thing")
def thing(inputs: Inputs, context: Context) -> Made:
    """A thing with its type and attributes."""
    name = inputs.need("name")
    made = context.client("iot").create_thing(
        thingName=name,
        attributePayload={"attributes": inputs.get("attributes", {})},
        **inputs.renamed(thingTypeName="thingTypeName"),
    )
    return name, {"arn": made["thingArn"], "defaultClientId": name, "version": 1}


@handles("aws:iot/thingType:ThingType")
def thing_type(inputs: Inputs, context: Context) -> Made:
    """A thing type."""
    name = inputs.need("name")
    arguments: dict[str, Any] = {}
    if properties := inputs.block("properties"):
        arguments["thingTypeProperties"] = properties.renamed(
            description="thingTypeDescription", searchableAttributes="searchableAttributes"
        )
    made = context.client("iot").create_thing_type(thingTypeName=name, tags=tag_list(inputs), **arguments)
    return name, {"arn": made["thingTypeArn"]}


@handles("aws:iot/thingGroup:ThingGroup")
def thing_group(inputs: Inputs, context: Context) -> Made:
    """A thing group."""
    name = inputs.need("name")
    arguments: dict[str, Any] = inputs.renamed(parentGroupName="parentGroupName")
    if properties := inputs.block("properties"):
        arguments["thingGroupProperties"] = properties.renamed(description="thingGroupDescription")
        if payload := properties.block("attributePayload"):
            arguments["thingGroupProperties"]["attributePayload"] = payload.renamed(attributes="attributes")
    made = context.client("iot").create_thing_group(thingGroupName=name, tags=tag_list(inputs), **arguments)
    return name, {"arn": made["thingGroupArn"], "version": 1}


@handles("aws:iot/thingGroupMembership:ThingGroupMembership")
def thing_group_membership(inputs: Inputs, context: Context) -> Made:
    """A thing's membership of a group."""
    group, name = inputs.need("thingGroupName"), inputs.need("thingName")
    context.client("iot").add_thing_to_thing_group(
        thingGroupName=group, thingName=name, **inputs.renamed(overrideDynamicGroup="overrideDynamicGroups")
    )
    return f"{group}/{name}", {}


@handles("aws:iot/policy:Policy")
def policy(inputs: Inputs, context: Context) -> Made:
    """A policy for devices' certificates."""
    name = inputs.need("name")
    made = context.client("iot").create_policy(
        policyName=name, policyDocument=json_text(inputs.need("policy")), tags=tag_list(inputs)
    )
    return name, {"arn": made["policyArn"], "defaultVersionId": made["policyVersionId"]}


@handles("aws:iot/topicRule:TopicRule")
def topic_rule(inputs: Inputs, context: Context) -> Made:
    """A rule with its actions and its error action; the cloud refuses an action that it cannot run."""
    name = inputs.need("name")
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
    tags = "&".join(f"{key}={value}" for key, value in sorted(inputs.get("tags", {}).items()))
    context.client("iot").create_topic_rule(ruleName=name, topicRulePayload=payload, tags=tags)
    return name, {"arn": context.arn("iot", f"rule/{name}")}


@handles("aws:iot/provisioningTemplate:ProvisioningTemplate")
def provisioning_template(inputs: Inputs, context: Context) -> Made:
    """A template by which a device with a claim certificate becomes a thing."""
    name = inputs.need("name")
    arguments = inputs.renamed(description="description", enabled="enabled", type="type")
    if hook := inputs.block("preProvisioningHook"):
        arguments["preProvisioningHook"] = hook.renamed(targetArn="targetArn", payloadVersion="payloadVersion")
    made = context.client("iot").create_provisioning_template(
        templateName=name,
        templateBody=json_text(inputs.need("templateBody")),
        provisioningRoleArn=inputs.need("provisioningRoleArn"),
        tags=tag_list(inputs),
        **arguments,
    )
    return name, {"arn": made["templateArn"], "defaultVersionId": made["defaultVersionId"]}


@records(
    "aws:iot/roleAlias:RoleAlias",
    "the emulator has no role aliases; the emulated core device assumes the alias's role through STS",
)
def role_alias(inputs: Inputs, context: Context) -> Made:
    """A role alias, whose role must exist for it to be of use."""
    name = inputs.need("alias")
    if f":{context.account_id}:role/" not in inputs.need("roleArn"):
        raise InputError(f"roleArn {inputs.need('roleArn')!r} is not a role of this account")
    return name, {"arn": context.arn("iot", f"rolealias/{name}")}
