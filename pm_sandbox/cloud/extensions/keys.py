"""Encrypted queues, topics, buckets and log groups: whoever uses one is asked for the use of its key.

A log group gets another key, or none, too (AssociateKmsKey, DisassociateKmsKey), which the emulator cannot give it.
Callers of the APIs and the roles that services act with are asked by the checks that are there already; services that
act in their own name (EventBridge, CloudWatch alarms, CloudWatch Logs) are asked here, for the queue's or topic's own
policy as well. A delivery that is refused is lost but for the dead letters of an EventBridge target, as on AWS.
"""

import collections
import json
import logging
from typing import Any

from ministack import app
from ministack.core import arn as arns
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import cloudwatch, cloudwatch_logs, eventbridge, sqs

from pm_sandbox.cloud import key_permissions, seams
from pm_sandbox.cloud.key_permissions import Caller, Service

_EVENTS, _ALARMS = "events.amazonaws.com", "cloudwatch.amazonaws.com"
#: Actions for which a target's policy has to let a service in, by the service of the target's ARN.
_DELIVERIES = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}
#: Names that services using keys give a refusal by KMS.
_CODES = {"sqs": "KmsAccessDenied", "sns": "KMSAccessDenied", "s3": "AccessDenied"}
_ALARM_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")
#: Actions of CloudWatch Logs with a log group's key: "Encrypt log data using AWS KMS", CloudWatch Logs user guide.
_LOG_USES = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")

_log = logging.getLogger("pm.keys")
#: Deliveries that were refused and lie nowhere, by what they were from.
_lost: collections.Counter[str] = collections.Counter()


def delivery_refusal(service: str, target: str, source_arn: str) -> str:
    """The reason that a service may not deliver to a queue or topic; empty if it may, and for other targets.

    Args:
        service: its principal.
        target: ARN of the queue or topic.
        source_arn: the rule or alarm that it delivers for.
    """
    kind = target.split(":")[2]
    if kind not in _DELIVERIES:
        return ""
    found = iam_evaluator._resource_policy(kind, target)
    if found is None:
        return f"{target} does not exist"
    policy, _owner = found
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=_DELIVERIES[kind],
        resource_arn=target,
        region=responses.get_region(),
        secure_transport=True,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": responses.get_account_id()},
    )
    if iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision != "Allow":
        return f"the policy of {target} does not let {service} in for {source_arn}"
    return key_permissions.refusal(_DELIVERIES[kind], target, Service(service, source_arn))


def _enforce_with_keys(enforce: Any) -> Any:
    """The check of an API call, which goes on to the key."""

    def enforced(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        if denied is not None or service not in (*_CODES, "kms"):
            return denied
        principal = iam_evaluator.resolve_principal(access_key_id or "", responses.get_account_id())
        if service == "kms":
            return _refused_root(principal, iam_action, region, resource_arn, service_context or {})
        if isinstance(principal, iam_evaluator.AuthError):
            # Nobody in particular: what the bucket's policy gives to all, without a key.
            caller = Caller("anonymous", "", [], [])
        else:
            caller = Caller(principal.arn, principal.account, principal.policies, principal.limits)
        request = {name.lower(): value for name, value in (service_context or {}).items()}
        if reason := key_permissions.refusal(iam_action, resource_arn, caller, request):
            return iam_evaluator.AuthError(_CODES[service], f"User: {reason}")
        return None

    return enforced


def _refused_root(principal: Any, action: str, region: str, key: str, request: dict[str, Any]) -> Any:
    """The refusal by a key's policy of the account's root, whom the emulator lets do everything; None if there is none.

    "No AWS principal, including the account root user or key creator, has any permissions to a KMS key unless they are
    explicitly allowed, and never denied": "Key policies in AWS KMS", AWS KMS developer guide.
    """
    found = iam_evaluator._resource_policy("kms", key)
    if found is None or isinstance(principal, iam_evaluator.AuthError) or principal.policies is not None:
        return None
    context = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=key,
        region=region,
        secure_transport=True,
        service_context={name.lower(): value for name, value in request.items()},
    )
    result = iam_evaluator.evaluate_resource_policy(found[0], context)
    if result.decision == "Allow":
        return None
    result.principal_arn, result.resource_policy_arn = principal.arn, key
    return result


