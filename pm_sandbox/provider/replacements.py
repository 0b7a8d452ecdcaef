"""The inputs of which a change makes the resource anew, by type, as the real providers have it.

Those of `aws` are the attributes with `ForceNew` (or a plan modifier `RequiresReplace`) in the Terraform provider that
it wraps; each has its file, below `internal/service/` of https://github.com/hashicorp/terraform-provider-aws. Those of
`aws-native` are the `createOnlyProperties` of the type's CloudFormation schema.
"""

from typing import Any, NamedTuple

from pm_sandbox.provider.differences import same


class Replacing(NamedTuple):
    """The inputs that replace a type.

    Attributes:
        source: Where that is written.
        inputs: The inputs that do, or the paths of parts of them: `block.key`.
        name: The input that is the resource's name and that Pulumi would make up where the program gave none. Where the
            new resource keeps it, the old one is deleted first: two of one name cannot be.
        shrinking: Inputs that do where they get smaller, and are changed in place where they grow.
    """

    source: str
    inputs: frozenset[str]
    name: str | None = None
    shrinking: frozenset[str] = frozenset()

    def because(self, olds: dict[str, Any], news: dict[str, Any]) -> list[str]:
        """The paths at which these inputs make the resource anew."""
        differing = {path for path in self.inputs if not same(_at(path, olds), _at(path, news))}
        return sorted(differing | {key for key in self.shrinking if _smaller(olds.get(key), news.get(key))})

    def deletes_first(self, olds: dict[str, object], news: dict[str, object]) -> bool:
        """True if the old resource must go before the new one is made."""
        return self.name is not None and self.name in news and olds.get(self.name) == news[self.name]


def _at(path: str, values: dict[str, Any]) -> Any:
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _smaller(old: object, new: object) -> bool:
    return isinstance(old, int) and isinstance(new, int) and new < old


def _of(source: str, *inputs: str, name: str | None = None, shrinking: tuple[str, ...] = ()) -> Replacing:
    return Replacing(source, frozenset(inputs) | ({name} if name else set()), name, frozenset(shrinking))


_BUCKET = ("bucket", "expectedBucketOwner")

