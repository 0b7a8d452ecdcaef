"""A private bucket: no public access, encrypted, versioned, TLS only, its objects' lives bounded."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.permissions import deny_plain_transport, policy_document

_OLD_VERSION_DAYS = 30
_UNFINISHED_UPLOAD_DAYS = 7


class Expiry(NamedTuple):
    """Objects below `prefix` are deleted `days` after they were written."""

    name: str
    prefix: str
    days: pulumi.Input[int]


class PrivateBucket(NamedTuple):
    """A bucket to put objects into."""

    bucket: pulumi.Output[str]
    """Its name, known once it keeps versions. An object that was there before has none that the provider knows of, and
    so its deletion would leave a marker and the object ("How S3 Versioning works", Amazon S3 user guide)."""
    arn: pulumi.Output[str]
    """Its ARN, known once it is there."""


def private_bucket(
    name: str,
    *parts: str,
    parent: pulumi.Resource,
    expiries: Sequence[Expiry] = (),
    disposable: Optional[pulumi.Input[bool]] = None,
    key_arn: Optional[pulumi.Input[str]] = None,
) -> PrivateBucket:
    """The bucket `{name}-bucket` with its settings as resources of their own.

    Args:
        name: logical name.
        parts: what the bucket's physical name ends with, before the account's number.
        parent: the component that it belongs to.
        expiries: what is deleted after how many days; old versions go 30 days after they were replaced in any case.
        disposable: whether destroying the stack deletes the bucket's objects; by default a filled bucket stays.
        key_arn: the customer's key that encrypts the objects; by default S3 does it with one of its own.
    """
    options = pulumi.ResourceOptions(parent=parent)
    bucket = aws.s3.Bucket(
        f"{name}-bucket",
        bucket=naming.bucket_name(*parts, parent=parent),
        force_destroy=False if disposable is None else disposable,
        opts=options,
    )
    aws.s3.BucketPublicAccessBlock(
        f"{name}-public-access-block",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=options,
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=bucket.bucket,
        rules=[
            {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
            if key_arn is None
            else {
                "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn},
                # One request to KMS for many objects.
                "bucket_key_enabled": True,
            }
        ],
        opts=options,
    )
    versioning = aws.s3.BucketVersioning(
        f"{name}-versioning",
        bucket=bucket.bucket,
        versioning_configuration={"status": "Enabled"},
        opts=options,
    )
    rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": _OLD_VERSION_DAYS},
            "abort_incomplete_multipart_upload": {"days_after_initiation": _UNFINISHED_UPLOAD_DAYS},
        }
    ]
    for expiry in expiries:
        rules.append(
            {
                "id": expiry.name,
                "status": "Enabled",
                "filter": {"prefix": expiry.prefix},
                "expiration": {"days": expiry.days},
            }
        )
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-lifecycle",
        bucket=bucket.bucket,
        rules=rules,
        # AWS applies the rules for old versions only to a versioned bucket.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
    )
    aws.s3.BucketPolicy(
        f"{name}-policy",
        bucket=bucket.bucket,
        policy=policy_document([deny_plain_transport("s3:*", [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")])]),
        opts=options,
    )
    return PrivateBucket(versioning.bucket, bucket.arn)
