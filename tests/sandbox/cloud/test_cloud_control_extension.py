"""The Cloud Control API of the embedded cloud makes real Greengrass resources, and refuses what it cannot make.

Not proved here: that the provider aws-native is content with it; it asks in these terms by its documentation.
"""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud

RECIPE = {
    "RecipeFormatVersion": "2020-01-25",
    "ComponentName": "pm.ControlTest",
    "ComponentVersion": "1.0.0",
    "ComponentPublisher": "tests",
    "Manifests": [{"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {"run": "true"}}],
}
VERSION, DEPLOYMENT = "AWS::GreengrassV2::ComponentVersion", "AWS::GreengrassV2::Deployment"


def _create(cloud: Cloud, type_: str, state: dict[str, Any]) -> dict[str, Any]:
    event = cloud.client("cloudcontrol").create_resource(TypeName=type_, DesiredState=json.dumps(state))
    token = event["ProgressEvent"]["RequestToken"]
    told: dict[str, Any] = cloud.client("cloudcontrol").get_resource_request_status(RequestToken=token)["ProgressEvent"]
    return told


def _read(cloud: Cloud, type_: str, identifier: str) -> dict[str, Any]:
    read = cloud.client("cloudcontrol").get_resource(TypeName=type_, Identifier=identifier)
    properties: dict[str, Any] = json.loads(read["ResourceDescription"]["Properties"])
    return properties


def _update(cloud: Cloud, type_: str, identifier: str, *steps: dict[str, Any]) -> dict[str, Any]:
    control = cloud.client("cloudcontrol")
    asked = control.update_resource(TypeName=type_, Identifier=identifier, PatchDocument=json.dumps(steps))
    told = control.get_resource_request_status(RequestToken=asked["ProgressEvent"]["RequestToken"])["ProgressEvent"]
    assert (told["Operation"], told["Identifier"]) == ("UPDATE", identifier)
    return dict(told)


def test_a_version_and_its_deployment_are_made_read_and_deleted(cloud: Cloud) -> None:
    control, greengrass = cloud.client("cloudcontrol"), cloud.client("greengrassv2")
    version = _create(cloud, VERSION, {"InlineRecipe": json.dumps(RECIPE), "Tags": {"Owner": "me"}})
    assert version["OperationStatus"] == "SUCCESS"
    assert greengrass.describe_component(arn=version["Identifier"])["tags"] == {"Owner": "me"}
    assert _read(cloud, VERSION, version["Identifier"]) == {
        "Arn": version["Identifier"],
        "ComponentName": "pm.ControlTest",
        "ComponentVersion": "1.0.0",
        "Tags": {"Owner": "me"},
    }

    group = cloud.client("iot").create_thing_group(thingGroupName="control-test")["thingGroupArn"]
    asked = {
        "TargetArn": group,
        "DeploymentName": "control",
        "Components": {"pm.ControlTest": {"ComponentVersion": "1.0.0", "ConfigurationUpdate": {"Merge": "{}"}}},
        "DeploymentPolicies": {
            "FailureHandlingPolicy": "ROLLBACK",
            "ComponentUpdatePolicy": {"TimeoutInSeconds": 30, "Action": "NOTIFY_COMPONENTS"},
            "ConfigurationValidationPolicy": {"TimeoutInSeconds": 20},
        },
        "Tags": {"Owner": "me"},
    }
    deployment = _create(cloud, DEPLOYMENT, asked)
    assert json.loads(deployment["ResourceModel"]) == _read(cloud, DEPLOYMENT, deployment["Identifier"])
    assert _read(cloud, DEPLOYMENT, deployment["Identifier"]) == {**asked, "DeploymentId": deployment["Identifier"]}
    made = greengrass.get_deployment(deploymentId=deployment["Identifier"])
    assert made["components"]["pm.ControlTest"] == {"componentVersion": "1.0.0", "configurationUpdate": {"merge": "{}"}}
    assert made["deploymentPolicies"]["failureHandlingPolicy"] == "ROLLBACK"

    for type_, event in ((DEPLOYMENT, deployment), (VERSION, version)):
        deleted = control.delete_resource(TypeName=type_, Identifier=event["Identifier"])["ProgressEvent"]
        assert deleted["OperationStatus"] == "SUCCESS"
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            control.get_resource(TypeName=type_, Identifier=event["Identifier"])
        again = control.delete_resource(TypeName=type_, Identifier=event["Identifier"])["ProgressEvent"]
        assert (again["OperationStatus"], again["ErrorCode"]) == ("FAILED", "NotFound")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        greengrass.get_deployment(deploymentId=deployment["Identifier"])


def test_a_deployment_that_is_replaced_has_to_be_deleted_first(cloud: Cloud) -> None:
    control = cloud.client("cloudcontrol")
    group = cloud.client("iot").create_thing_group(thingGroupName="control-replaced")["thingGroupArn"]

    def deleted(event: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = control.delete_resource(TypeName=DEPLOYMENT, Identifier=event["Identifier"])
        return dict(told["ProgressEvent"])

    first, second = (_create(cloud, DEPLOYMENT, {"TargetArn": group, "DeploymentName": name}) for name in "ab")
    refused = deleted(first)
    assert (refused["OperationStatus"], refused["ErrorCode"]) == ("FAILED", "ResourceConflict")
    assert "INACTIVE; only an ACTIVE one can be canceled" in refused["StatusMessage"]
    assert deleted(second)["OperationStatus"] == "SUCCESS"
    assert _create(cloud, DEPLOYMENT, {"TargetArn": group, "DeploymentName": "c"})["OperationStatus"] == "SUCCESS"


def test_what_greengrass_refuses_is_a_failed_request_with_its_reason(cloud: Cloud) -> None:
    told = _create(cloud, VERSION, {"InlineRecipe": json.dumps({**RECIPE, "ComponentVersion": "one"})})
    assert told["OperationStatus"] == "FAILED"
    assert "ComponentVersion" in told["StatusMessage"]


@pytest.mark.parametrize("type_", [VERSION, DEPLOYMENT])
def test_tags_change_and_nothing_else(cloud: Cloud, type_: str) -> None:
    name = f"pm.Control{uuid.uuid4().hex[:8]}"
    group = cloud.client("iot").create_thing_group(thingGroupName=name.replace(".", "-"))["thingGroupArn"]
    asked = {
        VERSION: {"InlineRecipe": json.dumps({**RECIPE, "ComponentName": name})},
        DEPLOYMENT: {"TargetArn": group, "DeploymentName": name},
    }[type_]
    id_ = _create(cloud, type_, asked)["Identifier"]
    before = _read(cloud, type_, id_)
    steps: list[list[dict[str, Any]]] = [
        [{"op": "add", "path": "/Tags", "value": {"Owner": "me", "Tier": "dev", "a/b": "c"}}],
        [{"op": "replace", "path": "/Tags/Owner", "value": "you"}, {"op": "remove", "path": "/Tags/a~1b"}],
        [
            {"op": "add", "path": "/Tags/CostCentre", "value": "4"},
            {"op": "test", "path": "/Tags/Tier", "value": "dev"},
        ],
    ]
    for patch in steps:
        told = _update(cloud, type_, id_, *patch)
        assert told["OperationStatus"] == "SUCCESS"
        assert json.loads(told["ResourceModel"]) == _read(cloud, type_, id_)
    assert _read(cloud, type_, id_) == {**before, "Tags": {"Owner": "you", "Tier": "dev", "CostCentre": "4"}}

    fixed = {VERSION: "ComponentVersion", DEPLOYMENT: "DeploymentName"}[type_]
    told = _update(cloud, type_, id_, {"op": "replace", "path": f"/{fixed}", "value": "other"})
    assert (told["OperationStatus"], told["ErrorCode"]) == ("FAILED", "NotUpdatable")
    for wrong in ({"op": "remove", "path": "/Tags/none"}, {"op": "test", "path": "/Tags/Tier", "value": "x"}, "x"):
        with pytest.raises(ClientError, match="PatchDocument: "):
            cloud.client("cloudcontrol").update_resource(
                TypeName=type_, Identifier=id_, PatchDocument=json.dumps([wrong])
            )
    assert _read(cloud, type_, id_)["Tags"]["Tier"] == "dev"


def test_what_greengrass_does_is_seen(cloud: Cloud) -> None:
    control, greengrass = cloud.client("cloudcontrol"), cloud.client("greengrassv2")
    recipe = {**RECIPE, "ComponentName": f"pm.Control{uuid.uuid4().hex[:8]}"}
    arn = greengrass.create_component_version(inlineRecipe=json.dumps(recipe).encode())["arn"]
    greengrass.tag_resource(resourceArn=arn, tags={"by": "hand"})
    assert _read(cloud, VERSION, arn)["Tags"] == {"by": "hand"}
    greengrass.delete_component(arn=arn)
    for call, patch in ((control.get_resource, {}), (control.update_resource, {"PatchDocument": "[]"})):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            call(TypeName=VERSION, Identifier=arn, **patch)


def test_other_types_are_refused(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="has no AWS::S3::Bucket; it has AWS::GreengrassV2::ComponentVersion"):
        _create(cloud, "AWS::S3::Bucket", {})
