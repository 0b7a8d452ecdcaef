"""The part of a program that a CloudFormation template can say: policies, state machines, the types of `aws-native`."""

import json
from typing import Any, NamedTuple

from pm_sandbox.deployer.masking import MASK
from pm_sandbox.recorder import Recording


class Part(NamedTuple):
    """A resource of the template.

    Attributes:
        urn: The program's resource.
        type: Pulumi's type.
        cloudformation_type: CloudFormation's.
        properties: By CloudFormation's names, or by those of `aws-native`, which differ in the first letter's case.
    """

    urn: str
    type: str
    cloudformation_type: str
    properties: dict[str, Any]


class _Document(NamedTuple):
    """The place of a document in a program and in a template.

    Attributes:
        input: Pulumi's input.
        type: CloudFormation's type.
        property: Its property.
        beside: What the type needs beside it: Pulumi's inputs by property.
    """

    input: str
    type: str
    property: str
    beside: tuple[tuple[str, str], ...] = ()


_DOCUMENTS = {
    "aws:iam/policy:Policy": _Document("policy", "AWS::IAM::ManagedPolicy", "PolicyDocument"),
    "aws:iam/role:Role": _Document("assumeRolePolicy", "AWS::IAM::Role", "AssumeRolePolicyDocument"),
    "aws:iam/rolePolicy:RolePolicy": _Document(
        "policy", "AWS::IAM::RolePolicy", "PolicyDocument", (("PolicyName", "name"), ("RoleName", "role"))
    ),
    # CloudFormation's own type has no grammar of the document. That of IAM is the same, but for the actions.
    "aws:iot/policy:Policy": _Document("policy", "AWS::IAM::ManagedPolicy", "PolicyDocument"),
    "aws:kms/key:Key": _Document("policy", "AWS::KMS::Key", "KeyPolicy"),
    "aws:s3/bucketPolicy:BucketPolicy": _Document(
        "policy", "AWS::S3::BucketPolicy", "PolicyDocument", (("Bucket", "bucket"),)
    ),
    "aws:sfn/stateMachine:StateMachine": _Document(
        "definition", "AWS::StepFunctions::StateMachine", "Definition", (("RoleArn", "roleArn"),)
    ),
    "aws:sns/topicPolicy:TopicPolicy": _Document(
        "policy", "AWS::SNS::TopicPolicy", "PolicyDocument", (("Topics", "arn"),)
    ),
    "aws:sqs/queuePolicy:QueuePolicy": _Document(
        "policy", "AWS::SQS::QueuePolicy", "PolicyDocument", (("Queues", "queueUrl"),)
    ),
}
_LISTS = {"Queues", "Topics"}
_NATIVE = "aws-native:"
#: Modules of `aws-native` that CloudFormation writes otherwise than with a capital first letter.
_SERVICES = {"greengrassv2": "GreengrassV2"}


def parts(recording: Recording) -> list[Part]:
    """The resources of a program that a template can say; a document that is secret or no JSON is left to others."""
    found = []
    for one in recording.resources:
        if one.type.startswith(_NATIVE):
            _, service, name = one.type.split(":")
            native = f"AWS::{_SERVICES.get(service, service.capitalize())}::{name}"
            found.append(Part(one.urn, one.type, native, one.inputs))
        elif one.type in _DOCUMENTS:
            place = _DOCUMENTS[one.type]
            document = _read(one.inputs.get(place.input))
            if document is not None:
                beside = {name: one.inputs[key] for name, key in place.beside if key in one.inputs}
                lists = {name: [beside[name]] for name in _LISTS & beside.keys()}
                found.append(Part(one.urn, one.type, place.type, {place.property: document, **beside, **lists}))
    return found


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return None if value == MASK else json.loads(value)
    except ValueError:
        return None
