"""IoT Core: things, groups, policies, rules and what provisions devices."""

from typing import Any

from pm_sandbox.provider.changes import TagArguments, changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, json_text, tag_list, told
from pm_sandbox.provider.registry import Context, Made, Renewal, deletes, handles, reads, updates

#: Versions that AWS keeps of a policy and of a provisioning template: AWS IoT Core endpoints and quotas.
_POLICY_VERSIONS, _TEMPLATE_VERSIONS = 5, 5
#: Default of the provider's `credentialDuration`: internal/service/iot/role_alias.go.
_CREDENTIAL_SECONDS = 3600

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


def _tags(context: Context, arn: str) -> dict[str, str]:
    return tags_of(context.client("iot").list_tags_for_resource(resourceArn=arn)["tags"])


def _update_tags(olds: dict[str, Any], news: Inputs, context: Context) -> None:
    client = context.client("iot")
    update_tags(
        olds, news, client.untag_resource, client.tag_resource, TagArguments("tagKeys", "tags"), resourceArn=olds["arn"]
    )


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


@reads("aws:iot/thing:Thing")
def read_thing(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A thing."""
    found = context.client("iot").describe_thing(thingName=id_)
    attributes = found.get("attributes", {})
    return {"name": id_, "attributes": attributes, **told(found, thingTypeName="thingTypeName")}


@updates("aws:iot/thing:Thing", renews={"version": Renewal(("attributes", "thingTypeName"))})
def update_thing(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A thing's attributes, all at once, and its type."""
    client, arguments = context.client("iot"), {}
    if changed(olds, news, "attributes"):
        arguments["attributePayload"] = {"attributes": news.get("attributes", {}), "merge": False}
    if changed(olds, news, "thingTypeName"):
        arguments |= news.renamed(thingTypeName="thingTypeName") or {"removeThingType": True}
    if arguments:
        client.update_thing(thingName=id_, **arguments)
        return {"version": client.describe_thing(thingName=id_)["version"]}
    return {}


@deletes("aws:iot/thing:Thing")
def delete_thing(id_: str, state: dict[str, Any], context: Context) -> None:
    """A thing, unless a certificate is attached to it. AWS says nothing of one that is not there."""
    context.client("iot").delete_thing(thingName=id_)


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


@reads("aws:iot/thingType:ThingType")
def read_thing_type(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A thing type."""
    found = context.client("iot").describe_thing_type(thingTypeName=id_)
    properties = told(
        found.get("thingTypeProperties", {}),
        description="thingTypeDescription",
        searchableAttributes="searchableAttributes",
    )
    return {"name": id_, "properties": properties, "tags": _tags(context, found["thingTypeArn"])}


@updates("aws:iot/thingType:ThingType")
def update_thing_type(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A thing type's tags."""
    _update_tags(olds, news, context)
    return {}


@deletes("aws:iot/thingType:ThingType")
def delete_thing_type(id_: str, state: dict[str, Any], context: Context) -> None:
    """A thing type, which must be deprecated first; AWS has one wait for five minutes in between, the sandbox not."""
    client = context.client("iot")
    client.deprecate_thing_type(thingTypeName=id_)
    client.delete_thing_type(thingTypeName=id_)


@handles("aws:iot/thingGroup:ThingGroup")
def thing_group(inputs: Inputs, context: Context) -> Made:
    """A thing group."""
    name = inputs.need("name")
    arguments: dict[str, Any] = inputs.renamed(parentGroupName="parentGroupName")
    if properties := _group_properties(inputs):
        arguments["thingGroupProperties"] = properties
    made = context.client("iot").create_thing_group(thingGroupName=name, tags=tag_list(inputs), **arguments)
    return name, {"arn": made["thingGroupArn"], "version": 1}


@reads("aws:iot/thingGroup:ThingGroup")
def read_thing_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A thing group."""
    found = context.client("iot").describe_thing_group(thingGroupName=id_)
    properties = found.get("thingGroupProperties", {})
    answer = told(properties, description="thingGroupDescription")
    if "attributePayload" in properties:
        answer["attributePayload"] = told(properties["attributePayload"], attributes="attributes")
    parent = found.get("thingGroupMetadata", {}).get("parentGroupName")
    tags = _tags(context, found["thingGroupArn"])
    return {"name": id_, "parentGroupName": parent, "properties": answer, "tags": tags}


@updates("aws:iot/thingGroup:ThingGroup", renews={"version": Renewal(("properties",))})
def update_thing_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A thing group's description and attributes, and its tags."""
    outputs = {}
    if changed(olds, news, "properties"):
        answer = context.client("iot").update_thing_group(
            thingGroupName=id_, thingGroupProperties=_group_properties(news)
        )
        outputs["version"] = answer["version"]
    _update_tags(olds, news, context)
    return outputs


@deletes("aws:iot/thingGroup:ThingGroup")
def delete_thing_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A thing group, unless it has children; its members stay. AWS says nothing of one that is not there."""
    context.client("iot").delete_thing_group(thingGroupName=id_)


def _group_properties(inputs: Inputs) -> dict[str, Any]:
    properties = inputs.block("properties")
    if properties is None:
        return {}
    answer: dict[str, Any] = properties.renamed(description="thingGroupDescription")
    if payload := properties.block("attributePayload"):
        answer["attributePayload"] = payload.renamed(attributes="attributes")
    return answer


@handles("aws:iot/thingGroupMembership:ThingGroupMembership")
def thing_group_membership(inputs: Inputs, context: Context) -> Made:
    """A thing's membership of a group."""
    group, name = inputs.need("thingGroupName"), inputs.need("thingName")
    context.client("iot").add_thing_to_thing_group(
        thingGroupName=group, thingName=name, **inputs.renamed(overrideDynamicGroup="overrideDynamicGroups")
    )
    return f"{group}/{name}", {}


@reads("aws:iot/thingGroupMembership:ThingGroupMembership")
def read_thing_group_membership(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A membership, if it is."""
    group, name = state["thingGroupName"], state["thingName"]
    pages = context.client("iot").get_paginator("list_thing_groups_for_thing").paginate(thingName=name)
    groups = {found["groupName"] for page in pages for found in page["thingGroups"]}
    return {"thingGroupName": group, "thingName": name} if group in groups else None


@deletes("aws:iot/thingGroupMembership:ThingGroupMembership")
def delete_thing_group_membership(id_: str, state: dict[str, Any], context: Context) -> None:
    """A membership; thing and group stay."""
    context.client("iot").remove_thing_from_thing_group(
        thingGroupName=state["thingGroupName"], thingName=state["thingName"]
    )


@handles("aws:iot/policy:Policy")
def policy(inputs: Inputs, context: Context) -> Made:
    """A policy for devices' certificates."""
    name = inputs.need("name")
    made = context.client("iot").create_policy(
        policyName=name, policyDocument=json_text(inputs.need("policy")), tags=tag_list(inputs)
    )
    return name, {"arn": made["policyArn"], "defaultVersionId": made["policyVersionId"]}


@reads("aws:iot/policy:Policy")
def read_policy(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A policy in its default version."""
    found = context.client("iot").get_policy(policyName=id_)
    return {"name": id_, "policy": found["policyDocument"], "tags": _tags(context, found["policyArn"])}


@updates("aws:iot/policy:Policy", renews={"defaultVersionId": Renewal(("policy",))})
def update_policy(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A new version as the default one, for which the oldest goes where there are as many as may be."""
    client, outputs = context.client("iot"), {}
    if changed(olds, news, "policy"):
        versions = client.list_policy_versions(policyName=id_)["policyVersions"]
        if len(versions) >= _POLICY_VERSIONS:
            others = [version["versionId"] for version in versions if not version["isDefaultVersion"]]
            client.delete_policy_version(policyName=id_, policyVersionId=min(others, key=int))
        made = client.create_policy_version(
            policyName=id_, policyDocument=json_text(news.need("policy")), setAsDefault=True
        )
        outputs["defaultVersionId"] = made["policyVersionId"]
    _update_tags(olds, news, context)
    return outputs


@deletes("aws:iot/policy:Policy")
def delete_policy(id_: str, state: dict[str, Any], context: Context) -> None:
    """A policy with its versions, unless it is attached to something."""
    client = context.client("iot")
    for version in client.list_policy_versions(policyName=id_)["policyVersions"]:
        if not version["isDefaultVersion"]:
            client.delete_policy_version(policyName=id_, policyVersionId=version["versionId"])
    client.delete_policy(policyName=id_)


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
        "tags": _tags(context, answer["ruleArn"]),
    }


@updates("aws:iot/topicRule:TopicRule")
def update_topic_rule(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A rule's payload, all at once, and its tags."""
    if changed(olds, news, *_RULE, *_ACTIONS):
        context.client("iot").replace_topic_rule(ruleName=id_, topicRulePayload=_rule_payload(news))
    _update_tags(olds, news, context)
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


@handles("aws:iot/provisioningTemplate:ProvisioningTemplate")
def provisioning_template(inputs: Inputs, context: Context) -> Made:
    """A template by which a device with a claim certificate becomes a thing."""
    name = inputs.need("name")
    arguments = inputs.renamed(description="description", enabled="enabled", type="type")
    if hook := _hook(inputs):
        arguments["preProvisioningHook"] = hook
    made = context.client("iot").create_provisioning_template(
        templateName=name,
        templateBody=json_text(inputs.need("templateBody")),
        provisioningRoleArn=inputs.need("provisioningRoleArn"),
        tags=tag_list(inputs),
        **arguments,
    )
    return name, {"arn": made["templateArn"], "defaultVersionId": made["defaultVersionId"]}


@reads("aws:iot/provisioningTemplate:ProvisioningTemplate")
def read_provisioning_template(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A template in its default version."""
    found = context.client("iot").describe_provisioning_template(templateName=id_)
    names = ("description", "enabled", "preProvisioningHook", "provisioningRoleArn", "templateBody", "type")
    answer = told(found, **{name: name for name in names})
    return {"name": id_, **answer, "tags": _tags(context, found["templateArn"])}


@updates("aws:iot/provisioningTemplate:ProvisioningTemplate", renews={"defaultVersionId": Renewal(("templateBody",))})
def update_provisioning_template(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A body makes a new version, for which the oldest goes where there are as many as may be; the rest is set."""
    client, outputs = context.client("iot"), {}
    if changed(olds, news, "templateBody"):
        versions = client.list_provisioning_template_versions(templateName=id_)["versions"]
        if len(versions) >= _TEMPLATE_VERSIONS:
            oldest = min(version["versionId"] for version in versions if not version["isDefaultVersion"])
            client.delete_provisioning_template_version(templateName=id_, versionId=oldest)
        made = client.create_provisioning_template_version(
            templateName=id_, templateBody=json_text(news.need("templateBody")), setAsDefault=True
        )
        outputs["defaultVersionId"] = made["versionId"]
    if changed(olds, news, "description", "enabled", "provisioningRoleArn", "preProvisioningHook"):
        arguments: dict[str, Any] = {"description": news.get("description", ""), "enabled": news.get("enabled", False)}
        if hook := _hook(news):
            arguments["preProvisioningHook"] = hook
        elif olds.get("preProvisioningHook"):
            arguments["removePreProvisioningHook"] = True
        client.update_provisioning_template(
            templateName=id_, provisioningRoleArn=news.need("provisioningRoleArn"), **arguments
        )
    _update_tags(olds, news, context)
    return outputs


@deletes("aws:iot/provisioningTemplate:ProvisioningTemplate")
def delete_provisioning_template(id_: str, state: dict[str, Any], context: Context) -> None:
    """A template with its versions."""
    context.client("iot").delete_provisioning_template(templateName=id_)


def _hook(inputs: Inputs) -> dict[str, Any]:
    hook = inputs.block("preProvisioningHook")
    return hook.renamed(targetArn="targetArn", payloadVersion="payloadVersion") if hook else {}


@handles("aws:iot/roleAlias:RoleAlias")
def role_alias(inputs: Inputs, context: Context) -> Made:
    """A role alias; whether a device may take on its role is the role's trust policy to say."""
    name = inputs.need("alias")
    made = context.client("iot").create_role_alias(
        roleAlias=name,
        roleArn=inputs.need("roleArn"),
        tags=tag_list(inputs),
        **inputs.renamed(credentialDuration="credentialDurationSeconds"),
    )
    return name, {"arn": made["roleAliasArn"]}


@reads("aws:iot/roleAlias:RoleAlias")
def read_role_alias(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A role alias with its tags."""
    found = context.client("iot").describe_role_alias(roleAlias=id_)["roleAliasDescription"]
    answer = told(found, roleArn="roleArn", credentialDuration="credentialDurationSeconds")
    return {"alias": id_, **answer, "tags": _tags(context, found["roleAliasArn"])}


@updates("aws:iot/roleAlias:RoleAlias")
def update_role_alias(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A role alias's role and duration, one call each, and its tags."""
    client = context.client("iot")
    if changed(olds, news, "credentialDuration"):
        client.update_role_alias(
            roleAlias=id_, credentialDurationSeconds=news.get("credentialDuration", _CREDENTIAL_SECONDS)
        )
    if changed(olds, news, "roleArn"):
        client.update_role_alias(roleAlias=id_, roleArn=news.need("roleArn"))
    _update_tags(olds, news, context)
    return {}


@deletes("aws:iot/roleAlias:RoleAlias")
def delete_role_alias(id_: str, state: dict[str, Any], context: Context) -> None:
    """A role alias; its role stays."""
    context.client("iot").delete_role_alias(roleAlias=id_)
