"""The inputs of each type that the tests give it a life with: made, changed in all that does not replace, deleted."""

import functools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi

from sandbox.cloud import Cloud
from sandbox.provider import Context, Made, Provider


class Lab:
    """A provider, names that no other test has, and what many types need beside them, made once.

    Attributes:
        provider: The provider's core.
        context: What its functions work with.
        prefix: The beginning of all names.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.context = Context(cloud)
        self.provider = Provider(self.context)
        self.prefix = f"t{uuid.uuid4().hex[:10]}"

    def name(self, suffix: str = "") -> str:
        return f"{self.prefix}-{suffix or uuid.uuid4().hex[:6]}"

    def make(self, token: str, **inputs: Any) -> Made:
        return self.provider.create(token, inputs)

    def client(self, service: str) -> Any:
        return self.context.client(service)

    def bucket(self) -> str:
        """A bucket of the caller's own."""
        return self.make("aws:s3/bucket:Bucket", bucket=self.name()).id

    @functools.cached_property
    def role(self) -> str:
        """ARN of a role that all services may assume and that may do all."""
        services = [f"{name}.amazonaws.com" for name in ("lambda", "iot", "scheduler", "states", "firehose", "events")]
        trust = allow("sts:AssumeRole", Principal={"Service": services})
        name = self.name("any")
        arn: str = self.make("aws:iam/role:Role", name=name, assumeRolePolicy=trust).outputs["arn"]
        self.make("aws:iam/rolePolicy:RolePolicy", role=name, name="all", policy=allow("*", Resource="*"))
        return arn

    @functools.cached_property
    def key(self) -> str:
        """ARN of a key, with the policy that gives it to the account and its services."""
        everybody = allow("kms:*", Principal={"AWS": "*", "Service": "logs.eu-central-1.amazonaws.com"}, Resource="*")
        arn: str = self.make("aws:kms/key:Key", policy=everybody).outputs["arn"]
        return arn

    def queue(self) -> Made:
        return self.make("aws:sqs/queue:Queue", name=self.name())

    @functools.cached_property
    def topic(self) -> str:
        """ARN of a topic."""
        return self.make("aws:sns/topic:Topic", name=self.name("topic")).id

    @functools.cached_property
    def function(self) -> str:
        """Name of a function."""
        return self.make("aws:lambda/function:Function", **function(self.name("function"), self.role)).id

    def thing(self) -> str:
        return self.make("aws:iot/thing:Thing", name=self.name()).id

    def thing_group(self) -> Made:
        return self.make("aws:iot/thingGroup:ThingGroup", name=self.name())


@dataclass(frozen=True)
class Life:
    """The life of a resource.

    Attributes:
        inputs: What it is made of.
        changes: One input after the other that is set to another value; None takes it away.
        untold: The inputs that the cloud does not tell.
        left: What reading tells after the deletion, of a setting that something else always has; else it is gone.
    """

    inputs: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    left: dict[str, Any] | None = None


LIVES: dict[str, Callable[[Lab], Life]] = {}
TAGS, OTHER_TAGS = {"Stack": "a", "Owner": "b"}, {"Stack": "c", "Tier": "dev"}


def life(token: str) -> Callable[[Callable[[Lab], Life]], Callable[[Lab], Life]]:
    def register(function_: Callable[[Lab], Life]) -> Callable[[Lab], Life]:
        LIVES[token] = function_
        return function_

    return register


def allow(action: str, **others: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **others}]})


def code(text: str) -> pulumi.Archive:
    return pulumi.AssetArchive({"handler.py": pulumi.StringAsset(text)})


def function(name: str, role: str, **others: Any) -> dict[str, Any]:
    source = code("def handle(event, context):\n    return 1\n")
    return {"name": name, "role": role, "runtime": "python3.11", "handler": "handler.handle", "code": source, **others}


# S3


@life("aws:s3/bucket:Bucket")
def _bucket(lab: Lab) -> Life:
    return Life(
        {"bucket": lab.name(), "tags": TAGS, "forceDestroy": False},
        {"tags": OTHER_TAGS, "forceDestroy": True},
        frozenset({"forceDestroy"}),
    )


@life("aws:s3/bucketVersioning:BucketVersioning")
def _versioning(lab: Lab) -> Life:
    name = lab.bucket()
    suspended = {"status": "Suspended"}
    return Life(
        {"bucket": name, "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": suspended},
        left={"bucket": name, "versioningConfiguration": suspended},
    )


