"""The project's own program, stack `dev`, deployed into a cloud of its own: all of it, and nothing merely pretended.

Not proved: that the parts work together once data flows (that is the demo's and the factory's tests), nor how long a
deployment takes.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandbox.cloud import Cloud
from sandbox.deployer import Deployment, deploy
from sandbox.provider import handlers as _handlers  # noqa: F401 - fills the registry
from sandbox.provider.registry import HANDLERS

#: Types of handlers that only `programs/small` and the tests of options make use of.
OTHERS = {
    # tests/core_device/test_fleet_provisioning.py
    "aws:ec2/instance:Instance",
    "aws:ec2/internetGateway:InternetGateway",
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
ROOT = Path(__file__).parents[2]


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


def test_only_role_aliases_are_recorded_without_being_made(factory: Factory) -> None:
    recorded = {record.type for record in factory.deployment.resources if record.record_only}
    assert recorded == {"aws:iot/roleAlias:RoleAlias"}


def test_no_handler_goes_untried(factory: Factory) -> None:
    assert set(HANDLERS) - {record.type for record in factory.deployment.resources} <= OTHERS


def _names(client: Any, operation: str, path: str, **arguments: Any) -> set[str]:
    """What a service lists: `path` is the list's key and the item's, as `rules.ruleName`."""
    items_key, _, name_key = path.partition(".")
    items: list[Any] = []
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**arguments):
            items += page.get(items_key, [])
    else:
        items = getattr(client, operation)(**arguments).get(items_key, [])
    return {item[name_key] if name_key else item for item in items}


@pytest.mark.parametrize(
    ("type_", "service", "operation", "path"),
    [
        ("aws:cloudwatch/logGroup:LogGroup", "logs", "describe_log_groups", "logGroups.logGroupName"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "cloudwatch", "describe_alarms", "MetricAlarms.AlarmName"),
        ("aws:dynamodb/table:Table", "dynamodb", "list_tables", "TableNames"),
        ("aws:iam/role:Role", "iam", "list_roles", "Roles.RoleName"),
        ("aws:iot/policy:Policy", "iot", "list_policies", "policies.policyName"),
        ("aws:iot/thing:Thing", "iot", "list_things", "things.thingName"),
        ("aws:iot/thingGroup:ThingGroup", "iot", "list_thing_groups", "thingGroups.groupName"),
        ("aws:iot/topicRule:TopicRule", "iot", "list_topic_rules", "rules.ruleName"),
        ("aws:lambda/function:Function", "lambda", "list_functions", "Functions.FunctionName"),
        (
            "aws:lambda/eventSourceMapping:EventSourceMapping",
            "lambda",
            "list_event_source_mappings",
            "EventSourceMappings.UUID",
        ),
        ("aws:s3/bucket:Bucket", "s3", "list_buckets", "Buckets.Name"),
        ("aws:sfn/stateMachine:StateMachine", "stepfunctions", "list_state_machines", "stateMachines.stateMachineArn"),
        ("aws:sns/topicSubscription:TopicSubscription", "sns", "list_subscriptions", "Subscriptions.SubscriptionArn"),
        ("aws:sqs/queue:Queue", "sqs", "list_queues", "QueueUrls"),
        (
            "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
            "firehose",
            "list_delivery_streams",
            "DeliveryStreamNames",
        ),
    ],
)
def test_the_cloud_holds_what_the_program_asked_for(
    factory: Factory, type_: str, service: str, operation: str, path: str
) -> None:
    made = {
        record.physical_id.split("/")[-1] if service == "firehose" else record.physical_id
        for record in factory.deployment.resources
        if record.type == type_
    }
    assert made
    assert made <= _names(factory.cloud.client(service), operation, path)


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
