"""IoT and Greengrass."""

import json
from typing import Any

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, life


@life("aws:iot/thing:Thing")
def _thing(lab: Lab) -> Life:
    one, other = (lab.make("aws:iot/thingType:ThingType", name=lab.name()).id for _ in range(2))
    return Life(
        {"name": lab.name(), "thingTypeName": one, "attributes": {"site": "a", "device": "m"}},
        {"thingTypeName": other, "attributes": {"site": "b"}},
    )


@life("aws:iot/thingType:ThingType")
def _thing_type(lab: Lab) -> Life:
    properties = {"description": "a", "searchableAttributes": ["site"]}
    return Life({"name": lab.name(), "properties": properties, "tags": TAGS}, {"tags": OTHER_TAGS})


@life("aws:iot/thingGroup:ThingGroup")
def _thing_group(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "properties": {"description": "a"}, "tags": TAGS},
        {"properties": {"description": "b", "attributePayload": {"attributes": {"x": "y"}}}, "tags": OTHER_TAGS},
    )


@life("aws:iot/thingGroupMembership:ThingGroupMembership")
def _membership(lab: Lab) -> Life:
    return Life({"thingGroupName": lab.thing_group().id, "thingName": lab.thing()})


def _device_policy(action: str) -> str:
    return allow(action, Resource="*")


@life("aws:iot/policy:Policy")
def _iot_policy(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "policy": _device_policy("iot:Connect"), "tags": TAGS},
        {"policy": _device_policy("iot:Publish"), "tags": OTHER_TAGS},
    )


@life("aws:iot/topicRule:TopicRule")
def _topic_rule(lab: Lab) -> Life:
    def to_queue() -> dict[str, Any]:
        return {"queueUrl": lab.queue().id, "roleArn": lab.role, "useBase64": False}

    return Life(
        {
            "name": lab.name().replace("-", "_"),
            "enabled": True,
            "sql": "SELECT * FROM 'a/b'",
            "sqlVersion": "2016-03-23",
            "description": "a",
            "sqs": [to_queue()],
            "errorAction": {"sqs": to_queue()},
            "tags": TAGS,
        },
        {
            "enabled": False,
            "sql": "SELECT * FROM 'a/c'",
            "description": "b",
            "sqs": [to_queue(), to_queue()],
            "errorAction": {"sqs": to_queue()},
            "tags": OTHER_TAGS,
        },
    )


@life("aws:iot/provisioningTemplate:ProvisioningTemplate")
def _template(lab: Lab) -> Life:
    def body(status: str) -> str:
        certificate = {
            "Type": "AWS::IoT::Certificate",
            "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": status},
        }
        parameters = {"AWS::IoT::Certificate::Id": {"Type": "String"}}
        return json.dumps({"Parameters": parameters, "Resources": {"certificate": certificate}})

    return Life(
        {
            "name": lab.name(),
            "enabled": True,
            "description": "a",
            "provisioningRoleArn": lab.role,
            "templateBody": body("Active"),
            "tags": TAGS,
        },
        {"enabled": False, "description": "b", "templateBody": body("Inactive"), "tags": OTHER_TAGS},
    )


@life("aws:iot/roleAlias:RoleAlias")
def _role_alias(lab: Lab) -> Life:
    trust = allow("sts:AssumeRole", Principal={"Service": "credentials.iot.amazonaws.com"})
    one, other = (lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust) for _ in range(2))
    return Life(
        {"alias": lab.name(), "roleArn": one.outputs["arn"], "credentialDuration": 900, "tags": TAGS},
        {"roleArn": other.outputs["arn"], "credentialDuration": 3600, "tags": OTHER_TAGS},
    )


@life("aws-native:greengrassv2:ComponentVersion")
def _component(lab: Lab) -> Life:
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": f"com.{lab.name()}",
        "ComponentVersion": "1.0.0",
        "Manifests": [{"Platform": {"os": "linux"}, "Lifecycle": {"run": "true"}}],
    }
    return Life({"inlineRecipe": json.dumps(recipe), "tags": TAGS}, {"tags": OTHER_TAGS}, frozenset({"inlineRecipe"}))


@life("aws-native:greengrassv2:Deployment")
def _deployment(lab: Lab) -> Life:
    return Life(
        {
            "targetArn": lab.thing_group().outputs["arn"],
            "deploymentName": lab.name(),
            "components": {"aws.greengrass.Nucleus": {"componentVersion": "2.12.0"}},
            "deploymentPolicies": {"failureHandlingPolicy": "ROLLBACK"},
            "tags": TAGS,
        },
        {"tags": OTHER_TAGS},
    )