@life("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def _encryption(lab: Lab) -> Life:
    def rules(**default: Any) -> list[dict[str, Any]]:
        return [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}]

    name = lab.bucket()
    of_all = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}]
    return Life(
        {"bucket": name, "rules": rules(sseAlgorithm="AES256")},
        {"rules": rules(sseAlgorithm="aws:kms", kmsMasterKeyId=lab.key)},
        left={"bucket": name, "rules": of_all},
    )


@life("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def _public_access(lab: Lab) -> Life:
    names = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    return Life({"bucket": lab.bucket(), **dict.fromkeys(names, True)}, dict.fromkeys(names, False))


@life("aws:s3/bucketPolicy:BucketPolicy")
def _bucket_policy(lab: Lab) -> Life:
    name = lab.bucket()

    def policy(action: str) -> str:
        return allow(action, Principal={"AWS": lab.role}, Resource=f"arn:aws:s3:::{name}/*")

    return Life({"bucket": name, "policy": policy("s3:GetObject")}, {"policy": policy("s3:PutObject")})


@life("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def _lifecycle(lab: Lab) -> Life:
    def rule(days: int) -> dict[str, Any]:
        return {
            "id": "old",
            "status": "Enabled",
            "filter": {"prefix": "a/"},
            "expiration": {"days": days},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            "noncurrentVersionExpiration": {"noncurrentDays": 30},
        }

    return Life({"bucket": lab.bucket(), "rules": [rule(5)]}, {"rules": [rule(6), {**rule(7), "id": "other"}]})


@life("aws:s3/bucketNotification:BucketNotification")
def _notification(lab: Lab) -> Life:
    name = lab.bucket()
    return Life(
        {"bucket": name, "eventbridge": True}, {"eventbridge": False}, left={"bucket": name, "eventbridge": False}
    )


@life("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def _ownership(lab: Lab) -> Life:
    return Life(
        {"bucket": lab.bucket(), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    )


@life("aws:s3/bucketObjectv2:BucketObjectv2")
def _object(lab: Lab) -> Life:
    return Life(
        {"bucket": lab.bucket(), "key": "a/b", "content": "x", "contentType": "text/plain", "tags": TAGS},
        {"tags": OTHER_TAGS, "contentType": "text/csv", "content": "y"},
        frozenset({"content"}),
    )


# DynamoDB and KMS


@life("aws:dynamodb/table:Table")
def _table(lab: Lab) -> Life:
    return Life(
        {
            "name": lab.name(),
            "hashKey": "id",
            "rangeKey": "at",
            "attributes": [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}],
            "billingMode": "PAY_PER_REQUEST",
            "ttl": {"attributeName": "expires", "enabled": True},
            "pointInTimeRecovery": {"enabled": True},
            "deletionProtectionEnabled": True,
            "serverSideEncryption": {"enabled": True, "kmsKeyArn": lab.key},
            "tags": TAGS,
        },
        {
            "tags": OTHER_TAGS,
            "deletionProtectionEnabled": False,
            "pointInTimeRecovery": {"enabled": False},
            "ttl": {"attributeName": "expires", "enabled": False},
            "serverSideEncryption": {"enabled": False},
            "tableClass": "STANDARD_INFREQUENT_ACCESS",
        },
    )


@life("aws:kms/key:Key")
def _key(lab: Lab) -> Life:
    def policy(sid: str) -> str:
        return allow("kms:*", Sid=sid, Principal={"AWS": "arn:aws:iam::000000000000:root"}, Resource="*")

    return Life(
        {
            "description": "a",
            "policy": policy("a"),
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "tags": TAGS,
        },
        {
            "description": "b",
            "policy": policy("b"),
            "enableKeyRotation": False,
            "deletionWindowInDays": 8,
            "tags": OTHER_TAGS,
        },
        frozenset({"deletionWindowInDays"}),
    )


@life("aws:kms/alias:Alias")
def _alias(lab: Lab) -> Life:
    one, other = (lab.make("aws:kms/key:Key").id for _ in range(2))
    return Life({"name": f"alias/{lab.name()}", "targetKeyId": one}, {"targetKeyId": other})


# SNS and SQS


@life("aws:sns/topic:Topic")
def _topic(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "displayName": "a", "kmsMasterKeyId": lab.key, "tags": TAGS},
        {"displayName": "b", "kmsMasterKeyId": None, "tags": OTHER_TAGS},
    )


def _publish(lab: Lab, topic: str, sid: str) -> str:
    return allow("sns:Publish", Sid=sid, Principal={"AWS": lab.role}, Resource=topic)


@life("aws:sns/topicPolicy:TopicPolicy")
def _topic_policy(lab: Lab) -> Life:
    arn = lab.make("aws:sns/topic:Topic", name=lab.name()).id
    owner = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            "SNS:GetTopicAttributes",
            "SNS:SetTopicAttributes",
            "SNS:AddPermission",
            "SNS:RemovePermission",
            "SNS:DeleteTopic",
            "SNS:Subscribe",
            "SNS:ListSubscriptionsByTopic",
            "SNS:Publish",
        ],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": "000000000000"}},
    }
    policy = json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [owner]})
    return Life(
        {"arn": arn, "policy": _publish(lab, arn, "a")},
        {"policy": _publish(lab, arn, "b")},
        left={"arn": arn, "policy": policy},
    )


