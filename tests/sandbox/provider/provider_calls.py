"""The calls that the real providers make of AWS for each type: to make it, read it, change it, delete it, and wait.

Those of `aws` are read from the Terraform provider that it wraps, each in its file below `internal/service/` of
https://github.com/hashicorp/terraform-provider-aws, for the inputs that the program's resources have; those of
`aws-native` are the Cloud Control API's (provider/pkg/client of https://github.com/pulumi/pulumi-aws-native).
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.sandbox.provider.lives import Lab
from tests.sandbox.provider.lives.lab import allow


class Calls(NamedTuple):
    """The operations of a service for a type, waiters included.

    Attributes:
        service: boto3's name of it.
        source: Where that is written.
        create: Operations that make it, separated by blanks.
        read: The same to read it, after each change and for a refresh.
        update: The same to change it.
        delete: The same to delete it.
    """

    service: str
    source: str
    create: str
    read: str
    update: str
    delete: str

    @property
    def all(self) -> set[str]:
        """Each as `service:Operation`."""
        operations = " ".join((self.create, self.read, self.update, self.delete)).split()
        return {f"{self.service}:{operation}" for operation in operations}


_CONTROL = Calls(
    "cloudcontrol",
    "client.go",
    "CreateResource GetResourceRequestStatus",
    "GetResource",
    "UpdateResource",
    "DeleteResource",
)
_TAGS = "TagResource UntagResource"
_EC2_TAGS = "CreateTags DeleteTags"
_SM_TAGS = "AddTags DeleteTags"


def _queue(source: str) -> Calls:
    return Calls("sqs", source, "SetQueueAttributes", "GetQueueAttributes", "SetQueueAttributes", "SetQueueAttributes")


def _bucket(source: str, put: str, get: str, delete: str) -> Calls:
    return Calls("s3", f"s3/{source}.go", put, get, put, delete)


CALLS: dict[str, Calls] = {
    "aws-native:greengrassv2:ComponentVersion": _CONTROL,
    "aws-native:greengrassv2:Deployment": _CONTROL,
    "aws:athena/namedQuery:NamedQuery": Calls(
        "athena", "athena/named_query.go", "CreateNamedQuery", "GetNamedQuery", "", "DeleteNamedQuery"
    ),
    "aws:athena/workgroup:Workgroup": Calls(
        "athena",
        "athena/workgroup.go",
        "CreateWorkGroup",
        "GetWorkGroup ListTagsForResource",
        f"UpdateWorkGroup {_TAGS}",
        "DeleteWorkGroup",
    ),
    "aws:autoscaling/group:Group": Calls(
        "autoscaling",
        "autoscaling/group.go",
        "CreateAutoScalingGroup DescribeAutoScalingGroups DescribeScalingActivities",
        "DescribeAutoScalingGroups",
        "UpdateAutoScalingGroup CreateOrUpdateTags DeleteTags",
        "UpdateAutoScalingGroup DeleteAutoScalingGroup",
    ),
    "aws:autoscaling/lifecycleHook:LifecycleHook": Calls(
        "autoscaling",
        "autoscaling/lifecycle_hook.go",
        "PutLifecycleHook",
        "DescribeLifecycleHooks",
        "PutLifecycleHook",
        "DeleteLifecycleHook",
    ),
    "aws:cloudwatch/dashboard:Dashboard": Calls(
        "cloudwatch", "cloudwatch/dashboard.go", "PutDashboard", "GetDashboard", "PutDashboard", "DeleteDashboards"
    ),
    "aws:cloudwatch/eventRule:EventRule": Calls(
        "events", "events/rule.go", "PutRule", "DescribeRule ListTagsForResource", f"PutRule {_TAGS}", "DeleteRule"
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Calls(
        "events", "events/target.go", "PutTargets", "ListTargetsByRule", "PutTargets", "RemoveTargets"
    ),
    "aws:cloudwatch/logGroup:LogGroup": Calls(
        "logs",
        "logs/group.go",
        "CreateLogGroup PutRetentionPolicy",
        "DescribeLogGroups ListTagsForResource",
        f"PutRetentionPolicy DeleteRetentionPolicy AssociateKmsKey DisassociateKmsKey {_TAGS}",
        "DeleteLogGroup",
    ),
    "aws:cloudwatch/logStream:LogStream": Calls(
        "logs", "logs/stream.go", "CreateLogStream", "DescribeLogStreams", "", "DeleteLogStream"
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Calls(
        "cloudwatch",
        "cloudwatch/metric_alarm.go",
        "PutMetricAlarm",
        "DescribeAlarms ListTagsForResource",
        f"PutMetricAlarm {_TAGS}",
        "DeleteAlarms",
    ),
    "aws:dynamodb/table:Table": Calls(
        "dynamodb",
        "dynamodb/table.go",
        "CreateTable DescribeTable UpdateTimeToLive UpdateContinuousBackups",
        "DescribeTable DescribeTimeToLive DescribeContinuousBackups ListTagsOfResource",
        f"UpdateTable UpdateTimeToLive UpdateContinuousBackups {_TAGS}",
        "DeleteTable",
    ),
    "aws:ebs/volume:Volume": Calls(
        "ec2",
        "ec2/ebs_volume.go",
        "CreateVolume",
        "DescribeVolumes",
        f"ModifyVolume DescribeVolumesModifications {_EC2_TAGS}",
        "CreateSnapshot DescribeSnapshots DeleteVolume",
    ),
    "aws:ec2/internetGateway:InternetGateway": Calls(
        "ec2",
        "ec2/vpc_internet_gateway.go",
        "CreateInternetGateway AttachInternetGateway",
        "DescribeInternetGateways",
        f"DetachInternetGateway AttachInternetGateway {_EC2_TAGS}",
        "DetachInternetGateway DeleteInternetGateway",
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Calls(
        "ec2",
        "ec2/ec2_launch_template.go",
        "CreateLaunchTemplate",
        "DescribeLaunchTemplates DescribeLaunchTemplateVersions",
        f"CreateLaunchTemplateVersion ModifyLaunchTemplate {_EC2_TAGS}",
        "DeleteLaunchTemplate",
    ),
    "aws:ec2/routeTable:RouteTable": Calls(
        "ec2",
        "ec2/vpc_route_table.go",
        "CreateRouteTable CreateRoute",
        "DescribeRouteTables",
        f"CreateRoute ReplaceRoute DeleteRoute {_EC2_TAGS}",
        "DeleteRouteTable",
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Calls(
        "ec2",
        "ec2/vpc_route_table_association.go",
        "AssociateRouteTable",
        "DescribeRouteTables",
        "ReplaceRouteTableAssociation",
        "DisassociateRouteTable",
    ),
    "aws:ec2/securityGroup:SecurityGroup": Calls(
        "ec2",
        "ec2/vpc_security_group.go",
        "CreateSecurityGroup RevokeSecurityGroupEgress AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress",
        "DescribeSecurityGroups",
        f"RevokeSecurityGroupIngress RevokeSecurityGroupEgress {_EC2_TAGS}",
        "DescribeNetworkInterfaces DeleteSecurityGroup",
    ),
    "aws:ec2/subnet:Subnet": Calls(
        "ec2",
        "ec2/vpc_subnet.go",
        "CreateSubnet ModifySubnetAttribute",
        "DescribeSubnets",
        f"ModifySubnetAttribute {_EC2_TAGS}",
        "DescribeNetworkInterfaces DeleteSubnet",
    ),
    "aws:ec2/vpc:Vpc": Calls(
        "ec2",
        "ec2/vpc_.go",
        "CreateVpc ModifyVpcAttribute",
        "DescribeVpcs DescribeVpcAttribute DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups",
        f"ModifyVpcAttribute {_EC2_TAGS}",
        "DeleteVpc",
    ),
    "aws:glue/catalogDatabase:CatalogDatabase": Calls(
        "glue",
        "glue/catalog_database.go",
        "CreateDatabase",
        "GetDatabase GetTags",
        f"UpdateDatabase {_TAGS}",
        "DeleteDatabase",
    ),
    "aws:glue/catalogTable:CatalogTable": Calls(
        "glue", "glue/catalog_table.go", "CreateTable", "GetTable GetPartitionIndexes", "UpdateTable", "DeleteTable"
    ),
    "aws:iam/instanceProfile:InstanceProfile": Calls(
        "iam",
        "iam/instance_profile.go",
        "CreateInstanceProfile AddRoleToInstanceProfile",
        "GetInstanceProfile",
        "RemoveRoleFromInstanceProfile AddRoleToInstanceProfile TagInstanceProfile UntagInstanceProfile",
        "RemoveRoleFromInstanceProfile DeleteInstanceProfile",
    ),
    "aws:iam/policy:Policy": Calls(
        "iam",
        "iam/policy.go",
        "CreatePolicy",
        "GetPolicy GetPolicyVersion ListPolicyTags",
        "ListPolicyVersions CreatePolicyVersion TagPolicy UntagPolicy",
        "ListPolicyVersions DeletePolicyVersion DeletePolicy",
    ),
    "aws:iam/role:Role": Calls(
        "iam",
        "iam/role.go",
        "CreateRole PutRolePolicy AttachRolePolicy",
        "GetRole ListRolePolicies GetRolePolicy ListAttachedRolePolicies ListRoleTags",
        "UpdateAssumeRolePolicy UpdateRoleDescription UpdateRole PutRolePermissionsBoundary "
        "DeleteRolePermissionsBoundary TagRole UntagRole DeleteRolePolicy DetachRolePolicy",
        "ListInstanceProfilesForRole RemoveRoleFromInstanceProfile DeleteRole",
    ),
    "aws:iam/rolePolicy:RolePolicy": Calls(
        "iam", "iam/role_policy.go", "PutRolePolicy", "GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy"
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Calls(
        "iam",
        "iam/role_policy_attachment.go",
        "AttachRolePolicy",
        "ListAttachedRolePolicies",
        "",
        "DetachRolePolicy",
    ),
    "aws:iot/policy:Policy": Calls(
        "iot",
        "iot/policy.go",
        "CreatePolicy",
        "GetPolicy ListTagsForResource",
        f"CreatePolicyVersion ListPolicyVersions DeletePolicyVersion {_TAGS}",
        "ListPolicyVersions DeletePolicyVersion DeletePolicy",
    ),
    "aws:iot/provisioningTemplate:ProvisioningTemplate": Calls(
        "iot",
        "iot/provisioning_template.go",
        "CreateProvisioningTemplate",
        "DescribeProvisioningTemplate ListTagsForResource",
        f"UpdateProvisioningTemplate CreateProvisioningTemplateVersion {_TAGS}",
        "DeleteProvisioningTemplate",
    ),
    "aws:iot/roleAlias:RoleAlias": Calls(
        "iot",
        "iot/role_alias.go",
        "CreateRoleAlias",
        "DescribeRoleAlias ListTagsForResource",
        f"UpdateRoleAlias {_TAGS}",
        "DeleteRoleAlias",
    ),
    "aws:iot/thing:Thing": Calls("iot", "iot/thing.go", "CreateThing", "DescribeThing", "UpdateThing", "DeleteThing"),
    "aws:iot/thingGroup:ThingGroup": Calls(
        "iot",
        "iot/thing_group.go",
        "CreateThingGroup",
        "DescribeThingGroup ListTagsForResource",
        f"UpdateThingGroup {_TAGS}",
        "DeleteThingGroup",
    ),
    "aws:iot/thingGroupMembership:ThingGroupMembership": Calls(
        "iot",
        "iot/thing_group_membership.go",
        "AddThingToThingGroup",
        "ListThingGroupsForThing",
        "",
        "RemoveThingFromThingGroup",
    ),
    "aws:iot/thingType:ThingType": Calls(
        "iot",
        "iot/thing_type.go",
        "CreateThingType",
        "DescribeThingType ListTagsForResource",
        _TAGS,
        "DeprecateThingType DeleteThingType",
    ),
    "aws:iot/topicRule:TopicRule": Calls(
        "iot",
        "iot/topic_rule.go",
        "CreateTopicRule",
        "GetTopicRule ListTagsForResource",
        f"ReplaceTopicRule {_TAGS}",
        "DeleteTopicRule",
    ),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": Calls(
        "firehose",
        "firehose/delivery_stream.go",
        "CreateDeliveryStream StartDeliveryStreamEncryption",
        "DescribeDeliveryStream ListTagsForDeliveryStream",
        "UpdateDestination StartDeliveryStreamEncryption StopDeliveryStreamEncryption TagDeliveryStream "
        "UntagDeliveryStream",
        "DeleteDeliveryStream",
    ),
    "aws:kms/alias:Alias": Calls("kms", "kms/alias.go", "CreateAlias", "ListAliases", "UpdateAlias", "DeleteAlias"),
    "aws:kms/key:Key": Calls(
        "kms",
        "kms/key.go",
        "CreateKey EnableKeyRotation DisableKey",
        "DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags",
        f"EnableKey EnableKeyRotation DisableKeyRotation UpdateKeyDescription PutKeyPolicy {_TAGS}",
        "ScheduleKeyDeletion",
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Calls(
        "lambda",
        "lambda/event_source_mapping.go",
        "CreateEventSourceMapping",
        "GetEventSourceMapping ListTags",
        f"UpdateEventSourceMapping {_TAGS}",
        "DeleteEventSourceMapping",
    ),
    "aws:lambda/function:Function": Calls(
        "lambda",
        "lambda/function.go",
        "CreateFunction GetFunction PutFunctionConcurrency",
        "GetFunction ListVersionsByFunction GetFunctionCodeSigningConfig",
        f"UpdateFunctionConfiguration GetFunctionConfiguration UpdateFunctionCode DeleteFunctionConcurrency {_TAGS}",
        "DeleteFunction",
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Calls(
        "lambda",
        "lambda/function_event_invoke_config.go",
        "PutFunctionEventInvokeConfig",
        "GetFunctionEventInvokeConfig",
        "PutFunctionEventInvokeConfig",
        "DeleteFunctionEventInvokeConfig",
    ),
    "aws:lambda/layerVersion:LayerVersion": Calls(
        "lambda", "lambda/layer_version.go", "PublishLayerVersion", "GetLayerVersion", "", "DeleteLayerVersion"
    ),
    "aws:lambda/permission:Permission": Calls(
        "lambda", "lambda/permission.go", "AddPermission", "GetPolicy", "", "RemovePermission"
    ),
    "aws:s3/bucket:Bucket": Calls(
        "s3",
        "s3/bucket.go",
        "CreateBucket PutBucketTagging",
        "HeadBucket GetBucketPolicy GetBucketAcl GetBucketCors GetBucketWebsite GetBucketVersioning "
        "GetBucketAccelerateConfiguration GetBucketRequestPayment GetBucketLogging GetBucketLifecycleConfiguration "
        "GetBucketReplication GetBucketEncryption GetObjectLockConfiguration GetBucketLocation GetBucketTagging",
        "PutBucketTagging DeleteBucketTagging",
        "ListObjectVersions DeleteBucket",
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket(
        "bucket_lifecycle_configuration",
        "PutBucketLifecycleConfiguration",
        "GetBucketLifecycleConfiguration",
        "DeleteBucketLifecycle",
    ),
    "aws:s3/bucketNotification:BucketNotification": _bucket(
        "bucket_notification",
        "PutBucketNotificationConfiguration",
        "GetBucketNotificationConfiguration",
        "PutBucketNotificationConfiguration",
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": _bucket(
        "object", "PutObject", "HeadObject GetObjectTagging", "PutObjectTagging ListObjectVersions DeleteObject"
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _bucket(
        "bucket_ownership_controls",
        "PutBucketOwnershipControls",
        "GetBucketOwnershipControls",
        "DeleteBucketOwnershipControls",
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _bucket(
        "bucket_policy", "PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket(
        "bucket_public_access_block", "PutPublicAccessBlock", "GetPublicAccessBlock", "DeletePublicAccessBlock"
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket(
        "bucket_server_side_encryption_configuration",
        "PutBucketEncryption",
        "GetBucketEncryption",
        "DeleteBucketEncryption",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _bucket(
        "bucket_versioning", "PutBucketVersioning", "GetBucketVersioning", "PutBucketVersioning"
    ),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Calls(
        "sagemaker",
        "sagemaker/model_package_group.go",
        "CreateModelPackageGroup",
        "DescribeModelPackageGroup ListTags",
        _SM_TAGS,
        "DeleteModelPackageGroup",
    ),
    "aws:sagemaker/notebookInstance:NotebookInstance": Calls(
        "sagemaker",
        "sagemaker/notebook_instance.go",
        "CreateNotebookInstance DescribeNotebookInstance",
        "DescribeNotebookInstance ListTags",
        f"StopNotebookInstance UpdateNotebookInstance StartNotebookInstance {_SM_TAGS}",
        "StopNotebookInstance DeleteNotebookInstance",
    ),
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration": Calls(
        "sagemaker",
        "sagemaker/notebook_instance_lifecycle_configuration.go",
        "CreateNotebookInstanceLifecycleConfig",
        "DescribeNotebookInstanceLifecycleConfig ListTags",
        f"UpdateNotebookInstanceLifecycleConfig {_SM_TAGS}",
        "DeleteNotebookInstanceLifecycleConfig",
    ),
    "aws:scheduler/schedule:Schedule": Calls(
        "scheduler", "scheduler/schedule.go", "CreateSchedule", "GetSchedule", "UpdateSchedule", "DeleteSchedule"
    ),
    "aws:scheduler/scheduleGroup:ScheduleGroup": Calls(
        "scheduler",
        "scheduler/schedule_group.go",
        "CreateScheduleGroup",
        "GetScheduleGroup ListTagsForResource",
        _TAGS,
        "DeleteScheduleGroup",
    ),
    "aws:sfn/stateMachine:StateMachine": Calls(
        "stepfunctions",
        "sfn/state_machine.go",
        "ValidateStateMachineDefinition CreateStateMachine",
        "DescribeStateMachine ListStateMachineVersions ListTagsForResource",
        f"UpdateStateMachine {_TAGS}",
        "DeleteStateMachine",
    ),
    "aws:sns/topic:Topic": Calls(
        "sns",
        "sns/topic.go",
        "CreateTopic",
        "GetTopicAttributes ListTagsForResource",
        f"SetTopicAttributes {_TAGS}",
        "DeleteTopic",
    ),
    "aws:sns/topicPolicy:TopicPolicy": Calls(
        "sns",
        "sns/topic_policy.go",
        "SetTopicAttributes",
        "GetTopicAttributes",
        "SetTopicAttributes",
        "SetTopicAttributes",
    ),
    "aws:sns/topicSubscription:TopicSubscription": Calls(
        "sns",
        "sns/topic_subscription.go",
        "Subscribe",
        "GetSubscriptionAttributes",
        "SetSubscriptionAttributes",
        "Unsubscribe",
    ),
    "aws:sqs/queue:Queue": Calls(
        "sqs",
        "sqs/queue.go",
        "CreateQueue GetQueueAttributes",
        "GetQueueAttributes ListQueueTags",
        "SetQueueAttributes TagQueue UntagQueue",
        "DeleteQueue",
    ),
    "aws:sqs/queuePolicy:QueuePolicy": _queue("sqs/queue_policy.go"),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": _queue("sqs/queue_redrive_allow_policy.go"),
    "aws:sqs/redrivePolicy:RedrivePolicy": _queue("sqs/queue_redrive_policy.go"),
}

#: AWS's answers where a bucket or a function has no such setting, which the providers take for that.
NOTHING_SET = {
    "s3:GetBucketPolicy": "NoSuchBucketPolicy",
    "s3:GetBucketCors": "NoSuchCORSConfiguration",
    "s3:GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "s3:GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "s3:GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "s3:GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "s3:GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
}


Arguments = Callable[[Lab, str, dict[str, Any]], dict[str, Any]]


def _named(member: str) -> Arguments:
    return lambda _lab, id_, _state: {member: id_}


def _attached_profile(lab: Lab, id_: str, state: dict[str, Any]) -> dict[str, Any]:
    name, role = lab.name(), state.get("role", id_)
    lab.make("aws:iam/instanceProfile:InstanceProfile", name=name, role=role)
    return {"InstanceProfileName": name, "RoleName": role}


def _component(lab: Lab) -> dict[str, Any]:
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": f"com.{lab.name()}",
        "ComponentVersion": "1.0.0",
        "Manifests": [{"Platform": {"os": "linux"}, "Lifecycle": {"run": "true"}}],
    }
    desired = json.dumps({"InlineRecipe": json.dumps(recipe)})
    return {"TypeName": "AWS::GreengrassV2::ComponentVersion", "DesiredState": desired}


def _asked(lab: Lab) -> dict[str, Any]:
    made = lab.client("cloudcontrol").create_resource(**_component(lab))
    return {"RequestToken": made["ProgressEvent"]["RequestToken"]}


def _of_greengrass(id_: str, **others: str) -> dict[str, Any]:
    kind = "ComponentVersion" if id_.startswith("arn:") else "Deployment"
    return {"TypeName": f"AWS::GreengrassV2::{kind}", "Identifier": id_, **others}


#: Arguments of the calls that the sandbox's own provider does not make.
ARGUMENTS: dict[str, Arguments] = {
    "autoscaling:DescribeScalingActivities": _named("AutoScalingGroupName"),
    "cloudcontrol:CreateResource": lambda lab, _id, _state: _component(lab),
    "cloudcontrol:GetResourceRequestStatus": lambda lab, _id, _state: _asked(lab),
    "cloudcontrol:GetResource": lambda _lab, id_, _state: _of_greengrass(id_),
    "cloudcontrol:UpdateResource": lambda _lab, id_, _state: _of_greengrass(
        id_, PatchDocument='[{"op": "add", "path": "/Tags", "value": {"Stack": "a", "Owner": "b"}}]'
    ),
    "cloudcontrol:DeleteResource": lambda _lab, _id, _state: _of_greengrass("none"),
    "ec2:CreateSnapshot": _named("VolumeId"),
    "ec2:DescribeSnapshots": lambda _lab, id_, _state: {"Filters": [{"Name": "volume-id", "Values": [id_]}]},
    "ec2:DescribeVolumesModifications": lambda lab, id_, _state: _modified(lab, id_),
    "ec2:ModifyLaunchTemplate": lambda _lab, id_, _state: {"LaunchTemplateId": id_, "DefaultVersion": "1"},
    "ec2:ReplaceRoute": lambda _lab, id_, state: {
        "RouteTableId": id_,
        "DestinationCidrBlock": state["routes"][0]["cidrBlock"],
        "GatewayId": state["routes"][0]["gatewayId"],
    },
    "ec2:DescribeNetworkInterfaces": lambda _lab, id_, _state: {
        "Filters": [{"Name": "group-id" if id_.startswith("sg-") else "subnet-id", "Values": [id_]}]
    },
    "ec2:DescribeNetworkAcls": lambda _lab, id_, _state: _default_of(id_, "default"),
    "ec2:DescribeRouteTables": lambda _lab, id_, _state: _default_of(id_, "association.main"),
    "ec2:DescribeSecurityGroups": lambda _lab, id_, _state: {
        "Filters": [{"Name": "vpc-id", "Values": [id_]}, {"Name": "group-name", "Values": ["default"]}]
    },
    "glue:GetPartitionIndexes": lambda _lab, _id, state: {
        "DatabaseName": state["databaseName"],
        "TableName": state["name"],
    },
    "firehose:StartDeliveryStreamEncryption": lambda _lab, _id, state: {
        "DeliveryStreamName": state["name"],
        "DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"},
    },
    "iam:ListRoleTags": _named("RoleName"),
    "iam:UpdateRoleDescription": lambda _lab, id_, state: {"RoleName": id_, "Description": state["description"]},
    "iam:PutRolePermissionsBoundary": lambda _lab, id_, state: {
        "RoleName": id_,
        "PermissionsBoundary": state["permissionsBoundary"],
    },
    "iam:RemoveRoleFromInstanceProfile": _attached_profile,
    "iot:DeletePolicyVersion": lambda lab, id_, _state: {
        "policyName": id_,
        "policyVersionId": lab.client("iot").create_policy_version(
            policyName=id_, policyDocument=allow("iot:Connect", Resource="*")
        )["policyVersionId"],
    },
    "kms:DisableKey": _named("KeyId"),
    "kms:EnableKey": _named("KeyId"),
    "lambda:GetFunctionConfiguration": _named("FunctionName"),
    "lambda:GetFunctionCodeSigningConfig": _named("FunctionName"),
    "lambda:ListVersionsByFunction": _named("FunctionName"),
    "lambda:DeleteFunctionConcurrency": _named("FunctionName"),
    "lambda:GetLayerVersion": lambda _lab, _id, state: {
        "LayerName": state["layerName"],
        "VersionNumber": int(state["version"]),
    },
    "logs:AssociateKmsKey": lambda lab, id_, _state: {"logGroupName": id_, "kmsKeyId": lab.key},
    "logs:DeleteRetentionPolicy": lambda lab, _id, _state: {
        "logGroupName": lab.make("aws:cloudwatch/logGroup:LogGroup", name=lab.name(), retentionInDays=30).id
    },
    "s3:DeleteBucketTagging": lambda lab, _id, _state: {"Bucket": lab.bucket()},
    "s3:ListObjectVersions": lambda _lab, _id, state: {"Bucket": state["bucket"]},
    "s3:PutObjectTagging": lambda _lab, _id, state: {
        "Bucket": state["bucket"],
        "Key": state["key"],
        "Tagging": {"TagSet": [{"Key": key, "Value": value} for key, value in state["tags"].items()]},
    },
    "stepfunctions:ListStateMachineVersions": _named("stateMachineArn"),
    "stepfunctions:ValidateStateMachineDefinition": lambda _lab, _id, state: {
        "definition": state["definition"],
        "type": state["type"],
    },
}
ARGUMENTS |= {
    f"s3:{operation}": _named("Bucket")
    for operation in CALLS["aws:s3/bucket:Bucket"].read.split()
    if f"s3:{operation}" not in ARGUMENTS
}


def _default_of(network: str, what: str) -> dict[str, Any]:
    return {"Filters": [{"Name": "vpc-id", "Values": [network]}, {"Name": what, "Values": ["true"]}]}


def _modified(lab: Lab, volume: str) -> dict[str, Any]:
    lab.client("ec2").modify_volume(VolumeId=volume, Size=8)
    return {"VolumeIds": [volume]}


class Wait(NamedTuple):
    """A provider's wait for a state, looking again and again.

    Attributes:
        operation: Operation, as `service:Operation`.
        arguments: What it is asked with.
        path: JMESPath of what is looked at in the answer.
        targets: Values of which one ends it.
    """

    operation: str
    arguments: Arguments
    path: str
    targets: tuple[Any, ...]


#: After a resource is made, and after it is changed.
SETTLED: dict[str, tuple[Wait, ...]] = {
    "aws:dynamodb/table:Table": (
        Wait("dynamodb:DescribeTable", _named("TableName"), "Table.TableStatus", ("ACTIVE",)),
        Wait(
            "dynamodb:DescribeContinuousBackups",
            _named("TableName"),
            "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus",
            ("ENABLED", "DISABLED"),
        ),
        Wait(
            "dynamodb:DescribeTimeToLive",
            _named("TableName"),
            "TimeToLiveDescription.TimeToLiveStatus",
            ("ENABLED", "DISABLED"),
        ),
    ),
    "aws:ebs/volume:Volume": (
        Wait("ec2:DescribeVolumes", lambda _lab, id_, _state: {"VolumeIds": [id_]}, "Volumes[0].State", ("available",)),
        Wait(
            "ec2:DescribeVolumesModifications",
            lambda lab, id_, _state: _modified(lab, id_),
            "VolumesModifications[0].ModificationState",
            ("completed", "optimizing"),
        ),
    ),
    "aws:ec2/internetGateway:InternetGateway": (
        Wait(
            "ec2:DescribeInternetGateways",
            lambda _lab, id_, _state: {"InternetGatewayIds": [id_]},
            "InternetGateways[0].Attachments[0].State",
            ("available", "attached"),
        ),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (
        Wait(
            "ec2:DescribeRouteTables",
            lambda _lab, _id, state: {"RouteTableIds": [state["routeTableId"]]},
            "RouteTables[0].Associations[?!Main] | [0].AssociationState.State",
            ("associated",),
        ),
    ),
    "aws:ec2/subnet:Subnet": (
        Wait("ec2:DescribeSubnets", lambda _lab, id_, _state: {"SubnetIds": [id_]}, "Subnets[0].State", ("available",)),
    ),
    "aws:ec2/vpc:Vpc": (
        Wait("ec2:DescribeVpcs", lambda _lab, id_, _state: {"VpcIds": [id_]}, "Vpcs[0].State", ("available",)),
    ),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        Wait(
            "firehose:DescribeDeliveryStream",
            lambda _lab, _id, state: {"DeliveryStreamName": state["name"]},
            "DeliveryStreamDescription.DeliveryStreamStatus",
            ("ACTIVE",),
        ),
        Wait(
            "firehose:DescribeDeliveryStream",
            lambda _lab, _id, state: {"DeliveryStreamName": state["name"]},
            "DeliveryStreamDescription.DeliveryStreamEncryptionConfiguration.Status",
            ("ENABLED", "DISABLED"),
        ),
    ),
    "aws:kms/key:Key": (Wait("kms:DescribeKey", _named("KeyId"), "KeyMetadata.KeyState", ("Enabled",)),),
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        Wait("lambda:GetEventSourceMapping", _named("UUID"), "State", ("Enabled", "Disabled")),
    ),
    "aws:lambda/function:Function": (
        Wait("lambda:GetFunction", _named("FunctionName"), "Configuration.State", ("Active",)),
        Wait("lambda:GetFunction", _named("FunctionName"), "Configuration.LastUpdateStatus", ("Successful",)),
    ),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": (
        Wait(
            "sagemaker:DescribeModelPackageGroup",
            _named("ModelPackageGroupName"),
            "ModelPackageGroupStatus",
            ("Completed",),
        ),
    ),
    "aws:sagemaker/notebookInstance:NotebookInstance": (
        Wait(
            "sagemaker:DescribeNotebookInstance",
            _named("NotebookInstanceName"),
            "NotebookInstanceStatus",
            ("InService",),
        ),
    ),
    "aws:scheduler/scheduleGroup:ScheduleGroup": (
        Wait("scheduler:GetScheduleGroup", _named("Name"), "State", ("ACTIVE",)),
    ),
    "aws:sfn/stateMachine:StateMachine": (
        Wait("stepfunctions:DescribeStateMachine", _named("stateMachineArn"), "status", ("ACTIVE",)),
    ),
    "aws:sns/topicSubscription:TopicSubscription": (
        Wait("sns:GetSubscriptionAttributes", _named("SubscriptionArn"), "Attributes.PendingConfirmation", ("false",)),
    ),
    "aws:sqs/queue:Queue": (
        Wait(
            "sqs:GetQueueAttributes",
            lambda _lab, id_, _state: {"QueueUrl": id_, "AttributeNames": ["All"]},
            "Attributes.VisibilityTimeout",
            ("60", "90"),
        ),
    ),
}

ABSENT = "absent"
"""Stand-in for a description that is an error, since the resource is not there."""
#: After a resource is deleted: until its description is an error that says it is not there, or has such a value.
GONE: dict[str, Wait] = {
    token: waits[0]._replace(targets=(ABSENT,))
    for token, waits in SETTLED.items()
    if token not in ("aws:ec2/routeTableAssociation:RouteTableAssociation", "aws:kms/key:Key")
} | {
    "aws:kms/key:Key": SETTLED["aws:kms/key:Key"][0]._replace(targets=("PendingDeletion",)),
    "aws:autoscaling/group:Group": Wait(
        "autoscaling:DescribeAutoScalingGroups",
        lambda _lab, id_, _state: {"AutoScalingGroupNames": [id_]},
        "length(AutoScalingGroups)",
        (0,),
    ),
}
