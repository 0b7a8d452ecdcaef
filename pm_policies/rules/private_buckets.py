"""Each bucket is closed to the public, encrypted and asks for TLS, by settings of its own."""

from collections.abc import Iterator

from pm_policies.inputs import items
from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, judged
from pm_policies.stacks import settings_of_bucket

_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_BLOCKS = ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",)
_ENCRYPTIONS = ("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",)
_ACLS = ("aws:s3/bucketAcl:BucketAcl",)
_PRIVATE_ACLS = (None, "private", "log-delivery-write", "bucket-owner-full-control", "bucket-owner-read")


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The buckets that lack a setting."""
    for bucket in stack.of_type(*_BUCKETS):
        yield from judged(bucket, _missing(stack, bucket))


def _missing(stack: Stack, bucket: Resource) -> Iterator[str]:
    if not settings_of_bucket(stack, bucket, *_BLOCKS):
        yield "there is no BucketPublicAccessBlock for it"
    if not settings_of_bucket(stack, bucket, *_ENCRYPTIONS) and not items(
        bucket.inputs.get("serverSideEncryptionConfiguration")
    ):
        yield "there is no BucketServerSideEncryptionConfiguration for it"
    for acl in (bucket, *settings_of_bucket(stack, bucket, *_ACLS)):
        if acl.inputs.get("acl") not in _PRIVATE_ACLS:
            yield f"acl is {acl.inputs.get('acl')!r}, allowed is private"


RULE = StackRule(
    name="private-buckets",
    severity=Severity.CRITICAL,
    level=Level.MANDATORY,
    demand="Each bucket has a public access block and encryption of its own, and no public access control list.",
    why="A bucket is one careless policy away from being readable by everybody; the block makes that impossible.",
    mend="make it with pm_components.aws.buckets.private_bucket, or add the resource that the finding names",
    check=check,
)
