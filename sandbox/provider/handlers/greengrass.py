"""Greengrass V2, from the aws-native provider."""

from sandbox.provider.inputs import Inputs
from sandbox.provider.registry import Context, Made, handles


@handles("aws-native:greengrassv2:ComponentVersion")
def component_version(inputs: Inputs, context: Context) -> Made:
    """A component version of an inline recipe."""
    made = context.client("greengrassv2").create_component_version(
        inlineRecipe=inputs.need("inlineRecipe").encode(), tags=inputs.get("tags", {})
    )
    return made["arn"], {
        "arn": made["arn"],
        "componentName": made["componentName"],
        "componentVersion": made["componentVersion"],
    }


@handles("aws-native:greengrassv2:Deployment")
def deployment(inputs: Inputs, context: Context) -> Made:
    """A deployment to a thing or a thing group."""
    made = context.client("greengrassv2").create_deployment(
        targetArn=inputs.need("targetArn"),
        **inputs.renamed(
            components="components",
            deploymentName="deploymentName",
            deploymentPolicies="deploymentPolicies",
            iotJobConfiguration="iotJobConfiguration",
            parentTargetArn="parentTargetArn",
            tags="tags",
        ),
    )
    return made["deploymentId"], {"deploymentId": made["deploymentId"]}
