"""Access of devices to AWS IoT: policies, provisioning templates, role aliases."""

from typing import Any

from pm_sandbox.provider.changes import changed
from pm_sandbox.provider.handlers.iot_tags import iot_tags, update_iot_tags
from pm_sandbox.provider.inputs import Inputs, json_text, tag_list, told
from pm_sandbox.provider.registry import Context, Made, Renewal, deletes, handles, reads, updates

#: Versions that AWS keeps of a policy and of a provisioning template: AWS IoT Core endpoints and quotas.
_POLICY_VERSIONS, _TEMPLATE_VERSIONS = 5, 5
#: Default of the provider's `credentialDuration`: internal/service/iot/role_alias.go.
_CREDENTIAL_SECONDS = 3600


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
    return {"name": id_, "policy": found["policyDocument"], "tags": iot_tags(context, found["policyArn"])}


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
    update_iot_tags(olds, news, context)
    return outputs


@deletes("aws:iot/policy:Policy")
def delete_policy(id_: str, state: dict[str, Any], context: Context) -> None:
    """A policy with its versions, unless it is attached to something."""
    client = context.client("iot")
    for version in client.list_policy_versions(policyName=id_)["policyVersions"]:
        if not version["isDefaultVersion"]:
            client.delete_policy_version(policyName=id_, policyVersionId=version["versionId"])
    client.delete_policy(policyName=id_)


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
    return {"name": id_, **answer, "tags": iot_tags(context, found["templateArn"])}


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
    update_iot_tags(olds, news, context)
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
    return {"alias": id_, **answer, "tags": iot_tags(context, found["roleAliasArn"])}


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
    update_iot_tags(olds, news, context)
    return {}


@deletes("aws:iot/roleAlias:RoleAlias")
def delete_role_alias(id_: str, state: dict[str, Any], context: Context) -> None:
    """A role alias; its role stays."""
    context.client("iot").delete_role_alias(roleAlias=id_)
