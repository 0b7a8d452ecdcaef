"""Each bucket is closed to the public, encrypted and asks for TLS, by settings of its own."""

from collections.abc import Iterator

from pm_policies.inputs import at, items
from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, judged
from pm_policies.siblings import BUCKET, BUCKET_ACL, BUCKET_ENCRYPTION, PUBLIC_ACCESS_BLOCK
from pm_policies.stacks import settings_of_bucket

_PRIVATE_ACLS = (None, "private", "log-delivery-write", "bucket-owner-full-control", "bucket-owner-read")
#: Groups of everybody: "Amazon S3 predefined groups", Amazon S3 user guide.
_EVERYBODY = ("/groups/global/AllUsers", "/groups/global/AuthenticatedUsers")


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The buckets that lack a setting."""
    for bucket in stack.of_type(BUCKET):
        yield from judged(bucket, _missing(stack, bucket))


def _missing(stack: Stack, bucket: Resource) -> Iterator[str]:
    if not settings_of_bucket(stack, bucket, PUBLIC_ACCESS_BLOCK):
        yield "there is no BucketPublicAccessBlock for it"
    if not settings_of_bucket(stack, bucket, BUCKET_ENCRYPTION) and not items(
        bucket.inputs.get("serverSideEncryptionConfiguration")
    ):
        yield "there is no BucketServerSideEncryptionConfiguration for it"
    for acl in (bucket, *settings_of_bucket(stack, bucket, BUCKET_ACL)):
        if acl.inputs.get("acl") not in _PRIVATE_ACLS:
            yield f"acl is {acl.inputs.get('acl')!r}, allowed is private"
        for grant in (*items(acl.inputs.get("grants")), *items(at(acl.inputs, "accessControlPolicy", "grants"))):
            # A bucket has the group in the grant, a list of its own in the grantee.
            group = str(at(grant, "uri") or at(grant, "grantee", "uri") or "")
            if group.endswith(_EVERYBODY):
                yield f"a grant is to the group {group.rpartition('/')[2]}, allowed is private"


RULE = StackRule(
    name="private-buckets",
    severity=Severity.CRITICAL,
    level=Level.MANDATORY,
    demand="Each bucket has a public access block and encryption of its own, and no public access control list.",
    why="A bucket is one careless policy away from being readable by everybody; the block makes that impossible.",
    mend="make it with pm_components.aws.buckets.private_bucket, or add the resource that the finding names",
    check=check,
)