@life("aws:sns/topicSubscription:TopicSubscription")
def _subscription(lab: Lab) -> Life:
    def filtered(kind: str) -> str:
        return json.dumps({"kind": [kind]})

    return Life(
        {
            "topic": lab.topic,
            "protocol": "sqs",
            "endpoint": lab.queue().outputs["arn"],
            "rawMessageDelivery": True,
            "filterPolicy": filtered("a"),
        },
        {"rawMessageDelivery": False, "filterPolicy": filtered("b")},
    )


@life("aws:sqs/queue:Queue")
def _queue(lab: Lab) -> Life:
    def redrive(count: int) -> str:
        return json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": count})

    dead = lab.queue().outputs["arn"]
    return Life(
        {
            "name": lab.name(),
            "delaySeconds": 1,
            "messageRetentionSeconds": 600,
            "visibilityTimeoutSeconds": 60,
            "sqsManagedSseEnabled": True,
            "redrivePolicy": redrive(3),
            "tags": TAGS,
        },
        {
            "delaySeconds": None,
            "messageRetentionSeconds": 700,
            "visibilityTimeoutSeconds": 90,
            "sqsManagedSseEnabled": False,
            "redrivePolicy": redrive(4),
            "tags": OTHER_TAGS,
        },
    )


@life("aws:sqs/queuePolicy:QueuePolicy")
def _queue_policy(lab: Lab) -> Life:
    queue = lab.queue()

    def policy(sid: str) -> str:
        return allow("sqs:SendMessage", Sid=sid, Principal={"AWS": lab.role}, Resource=queue.outputs["arn"])

    return Life({"queueUrl": queue.id, "policy": policy("a")}, {"policy": policy("b")})


@life("aws:sqs/redrivePolicy:RedrivePolicy")
def _redrive(lab: Lab) -> Life:
    def policy(count: int) -> str:
        return json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": count})

    dead = lab.queue().outputs["arn"]
    return Life({"queueUrl": lab.queue().id, "redrivePolicy": policy(3)}, {"redrivePolicy": policy(4)})


@life("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")
def _redrive_allow(lab: Lab) -> Life:
    def policy() -> str:
        return json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [lab.queue().outputs["arn"]]})

    return Life({"queueUrl": lab.queue().id, "redriveAllowPolicy": policy()}, {"redriveAllowPolicy": policy()})


# IoT and Greengrass


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


# IAM


@life("aws:iam/role:Role")
def _role(lab: Lab) -> Life:
    def trust(service: str) -> str:
        return allow("sts:AssumeRole", Principal={"Service": f"{service}.amazonaws.com"})

    def inline(action: str) -> list[dict[str, str]]:
        return [{"name": action.replace(":", "-"), "policy": allow(action, Resource="*")}]

    one, other = (
        lab.make("aws:iam/policy:Policy", name=lab.name(), policy=allow("s3:GetObject", Resource="*")).id
        for _ in range(2)
    )
    return Life(
        {
            "name": lab.name(),
            "assumeRolePolicy": trust("lambda"),
            "description": "a",
            "maxSessionDuration": 3600,
            "permissionsBoundary": one,
            "inlinePolicies": inline("s3:GetObject"),
            "managedPolicyArns": [one],
            "forceDetachPolicies": False,
            "tags": TAGS,
        },
        {
            "assumeRolePolicy": trust("states"),
            "description": "b",
            "maxSessionDuration": 7200,
            "permissionsBoundary": None,
            "inlinePolicies": inline("s3:PutObject"),
            "managedPolicyArns": [other],
            "forceDetachPolicies": True,
            "tags": OTHER_TAGS,
        },
        frozenset({"forceDetachPolicies"}),
    )


