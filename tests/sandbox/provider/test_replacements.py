"""The inputs that replace a resource, held to what the installed SDKs and CloudFormation's schemas say of them.

The SDK of `aws-native` tells all of them. That of `aws` tells those of layers alone, since Pulumi leaves the sentence
"Forces new resource" out of what it takes over; for its types CloudFormation's `createOnlyProperties` are what AWS
cannot change, whoever asks.

Not proved: what the provider of `aws` replaces although AWS could change it; each entry of the table names the file
that says so.
"""

import inspect
import json
import re
import sys
from importlib.resources import files

import pulumi_aws as aws
import pytest

from pm_sandbox.provider.registry import HANDLERS
from pm_sandbox.provider.replacements import REPLACING
from pm_sandbox.provider.sdk_types import resource_of

SCHEMA_FILES = files("cfnlint") / "data" / "schemas"
#: CloudFormation's name of each type.
SCHEMAS = {
    "aws:athena/namedQuery:NamedQuery": "AWS::Athena::NamedQuery",
    "aws:athena/workgroup:Workgroup": "AWS::Athena::WorkGroup",
    "aws:autoscaling/group:Group": "AWS::AutoScaling::AutoScalingGroup",
    "aws:autoscaling/lifecycleHook:LifecycleHook": "AWS::AutoScaling::LifecycleHook",
    "aws:cloudwatch/dashboard:Dashboard": "AWS::CloudWatch::Dashboard",
    "aws:cloudwatch/eventRule:EventRule": "AWS::Events::Rule",
    "aws:cloudwatch/logGroup:LogGroup": "AWS::Logs::LogGroup",
    "aws:cloudwatch/logStream:LogStream": "AWS::Logs::LogStream",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "AWS::CloudWatch::Alarm",
    "aws:dynamodb/table:Table": "AWS::DynamoDB::Table",
    "aws:ebs/volume:Volume": "AWS::EC2::Volume",
    "aws:ec2/internetGateway:InternetGateway": "AWS::EC2::InternetGateway",
    "aws:ec2/launchTemplate:LaunchTemplate": "AWS::EC2::LaunchTemplate",
    "aws:ec2/routeTable:RouteTable": "AWS::EC2::RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "AWS::EC2::SubnetRouteTableAssociation",
    "aws:ec2/securityGroup:SecurityGroup": "AWS::EC2::SecurityGroup",
    "aws:ec2/subnet:Subnet": "AWS::EC2::Subnet",
    "aws:ec2/vpc:Vpc": "AWS::EC2::VPC",
    "aws:glue/catalogDatabase:CatalogDatabase": "AWS::Glue::Database",
    "aws:glue/catalogTable:CatalogTable": "AWS::Glue::Table",
    "aws:iam/instanceProfile:InstanceProfile": "AWS::IAM::InstanceProfile",
    "aws:iam/policy:Policy": "AWS::IAM::ManagedPolicy",
    "aws:iam/role:Role": "AWS::IAM::Role",
    "aws:iam/rolePolicy:RolePolicy": "AWS::IAM::RolePolicy",
    "aws:iot/policy:Policy": "AWS::IoT::Policy",
    "aws:iot/provisioningTemplate:ProvisioningTemplate": "AWS::IoT::ProvisioningTemplate",
    "aws:iot/roleAlias:RoleAlias": "AWS::IoT::RoleAlias",
    "aws:iot/thing:Thing": "AWS::IoT::Thing",
    "aws:iot/thingGroup:ThingGroup": "AWS::IoT::ThingGroup",
    "aws:iot/thingType:ThingType": "AWS::IoT::ThingType",
    "aws:iot/topicRule:TopicRule": "AWS::IoT::TopicRule",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "AWS::KinesisFirehose::DeliveryStream",
    "aws:kms/alias:Alias": "AWS::KMS::Alias",
    "aws:kms/key:Key": "AWS::KMS::Key",
    "aws:lambda/eventSourceMapping:EventSourceMapping": "AWS::Lambda::EventSourceMapping",
    "aws:lambda/function:Function": "AWS::Lambda::Function",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": "AWS::Lambda::EventInvokeConfig",
    "aws:lambda/layerVersion:LayerVersion": "AWS::Lambda::LayerVersion",
    "aws:lambda/permission:Permission": "AWS::Lambda::Permission",
    "aws:s3/bucket:Bucket": "AWS::S3::Bucket",
    "aws:s3/bucketPolicy:BucketPolicy": "AWS::S3::BucketPolicy",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": "AWS::SageMaker::ModelPackageGroup",
    "aws:sagemaker/notebookInstance:NotebookInstance": "AWS::SageMaker::NotebookInstance",
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration": (
        "AWS::SageMaker::NotebookInstanceLifecycleConfig"
    ),
    "aws:scheduler/schedule:Schedule": "AWS::Scheduler::Schedule",
    "aws:scheduler/scheduleGroup:ScheduleGroup": "AWS::Scheduler::ScheduleGroup",
    "aws:sfn/stateMachine:StateMachine": "AWS::StepFunctions::StateMachine",
    "aws:sns/topic:Topic": "AWS::SNS::Topic",
    "aws:sns/topicPolicy:TopicPolicy": "AWS::SNS::TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription": "AWS::SNS::Subscription",
    "aws:sqs/queue:Queue": "AWS::SQS::Queue",
    "aws:sqs/queuePolicy:QueuePolicy": "AWS::SQS::QueuePolicy",
}
#: Types that CloudFormation has as a part of another one, or not at all.
NO_SCHEMA = {
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iot/thingGroupMembership:ThingGroupMembership",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketNotification:BucketNotification",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
    "aws:sqs/redrivePolicy:RedrivePolicy",
}
#: Inputs whose name is not CloudFormation's, with or without the type's name before it.
INPUTS = {
    "AWS::Athena::NamedQuery/QueryString": "query",
    "AWS::IAM::RolePolicy/RoleName": "role",
    "AWS::IoT::RoleAlias/RoleAlias": "alias",
    "AWS::KinesisFirehose::DeliveryStream/DeliveryStreamType": "deliveryStreamType",
    "AWS::Lambda::LayerVersion/Content": "code",
    "AWS::Lambda::Permission/FunctionName": "function",
    "AWS::S3::Bucket/BucketName": "bucket",
    "AWS::SageMaker::NotebookInstance/SecurityGroupIds": "securityGroups",
    "AWS::SNS::Subscription/TopicArn": "topic",
}
#: Inputs that replace in CloudFormation and that the provider of `aws` changes in place, by the source that the table
#: names.
IN_PLACE = {
    "AWS::AutoScaling::LifecycleHook/AutoScalingGroupName",
    "AWS::EC2::SubnetRouteTableAssociation/RouteTableId",
}


