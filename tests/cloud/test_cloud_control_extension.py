"""The Cloud Control API of the embedded cloud makes real Greengrass resources, and refuses what it cannot make.

Not proved here: that the provider aws-native is content with it; it asks in these terms by its documentation.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import Cloud

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


def test_a_version_and_its_deployment_are_made_read_and_deleted(cloud: Cloud) -> None:
    control, greengrass = cloud.client("cloudcontrol"), cloud.client("greengrassv2")
    version = _create(cloud, VERSION, {"InlineRecipe": json.dumps(RECIPE), "Tags": {"Owner": "me"}})
    assert version["OperationStatus"] == "SUCCESS"
    assert greengrass.describe_component(arn=version["Identifier"])["tags"] == {"Owner": "me"}
    read = control.get_resource(TypeName=VERSION, Identifier=version["Identifier"])["ResourceDescription"]
    assert json.loads(read["Properties"])["ComponentVersion"] == "1.0.0"

    group = cloud.client("iot").create_thing_group(thingGroupName="control-test")["thingGroupArn"]
    deployment = _create(
        cloud,
        DEPLOYMENT,
        {
            "TargetArn": group,
            "DeploymentName": "control",
            "Components": {"pm.ControlTest": {"ComponentVersion": "1.0.0", "ConfigurationUpdate": {"Merge": "{}"}}},
            "DeploymentPolicies": {"FailureHandlingPolicy": "ROLLBACK"},
        },
    )
    made = greengrass.get_deployment(deploymentId=deployment["Identifier"])
    assert made["components"]["pm.ControlTest"] == {"componentVersion": "1.0.0", "configurationUpdate": {"merge": "{}"}}
    assert made["deploymentPolicies"]["failureHandlingPolicy"] == "ROLLBACK"

    for type_, event in ((DEPLOYMENT, deployment), (VERSION, version)):
        deleted = control.delete_resource(TypeName=type_, Identifier=event["Identifier"])["ProgressEvent"]
        assert deleted["OperationStatus"] == "SUCCESS"
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            control.get_resource(TypeName=type_, Identifier=event["Identifier"])
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


def test_other_types_and_updates_are_refused(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="has no AWS::S3::Bucket; it has AWS::GreengrassV2::ComponentVersion"):
        _create(cloud, "AWS::S3::Bucket", {})
    with pytest.raises(ClientError, match="the sandbox has no cloudformation:UpdateResource"):
        cloud.client("cloudcontrol").update_resource(TypeName=VERSION, Identifier="x", PatchDocument="[]")