def _context_with_key(context_of: Any) -> Any:
    """The condition keys of a request to S3, with the key that it asks for."""

    def context(
        iam_action: str, query_params: Any, path: str = "", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        keys: dict[str, Any] = context_of(iam_action, query_params, path, headers)
        if asked := (headers or {}).get(key_permissions.KEY_HEADER):
            keys[f"s3:{key_permissions.KEY_HEADER}"] = asked
        return keys

    return context


def _invoke_where_allowed(invoke: Any) -> Any:
    """Replace EventBridge's invocation of a target: queue or topic and their key must allow it."""

    def invoked(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        # A schedule has a role, which is asked.
        if event.get("Source") == "aws.scheduler":
            invoke(target, event, rule, view)
        elif reason := delivery_refusal(_EVENTS, target["Arn"], rule["Arn"]):
            _to_dead_letters(target, event, rule, view, reason)
        else:
            invoke(target, event, rule, view)

    return invoked


def _to_dead_letters(
    target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any, reason: str
) -> None:
    """A refusal is not tried again: "Using dead-letter queues", EventBridge user guide."""
    queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    lost = delivery_refusal(_EVENTS, queue_arn, rule["Arn"]) if queue_arn else "it has no dead-letter queue"
    if lost:
        _log.warning("an event of %s is lost: %s; %s", rule["Arn"], reason, lost)
        _lost[rule["Arn"]] += 1
        return
    _log.warning("an event of %s is a dead letter: %s", rule["Arn"], reason)
    payload = json.dumps((view or eventbridge._pattern_event_view(event)).event_with_detail())
    eventbridge._dispatch_to_sqs(arns.parse_arn(queue_arn), payload)
    told = {
        "RULE_ARN": rule["Arn"],
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": reason,
    }
    message = sqs._queue_by_arn(queue_arn)["messages"][-1]
    message["message_attributes"] = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}


def _alarm_where_allowed(dispatch: Any) -> Any:
    """Replace CloudWatch's notice of an alarm: the topic and its key must allow it."""

    def dispatched(alarm: dict[str, Any], *change: Any) -> None:
        source, heard = alarm.get("AlarmArn", ""), dict(alarm)
        for actions in _ALARM_ACTIONS:
            for topic in heard.get(actions) or []:
                if reason := delivery_refusal(_ALARMS, topic, source):
                    heard[actions] = [other for other in heard[actions] if other != topic]
                    _log.warning("alarm %s is not told: %s", source, reason)
                    _lost[source] += 1
        dispatch(heard, *change)

    return dispatched


def _group_where_allowed(create: Any) -> Any:
    """Replace the creation of a log group: CloudWatch Logs must be allowed its key."""

    def created(data: dict[str, Any]) -> Any:
        return _refused_log_key(data) or create(data)

    return created


def _refused_log_key(data: dict[str, Any]) -> Any:
    """The answer to a request that gives a log group a key which CloudWatch Logs may not use; None if it may."""
    if key := data.get("kmsKeyId"):
        group = cloudwatch_logs._make_group_arn_no_star(data.get("logGroupName", ""))
        service = Service(f"logs.{responses.get_region()}.amazonaws.com", group)
        if reason := key_permissions.use_refusal(key, _LOG_USES, "logs", {"aws:logs:arn": group}, service):
            return responses.error_response_json("InvalidParameterException", reason, 400)
    return None


def _logs_with_keys(handle: Any) -> Any:
    """CloudWatch Logs, which sets and takes away a log group's key as well."""

    async def handled(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, list[str]]
    ) -> Any:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in ("AssociateKmsKey", "DisassociateKmsKey"):
            return await handle(method, path, headers, body, query_params)
        data = json.loads(body)
        name = data.get("logGroupName", "")
        if name not in cloudwatch_logs._log_groups:
            text = f"The specified log group does not exist: {name}"
            return responses.error_response_json("ResourceNotFoundException", text, 400)
        if refused := _refused_log_key(data):
            return refused
        cloudwatch_logs._log_groups[name]["kmsKeyId"] = data["kmsKeyId"] if operation == "AssociateKmsKey" else None
        return responses.json_response({})

    return handled


async def _counts(_query: dict[str, list[str]]) -> dict[str, int]:
    return dict(_lost)


def install() -> None:
    """Ask keys where the emulator does not."""
    key_permissions.check_seams()
    enforce = seams.require(
        iam_evaluator, "enforce", "access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"
    )
    seams.require(iam_evaluator, "resolve_principal", "access_key_id", "account_id", "credential")
    seams.require(iam_evaluator, "_resource_policy", "service", "resource_arn")
    context_of = seams.require(iam_actions, "s3_service_context", "iam_action", "query_params", "path", "headers")
    invoke = seams.require(eventbridge, "_invoke_target", "target", "event", "rule", "view")
    seams.require(eventbridge, "_dispatch_to_sqs", "spec", "payload", "sqs_parameters")
    seams.require(eventbridge, "_pattern_event_view", "event")
    dispatch = seams.require(cloudwatch, "_dispatch_alarm_actions", "alarm", "old_state", "new_state", "reason")
    create = seams.require(cloudwatch_logs, "_create_log_group", "data")
    seams.require(cloudwatch_logs, "_make_group_arn_no_star", "name")
    seams.require_value(cloudwatch_logs, "_log_groups", responses.AccountRegionScopedDict)
    handlers = seams.require_value(app, "SERVICE_HANDLERS", dict)
    handlers["logs"] = _logs_with_keys(handlers["logs"])
    iam_evaluator.enforce = _enforce_with_keys(enforce)
    iam_actions.s3_service_context = _context_with_key(context_of)
    eventbridge._invoke_target = _invoke_where_allowed(invoke)
    cloudwatch._dispatch_alarm_actions = _alarm_where_allowed(dispatch)
    cloudwatch_logs._create_log_group = _group_where_allowed(create)
    seams.routes["/_pm/undelivered"] = _counts
