"""Greengrass V2, from the aws-native provider, whose calls the Cloud Control API makes for it."""

from typing import Any

from pm_sandbox.provider.changes import CAMEL_MAP, update_tags
from pm_sandbox.provider.inputs import Inputs, tags_given, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates

_DEPLOYMENT = (
    "targetArn",
    "components",
    "deploymentName",
    "deploymentPolicies",
    "iotJobConfiguration",
    "parentTargetArn",
    "tags",
)


@handles("aws-native:greengrassv2:ComponentVersion")
def component_version(inputs: Inputs, context: Context) -> Made:
    """A component version of an inline recipe."""
    made = context.client("greengrassv2").create_component_version(
        inlineRecipe=inputs.need("inlineRecipe").encode(), **tags_given(inputs)
    )
    return made["arn"], {
        "arn": made["arn"],
        "componentName": made["componentName"],
        "componentVersion": made["componentVersion"],
    }


@reads("aws-native:greengrassv2:ComponentVersion")
def read_component_version(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A component version; its recipe is a write-only property of the type's schema."""
    found = context.client("greengrassv2").describe_component(arn=id_)
    return {"tags": found.get("tags") or {}}


@updates("aws-native:greengrassv2:ComponentVersion")
def update_component_version(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A component version's tags."""
    _update_tags(id_, olds, news, context)
    return {}


@deletes("aws-native:greengrassv2:ComponentVersion")
def delete_component_version(id_: str, state: dict[str, Any], context: Context) -> None:
    """A component version; core devices that run it go on."""
    context.client("greengrassv2").delete_component(arn=id_)


@handles("aws-native:greengrassv2:Deployment")
def deployment(inputs: Inputs, context: Context) -> Made:
    """A deployment to a thing or a thing group."""
    made = context.client("greengrassv2").create_deployment(
        targetArn=inputs.need("targetArn"),
        **inputs.renamed(**{name: name for name in _DEPLOYMENT if name not in ("tags", "targetArn")}),
        **tags_given(inputs),
    )
    return made["deploymentId"], {"deploymentId": made["deploymentId"]}


@reads("aws-native:greengrassv2:Deployment")
def read_deployment(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A deployment."""
    found = context.client("greengrassv2").get_deployment(deploymentId=id_)
    return {**told(found, **{name: name for name in _DEPLOYMENT}), "tags": found.get("tags") or {}}


@updates("aws-native:greengrassv2:Deployment")
def update_deployment(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A deployment's tags."""
    _update_tags(context.arn("greengrass", f"deployments:{id_}"), olds, news, context)
    return {}


@deletes("aws-native:greengrassv2:Deployment")
def delete_deployment(id_: str, state: dict[str, Any], context: Context) -> None:
    """A deployment, cancelled first, since AWS deletes no active one.

    So does the handler of `AWS::GreengrassV2::Deployment` (DeleteHandler.java in
    github.com/aws-cloudformation/aws-cloudformation-resource-providers-greengrassv2).
    """
    client = context.client("greengrassv2")
    client.cancel_deployment(deploymentId=id_)
    client.delete_deployment(deploymentId=id_)


def _update_tags(arn: str, olds: dict[str, Any], news: Inputs, context: Context) -> None:
    client = context.client("greengrassv2")
    update_tags(olds, news, client.untag_resource, client.tag_resource, CAMEL_MAP, resourceArn=arn)
