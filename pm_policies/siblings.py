"""The siblings of a type: what one service's resource is called in other versions and in the other provider.

Rules speak of the types of Pulumi's AWS Classic provider. A resource of another type is shown to them as the classic
resources that it amounts to: a bucket of AWS Native as a bucket, its public access block and its encryption. So each
rule is written once, and holds for all of them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pm_policies.inputs import at, items

Convert = Callable[[Any], Any]

BUCKET = "aws:s3/bucket:Bucket"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
PUBLIC_ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BUCKET_ACL = "aws:s3/bucketAcl:BucketAcl"


class Source(NamedTuple):
    """The place of a classic input in the sibling's inputs."""

    path: tuple[str, ...]
    convert: Convert | None = None


class Form(NamedTuple):
    """A classic resource that a resource of another type amounts to."""

    type: str
    inputs: Mapping[str, Source] = {}
    """The places of inputs of another name or place; the others have the same."""
    only_with: str = ""
    """The sibling's input that has to be set; the resource is always there where it is empty."""
    each: str = ""
    """The sibling's input with a list, of which each item is such a resource."""
    owner: str = ""
    """The classic input by which the resource names what it is a setting of: the sibling itself."""


class Inputs(Mapping[str, Any]):
    """A sibling's inputs by their classic names. Reading one that is not known yet raises UnknownValueError."""

    def __init__(self, written: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
        self._written = written
        self._sources = sources
        self._moved = {source.path[0] for source in sources.values()} - set(sources)

    def __getitem__(self, key: str) -> Any:
        source = self._sources.get(key)
        if source is None:
            if key in self._moved:
                raise KeyError(key)
            return self._written[key]
        found = at(self._written, *source.path)
        if found is None:
            raise KeyError(key)
        return source.convert(found) if source.convert else found

    def __iter__(self) -> Iterator[str]:
        written = set(self._written)
        yield from written - self._moved - set(self._sources)
        yield from (key for key, source in self._sources.items() if source.path[0] in written)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _at(*path: str, convert: Convert | None = None) -> Source:
    return Source(path, convert)


def _canned(name: Any) -> str:
    """A canned access control list as S3 spells it: `public-read` of CloudFormation's `PublicRead`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", str(name)).lower()


def _encryption_rules(rules: Any) -> list[dict[str, Any]]:
    return [
        {
            "applyServerSideEncryptionByDefault": {
                "sseAlgorithm": at(rule, "serverSideEncryptionByDefault", "sseAlgorithm")
            }
        }
        for rule in items(rules)
    ]


def _inline_policies(policies: Any) -> list[dict[str, Any]]:
    return [{"name": at(one, "policyName"), "policy": at(one, "policyDocument")} for one in items(policies)]


def _firehoses(actions: Any) -> list[Any]:
    return [action["firehose"] for action in items(actions) if at(action, "firehose") is not None]


def _disks(mappings: Any) -> list[dict[str, Any]]:
    return [{"deviceName": at(one, "deviceName"), "encrypted": at(one, "ebs", "encrypted")} for one in items(mappings)]


def _policy_of(type_: str, key: str = "policyDocument") -> Form:
    return Form(type_, {"policy": _at(key)})


#: Settings that a bucket of the classic provider may have in itself.
_OF_BUCKET = (Form(BUCKET), Form(BUCKET_POLICY, only_with="policy", owner="bucket"))

#: The forms of each type that has siblings. Sources: the schemas of pulumi-aws and pulumi-aws-native, as installed.
FORMS: Mapping[str, Sequence[Form]] = {
    # Names of pulumi-aws 6 and before, which 7 still takes.
    BUCKET: _OF_BUCKET,
    "aws:s3/bucketV2:BucketV2": _OF_BUCKET,
    "aws:s3/bucketAclV2:BucketAclV2": (Form(BUCKET_ACL),),
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": (
        Form(BUCKET_ENCRYPTION),
    ),
    # AWS Native, which has CloudFormation's names.
    "aws-native:s3:Bucket": (
        Form(BUCKET, {"bucket": _at("bucketName"), "acl": _at("accessControl", convert=_canned)}),
        Form(
            PUBLIC_ACCESS_BLOCK,
            {
                flag: _at("publicAccessBlockConfiguration", flag)
                for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
            },
            only_with="publicAccessBlockConfiguration",
            owner="bucket",
        ),
        Form(
            BUCKET_ENCRYPTION,
            {"rules": _at("bucketEncryption", "serverSideEncryptionConfiguration", convert=_encryption_rules)},
            only_with="bucketEncryption",
            owner="bucket",
        ),
    ),
    "aws-native:s3:BucketPolicy": (_policy_of(BUCKET_POLICY),),
    "aws-native:s3:AccessPoint": (Form("aws:s3/accessPoint:AccessPoint"),),
    "aws-native:iam:Role": (
        Form(
            "aws:iam/role:Role",
            {
                "assumeRolePolicy": _at("assumeRolePolicyDocument"),
                "inlinePolicies": _at("policies", convert=_inline_policies),
            },
        ),
    ),
    "aws-native:iam:User": (
        Form("aws:iam/user:User"),
        Form("aws:iam/userPolicy:UserPolicy", {"policy": _at("policyDocument")}, each="policies"),
        Form(
            "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive",
            {"policyArns": _at("managedPolicyArns")},
        ),
    ),
    "aws-native:iam:Group": (
        Form("aws:iam/group:Group"),
        Form("aws:iam/groupPolicy:GroupPolicy", {"policy": _at("policyDocument")}, each="policies"),
        Form(
            "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive",
            {"policyArns": _at("managedPolicyArns")},
        ),
    ),
    "aws-native:iam:ManagedPolicy": (_policy_of("aws:iam/policy:Policy"),),
    "aws-native:iam:RolePolicy": (_policy_of("aws:iam/rolePolicy:RolePolicy"),),
    "aws-native:iam:UserPolicy": (_policy_of("aws:iam/userPolicy:UserPolicy"),),
    "aws-native:iam:GroupPolicy": (_policy_of("aws:iam/groupPolicy:GroupPolicy"),),
    "aws-native:iot:Policy": (_policy_of("aws:iot/policy:Policy"),),
    "aws-native:iot:TopicRule": (
        Form(
            "aws:iot/topicRule:TopicRule",
            {
                "errorAction": _at("topicRulePayload", "errorAction"),
                "firehoses": _at("topicRulePayload", "actions", convert=_firehoses),
            },
        ),
    ),
    "aws-native:sqs:Queue": (Form("aws:sqs/queue:Queue", {"name": _at("queueName"), "url": _at("queueUrl")}),),
    "aws-native:sqs:QueueInlinePolicy": (_policy_of("aws:sqs/queuePolicy:QueuePolicy"),),
    "aws-native:sqs:QueuePolicy": (_policy_of("aws:sqs/queuePolicy:QueuePolicy"),),
    "aws-native:sns:Topic": (Form("aws:sns/topic:Topic", {"name": _at("topicName"), "arn": _at("topicArn")}),),
    "aws-native:sns:TopicPolicy": (_policy_of("aws:sns/topicPolicy:TopicPolicy"),),
    "aws-native:sns:TopicInlinePolicy": (_policy_of("aws:sns/topicPolicy:TopicPolicy"),),
    "aws-native:sns:Subscription": (Form("aws:sns/topicSubscription:TopicSubscription"),),
    "aws-native:kms:Key": (
        Form("aws:kms/key:Key", {"policy": _at("keyPolicy"), "customerMasterKeySpec": _at("keySpec")}),
    ),
    "aws-native:kms:ReplicaKey": (_policy_of("aws:kms/replicaKey:ReplicaKey", "keyPolicy"),),
    "aws-native:dynamodb:Table": (
        Form("aws:dynamodb/table:Table"),
        Form(
            "aws:dynamodb/resourcePolicy:ResourcePolicy",
            {"policy": _at("resourcePolicy", "policyDocument")},
            only_with="resourcePolicy",
        ),
    ),
    "aws-native:kinesis:ResourcePolicy": (_policy_of("aws:kinesis/resourcePolicy:ResourcePolicy", "resourcePolicy"),),
    "aws-native:secretsmanager:ResourcePolicy": (
        _policy_of("aws:secretsmanager/secretPolicy:SecretPolicy", "resourcePolicy"),
    ),
    "aws-native:ecr:Repository": (
        Form("aws:ecr/repository:Repository"),
        Form(
            "aws:ecr/repositoryPolicy:RepositoryPolicy",
            {"policy": _at("repositoryPolicyText")},
            only_with="repositoryPolicyText",
        ),
    ),
    "aws-native:logs:LogGroup": (Form("aws:cloudwatch/logGroup:LogGroup", {"name": _at("logGroupName")}),),
    "aws-native:logs:ResourcePolicy": (Form("aws:cloudwatch/logResourcePolicy:LogResourcePolicy"),),
    "aws-native:lambda:Function": (Form("aws:lambda/function:Function", {"name": _at("functionName")}),),
    "aws-native:lambda:Permission": (Form("aws:lambda/permission:Permission", {"function": _at("functionName")}),),
    "aws-native:lambda:EventSourceMapping": (Form("aws:lambda/eventSourceMapping:EventSourceMapping"),),
    "aws-native:lambda:EventInvokeConfig": (Form("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"),),
    "aws-native:kinesisfirehose:DeliveryStream": (
        Form(
            "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
            {
                "serverSideEncryption": _at(
                    "deliveryStreamEncryptionConfigurationInput", convert=lambda _: {"enabled": True}
                )
            },
        ),
    ),
    "aws-native:kinesis:Stream": (
        Form("aws:kinesis/stream:Stream", {"encryptionType": _at("streamEncryption", "encryptionType")}),
    ),
    "aws-native:athena:WorkGroup": (
        Form("aws:athena/workgroup:Workgroup", {"configuration": _at("workGroupConfiguration")}),
    ),
    "aws-native:ec2:Volume": (Form("aws:ebs/volume:Volume"),),
    "aws-native:ec2:Instance": (
        Form(
            "aws:ec2/instance:Instance",
            {
                # It cannot be told which is the root's; the first is taken for it, and the others are looked into too.
                "rootBlockDevice": _at("blockDeviceMappings", convert=lambda all_: next(iter(_disks(all_)), None)),
                "ebsBlockDevices": _at("blockDeviceMappings", convert=lambda all_: _disks(all_)[1:]),
            },
        ),
    ),
    "aws-native:ec2:LaunchTemplate": (
        Form(
            "aws:ec2/launchTemplate:LaunchTemplate",
            {
                "blockDeviceMappings": _at("launchTemplateData", "blockDeviceMappings"),
                "instanceType": _at("launchTemplateData", "instanceType"),
            },
        ),
    ),
    "aws-native:ec2:SecurityGroup": (
        Form("aws:ec2/securityGroup:SecurityGroup", {"ingress": _at("securityGroupIngress")}),
    ),
    "aws-native:ec2:SecurityGroupIngress": (Form("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"),),
    "aws-native:sagemaker:NotebookInstance": (Form("aws:sagemaker/notebookInstance:NotebookInstance"),),
    "aws-native:stepfunctions:StateMachine": (
        Form(
            "aws:sfn/stateMachine:StateMachine", {"definition": _at("definitionString")}, only_with="definitionString"
        ),
        Form("aws:sfn/stateMachine:StateMachine", only_with="definition"),
    ),
    "aws-native:scheduler:Schedule": (Form("aws:scheduler/schedule:Schedule"),),
    "aws-native:events:Rule": (
        Form("aws:cloudwatch/eventRule:EventRule"),
        Form("aws:cloudwatch/eventTarget:EventTarget", each="targets"),
    ),
}
