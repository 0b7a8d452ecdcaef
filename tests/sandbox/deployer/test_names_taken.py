"""A second resource of a name, of each type that the program has: refused, as AWS does or because it would be shared.

AWS refuses most by itself; others it lets two stacks share without a word, and the one that is destroyed first takes
the other's. Not proved here: that the program never asks for one name twice (tests/contract_library).
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from cryptography.fernet import Fernet
from google.protobuf import struct_pb2
from pulumi.runtime.proto import resource_pb2

from pm_components.functions.component_recipes import zipped
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer.engine import Engine
from pm_sandbox.deployer.monitor import CloudMonitor
from pm_sandbox.deployer.owners import WATCHED
from pm_sandbox.deployer.records import DeploymentError, ResourceRecord
from pm_sandbox.deployer.vault import Vault
from pm_sandbox.provider import Context, Provider
from tests.contract_library.test_contract_of_resources import NAMED

ROLE = "arn:aws:iam::000000000000:role/taken"


def _policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


TRUST = _policy(Principal={"Service": ["firehose.amazonaws.com", "lambda.amazonaws.com"]}, Action="sts:AssumeRole")
POLICY = _policy(Action="s3:GetObject", Resource="arn:aws:s3:::a/b")
_ID = "AWS::IoT::Certificate::Id"
_CERTIFICATE = {"CertificateId": {"Ref": _ID}, "Status": "Active"}
TEMPLATE = json.dumps(
    {
        "Parameters": {_ID: {"Type": "String"}},
        "Resources": {"certificate": {"Type": "AWS::IoT::Certificate", "Properties": _CERTIFICATE}},
    }
)
CODE = base64.b64encode(zipped({"a.py": b"def h(event, context): pass"})).decode()
RECIPE = json.dumps(
    {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "a.b",
        "ComponentVersion": "1.0.0",
        "Manifests": [{"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {}}],
    }
)
S3_DESTINATION = {"bucketArn": "arn:aws:s3:::taken", "roleArn": ROLE}
#: A resource of each type in an order in which they can be made, as small as AWS takes it.
RESOURCES: dict[str, dict[str, Any]] = {
    "aws:iam/role:Role": {"name": "taken", "assumeRolePolicy": TRUST},
    "aws:iam/rolePolicy:RolePolicy": {"name": "taken", "role": "taken", "policy": POLICY},
    "aws:iam/instanceProfile:InstanceProfile": {"name": "taken", "role": "taken"},
    "aws:s3/bucket:Bucket": {"bucket": "taken"},
    "aws:s3/bucketObjectv2:BucketObjectv2": {"bucket": "taken", "key": "code.zip", "contentBase64": CODE},
    "aws:cloudwatch/logGroup:LogGroup": {"name": "taken"},
    "aws:cloudwatch/logStream:LogStream": {"logGroupName": "taken", "name": "taken"},
    "aws:cloudwatch/dashboard:Dashboard": {"dashboardName": "taken", "dashboardBody": '{"widgets": []}'},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {
        "name": "taken",
        "metricName": "m",
        "namespace": "n",
        "statistic": "Sum",
        "period": 60,
        "threshold": 1,
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1,
    },
    "aws:cloudwatch/eventRule:EventRule": {"name": "taken", "eventPattern": '{"source": ["aws.s3"]}'},
    "aws:athena/workgroup:Workgroup": {"name": "taken"},
    "aws:dynamodb/table:Table": {
        "name": "taken",
        "billingMode": "PAY_PER_REQUEST",
        "hashKey": "a",
        "attributes": [{"name": "a", "type": "S"}],
    },
    "aws:glue/catalogDatabase:CatalogDatabase": {"name": "taken"},
    "aws:glue/catalogTable:CatalogTable": {"databaseName": "taken", "name": "taken"},
    "aws:iot/policy:Policy": {"name": "taken", "policy": POLICY},
    "aws:iot/thingType:ThingType": {"name": "taken"},
    "aws:iot/thing:Thing": {"name": "taken"},
    "aws:iot/thingGroup:ThingGroup": {"name": "taken"},
    "aws:iot/roleAlias:RoleAlias": {"alias": "taken", "roleArn": ROLE, "credentialDuration": 3600},
    "aws:iot/provisioningTemplate:ProvisioningTemplate": {
        "name": "taken",
        "provisioningRoleArn": ROLE,
        "templateBody": TEMPLATE,
        "enabled": True,
    },
    "aws:sqs/queue:Queue": {"name": "taken"},
    "aws:iot/topicRule:TopicRule": {
        "name": "taken",
        "enabled": True,
        "sql": "SELECT * FROM 'a'",
        "sqlVersion": "2016-03-23",
        "sqs": [{"queueUrl": "https://queue", "roleArn": ROLE, "useBase64": False}],
    },
    "aws:sns/topic:Topic": {"name": "taken"},
    "aws:kms/alias:Alias": {"name": "alias/taken", "targetKeyId": "${key}"},
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": {
        "name": "taken",
        "destination": "extended_s3",
        "extendedS3Configuration": S3_DESTINATION,
    },
    "aws:lambda/function:Function": {
        "name": "taken",
        "runtime": "python3.11",
        "handler": "a.h",
        "role": ROLE,
        "s3Bucket": "taken",
        "s3Key": "code.zip",
    },
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": {"modelPackageGroupName": "taken"},
    "aws:sagemaker/notebookInstance:NotebookInstance": {
        "name": "taken",
        "roleArn": ROLE,
        "instanceType": "ml.t3.medium",
    },
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration": {"name": "taken"},
    "aws:scheduler/scheduleGroup:ScheduleGroup": {"name": "taken"},
    "aws:scheduler/schedule:Schedule": {
        "name": "taken",
        "scheduleExpression": "rate(1 day)",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": {"arn": "arn:aws:sqs:eu-central-1:000000000000:taken", "roleArn": ROLE},
    },
    "aws:sfn/stateMachine:StateMachine": {
        "name": "taken",
        "roleArn": ROLE,
        "definition": '{"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}',
    },
    "aws:ec2/securityGroup:SecurityGroup": {"name": "taken", "description": "d", "vpcId": "${vpc}"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"name": "taken", "imageId": "ami-1", "instanceType": "t3.small"},
    "aws:autoscaling/group:Group": {
        "name": "taken",
        "minSize": 0,
        "maxSize": 1,
        "launchTemplate": {"id": "${template}", "version": "1"},
        "vpcZoneIdentifiers": ["${subnet}"],
    },
    "aws:autoscaling/lifecycleHook:LifecycleHook": {
        "name": "taken",
        "autoscalingGroupName": "taken",
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    },
    "aws-native:greengrassv2:ComponentVersion": {"inlineRecipe": RECIPE, "tags": {"a": "b"}},
}
#: Names that may occur twice: versions count up, and queries and deployments have ids of their own.
REPEATABLE = {
    "aws:athena/namedQuery:NamedQuery",
    "aws:lambda/layerVersion:LayerVersion",
    "aws-native:greengrassv2:Deployment",
}

Register = Callable[[CloudMonitor, str], str]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud.start(tmp_path_factory.mktemp("names")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def ids(cloud: Cloud) -> dict[str, str]:
    """Ids of what the cloud names itself."""
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/28")["Vpc"]["VpcId"]
    template = ec2.create_launch_template(LaunchTemplateName="other", LaunchTemplateData={"InstanceType": "t3.small"})
    return {
        "${key}": cloud.client("kms").create_key()["KeyMetadata"]["KeyId"],
        "${vpc}": vpc,
        "${subnet}": ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"],
        "${template}": template["LaunchTemplate"]["LaunchTemplateId"],
    }


def _filled(value: Any, ids: dict[str, str]) -> Any:
    """`value` with the ids that stand in it as `${...}`."""
    if isinstance(value, dict):
        return {key: _filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def register(ids: dict[str, str]) -> Register:
    def register(monitor: CloudMonitor, type_: str) -> str:
        message = struct_pb2.Struct()
        message.update(_filled(RESOURCES[type_], ids))
        request = resource_pb2.RegisterResourceRequest(type=type_, name="it", custom=True, object=message)
        return str(monitor.RegisterResource(request).id)

    return register


class Stack(NamedTuple):
    engine: Engine
    monitor: CloudMonitor


def _stack(name: str, cloud: Cloud, beside: Iterable[ResourceRecord] = ()) -> Stack:
    provider = Provider(Context(cloud))
    engine = Engine(provider, Vault(Fernet.generate_key()), lambda _: None, beside=beside)
    return Stack(engine, CloudMonitor("pm", name, engine, provider))


@pytest.fixture(scope="module")
def first(cloud: Cloud, register: Register) -> Stack:
    """The stack that came first: it has one resource of each type."""
    stack = _stack("first", cloud)
    for type_ in RESOURCES:
        assert register(stack.monitor, type_), type_
    return stack


def test_every_named_type_of_the_program_is_tried() -> None:
    assert set(RESOURCES) - {"aws-native:greengrassv2:ComponentVersion"} == set(NAMED) - REPEATABLE
    assert set(RESOURCES) >= WATCHED


@pytest.mark.parametrize("type_", RESOURCES)
def test_another_stacks_resource_is_not_taken_over(cloud: Cloud, first: Stack, register: Register, type_: str) -> None:
    second = _stack("second", cloud, first.engine.records.values())
    with pytest.raises(DeploymentError, match=r"(?i)already|duplicate") as refusal:
        register(second.monitor, type_)
    if type_ in WATCHED:
        assert f"as urn:pulumi:first::pm::{type_}::it" in str(refusal.value)
    assert second.engine.records == {}
