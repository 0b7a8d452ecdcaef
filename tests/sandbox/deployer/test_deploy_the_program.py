"""The project's own program, stack `dev`, deployed into a cloud of its own: all of it, and nothing merely pretended.

The last test updates it, by the changes that Pulumi's own engine is held to, too.

Not proved: that the parts work together once data flows (that is the demo's and the factory's tests), nor how long a
deployment takes.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, deploy
from pm_sandbox.provider import handlers as _handlers  # noqa: F401 - fills the registry
from pm_sandbox.provider.registry import HANDLERS
from tests.sandbox.deployer.listed import LISTED, kept_id, listed
from tests.sandbox.provider.changes_of_a_life import SETTINGS

#: Types of handlers that only `programs/small` and the tests of options make use of.
OTHERS = {
    # tests/sandbox/provider/test_lives.py
    "aws:sagemaker/notebookInstance:NotebookInstance",
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration",
    # tests/sandbox/core_device/test_fleet_provisioning.py
    "aws:autoscaling/group:Group",
    "aws:autoscaling/lifecycleHook:LifecycleHook",
    "aws:ebs/volume:Volume",
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:iam/instanceProfile:InstanceProfile",
    # programs/small
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iot/provisioningTemplate:ProvisioningTemplate",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    "aws:lambda/permission:Permission",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:scheduler/scheduleGroup:ScheduleGroup",
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
    "aws:sqs/redrivePolicy:RedrivePolicy",
}
ROOT = Path(__file__).parents[3]


class Factory(NamedTuple):
    cloud: Cloud
    deployment: Deployment


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    with Cloud.start(tmp_path_factory.mktemp("program")) as cloud:
        yield Factory(cloud, deploy(ROOT, "dev", cloud))


def test_outputs_are_what_the_sandbox_reads(factory: Factory) -> None:
    outputs = factory.deployment.outputs
    assert {
        "lake_bucket",
        "database",
        "workgroup",
        "streams",
        "artifact_bucket",
        "announcements_bucket",
        "alert_topic_arn",
        "detector_table",
        "state_machine_arn",
        "dead_letter_queues",
        "sites",
    } <= set(outputs)
    site = outputs["sites"]["lindau"]
    assert site["core_devices"] == ["lindau-core"]
    assert Counter(site["devices"].values()) == {"air_quality": 1, "machine": 10}
    assert site["deployment_id"]


def test_no_handler_goes_untried(factory: Factory) -> None:
    assert set(HANDLERS) - {record.type for record in factory.deployment.resources} <= OTHERS


@pytest.mark.parametrize("type_", LISTED)
def test_the_cloud_holds_what_the_program_asked_for(factory: Factory, type_: str) -> None:
    made = {kept_id(type_, one.physical_id) for one in factory.deployment.resources if one.type == type_}
    assert made
    assert made <= listed(factory.cloud, type_)


def test_the_core_device_has_its_components_to_run(factory: Factory) -> None:
    site = factory.deployment.outputs["sites"]["lindau"]
    greengrass = factory.cloud.client("greengrassv2")
    deployment = greengrass.get_deployment(deploymentId=site["deployment_id"])
    assert {"pm.Uplink", "pm.Forecaster", "pm.FaultDetector"} <= set(deployment["components"])
    things = factory.cloud.client("iot").list_things_in_thing_group(thingGroupName=site["thing_group"])["things"]
    assert things == ["lindau-core"]


def test_retraining_waits_for_someone_to_ask(factory: Factory) -> None:
    schedules = [record for record in factory.deployment.resources if record.type == "aws:scheduler/schedule:Schedule"]
    assert len(schedules) == 1
    group, name = schedules[0].physical_id.split("/")
    assert factory.cloud.client("scheduler").get_schedule(GroupName=group, Name=name)["State"] == "DISABLED"


def test_a_second_run_changes_what_its_settings_are_of_and_nothing_else(factory: Factory) -> None:
    settings = {key: value for change in SETTINGS.values() for key, value in change.config.items()}
    second = deploy(ROOT, "dev", factory.cloud, settings)
    names = {resource.name for resource in second.resources}
    told = ("create", "delete", "update", "replace")
    assert {
        (step.operation, step.name, tuple(step.inputs)) for step in second.steps if step.operation in told
    } == set().union(*(change.touched.steps(names) for change in SETTINGS.values()))
    assert "replaced aws-native:greengrassv2:Deployment lindau-deployment: components changed" in second.summary()
