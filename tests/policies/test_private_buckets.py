"""Settings that each bucket has. Not proved here: the account's own public access block."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.private_buckets import RULE

BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
ACL = "aws:s3/bucketAcl:BucketAcl"


def test_a_bucket_with_its_settings_passes(make: Callable, messages: Callable) -> None:
    assert (
        messages(RULE, make(BUCKET, bucket="lake"), make(BLOCK, bucket="lake"), make(ENCRYPTION, bucket="lake")) == []
    )


def test_settings_of_another_bucket_are_none(make: Callable, messages: Callable) -> None:
    resources = (make(BUCKET, bucket="lake"), make(BLOCK, bucket="sea"), make(ENCRYPTION, bucket="sea"))
    assert messages(RULE, *resources) == [
        "there is no BucketPublicAccessBlock for it",
        "there is no BucketServerSideEncryptionConfiguration for it",
    ]


def test_a_bucket_whose_name_is_unknown_is_known_by_what_settings_come_from(make: Callable, messages: Callable) -> None:
    bucket = make(BUCKET, bucket=UNKNOWN)
    linked = {"depends_on": {"bucket": [bucket.urn]}, "bucket": UNKNOWN}
    assert messages(RULE, bucket, make(BLOCK, **linked), make(ENCRYPTION, **linked)) == []
    assert len(messages(RULE, bucket)) == 2


def test_a_public_list_is_refused_and_an_unknown_one_undecided(make: Callable, messages: Callable) -> None:
    settings = (make(BLOCK, bucket="lake"), make(ENCRYPTION, bucket="lake"))
    bucket = make(BUCKET, bucket="lake")
    assert messages(RULE, bucket, *settings, make(ACL, bucket="lake", acl="public-read")) == [
        "acl is 'public-read', allowed is private"
    ]
    assert messages(RULE, bucket, *settings, make(ACL, bucket="lake", acl="private")) == []
    everybody = "http://acs.amazonaws.com/groups/global/AllUsers"
    grants = {"grants": [{"permission": "READ", "grantee": {"type": "Group", "uri": everybody}}]}
    assert messages(RULE, bucket, *settings, make(ACL, bucket="lake", accessControlPolicy=grants)) == [
        "a grant is to the group AllUsers, allowed is private"
    ]
    assert len(messages(RULE, make(BUCKET, bucket="lake", grants=[{"uri": everybody}]), *settings)) == 1
    (message,) = messages(RULE, make(BUCKET, bucket="lake", acl=UNKNOWN), *settings)
    assert isinstance(message, Undecided)
