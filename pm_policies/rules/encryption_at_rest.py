"""Data at rest is encrypted, and the program says so."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pm_policies.inputs import at, is_set, items
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_QUEUE = "aws:sqs/queue:Queue"


def _queue(inputs: Mapping[str, Any]) -> Iterator[str]:
    if not is_set(inputs, "sqsManagedSseEnabled") and not is_set(inputs, "kmsMasterKeyId"):
        yield "neither sqsManagedSseEnabled nor kmsMasterKeyId is set"


def _topic(inputs: Mapping[str, Any]) -> Iterator[str]:
    if not is_set(inputs, "kmsMasterKeyId"):
        yield "kmsMasterKeyId is not set"


def _stream(inputs: Mapping[str, Any]) -> Iterator[str]:
    if at(inputs, "serverSideEncryption", "enabled") is not True:
        yield "serverSideEncryption.enabled is not true"


def _kinesis(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("encryptionType") != "KMS":
        yield f"encryptionType is {inputs.get('encryptionType')!r}, allowed is 'KMS'"


def _workgroup(inputs: Mapping[str, Any]) -> Iterator[str]:
    path = ("configuration", "resultConfiguration", "encryptionConfiguration", "encryptionOption")
    if not at(inputs, *path):
        yield f"{'.'.join(path)} is not set"


def _bucket_encryption(inputs: Mapping[str, Any]) -> Iterator[str]:
    for rule in items(inputs.get("rules")) or [{}]:
        algorithm = at(rule, "applyServerSideEncryptionByDefault", "sseAlgorithm")
        if algorithm not in ("AES256", "aws:kms", "aws:kms:dsse"):
            yield f"sseAlgorithm is {algorithm!r}, allowed are AES256, aws:kms and aws:kms:dsse"


def _volume(inputs: Mapping[str, Any]) -> Iterator[str]:
    if inputs.get("encrypted") is not True:
        yield "encrypted is not true"


def _instance(inputs: Mapping[str, Any]) -> Iterator[str]:
    if at(inputs, "rootBlockDevice", "encrypted") is not True:
        yield "rootBlockDevice.encrypted is not true"
    for device in items(inputs.get("ebsBlockDevices")):
        if device.get("encrypted") is not True:
            yield f"ebsBlockDevices {device.get('deviceName')}: encrypted is not true"


def _launch_template(inputs: Mapping[str, Any]) -> Iterator[str]:
    """A volume that it does not speak of is the image's, and encrypted or not as that is."""
    devices = items(inputs.get("blockDeviceMappings"))
    if not devices:
        yield "blockDeviceMappings is not set"
    for device in devices:
        if str(at(device, "ebs", "encrypted")).lower() != "true":
            yield f"blockDeviceMappings {device.get('deviceName')}: ebs.encrypted is not true"


def _notebook(inputs: Mapping[str, Any]) -> Iterator[str]:
    if not is_set(inputs, "kmsKeyId"):
        yield "kmsKeyId is not set"


#: Amazon DynamoDB, AWS Lambda, CloudWatch Logs and AWS Step Functions encrypt always and are not listed.
_CHECKS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    _QUEUE: _queue,
    "aws:sns/topic:Topic": _topic,
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": _stream,
    "aws:kinesis/stream:Stream": _kinesis,
    "aws:athena/workgroup:Workgroup": _workgroup,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket_encryption,
    "aws:ebs/volume:Volume": _volume,
    "aws:ec2/instance:Instance": _instance,
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:sagemaker/notebookInstance:NotebookInstance": _notebook,
}


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Find data at rest that a resource leaves in the clear."""
    if resource.type in _CHECKS:
        yield from _CHECKS[resource.type](resource.inputs)


def remedy(resource: Resource, _settings: Settings) -> Mapping[str, Any]:
    """A queue is encrypted with keys of Amazon SQS, which costs nothing and asks nothing of those who use it."""
    return {"sqsManagedSseEnabled": True} if resource.type == _QUEUE and list(_queue(resource.inputs)) else {}


RULE = ResourceRule(
    name="encryption-at-rest",
    severity=Severity.HIGH,
    level=Level.REMEDIATE,
    demand="Queues, topics, streams, query results, buckets and disks are encrypted.",
    why="Who gets hold of a disk, a snapshot or a copy is not to read a plant's data.",
    mend="set what the finding names; queues are encrypted by the pack",
    check=check,
    remedy=remedy,
)
