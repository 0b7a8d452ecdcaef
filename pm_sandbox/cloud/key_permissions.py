"""Permissions of those who write or read under a customer's key: the key's policy, asked as AWS KMS is.

The emulator marks what lies under a key with it, and asks its policy only of who calls KMS directly. On AWS every write
to an encrypted queue, topic or bucket, and every read, is a call to KMS in the name of whoever writes or reads.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ministack.core import arn as arns
from ministack.core import iam_evaluator, responses
from ministack.services import kms, s3, sns, sqs

from pm_sandbox.cloud import seams

#: "Configure KMS permissions for producers", SQS developer guide; the same for topics, SNS developer guide.
_WRITE = ("kms:GenerateDataKey", "kms:Decrypt")
_READ = ("kms:Decrypt",)
#: Prefix of the aliases of AWS's own keys: whoever may use the service may use them, and no other service may.
_OF_AWS = "alias/aws/"
#: By which a write asks for a key.
KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"

#: Condition keys that a service sends to KMS when it acts in its own name, beside the encryption context. One that is
#: not listed is taken to send none.
SENT_BY_SERVICE: Mapping[str, tuple[str, ...]] = {
    # "aws:SourceAccount, aws:SourceArn and aws:SourceOrgID ... not supported for EventBridge-to-encrypted topics":
    # "Managing Amazon SNS encryption keys and costs", SNS developer guide. For queues it is inferred: the statement
    # that "Event bus target specifics", EventBridge user guide, asks for has no condition either.
    "events.amazonaws.com": (),
    # The same page of the SNS guide recommends both for the event sources that it lists, CloudWatch alarms among them.
    "cloudwatch.amazonaws.com": ("aws:sourceaccount", "aws:sourcearn"),
}


class Caller(NamedTuple):
    """A role, a user or the account's root, in whose name a service asks KMS.

    Attributes:
        arn: its ARN; of a role, that of the session.
        account: the account that it is of.
        policies: what its own policies say; None for root, whom none limits.
        limits: its permissions boundary and session policies.
    """

    arn: str
    account: str
    policies: Sequence[Any] | None
    limits: Sequence[Any]


class Service(NamedTuple):
    """A service that acts in its own name.

    Attributes:
        principal: as `events.amazonaws.com`.
        source_arn: the resource in whose name it acts, as a rule.
    """

    principal: str
    source_arn: str


class _Place(NamedTuple):
    """A place that is written to or read from."""

    key: str
    """As the resource names it: id, ARN or alias; empty if no customer's key encrypts it."""
    context: Mapping[str, str]
    """The encryption context that the service gives."""


def check_seams() -> None:
    """Check the functions of the emulator that this module relies on.

    Raises:
        SeamError: if one has changed.
    """
    seams.require(kms, "_resolve_key", "key_id_or_arn")
    seams.require(kms, "_check_key_state", "rec")
    seams.require(sqs, "_queue_by_arn", "arn")
    seams.require(sns, "_topic_by_arn_any_scope", "topic_arn")
    seams.require(s3, "_bucket_default_sse_headers", "bucket_name")
    seams.require(s3, "_stored_sse_headers", "obj")
    seams.require(iam_evaluator, "evaluate", "ctx", "policies", "limits")
    seams.require(
        iam_evaluator, "combine_resource_policy", "identity", "ctx", "policy", "owner_account", "required", "limits"
    )
    seams.require(iam_evaluator, "evaluate_resource_policy", "doc", "ctx", "service", "named_only", "direct_only")


def _queue(arn: str, _request: Mapping[str, Any]) -> _Place:
    attributes = (sqs._queue_by_arn(arn) or {}).get("attributes", {})
    return _Place(attributes.get("KmsMasterKeyId") or "", {"aws:sqs:arn": arn})


def _topic(arn: str, _request: Mapping[str, Any]) -> _Place:
    attributes = (sns._topic_by_arn_any_scope(arn) or {}).get("attributes", {})
    return _Place(attributes.get("KmsMasterKeyId") or "", {"aws:sns:topicArn": arn})


def _written_object(arn: str, request: Mapping[str, Any]) -> _Place:
    bucket = arn.split(":", 5)[5].partition("/")[0]
    headers = s3._bucket_default_sse_headers(bucket)
    key = request.get(f"s3:{KEY_HEADER}") or headers.get(KEY_HEADER) or ""
    if request.get("s3:x-amz-server-side-encryption") == "AES256":
        key = ""
    # With an S3 bucket key, as the library sets it, the context is the bucket's ARN: "Reducing the cost of SSE-KMS with
    # Amazon S3 Bucket Keys", S3 user guide.
    return _Place(key, {"aws:s3:arn": f"arn:aws:s3:::{bucket}"})