@life("aws:iam/rolePolicy:RolePolicy")
def _role_policy(lab: Lab) -> Life:
    role = lab.role.rsplit("/", 1)[-1]
    return Life(
        {"role": role, "name": lab.name(), "policy": allow("s3:GetObject", Resource="*")},
        {"policy": allow("s3:PutObject", Resource="*")},
    )


@life("aws:iam/policy:Policy")
def _policy(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "description": "a", "policy": allow("s3:GetObject", Resource="*"), "tags": TAGS},
        {"policy": allow("s3:PutObject", Resource="*"), "tags": OTHER_TAGS},
    )


@life("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def _attachment(lab: Lab) -> Life:
    policy = lab.make("aws:iam/policy:Policy", name=lab.name(), policy=allow("s3:GetObject", Resource="*")).id
    return Life({"role": lab.role.rsplit("/", 1)[-1], "policyArn": policy})


@life("aws:iam/instanceProfile:InstanceProfile")
def _profile(lab: Lab) -> Life:
    trust = allow("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
    one, other = (lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust).id for _ in range(2))
    return Life({"name": lab.name(), "role": one, "tags": TAGS}, {"role": other, "tags": OTHER_TAGS})


# Lambda


@life("aws:lambda/function:Function")
def _function(lab: Lab) -> Life:
    trust = allow("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
    other = lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust).outputs["arn"]
    layer = lab.make("aws:lambda/layerVersion:LayerVersion", layerName=lab.name(), code=code("x = 1\n")).id
    return Life(
        function(
            lab.name(),
            lab.role,
            architectures=["x86_64"],
            description="a",
            environment={"variables": {"A": "1"}},
            layers=[],
            memorySize=128,
            timeout=5,
            tags=TAGS,
        ),
        {
            "role": other,
            "description": "b",
            "environment": {"variables": {"B": "2"}},
            "layers": [layer],
            "memorySize": 256,
            "timeout": None,
            "handler": "handler.other",
            "runtime": "python3.12",
            "code": code("def other(event, context):\n    return 2\n"),
            "architectures": ["arm64"],
            "reservedConcurrentExecutions": 2,
            "tags": OTHER_TAGS,
        },
        frozenset({"code"}),
    )


@life("aws:lambda/layerVersion:LayerVersion")
def _layer(lab: Lab) -> Life:
    return Life(
        {
            "layerName": lab.name(),
            "code": code("x = 1\n"),
            "compatibleArchitectures": ["x86_64"],
            "compatibleRuntimes": ["python3.11"],
        },
        untold=frozenset({"code"}),
    )


@life("aws:lambda/permission:Permission")
def _permission(lab: Lab) -> Life:
    return Life(
        {
            "function": lab.function,
            "statementId": lab.name(),
            "action": "lambda:InvokeFunction",
            "principal": "events.amazonaws.com",
            "sourceAccount": "000000000000",
            "sourceArn": lab.context.arn("events", "rule/a"),
        }
    )


@life("aws:lambda/eventSourceMapping:EventSourceMapping")
def _mapping(lab: Lab) -> Life:
    other = lab.make("aws:lambda/function:Function", **function(lab.name(), lab.role)).outputs["arn"]
    return Life(
        {
            "eventSourceArn": lab.queue().outputs["arn"],
            "functionName": lab.function,
            "batchSize": 5,
            "enabled": False,
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "maximumBatchingWindowInSeconds": 0,
            "scalingConfig": {"maximumConcurrency": 2},
            "tags": TAGS,
        },
        {
            "functionName": other,
            "batchSize": 6,
            "functionResponseTypes": [],
            "maximumBatchingWindowInSeconds": 1,
            "scalingConfig": {"maximumConcurrency": 3},
            "enabled": True,
            "tags": OTHER_TAGS,
        },
    )


@life("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def _invoke_config(lab: Lab) -> Life:
    return Life({"functionName": lab.function, "maximumRetryAttempts": 1}, {"maximumRetryAttempts": 2})


# CloudWatch


@life("aws:cloudwatch/logGroup:LogGroup")
def _log_group(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "retentionInDays": 30, "kmsKeyId": lab.key, "tags": TAGS},
        {"retentionInDays": 60, "kmsKeyId": None, "tags": OTHER_TAGS},
    )


@life("aws:cloudwatch/logStream:LogStream")
def _log_stream(lab: Lab) -> Life:
    group = lab.make("aws:cloudwatch/logGroup:LogGroup", name=lab.name()).id
    return Life({"logGroupName": group, "name": "a"})


@life("aws:cloudwatch/metricAlarm:MetricAlarm")
def _alarm(lab: Lab) -> Life:
    return Life(
        {
            "name": lab.name(),
            "actionsEnabled": True,
            "alarmActions": [lab.topic],
            "alarmDescription": "a",
            "comparisonOperator": "GreaterThanThreshold",
            "dimensions": {"QueueName": "q"},
            "evaluationPeriods": 1,
            "metricName": "NumberOfMessagesSent",
            "namespace": "AWS/SQS",
            "period": 300,
            "statistic": "Sum",
            "threshold": 1,
            "treatMissingData": "notBreaching",
            "okActions": [lab.topic],
            "tags": TAGS,
        },
        {
            "actionsEnabled": False,
            "alarmActions": [],
            "alarmDescription": "b",
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "dimensions": {"QueueName": "r"},
            "evaluationPeriods": 3,
            "datapointsToAlarm": 2,
            "metricName": "NumberOfMessagesReceived",
            "namespace": "pm",
            "period": 60,
            "statistic": "Maximum",
            "threshold": 2.5,
            "treatMissingData": "breaching",
            "okActions": None,
            "tags": OTHER_TAGS,
        },
    )


@life("aws:cloudwatch/dashboard:Dashboard")
def _dashboard(lab: Lab) -> Life:
    def body(text: str) -> str:
        widget = {"type": "text", "x": 0, "y": 0, "width": 6, "height": 6, "properties": {"markdown": text}}
        return json.dumps({"widgets": [widget]})

    return Life({"dashboardName": lab.name(), "dashboardBody": body("a")}, {"dashboardBody": body("b")})


# EventBridge and Scheduler


@life("aws:cloudwatch/eventRule:EventRule")
def _rule(lab: Lab) -> Life:
    def pattern(source: str) -> str:
        return json.dumps({"source": [source]})

    return Life(
        {"name": lab.name(), "description": "a", "eventPattern": pattern("aws.s3"), "state": "ENABLED", "tags": TAGS},
        {"description": "b", "eventPattern": pattern("aws.sqs"), "state": "DISABLED", "tags": OTHER_TAGS},
    )


@life("aws:cloudwatch/eventTarget:EventTarget")
def _target(lab: Lab) -> Life:
    rule = lab.make("aws:cloudwatch/eventRule:EventRule", name=lab.name(), scheduleExpression="rate(1 day)").id
    arns = [lab.queue().outputs["arn"] for _ in range(4)]
    return Life(
        {"rule": rule, "targetId": "a", "arn": arns[0], "deadLetterConfig": {"arn": arns[1]}},
        {"arn": arns[2], "deadLetterConfig": {"arn": arns[3]}},
    )


@life("aws:scheduler/scheduleGroup:ScheduleGroup")
def _schedule_group(lab: Lab) -> Life:
    return Life({"name": lab.name(), "tags": TAGS}, {"tags": OTHER_TAGS})


@life("aws:scheduler/schedule:Schedule")
def _schedule(lab: Lab) -> Life:
    def target() -> dict[str, Any]:
        arn = lab.queue().outputs["arn"]
        retries = {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 5}
        return {
            "arn": arn,
            "roleArn": lab.role,
            "input": "{}",
            "retryPolicy": retries,
            "deadLetterConfig": {"arn": arn},
        }

    return Life(
        {
            "name": lab.name(),
            "description": "a",
            "flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 60},
            "scheduleExpression": "rate(7 days)",
            "state": "DISABLED",
            "target": target(),
        },
        {
            "description": "b",
            "flexibleTimeWindow": {"mode": "OFF"},
            "scheduleExpression": "rate(8 days)",
            "state": "ENABLED",
            "target": target(),
        },
    )


# Step Functions and SageMaker


@life("aws:sfn/stateMachine:StateMachine")
def _state_machine(lab: Lab) -> Life:
    def definition(state: str) -> str:
        return json.dumps({"StartAt": state, "States": {state: {"Type": "Pass", "End": True}}})

    trust = allow("sts:AssumeRole", Principal={"Service": "states.amazonaws.com"})
    other = lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust)
    lab.make("aws:iam/rolePolicy:RolePolicy", role=other.id, name="all", policy=allow("*", Resource="*"))
    group = lab.make("aws:cloudwatch/logGroup:LogGroup", name=lab.name()).outputs["arn"]

    def logging(level: str) -> dict[str, Any]:
        return {"level": level, "includeExecutionData": False, "logDestination": f"{group}:*"}

    return Life(
        {
            "name": lab.name(),
            "type": "STANDARD",
            "definition": definition("A"),
            "roleArn": lab.role,
            "loggingConfiguration": logging("ERROR"),
            "tags": TAGS,
        },
        {
            "definition": definition("B"),
            "roleArn": other.outputs["arn"],
            "loggingConfiguration": logging("ALL"),
            "tags": OTHER_TAGS,
        },
    )