@pytest.fixture(scope="module")
def schemas() -> dict[str, str]:
    """The schemas' files, by type, that cfn-lint ships for a region."""
    found: dict[str, str] = json.loads((SCHEMA_FILES / "providers" / "eu-central-1.json").read_text())
    return found


def test_each_input_is_one_of_the_sdk() -> None:
    for token, entry in REPLACING.items():
        parameters = inspect.signature(vars(resource_of(token))["_internal_init"]).parameters
        known = {re.sub("_", "", name) for name in parameters}
        assert {path.split(".")[0].lower() for path in entry.inputs | entry.shrinking} <= known, token


@pytest.mark.parametrize("token", [token for token in REPLACING if token.startswith("aws-native:")])
def test_the_sdk_of_aws_native_tells_what_replaces(token: str) -> None:
    (told,) = re.findall(r"replace_on_changes=\[([^\]]*)\]", inspect.getsource(resource_of(token)))
    assert {path.split(".")[0] for path in re.findall(r'"([^"]+)"', told)} == REPLACING[token].inputs


def test_the_sdk_tells_what_replaces_a_layer() -> None:
    text = vars(aws.lambda_.LayerVersionArgs)["skip_destroy"].__doc__
    (told,) = re.findall(r"changing any of (.*?) forces", text)
    names = {"filename": "code"}
    inputs = {re.sub(r"_(\w)", lambda at: at[1].upper(), name) for name in re.findall(r"`(\w+)`", told)}
    assert {names.get(name, name) for name in inputs} == REPLACING["aws:lambda/layerVersion:LayerVersion"].inputs


def test_each_type_of_aws_has_a_schema_or_is_known_to_have_none() -> None:
    assert {*SCHEMAS, *NO_SCHEMA} == {token for token in REPLACING if token.startswith("aws:")}


@pytest.mark.parametrize("token", SCHEMAS)
def test_what_aws_cannot_change_replaces_where_the_sandbox_takes_it(token: str, schemas: dict[str, str]) -> None:
    type_, entry = SCHEMAS[token], REPLACING[token]
    schema = json.loads((SCHEMA_FILES / "resources" / f"{schemas[type_]}.json").read_text())
    handler = inspect.getsource(sys.modules[HANDLERS[token].create.__module__])
    dropped = set()
    for pointer in schema.get("createOnlyProperties", []):
        name = pointer.removeprefix("/properties/").split("/")[0]
        names = {INPUTS.get(f"{type_}/{name}", name).lower(), _without_type(name, type_).lower()}
        if names & {one.lower() for one in entry.inputs}:
            continue
        # An input that no handler reads is refused as the resource is made.
        if any(word.lower() in names and word[0].islower() for word in re.findall(r"\w+", handler)):
            dropped.add(f"{type_}/{name}")
    assert dropped == {one for one in IN_PLACE if one.startswith(f"{type_}/")}


def _without_type(name: str, type_: str) -> str:
    """The name of a property without that of its type, or the end of that, before it: `GroupName` is `Name`."""
    words = re.findall("[A-Z][a-z]*", type_.rpartition("::")[2])
    for start in range(len(words)):
        if name.startswith(prefix := "".join(words[start:])) and name != prefix:
            return name.removeprefix(prefix)
    return name