def _read_object(arn: str, _request: Mapping[str, Any]) -> _Place:
    bucket, _, name = arn.split(":", 5)[5].partition("/")
    found = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(name)
    # What a whole folder is read by is asked for the key that the bucket puts its objects under.
    headers = s3._bucket_default_sse_headers(bucket) if found is None else s3._stored_sse_headers(found)
    return _Place(headers.get(KEY_HEADER) or "", {"aws:s3:arn": f"arn:aws:s3:::{bucket}"})


#: Action asked of KMS, by the action of the service that asks it.
_USES: Mapping[str, tuple[Callable[[str, Mapping[str, Any]], _Place], tuple[str, ...]]] = {
    "sqs:SendMessage": (_queue, _WRITE),
    "sqs:ReceiveMessage": (_queue, _READ),
    "sns:Publish": (_topic, _WRITE),
    "s3:PutObject": (_written_object, _WRITE),
    "s3:GetObject": (_read_object, _READ),
    "s3:GetObjectVersion": (_read_object, _READ),
}


def refusal(action: str, resource: str, by: Caller | Service, request: Mapping[str, Any] | None = None) -> str:
    """The reason that a resource's key keeps a caller from acting on it; empty if it does not.

    Args:
        action: the action, as `sqs:SendMessage`; of one that puts and reads nothing there is no refusal.
        resource: the ARN of the queue, topic or object.
        by: who acts.
        request: condition keys of the request, as `s3:x-amz-server-side-encryption`.
    """
    if action not in _USES:
        return ""
    place_of, asked = _USES[action]
    place = place_of(resource, request or {})
    return use_refusal(place.key, asked, action.partition(":")[0], place.context, by) if place.key else ""


def use_refusal(key: str, actions: Sequence[str], via: str, context: Mapping[str, str], by: Caller | Service) -> str:
    """The reason that a caller may not use a key; empty if it may.

    Args:
        key: id, ARN or alias.
        actions: of KMS.
        via: the service that asks KMS, as `sqs`.
        context: the encryption context.
        by: in whose name.
    """
    who = by.arn if isinstance(by, Caller) else by.principal
    if _OF_AWS in key:
        if isinstance(by, Caller):
            return ""
        return (
            f"{who} is not authorized to use {key}: a key of AWS lets no other service in, it takes a key of your own"
        )
    record = kms._resolve_key(key)
    if record is None:
        return f"key {key} does not exist"
    if kms._check_key_state(record) is not None:
        return f"key {record['Arn']} is {record['KeyState']}"
    for action in actions:
        if not _allowed(record, action, via, context, by):
            return f"{who} is not authorized to perform: {action} on resource: {record['Arn']}"
    return ""


def _allowed(
    record: Mapping[str, Any], action: str, via: str, context: Mapping[str, str], by: Caller | Service
) -> bool:
    account, region = responses.get_account_id(), responses.get_region()
    policy = record.get("Policy") or ""
    keys = {f"kms:encryptioncontext:{name}".lower(): value for name, value in context.items()}
    asked = {"action": action, "resource_arn": record["Arn"], "region": region, "secure_transport": True}
    if isinstance(by, Service):
        source = {"aws:sourceaccount": account, "aws:sourcearn": by.source_arn}
        keys |= {name: source[name] for name in SENT_BY_SERVICE.get(by.principal, ())}
        evaluated = iam_evaluator.EvalContext(
            principal_arn=by.principal, principal_type="Service", principal_account="", service_context=keys, **asked
        )
        decision = iam_evaluator.evaluate_resource_policy(policy, evaluated, service=by.principal).decision
        return bool(decision == "Allow")
    # What a service asks in the caller's name: "kms:ViaService", "kms:CallerAccount", KMS developer guide.
    keys |= {"kms:viaservice": f"{via}.{region}.amazonaws.com", "kms:calleraccount": by.account}
    evaluated = iam_evaluator.EvalContext(
        principal_arn=by.arn,
        principal_type="Root" if by.policies is None else "AssumedRole",
        principal_account=by.account,
        service_context=keys,
        **asked,
    )
    own = (
        iam_evaluator.EvalResult("Allow")
        if by.policies is None
        else iam_evaluator.evaluate(evaluated, by.policies, *by.limits)
    )
    owner = arns.parse_arn(record["Arn"]).account_id
    combined = iam_evaluator.combine_resource_policy(own, evaluated, policy, owner, required=True, limits=by.limits)
    return bool(combined.decision == "Allow")