REPLACING: dict[str, Replacing] = {
    "aws-native:greengrassv2:ComponentVersion": _of(
        "AWS::GreengrassV2::ComponentVersion", "inlineRecipe", "lambdaFunction"
    ),
    "aws-native:greengrassv2:Deployment": _of(
        "AWS::GreengrassV2::Deployment",
        "components",
        "deploymentName",
        "deploymentPolicies",
        "iotJobConfiguration",
        "parentTargetArn",
        "targetArn",
    ),
    "aws:athena/namedQuery:NamedQuery": _of(
        "athena/named_query.go", "database", "description", "query", "workgroup", name="name"
    ),
    "aws:athena/workgroup:Workgroup": _of("athena/workgroup.go", name="name"),
    "aws:autoscaling/group:Group": _of("autoscaling/group.go", name="name"),
    "aws:autoscaling/lifecycleHook:LifecycleHook": _of("autoscaling/lifecycle_hook.go", name="name"),
    "aws:cloudwatch/dashboard:Dashboard": _of("cloudwatch/dashboard.go", "dashboardName"),
    "aws:cloudwatch/eventRule:EventRule": _of("events/rule.go", "eventBusName", name="name"),
    "aws:cloudwatch/eventTarget:EventTarget": _of("events/target.go", "eventBusName", "rule", "targetId"),
    "aws:cloudwatch/logGroup:LogGroup": _of("logs/group.go", "logGroupClass", name="name"),
    "aws:cloudwatch/logStream:LogStream": _of("logs/stream.go", "logGroupName", name="name"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _of("cloudwatch/metric_alarm.go", name="name"),
    "aws:dynamodb/table:Table": _of("dynamodb/table.go", "hashKey", "rangeKey", name="name"),
    "aws:ebs/volume:Volume": _of(
        "ec2/ebs_volume.go",
        "availabilityZone",
        "encrypted",
        "kmsKeyId",
        "multiAttachEnabled",
        "outpostArn",
        "snapshotId",
    ),
    "aws:ec2/internetGateway:InternetGateway": _of("ec2/vpc_internet_gateway.go"),
    "aws:ec2/launchTemplate:LaunchTemplate": _of("ec2/ec2_launch_template.go", name="name"),
    "aws:ec2/routeTable:RouteTable": _of("ec2/vpc_route_table.go", "vpcId"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _of("ec2/vpc_route_table_association.go", "subnetId"),
    "aws:ec2/securityGroup:SecurityGroup": _of("ec2/vpc_security_group.go", "description", "vpcId", name="name"),
    "aws:ec2/subnet:Subnet": _of("ec2/vpc_subnet.go", "availabilityZone", "cidrBlock", "vpcId"),
    "aws:ec2/vpc:Vpc": _of("ec2/vpc_.go", "cidrBlock"),
    "aws:glue/catalogDatabase:CatalogDatabase": _of("glue/catalog_database.go", "catalogId", name="name"),
    "aws:glue/catalogTable:CatalogTable": _of(
        "glue/catalog_table.go", "catalogId", "databaseName", "partitionIndices", name="name"
    ),
    "aws:iam/instanceProfile:InstanceProfile": _of("iam/instance_profile.go", "path", name="name"),
    "aws:iam/policy:Policy": _of("iam/policy.go", "description", "path", name="name"),
    "aws:iam/role:Role": _of("iam/role.go", "path", name="name"),
    "aws:iam/rolePolicy:RolePolicy": _of("iam/role_policy.go", "role", name="name"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _of("iam/role_policy_attachment.go", "policyArn", "role"),
    "aws:iot/policy:Policy": _of("iot/policy.go", name="name"),
    "aws:iot/provisioningTemplate:ProvisioningTemplate": _of("iot/provisioning_template.go", "type", name="name"),
    "aws:iot/roleAlias:RoleAlias": _of("iot/role_alias.go", "alias"),
    "aws:iot/thing:Thing": _of("iot/thing.go", name="name"),
    "aws:iot/thingGroup:ThingGroup": _of("iot/thing_group.go", "parentGroupName", name="name"),
    "aws:iot/thingGroupMembership:ThingGroupMembership": _of(
        "iot/thing_group_membership.go", "overrideDynamicGroup", "thingGroupName", "thingName"
    ),
    "aws:iot/thingType:ThingType": _of("iot/thing_type.go", "properties", name="name"),
    "aws:iot/topicRule:TopicRule": _of("iot/topic_rule.go", name="name"),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": _of(
        "firehose/delivery_stream.go",
        "destination",
        "extendedS3Configuration.dynamicPartitioningConfiguration.enabled",
        name="name",
    ),
    "aws:kms/alias:Alias": _of("kms/alias.go", name="name"),
    "aws:kms/key:Key": _of("kms/key.go", "customerMasterKeySpec", "keyUsage", "multiRegion"),
    "aws:lambda/eventSourceMapping:EventSourceMapping": _of(
        "lambda/event_source_mapping.go", "eventSourceArn", "startingPosition", "startingPositionTimestamp"
    ),
    "aws:lambda/function:Function": _of("lambda/function.go", "packageType", name="name"),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": _of(
        "lambda/function_event_invoke_config.go", "functionName", "qualifier"
    ),
    "aws:lambda/layerVersion:LayerVersion": _of(
        "lambda/layer_version.go",
        "code",
        "compatibleArchitectures",
        "compatibleRuntimes",
        "description",
        "layerName",
        "licenseInfo",
        "s3Bucket",
        "s3Key",
        "s3ObjectVersion",
        "sourceCodeHash",
    ),
    "aws:lambda/permission:Permission": _of(
        "lambda/permission.go",
        "action",
        "eventSourceToken",
        "function",
        "principal",
        "qualifier",
        "sourceAccount",
        "sourceArn",
        name="statementId",
    ),
    "aws:s3/bucket:Bucket": _of("s3/bucket.go", "objectLockEnabled", name="bucket"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of(
        "s3/bucket_lifecycle_configuration.go", *_BUCKET
    ),
    "aws:s3/bucketNotification:BucketNotification": _of("s3/bucket_notification.go", "bucket"),
    "aws:s3/bucketObjectv2:BucketObjectv2": _of("s3/object.go", "bucket", "key"),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of("s3/bucket_ownership_controls.go", "bucket"),
    "aws:s3/bucketPolicy:BucketPolicy": _of("s3/bucket_policy.go", "bucket"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of("s3/bucket_public_access_block.go", "bucket"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of(
        "s3/bucket_server_side_encryption_configuration.go", *_BUCKET
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _of("s3/bucket_versioning.go", *_BUCKET),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": _of(
        "sagemaker/model_package_group.go", "modelPackageGroupDescription", "modelPackageGroupName"
    ),
    "aws:sagemaker/notebookInstance:NotebookInstance": _of(
        "sagemaker/notebook_instance.go",
        "directInternetAccess",
        "kmsKeyId",
        "platformIdentifier",
        "securityGroups",
        "subnetId",
        name="name",
        shrinking=("volumeSize",),
    ),
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration": _of(
        "sagemaker/notebook_instance_lifecycle_configuration.go", name="name"
    ),
    "aws:scheduler/schedule:Schedule": _of("scheduler/schedule.go", "groupName", name="name"),
    "aws:scheduler/scheduleGroup:ScheduleGroup": _of("scheduler/schedule_group.go", name="name"),
    "aws:sfn/stateMachine:StateMachine": _of("sfn/state_machine.go", "type", name="name"),
    "aws:sns/topic:Topic": _of("sns/topic.go", "fifoTopic", name="name"),
    "aws:sns/topicPolicy:TopicPolicy": _of("sns/topic_policy.go", "arn"),
    "aws:sns/topicSubscription:TopicSubscription": _of("sns/topic_subscription.go", "endpoint", "protocol", "topic"),
    "aws:sqs/queue:Queue": _of("sqs/queue.go", "fifoQueue", name="name"),
    "aws:sqs/queuePolicy:QueuePolicy": _of("sqs/queue_policy.go", "queueUrl"),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": _of("sqs/queue_redrive_allow_policy.go", "queueUrl"),
    "aws:sqs/redrivePolicy:RedrivePolicy": _of("sqs/queue_redrive_policy.go", "queueUrl"),
}
