"""Each bucket refuses whoever comes without TLS."""

from collections.abc import Iterator, Mapping
from typing import Any

from pm_policies.inputs import document, items, statements
from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, judged
from pm_policies.stacks import settings_of_bucket

_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_POLICIES = ("aws:s3/bucketPolicy:BucketPolicy",)


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The buckets that can be read over a plain connection."""
    for bucket in stack.of_type(*_BUCKETS):
        yield from judged(bucket, _problems(stack, bucket))


def _problems(stack: Stack, bucket: Resource) -> Iterator[str]:
    policies = settings_of_bucket(stack, bucket, *_POLICIES)
    refusals = [
        statement
        for policy in policies
        for statement in statements(document(policy.inputs, "policy"))
        if _refuses_plain_transport(statement)
    ]
    if not policies:
        yield "there is no BucketPolicy for it"
    elif not refusals:
        yield "no statement of its policy denies s3:* to everybody where aws:SecureTransport is false"
    elif not any(_covers_bucket_and_objects(statement) for statement in refusals):
        yield "the statement that asks for TLS leaves out the bucket or its objects"


def _refuses_plain_transport(statement: Mapping[str, Any]) -> bool:
    everybody = statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    secure = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    everything = {"s3:*", "*"} & set(items(statement.get("Action")))
    return (
        statement.get("Effect") == "Deny"
        and everybody
        and bool(everything)
        and [str(value).lower() for value in items(secure)] == ["false"]
    )


def _covers_bucket_and_objects(statement: Mapping[str, Any]) -> bool:
    resources = [str(resource) for resource in items(statement.get("Resource"))]
    objects = [resource for resource in resources if resource.endswith("*")]
    return "*" in resources or (bool(objects) and len(objects) < len(resources))


RULE = StackRule(
    name="tls-only-buckets",
    severity=Severity.HIGH,
    level=Level.MANDATORY,
    demand="Each bucket's policy denies everything to requests without TLS.",
    why="S3 answers plain HTTP too, and then data and signed requests can be read on the way.",
    mend="make the bucket with pm_components.aws.buckets.private_bucket, or add permissions.deny_plain_transport",
    check=check,
)
