"""Each rule over the siblings of the types that it speaks of, and the table of siblings against the providers' SDKs.

Not proved here: that a sibling has no further setting by which it could break a rule.
"""

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Resource, Undecided, forms, plain
from pm_policies.rules import RULES
from pm_policies.siblings import FORMS

RULE = {rule.name: rule for rule in RULES}
OPEN = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "a:B", "Resource": "*"}}
WIDE = {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}}
ADMIN = ["arn:aws:iam::aws:policy/AdministratorAccess"]
BUCKET = {"bucketName": "plant"}
BLOCKED = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
ENCRYPTED = {"serverSideEncryptionConfiguration": [{"serverSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]}
PLAIN = {"serverSideEncryptionConfiguration": [{"serverSideEncryptionByDefault": {"sseAlgorithm": "none"}}]}
TLS_ONLY = {
    "Statement": {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::plant", "arn:aws:s3:::plant/*"],
        "Condition": {"Bool": {"aws:securetransport": "false"}},
    }
}
LIST = "aws:s3/bucketAclV2:BucketAclV2"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
KMS = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]


class Case(NamedTuple):
    """A rule, resources that break it (type and inputs), a part of what it says, and the same mended."""

    rule: str
    bad: list[tuple[str, dict[str, Any]]]
    said: str
    good: list[tuple[str, dict[str, Any]]] | None = None


def one(rule: str, type_: str, bad: dict[str, Any], said: str, good: dict[str, Any] | None = None) -> Case:
    return Case(rule, [(type_, bad)], said, None if good is None else [(type_, good)])


def resource_policy(type_: str, key: str) -> Case:
    good = {**OPEN["Statement"], "Principal": {"AWS": "123456789012"}}
    return one("no-public-principal", type_, {key: OPEN}, "Principal '*'", {key: {"Statement": good}})


NATIVE = "aws-native:"
CASES = [
    Case(
        "private-buckets",
        [("aws:s3/bucketV2:BucketV2", {"bucket": "plant"}), (LIST, {"bucket": "plant", "acl": "public-read-write"})],
        "there is no BucketPublicAccessBlock for it",
    ),
    Case(
        "private-buckets",
        [
            ("aws:s3/bucketV2:BucketV2", {"bucket": "plant"}),
            (BLOCK, {"bucket": "plant"}),
            (ENCRYPTION, {"bucket": "plant", "rules": KMS}),
            (LIST, {"bucket": "plant", "acl": "public-read-write"}),
        ],
        "acl is 'public-read-write', allowed is private",
        [
            ("aws:s3/bucketV2:BucketV2", {"bucket": "plant"}),
            (BLOCK, {"bucket": "plant"}),
            (ENCRYPTION, {"bucket": "plant", "rules": KMS}),
        ],
    ),
    one("encryption-at-rest", ENCRYPTION, {"bucket": "plant", "rules": []}, "sseAlgorithm", {"rules": KMS}),
    one("tls-only-buckets", "aws:s3/bucket:Bucket", {"bucket": "plant"}, "no BucketPolicy", {"policy": TLS_ONLY}),
    one("tls-only-buckets", "aws:s3/bucketV2:BucketV2", {"bucket": "plant"}, "no BucketPolicy", {"policy": TLS_ONLY}),
    one(
        "private-buckets", NATIVE + "s3:Bucket", {**BUCKET, "bucketEncryption": ENCRYPTED}, "no BucketPublicAccessBlock"
    ),
    one(
        "private-buckets",
        NATIVE + "s3:Bucket",
        {**BUCKET, "publicAccessBlockConfiguration": BLOCKED},
        "no BucketServerSideEncryptionConfiguration",
        {**BUCKET, "publicAccessBlockConfiguration": BLOCKED, "bucketEncryption": ENCRYPTED},
    ),
    one(
        "private-buckets",
        NATIVE + "s3:Bucket",
        {"accessControl": "PublicRead", "publicAccessBlockConfiguration": BLOCKED, "bucketEncryption": ENCRYPTED},
        "acl is 'public-read', allowed is private",
    ),
    one(
        "public-access-block",
        NATIVE + "s3:Bucket",
        {"publicAccessBlockConfiguration": {**BLOCKED, "blockPublicPolicy": False}},
        "blockPublicPolicy is not true",
        {"publicAccessBlockConfiguration": BLOCKED},
    ),
    one(
        "encryption-at-rest",
        NATIVE + "s3:Bucket",
        {"bucketEncryption": PLAIN},
        "sseAlgorithm is 'none'",
        {"bucketEncryption": ENCRYPTED},
    ),
    Case(
        "tls-only-buckets",
        [(NATIVE + "s3:Bucket", BUCKET), (NATIVE + "s3:BucketPolicy", {"bucket": "plant", "policyDocument": OPEN})],
        "no statement of its policy denies",
        [(NATIVE + "s3:Bucket", BUCKET), (NATIVE + "s3:BucketPolicy", {"bucket": "plant", "policyDocument": TLS_ONLY})],
    ),
    resource_policy(NATIVE + "s3:BucketPolicy", "policyDocument"),
    resource_policy(NATIVE + "s3:AccessPoint", "policy"),
    resource_policy(NATIVE + "iam:Role", "assumeRolePolicyDocument"),
    one("least-privilege", NATIVE + "iam:Role", {"policies": [{"policyDocument": WIDE}]}, "action 's3:*'"),
    *(
        one("least-privilege", NATIVE + type_, {"managedPolicyArns": ADMIN}, "AdministratorAccess", {})
        for type_ in ("iam:Role", "iam:User", "iam:Group")
    ),
    *(
        one("least-privilege", NATIVE + type_, {"policies": [{"policyName": "x", "policyDocument": WIDE}]}, "'s3:*'")
        for type_ in ("iam:User", "iam:Group")
    ),
    *(
        one("least-privilege", NATIVE + type_, {"policyDocument": WIDE}, "action 's3:*'")
        for type_ in ("iam:ManagedPolicy", "iam:RolePolicy", "iam:UserPolicy", "iam:GroupPolicy", "iot:Policy")
    ),
    *(
        one("readable-documents", NATIVE + type_, {"policyDocument": "{,}"}, "policy: found a text that is no JSON")
        for type_ in ("iam:ManagedPolicy", "iam:RolePolicy", "iot:Policy", "s3:BucketPolicy", "sqs:QueuePolicy")
    ),
    one(
        "discontinued-services",
        NATIVE + "iam:RolePolicy",
        {"policyDocument": {"Statement": {"Effect": "Allow", "Action": "iotEvents:BatchPutMessage", "Resource": "*"}}},
        "AWS IoT Events",
    ),
    one(
        "discontinued-services",
        NATIVE + "iot:TopicRule",
        {"topicRulePayload": {"actions": [{"iotEvents": {"inputName": "x"}}]}},
        "rule action iotEvents",
        {"topicRulePayload": {"actions": [{"lambda": {"functionArn": "x"}}]}},
    ),
    one(
        "topic-rule-error-action",
        NATIVE + "iot:TopicRule",
        {"topicRulePayload": {"actions": [{"firehose": {"batchMode": False}}]}},
        "errorAction is not set",
        {"topicRulePayload": {"actions": [{"firehose": {"batchMode": False}}], "errorAction": {"sqs": {}}}},
    ),
    one(
        "topic-rule-error-action",
        NATIVE + "iot:TopicRule",
        {"topicRulePayload": {"actions": [{"firehose": {"batchMode": True}}], "errorAction": {"sqs": {}}}},
        "firehose action in batchMode",
    ),
    one("encryption-at-rest", NATIVE + "sqs:Queue", {}, "sqsManagedSseEnabled", {"sqsManagedSseEnabled": True}),
    one(
        "dead-letters",
        NATIVE + "sqs:Queue",
        {"queueName": "work"},
        "it has no redrivePolicy",
        {"queueName": "work", "redrivePolicy": {"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:123456789012:dead"}},
    ),
    Case(
        "dead-letters",
        [(NATIVE + "sqs:Queue", {"arn": "dead"}), (NATIVE + "sns:Subscription", {})],
        "nothing in the stack sends it dead letters",
        [
            (NATIVE + "sqs:Queue", {"arn": "dead"}),
            (NATIVE + "sns:Subscription", {"redrivePolicy": {"deadLetterTargetArn": "dead"}}),
        ],
    ),
    resource_policy(NATIVE + "sqs:QueuePolicy", "policyDocument"),
    resource_policy(NATIVE + "sqs:QueueInlinePolicy", "policyDocument"),
    one("encryption-at-rest", NATIVE + "sns:Topic", {}, "kmsMasterKeyId", {"kmsMasterKeyId": "key"}),
    resource_policy(NATIVE + "sns:TopicPolicy", "policyDocument"),
    resource_policy(NATIVE + "sns:TopicInlinePolicy", "policyDocument"),
    resource_policy(NATIVE + "kms:Key", "keyPolicy"),
    one("key-rotation", NATIVE + "kms:Key", {}, "enableKeyRotation", {"keySpec": "RSA_3072"}),
    resource_policy(NATIVE + "kms:ReplicaKey", "keyPolicy"),
    one("no-public-principal", NATIVE + "dynamodb:Table", {"resourcePolicy": {"policyDocument": OPEN}}, "'*'", {}),
    resource_policy(NATIVE + "kinesis:ResourcePolicy", "resourcePolicy"),
    resource_policy(NATIVE + "secretsmanager:ResourcePolicy", "resourcePolicy"),
    resource_policy(NATIVE + "ecr:Repository", "repositoryPolicyText"),
    one("log-retention", NATIVE + "logs:LogGroup", {}, "retentionInDays is not set", {"retentionInDays": 30}),
    resource_policy(NATIVE + "logs:ResourcePolicy", "policyDocument"),
    Case(
        "function-log-groups",
        [(NATIVE + "lambda:Function", {"functionName": "f"})],
        "there is no log group /aws/lambda/f",
        [
            (NATIVE + "lambda:Function", {"functionName": "f"}),
            (NATIVE + "logs:LogGroup", {"logGroupName": "/aws/lambda/f"}),
        ],
    ),
    Case(
        "function-limits",
        [
            (NATIVE + "lambda:Function", {"functionName": "f", "timeout": 3}),
            (NATIVE + "lambda:EventSourceMapping", {"functionName": "f"}),
        ],
        "no scalingConfig.maximumConcurrency",
        [
            (NATIVE + "lambda:Function", {"functionName": "f", "timeout": 3}),
            (NATIVE + "lambda:EventSourceMapping", {"functionName": "f", "scalingConfig": {"maximumConcurrency": 2}}),
        ],
    ),
    Case(
        "dead-letters",
        [
            (NATIVE + "lambda:Function", {"functionName": "f"}),
            (NATIVE + "lambda:Permission", {"functionName": "f", "principal": "sns.amazonaws.com"}),
        ],
        "calls it and does not wait",
        [
            (NATIVE + "lambda:Function", {"functionName": "f"}),
            (NATIVE + "lambda:Permission", {"functionName": "f", "principal": "sns.amazonaws.com"}),
            (
                NATIVE + "lambda:EventInvokeConfig",
                {"functionName": "f", "destinationConfig": {"onFailure": {"destination": "dead"}}},
            ),
        ],
    ),
    one(
        "dead-letters",
        NATIVE + "lambda:EventSourceMapping",
        {"eventSourceArn": "arn:aws:kinesis:eu-central-1:123456789012:stream/a"},
        "its source is a stream",
        {
            "eventSourceArn": "arn:aws:kinesis:eu-central-1:123456789012:stream/a",
            "destinationConfig": {"onFailure": {"destination": "dead"}},
        },
    ),
    one(
        "no-public-principal",
        NATIVE + "lambda:Permission",
        {"functionName": "f", "principal": "*"},
        "principal is '*'",
        {"functionName": "f", "principal": "*", "sourceAccount": "123456789012"},
    ),
    one(
        "no-plain-secret",
        NATIVE + "lambda:Function",
        {"environment": {"variables": {"API_TOKEN": "geheim"}}},
        "environment variable API_TOKEN",
        {"environment": {"variables": {"API_TOKEN": "arn:aws:secretsmanager:x"}}},
    ),
    one("ends-of-support", NATIVE + "lambda:Function", {"runtime": "python3.7"}, "runtime python3.7"),
    one(
        "encryption-at-rest",
        NATIVE + "kinesisfirehose:DeliveryStream",
        {},
        "serverSideEncryption.enabled",
        {"deliveryStreamEncryptionConfigurationInput": {"keyType": "AWS_OWNED_CMK"}},
    ),
    one(
        "encryption-at-rest",
        NATIVE + "kinesis:Stream",
        {},
        "encryptionType is None",
        {"streamEncryption": {"encryptionType": "KMS", "keyId": "key"}},
    ),
    one(
        "encryption-at-rest",
        NATIVE + "athena:WorkGroup",
        {"workGroupConfiguration": {}},
        "encryptionOption is not set",
        {
            "workGroupConfiguration": {
                "resultConfiguration": {"encryptionConfiguration": {"encryptionOption": "SSE_S3"}},
            }
        },
    ),
    one("encryption-at-rest", NATIVE + "ec2:Volume", {}, "encrypted is not true", {"encrypted": True}),
    one(
        "encryption-at-rest",
        NATIVE + "ec2:Instance",
        {"blockDeviceMappings": [{"ebs": {"encrypted": True}}, {"deviceName": "b", "ebs": {"encrypted": False}}]},
        "ebsBlockDevices b: encrypted is not true",
        {"blockDeviceMappings": [{"ebs": {"encrypted": True}}]},
    ),
    one("allowed-instance-types", NATIVE + "ec2:Instance", {"instanceType": "p5.48xlarge"}, "p5.48xlarge"),
    one(
        "encryption-at-rest",
        NATIVE + "ec2:LaunchTemplate",
        {"launchTemplateData": {}},
        "blockDeviceMappings is not set",
        {"launchTemplateData": {"blockDeviceMappings": [{"ebs": {"encrypted": True}}]}},
    ),
    one(
        "allowed-instance-types",
        NATIVE + "ec2:LaunchTemplate",
        {"launchTemplateData": {"instanceType": "p5.48xlarge"}},
        "p5.48xlarge",
        {"launchTemplateData": {"instanceType": "t3.small"}},
    ),
    one(
        "no-inbound-rule",
        NATIVE + "ec2:SecurityGroup",
        {"securityGroupIngress": [{"ipProtocol": "tcp"}]},
        "ingress",
        {},
    ),
    one("no-inbound-rule", NATIVE + "ec2:SecurityGroupIngress", {"ipProtocol": "tcp"}, "ingress rule"),
    one("encryption-at-rest", NATIVE + "sagemaker:NotebookInstance", {}, "kmsKeyId", {"kmsKeyId": "key"}),
    one("readable-documents", NATIVE + "stepfunctions:StateMachine", {"definitionString": "{,}"}, "definition: found"),
    one(
        "allowed-instance-types",
        NATIVE + "stepfunctions:StateMachine",
        {"definition": {"States": {"a": {"InstanceType": "ml.p3.2xlarge"}}}},
        "ml.p3.2xlarge",
        {"definitionString": json.dumps({"States": {"a": {"InstanceType": "ml.m5.large"}}})},
    ),
    one(
        "dead-letters",
        NATIVE + "scheduler:Schedule",
        {"target": {"arn": "a"}},
        "target.deadLetterConfig.arn is not set",
        {"target": {"arn": "a", "deadLetterConfig": {"arn": "dead"}}},
    ),
    one(
        "dead-letters",
        NATIVE + "events:Rule",
        {"targets": [{"arn": "a", "deadLetterConfig": {"arn": "dead"}}, {"arn": "b"}]},
        "deadLetterConfig.arn is not set",
        {"targets": [{"arn": "a", "deadLetterConfig": {"arn": "dead"}}]},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.bad[-1][0]}: {case.said[:30]}")
def test_a_sibling_is_held_to_the_rule(make: Callable, messages: Callable, case: Case) -> None:
    settings = {"today": "2025-01-01"} if case.rule == "ends-of-support" else {}
    said = messages(RULE[case.rule], *(make(type_, **inputs) for type_, inputs in case.bad), **settings)
    assert any(case.said in message for message in said), said
    if case.good is not None:
        assert messages(RULE[case.rule], *(make(type_, **inputs) for type_, inputs in case.good), **settings) == []


def test_every_sibling_has_a_case() -> None:
    seen = {type_ for case in CASES for type_, _ in case.bad + (case.good or [])}
    plain_ = {"aws-native:iam:User", "aws-native:iam:Group"}
    assert set(FORMS) - seen - plain_ == set()


def _inputs(type_: str) -> Mapping[str, Any]:
    """The inputs of a resource as the engine spells them, by the class of the provider's SDK."""
    package, module, name = type_.split(":")
    path = {"lambda": "lambda_"}.get(module.partition("/")[0], module.partition("/")[0])
    class_ = getattr(importlib.import_module(f"pulumi_{package.replace('-', '_')}.{path}"), name)
    names = inspect.signature(class_._internal_init).parameters
    return {
        first + "".join(word.title() for word in rest): None for first, *rest in (name.split("_") for name in names)
    }


#: AWS has it, and the provider did not when this was written.
NOT_IN_THE_SDK = {"aws-native:sqs:QueuePolicy"}
#: Outputs of a resource, which are no inputs.
OUTPUTS = {"url", "arn", "queueUrl", "topicArn"}


@pytest.mark.parametrize("type_", sorted(set(FORMS) - NOT_IN_THE_SDK))
def test_the_table_has_the_names_of_the_providers(type_: str) -> None:
    written = _inputs(type_)
    for form in FORMS[type_]:
        classic = _inputs(form.type)
        assert set(form.inputs) <= set(classic) | OUTPUTS, form.type
        if not form.each:
            assert {source.path[0] for source in form.inputs.values()} <= set(written) | OUTPUTS, form.type
        assert {form.each, form.only_with} - {""} <= set(written), form.type
        assert form.owner in ("", *classic), form.type


def test_a_type_without_siblings_is_itself(make: Callable) -> None:
    queue = make("aws:sqs/queue:Queue", name="work")
    assert list(forms(queue)) == [queue]


def test_what_is_not_known_yet_is_undecided(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE["least-privilege"], make(NATIVE + "iam:RolePolicy", policyDocument=UNKNOWN))
    assert isinstance(message, Undecided)
    policy = make(NATIVE + "s3:BucketPolicy", bucket=UNKNOWN, policyDocument=UNKNOWN)
    bucket = make(NATIVE + "s3:Bucket", bucketEncryption=UNKNOWN, publicAccessBlockConfiguration=BLOCKED)
    said = messages(RULE["private-buckets"], bucket, policy)
    assert all(isinstance(message, Undecided) for message in said)


def test_a_bucket_of_aws_native_is_known_by_what_its_policy_comes_from(make: Callable, messages: Callable) -> None:
    bucket = make(NATIVE + "s3:Bucket")
    linked = {"depends_on": {"bucket": [bucket.urn]}, "bucket": UNKNOWN}
    policy = make(NATIVE + "s3:BucketPolicy", **linked, policyDocument=TLS_ONLY)
    assert messages(RULE["tls-only-buckets"], bucket, policy) == []


def test_a_sibling_has_its_inputs_by_their_classic_names_and_no_other() -> None:
    written = plain({"functionName": "f", "timeout": 3})
    (form,) = forms(Resource(NATIVE + "lambda:Function", "f", "urn:pulumi:dev::pm::x::f", written))
    assert dict(form.inputs) == {"name": "f", "timeout": 3}
    assert len(form.inputs) == 2
