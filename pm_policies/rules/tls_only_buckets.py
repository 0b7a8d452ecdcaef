"""Each bucket refuses whoever comes without TLS."""

from collections.abc import Iterator

from pm_policies.policy_documents import Statement, statements
from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, judged
from pm_policies.siblings import BUCKET, BUCKET_POLICY
from pm_policies.stacks import settings_of_bucket


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The buckets that can be read over a plain connection."""
    for bucket in stack.of_type(BUCKET):
        yield from judged(bucket, _problems(stack, bucket))


def _problems(stack: Stack, bucket: Resource) -> Iterator[str]:
    policies = settings_of_bucket(stack, bucket, BUCKET_POLICY)
    refusals = [
        statement
        for policy in policies
        for statement in statements(policy.inputs, "policy")
        if _refuses_plain_transport(statement)
    ]
    if not policies:
        yield "there is no BucketPolicy for it"
    elif not refusals:
        yield "no statement of its policy denies s3:* to everybody where aws:SecureTransport is false"
    elif not any(_covers_bucket_and_objects(statement) for statement in refusals):
        yield "the statement that asks for TLS leaves out the bucket or its objects"


def _refuses_plain_transport(statement: Statement) -> bool:
    everything = {"s3:*", "*"} & {action.lower() for action in statement.actions}
    # A further condition would leave requests through that it does not hold for.
    conditions = [(one.operator, one.key, [value.lower() for value in one.values]) for one in statement.conditions]
    return (
        statement.effect == "Deny"
        and statement.everybody
        and bool(everything)
        and conditions == [("bool", "aws:securetransport", ["false"])]
    )


def _covers_bucket_and_objects(statement: Statement) -> bool:
    resources = statement.resources
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
