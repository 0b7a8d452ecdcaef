"""Bucket policies that ask for TLS. Not proved here: the version of TLS."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.tls_only_buckets import RULE

BUCKET = "aws:s3/bucket:Bucket"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
REFUSAL: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
NO_REFUSAL = "no statement of its policy denies s3:* to everybody where aws:SecureTransport is false"


def _told(make: Callable, messages: Callable, **change: Any) -> list[str]:
    policy = json.dumps({"Statement": [{**REFUSAL, **change}]})
    return messages(RULE, make(BUCKET, bucket="lake"), make(POLICY, bucket="lake", policy=policy))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["*"]}},
        {"Action": ["S3:*"]},
        {"Condition": {"Bool": {"aws:SecureTransport": False}}},
        {"Condition": {"Bool": {"aws:securetransport": "false"}}},
        {"Condition": {"bool": {"AWS:SecureTransport": ["false"]}}},
    ],
)
def test_a_bucket_that_refuses_plain_requests_passes(make: Callable, messages: Callable, change: dict) -> None:
    assert _told(make, messages, **change) == []


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "123456789012"}},
        {"Action": "s3:GetObject"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false"}, "StringLike": {"aws:UserAgent": "curl*"}}},
        {"Condition": {"BoolIfExists": {"aws:SecureTransport": "true"}}},
        {"Condition": {}},
    ],
)
def test_a_policy_that_refuses_something_else_does_not(make: Callable, messages: Callable, change: dict) -> None:
    assert _told(make, messages, **change) == [NO_REFUSAL]


@pytest.mark.parametrize("resource", [["arn:aws:s3:::lake/*"], "arn:aws:s3:::lake"])
def test_bucket_and_objects_are_to_be_covered(make: Callable, messages: Callable, resource: Any) -> None:
    assert _told(make, messages, Resource=resource) == [
        "the statement that asks for TLS leaves out the bucket or its objects"
    ]


def test_a_policy_may_be_an_object_its_statement_no_list_and_it_may_lie_in_the_bucket(
    make: Callable, messages: Callable
) -> None:
    policy = {"Statement": REFUSAL}
    assert messages(RULE, make(BUCKET, bucket="lake"), make(POLICY, bucket="lake", policy=policy)) == []
    assert messages(RULE, make(BUCKET, bucket="lake", policy=json.dumps(policy))) == []
    open_ = json.dumps({"Statement": {**REFUSAL, "Effect": "Allow"}})
    assert messages(RULE, make(BUCKET, bucket="lake", policy=open_)) == [NO_REFUSAL]


def test_a_bucket_without_a_policy_is_refused_and_an_unknown_policy_undecided(
    make: Callable, messages: Callable
) -> None:
    bucket = make(BUCKET, bucket="lake")
    other = make(POLICY, bucket="sea", policy=json.dumps({"Statement": [REFUSAL]}))
    assert messages(RULE, bucket, other) == ["there is no BucketPolicy for it"]
    (message,) = messages(RULE, bucket, make(POLICY, bucket="lake", policy=UNKNOWN))
    assert isinstance(message, Undecided)