@life("aws:sagemaker/modelPackageGroup:ModelPackageGroup")
def _model_group(lab: Lab) -> Life:
    return Life(
        {"modelPackageGroupName": lab.name(), "modelPackageGroupDescription": "a", "tags": TAGS}, {"tags": OTHER_TAGS}
    )


# Glue, Athena and Firehose


@life("aws:glue/catalogDatabase:CatalogDatabase")
def _database(lab: Lab) -> Life:
    return Life(
        {"name": lab.name().replace("-", "_"), "description": "a", "tags": TAGS},
        {"description": "b", "tags": OTHER_TAGS},
    )


def _catalog_table(lab: Lab, database: str, name: str) -> dict[str, Any]:
    serialization = {"serializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}
    return {
        "databaseName": database,
        "name": name,
        "tableType": "EXTERNAL_TABLE",
        "description": "a",
        "parameters": {"classification": "parquet", "projection.enabled": "true"},
        "partitionKeys": [{"name": "site", "type": "string"}, {"name": "ingest_day", "type": "string"}],
        "storageDescriptor": {
            "columns": [{"name": "message_id", "type": "string", "comment": "c"}],
            "location": "s3://bucket/reading/",
            "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "serDeInfo": serialization,
        },
    }


@life("aws:glue/catalogTable:CatalogTable")
def _glue_table(lab: Lab) -> Life:
    database = lab.name().replace("-", "_")
    lab.make("aws:glue/catalogDatabase:CatalogDatabase", name=database)
    inputs = _catalog_table(lab, database, "reading")
    columns = [*inputs["storageDescriptor"]["columns"], {"name": "value", "type": "double"}]
    return Life(
        inputs,
        {
            "description": "b",
            "parameters": {"classification": "parquet", "projection.enabled": "false"},
            "partitionKeys": inputs["partitionKeys"][:1],
            "storageDescriptor": {**inputs["storageDescriptor"], "columns": columns},
            "tableType": "VIRTUAL_VIEW",
        },
    )


@life("aws:athena/workgroup:Workgroup")
def _workgroup(lab: Lab) -> Life:
    def configuration(limit: int, place: str) -> dict[str, Any]:
        return {
            "bytesScannedCutoffPerQuery": limit,
            "enforceWorkgroupConfiguration": True,
            "publishCloudwatchMetricsEnabled": limit == 10_485_760,
            "engineVersion": {"selectedEngineVersion": "Athena engine version 3"},
            "resultConfiguration": {
                "outputLocation": f"s3://bucket/{place}/",
                "encryptionConfiguration": {"encryptionOption": "SSE_S3"},
            },
        }

    return Life(
        {
            "name": lab.name(),
            "description": "a",
            "forceDestroy": False,
            "configuration": configuration(10_485_760, "a"),
            "tags": TAGS,
        },
        {
            "description": "b",
            "forceDestroy": True,
            "configuration": configuration(20_000_000, "b"),
            "state": "DISABLED",
            "tags": OTHER_TAGS,
        },
        frozenset({"forceDestroy"}),
    )


@life("aws:athena/namedQuery:NamedQuery")
def _named_query(lab: Lab) -> Life:
    group = lab.make("aws:athena/workgroup:Workgroup", name=lab.name()).id
    return Life({"name": "a", "database": "d", "query": "SELECT 1", "description": "b", "workgroup": group})


@life("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def _stream(lab: Lab) -> Life:
    database = lab.name().replace("-", "_")
    lab.make("aws:glue/catalogDatabase:CatalogDatabase", name=database)
    lab.make("aws:glue/catalogTable:CatalogTable", **_catalog_table(lab, database, "reading"))
    query = [
        {"parameterName": "JsonParsingEngine", "parameterValue": "JQ-1.6"},
        {"parameterName": "MetadataExtractionQuery", "parameterValue": "{site:.site}"},
    ]

    def destination(prefix: str, seconds: int) -> dict[str, Any]:
        return {
            "bucketArn": bucket,
            "roleArn": lab.role,
            "prefix": f"{prefix}/site=!{{partitionKeyFromQuery:site}}/ingest_day=!{{timestamp:yyyy-MM-dd}}/",
            "errorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
            "bufferingSize": 64,
            "bufferingInterval": seconds,
            "cloudwatchLoggingOptions": {"enabled": True, "logGroupName": group, "logStreamName": "s"},
            "dynamicPartitioningConfiguration": {"enabled": True},
            "processingConfiguration": {
                "enabled": True,
                "processors": [{"type": "MetadataExtraction", "parameters": query}],
            },
            "dataFormatConversionConfiguration": {
                "enabled": True,
                "inputFormatConfiguration": {"deserializer": {"openXJsonSerDe": {}}},
                "outputFormatConfiguration": {"serializer": {"parquetSerDe": {"compression": "SNAPPY"}}},
                "schemaConfiguration": {"roleArn": lab.role, "databaseName": database, "tableName": "reading"},
            },
        }

    bucket = f"arn:aws:s3:::{lab.bucket()}"
    group = lab.make("aws:cloudwatch/logGroup:LogGroup", name=lab.name()).id
    lab.make("aws:cloudwatch/logStream:LogStream", logGroupName=group, name="s")
    return Life(
        {
            "name": lab.name(),
            "destination": "extended_s3",
            "extendedS3Configuration": destination("a", 60),
            "serverSideEncryption": {"enabled": True, "keyType": "AWS_OWNED_CMK"},
            "tags": TAGS,
        },
        {
            "extendedS3Configuration": destination("b", 90),
            "serverSideEncryption": {"enabled": False},
            "tags": OTHER_TAGS,
        },
    )


# EC2 and Auto Scaling


def _network(lab: Lab) -> str:
    return lab.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16").id


def _part(lab: Lab, network: str, block: str = "10.0.0.0/24") -> str:
    return lab.make("aws:ec2/subnet:Subnet", vpcId=network, cidrBlock=block).id


def _image(lab: Lab) -> str:
    image: str = lab.client("ec2").describe_images()["Images"][0]["ImageId"]
    return image


@life("aws:ec2/vpc:Vpc")
def _vpc(lab: Lab) -> Life:
    return Life(
        {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True, "tags": TAGS},
        {"enableDnsSupport": False, "enableDnsHostnames": False, "tags": OTHER_TAGS},
    )


@life("aws:ec2/internetGateway:InternetGateway")
def _gateway(lab: Lab) -> Life:
    return Life({"vpcId": _network(lab), "tags": TAGS}, {"vpcId": _network(lab), "tags": OTHER_TAGS})


@life("aws:ec2/subnet:Subnet")
def _subnet(lab: Lab) -> Life:
    return Life(
        {"vpcId": _network(lab), "cidrBlock": "10.0.1.0/24", "mapPublicIpOnLaunch": True, "tags": TAGS},
        {"mapPublicIpOnLaunch": False, "tags": OTHER_TAGS},
    )


@life("aws:ec2/routeTable:RouteTable")
def _routes(lab: Lab) -> Life:
    network = _network(lab)
    gateway = lab.make("aws:ec2/internetGateway:InternetGateway", vpcId=network).id

    def routes(block: str) -> list[dict[str, str]]:
        return [{"cidrBlock": block, "gatewayId": gateway}]

    return Life(
        {"vpcId": network, "routes": routes("0.0.0.0/0"), "tags": TAGS},
        {"routes": routes("192.168.0.0/16"), "tags": OTHER_TAGS},
    )


@life("aws:ec2/routeTableAssociation:RouteTableAssociation")
def _route_association(lab: Lab) -> Life:
    network = _network(lab)
    one, other = (lab.make("aws:ec2/routeTable:RouteTable", vpcId=network).id for _ in range(2))
    return Life({"subnetId": _part(lab, network), "routeTableId": one}, {"routeTableId": other})


@life("aws:ec2/securityGroup:SecurityGroup")
def _firewall(lab: Lab) -> Life:
    def rules(port: int) -> list[dict[str, Any]]:
        rule = {"protocol": "tcp", "fromPort": port, "toPort": port, "cidrBlocks": ["0.0.0.0/0"], "description": "a"}
        return [rule]

    return Life(
        {
            "name": lab.name(),
            "description": "a",
            "vpcId": _network(lab),
            "egress": rules(443),
            "ingress": rules(8883),
            "tags": TAGS,
        },
        {"egress": rules(8443), "ingress": [], "tags": OTHER_TAGS},
    )


@life("aws:ec2/instance:Instance")
def _instance(lab: Lab) -> Life:
    network = _network(lab)
    firewall = lab.make("aws:ec2/securityGroup:SecurityGroup", name=lab.name(), description="a", vpcId=network).id
    return Life(
        {
            "ami": _image(lab),
            "instanceType": "t3.small",
            "subnetId": _part(lab, network),
            "vpcSecurityGroupIds": [firewall],
            "tags": TAGS,
        },
        {"tags": OTHER_TAGS},
    )


@life("aws:ebs/volume:Volume")
def _volume(lab: Lab) -> Life:
    return Life(
        {"availabilityZone": "eu-central-1a", "size": 8, "type": "gp3", "encrypted": True, "tags": TAGS},
        {"size": 16, "tags": OTHER_TAGS},
    )


def _launch_template(lab: Lab) -> dict[str, Any]:
    return {
        "name": lab.name(),
        "imageId": _image(lab),
        "instanceType": "t3.small",
        "userData": "YQ==",
        "metadataOptions": {"httpTokens": "required"},
        "networkInterfaces": [{"associatePublicIpAddress": "true"}],
    }


@life("aws:ec2/launchTemplate:LaunchTemplate")
def _template_of_instances(lab: Lab) -> Life:
    return Life(
        {**_launch_template(lab), "tags": TAGS},
        {
            "instanceType": "t3.medium",
            "userData": "Yg==",
            "metadataOptions": {"httpTokens": "optional"},
            "networkInterfaces": [{"associatePublicIpAddress": "false"}],
            "tags": OTHER_TAGS,
        },
        frozenset({"networkInterfaces"}),
    )


def _group_of_instances(lab: Lab) -> dict[str, Any]:
    template = lab.make("aws:ec2/launchTemplate:LaunchTemplate", **_launch_template(lab)).id
    return {
        "name": lab.name(),
        "minSize": 0,
        "maxSize": 1,
        "desiredCapacity": 0,
        "launchTemplate": {"id": template, "version": "1"},
        "vpcZoneIdentifiers": [_part(lab, _network(lab))],
        "tags": [{"key": "Stack", "value": "a", "propagateAtLaunch": True}],
    }


@life("aws:autoscaling/group:Group")
def _group(lab: Lab) -> Life:
    other = lab.make("aws:ec2/launchTemplate:LaunchTemplate", **_launch_template(lab)).id
    return Life(
        _group_of_instances(lab),
        {
            "maxSize": 2,
            "launchTemplate": {"id": other, "version": "1"},
            "vpcZoneIdentifiers": [_part(lab, _network(lab))],
            "tags": [{"key": "Tier", "value": "dev", "propagateAtLaunch": True}],
        },
    )


@life("aws:autoscaling/lifecycleHook:LifecycleHook")
def _hook(lab: Lab) -> Life:
    group = lab.make("aws:autoscaling/group:Group", **_group_of_instances(lab)).id
    return Life(
        {
            "name": lab.name(),
            "autoscalingGroupName": group,
            "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "defaultResult": "CONTINUE",
            "heartbeatTimeout": 60,
            "notificationTargetArn": lab.queue().outputs["arn"],
            "roleArn": lab.role,
        },
        {"defaultResult": "ABANDON", "heartbeatTimeout": 90, "notificationTargetArn": lab.queue().outputs["arn"]},
        frozenset({"notificationTargetArn", "roleArn"}),
    )
