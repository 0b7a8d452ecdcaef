"""Encryption of what is kept, and the mending of queues. Not proved here: who may use the keys."""

from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.encryption_at_rest import RULE

QUEUE = "aws:sqs/queue:Queue"
TOPIC = "aws:sns/topic:Topic"
STREAM = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
BUCKET = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
WORKGROUP = "aws:athena/workgroup:Workgroup"
HOST = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
VOLUME = "aws:ebs/volume:Volume"
NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
KINESIS = "aws:kinesis/stream:Stream"


def _bucket(algorithm: str) -> dict[str, Any]:
    return {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm}}]}


GOOD = [
    (QUEUE, {"sqsManagedSseEnabled": True}),
    (QUEUE, {"kmsMasterKeyId": UNKNOWN}),
    (TOPIC, {"kmsMasterKeyId": "key"}),
    (TOPIC, {"kmsMasterKeyId": UNKNOWN}),
    (STREAM, {"serverSideEncryption": {"enabled": True}}),
    (BUCKET, _bucket("aws:kms")),
    (
        WORKGROUP,
        {
            "configuration": {
                "resultConfiguration": {"encryptionConfiguration": {"encryptionOption": "SSE_S3"}},
            }
        },
    ),
    (HOST, {"rootBlockDevice": {"encrypted": True}}),
    (TEMPLATE, {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}]}),
    (VOLUME, {"encrypted": True}),
    (NOTEBOOK, {"kmsKeyId": "key"}),
    (KINESIS, {"encryptionType": "KMS"}),
]
BAD = [
    (QUEUE, {"sqsManagedSseEnabled": False}, "neither sqsManagedSseEnabled nor kmsMasterKeyId is set"),
    (TOPIC, {}, "kmsMasterKeyId is not set"),
    (STREAM, {}, "serverSideEncryption.enabled is not true"),
    (STREAM, {"serverSideEncryption": {"enabled": False}}, "serverSideEncryption.enabled is not true"),
    (BUCKET, _bucket("DES"), "sseAlgorithm is 'DES', allowed are AES256, aws:kms and aws:kms:dsse"),
    (BUCKET, {}, "sseAlgorithm is None, allowed are AES256, aws:kms and aws:kms:dsse"),
    (
        WORKGROUP,
        {},
        "configuration.resultConfiguration.encryptionConfiguration.encryptionOption is not set",
    ),
    (HOST, {}, "rootBlockDevice.encrypted is not true"),
    (
        HOST,
        {"rootBlockDevice": [{"encrypted": True}], "ebsBlockDevices": [{"deviceName": "/dev/sdb"}]},
        "ebsBlockDevices /dev/sdb: encrypted is not true",
    ),
    (TEMPLATE, {}, "blockDeviceMappings is not set"),
    (
        TEMPLATE,
        {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 8}}]},
        "blockDeviceMappings /dev/xvda: ebs.encrypted is not true",
    ),
    (VOLUME, {}, "encrypted is not true"),
    (NOTEBOOK, {}, "kmsKeyId is not set"),
    (KINESIS, {"encryptionType": "NONE"}, "encryptionType is 'NONE', allowed is 'KMS'"),
]


@pytest.mark.parametrize(("type_", "inputs"), GOOD)
def test_what_is_encrypted_passes(make: Callable, messages: Callable, type_: str, inputs: dict[str, Any]) -> None:
    assert messages(RULE, make(type_, **inputs)) == []


@pytest.mark.parametrize(("type_", "inputs", "message"), BAD)
def test_what_is_in_the_clear_is_refused(
    make: Callable, messages: Callable, type_: str, inputs: dict[str, Any], message: str
) -> None:
    assert messages(RULE, make(type_, **inputs)) == [message]


@pytest.mark.parametrize(
    ("type_", "inputs"),
    [(STREAM, {"serverSideEncryption": UNKNOWN}), (VOLUME, {"encrypted": UNKNOWN}), (BUCKET, _bucket(UNKNOWN))],
)
def test_an_unknown_answer_is_undecided(make: Callable, messages: Callable, type_: str, inputs: dict[str, Any]) -> None:
    (message,) = messages(RULE, make(type_, **inputs))
    assert isinstance(message, Undecided)


def test_a_queue_is_mended_and_then_passes(make: Callable, messages: Callable) -> None:
    assert RULE.remedy is not None
    change = RULE.remedy(make(QUEUE, name="orders"), {})
    assert change == {"sqsManagedSseEnabled": True}
    assert messages(RULE, make(QUEUE, name="orders", **change)) == []


def test_what_is_encrypted_or_no_queue_is_not_touched(make: Callable) -> None:
    assert RULE.remedy is not None
    for resource in (make(QUEUE, kmsMasterKeyId=UNKNOWN), make(QUEUE, sqsManagedSseEnabled=True), make(TOPIC)):
        assert RULE.remedy(resource, {}) == {}
