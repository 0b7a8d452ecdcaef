"""The rights of a service by the role that it was given, checked as on AWS when the service acts.

The emulator checks the callers of its APIs, Lambda functions among them, but lets the rules engine, Firehose and Step
Functions do as they like with any role. A policy that forgets a permission would then work here and fail on AWS.
"""

import json
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import iam

from pm_sandbox.cloud import key_permissions, seams
from pm_sandbox.cloud.timed_cache import TimedCache

#: Condition keys by which a service names the account in whose name it takes on a role, by principal; a trust policy's
#: condition on anything else fails. "Cross-service confused deputy prevention" of the guides of AWS IoT Core,
#: EventBridge Scheduler, SageMaker and Step Functions; "Controlling access with Amazon Data Firehose". All others,
#: Lambda among them, tell nothing.
_TOLD = {
    "firehose.amazonaws.com": "sts:externalid",
    "iot.amazonaws.com": "aws:sourceaccount",
    "sagemaker.amazonaws.com": "aws:sourceaccount",
    "scheduler.amazonaws.com": "aws:sourceaccount",
    "states.amazonaws.com": "aws:sourceaccount",
}

_refusals: TimedCache[str] = TimedCache()


class PermissionDenied(RuntimeError):
    """The role does not let the service do this; the text names role, action and resource."""


def check_seams() -> None:
    """Check the functions of the emulator that this module relies on.

    Raises:
        SeamError: if one has changed.
    """
    seams.require(iam_evaluator, "_gather_role_policies", "role_name", "account_id")
    seams.require(iam_evaluator, "_permissions_boundary", "store", "name", "account_id")
    seams.require(iam_evaluator, "_service_principal_matches", "principal", "service")
    seams.require(iam_evaluator, "_conditions_met", "conditions", "ctx")
    seams.require(iam_evaluator, "evaluate", "ctx", "policies", "limits")
    seams.require_value(iam, "_roles", responses.AccountScopedDict)
    key_permissions.check_seams()


def require_permission(role_arn: str, service: str, action: str, resource: str) -> None:
    """Refuse where `service` may not assume the role, or role or key do not allow `action` on `resource`.

    Args:
        role_arn: The role that the resource was created with.
        service: The service principal that acts, for example `iot.amazonaws.com`.
        action: The IAM action, for example `firehose:PutRecord`.
        resource: The ARN of what is acted on.

    Raises:
        PermissionDenied: naming the role, the action and the resource.
    """
    key = (role_arn, service, action, resource)
    if reason := _refusals.get(key, lambda: _refusal(*key)):
        raise PermissionDenied(reason)


def may_assume(role_arn: str, service: str) -> bool:
    """Return whether `service` may assume the role of this account."""
    account = responses.get_account_id()
    role = _role(role_arn, account)
    return role is not None and _trusts(role, service, account)


def _role(role_arn: str, account: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (
        iam._roles.get_scoped(account, None, role_arn.rsplit("/", 1)[-1]) if ":role/" in role_arn else None
    )
    return found


def _refusal(role_arn: str, service: str, action: str, resource: str) -> str:
    """The reason for a refusal, or nothing."""
    account = responses.get_account_id()
    name = role_arn.rsplit("/", 1)[-1]
    if (role := _role(role_arn, account)) is None:
        return f"{role_arn or 'no role'} is not a role of this account; {service} needs one for {action} on {resource}"
    if not _trusts(role, service, account):
        return f"{service} may not assume {role_arn}: its trust policy does not let it"
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/{service.split('.')[0]}",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=responses.get_region(),
        # A service calls over TLS; that this emulator's own services call in-process must not fail such a condition.
        secure_transport=True,
    )
    policies = iam_evaluator._gather_role_policies(name, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    if iam_evaluator.evaluate(context, policies, *limits).decision != "Allow":
        return f"{context.principal_arn} is not authorized to perform: {action} on resource: {resource}"
    by = key_permissions.Caller(context.principal_arn, account, policies, limits)
    return key_permissions.refusal(action, resource, by)


def _trusts(role: dict[str, Any], service: str, account: str) -> bool:
    document = role.get("AssumeRolePolicyDocument") or "{}"
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn="*",
        region=responses.get_region(),
        service_context={_TOLD[service]: account} if service in _TOLD else {},
    )
    effects = {
        statement.get("Effect")
        for statement in (statements if isinstance(statements, list) else [statements])
        if iam_evaluator._service_principal_matches(statement.get("Principal"), service)
        and "sts:AssumeRole" in _as_list(statement.get("Action"))
        and iam_evaluator._conditions_met(_without_source_arn(statement.get("Condition") or {}), context)
    }
    return "Allow" in effects and "Deny" not in effects


def _without_source_arn(conditions: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """The conditions but for `aws:SourceArn`: each service has an ARN of its own form for it, which is not modelled."""
    kept = {
        operator: {key: value for key, value in keys.items() if key.lower() != "aws:sourcearn"}
        for operator, keys in conditions.items()
    }
    return {operator: keys for operator, keys in kept.items() if keys}


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
