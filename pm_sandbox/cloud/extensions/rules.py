"""IoT rules: the Firehose action, the permissions of each action's role, and nothing that is skipped silently.

The emulator takes any rule and skips actions, SQL functions and templates that it does not know, and its SQL is kinder
than AWS's tables. Here such a rule is refused when it is created, by the name of what cannot be honoured, and the SQL
is that of `rule_sql`, parsed once for all messages.
"""

import functools
import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from ministack.core import responses
from ministack.services import iot

from pm_sandbox.cloud import role_permissions, rule_sql, seams
from pm_sandbox.cloud.extensions import firehose
from pm_sandbox.cloud.extensions.lambda_sources import require_function_policy

_PRINCIPAL = "iot.amazonaws.com"
#: The one version that the emulator's SQL follows; AWS's own default is an older one.
_SQL_VERSION = "2016-03-23"
#: "separator": AWS IoT Core developer guide, Firehose action.
_SEPARATORS = ("\n", "\t", "\r\n", ",")

_log = logging.getLogger("pm.rules")


class _Action(NamedTuple):
    """A rule action: the parameters honoured, those of them required, the IAM action of its role, and on what."""

    parameters: frozenset[str]
    required: frozenset[str]
    permission: str = ""
    resource: Callable[[dict[str, Any]], str] = lambda _: ""


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{resource}"


def _queue_arn(spec: dict[str, Any]) -> str:
    account, name = spec["queueUrl"].rsplit("/", 2)[-2:]
    return f"arn:aws:sqs:{responses.get_region()}:{account}:{name}"


_ACTIONS = {
    "firehose": _Action(
        frozenset({"roleArn", "deliveryStreamName", "separator", "batchMode"}),
        frozenset({"roleArn", "deliveryStreamName"}),
        "firehose:PutRecord",
        lambda spec: _arn("firehose", f"deliverystream/{spec['deliveryStreamName']}"),
    ),
    "sqs": _Action(
        frozenset({"roleArn", "queueUrl", "useBase64"}),
        frozenset({"roleArn", "queueUrl"}),
        "sqs:SendMessage",
        _queue_arn,
    ),
    "sns": _Action(
        frozenset({"roleArn", "targetArn", "messageFormat"}),
        frozenset({"roleArn", "targetArn"}),
        "sns:Publish",
        lambda spec: str(spec["targetArn"]),
    ),
    "dynamoDBv2": _Action(
        frozenset({"roleArn", "putItem"}),
        frozenset({"roleArn", "putItem"}),
        "dynamodb:PutItem",
        lambda spec: _arn("dynamodb", f"table/{spec['putItem']['tableName']}"),
    ),
    "republish": _Action(
        frozenset({"roleArn", "topic", "qos"}),
        frozenset({"roleArn", "topic"}),
        "iot:Publish",
        lambda spec: _arn("iot", f"topic/{spec['topic'].removeprefix('$')}"),
    ),
    # Allowed by the function's own policy, not by a role.
    "lambda": _Action(frozenset({"functionArn"}), frozenset({"functionArn"})),
}


class UnsupportedRuleError(iot.RuleRepublishError):
    """A rule that this emulator cannot honour; of the class that the emulator answers with InvalidRequestException."""


def rule_error(payload: dict[str, Any]) -> str:
    """The reason that a rule of this payload (as CreateTopicRule takes it) cannot be honoured; empty if it can."""
    if payload.get("awsIotSqlVersion") != _SQL_VERSION:
        return f"awsIotSqlVersion must be {_SQL_VERSION} here, and is {payload.get('awsIotSqlVersion')!r}"
    try:
        rule_sql.parse(payload.get("sql", ""))
    except rule_sql.SqlError as refused:
        return str(refused)
    error_action = payload.get("errorAction")
    for action in [*(payload.get("actions") or []), *([error_action] if error_action else [])]:
        if error := _action_error(action):
            return error
    return ""


def _action_error(action: dict[str, Any]) -> str:
    ((kind, spec),) = action.items()
    if kind not in _ACTIONS:
        return f"rule action {kind} is not honoured here; honoured are {', '.join(sorted(_ACTIONS))}"
    if unknown := sorted(set(spec) - _ACTIONS[kind].parameters):
        return f"{unknown[0]} of rule action {kind} is not honoured here"
    if missing := sorted(_ACTIONS[kind].required - set(spec)):
        return f"{missing[0]} of rule action {kind} is missing"
    if "${" in json.dumps(spec):
        return f"substitution templates (${{...}}) in rule action {kind} are not honoured here"
    if spec.get("batchMode"):
        return "batchMode of rule action firehose is not honoured here: each message is one record"
    if spec.get("separator", "\n") not in _SEPARATORS:
        return f"separator of rule action firehose must be one of {_SEPARATORS}, and is {spec['separator']!r}"
    if spec.get("messageFormat", "RAW") != "RAW":
        return "messageFormat of rule action sns is honoured here as RAW only"
    return ""


_parse = functools.lru_cache(1024)(rule_sql.parse)


@functools.lru_cache(16384)
def _matches(topic_filter: str, topic: str) -> bool:
    return bool(topic_filter) and bool(iot._subscription_matches(topic_filter, topic))


async def _evaluate_topic_rules(
    account_id: str, region: str, topic: str, payload: bytes, client_id: str | None = None
) -> None:
    """Run every rule whose filter matches, the message decoded once for all of them."""
    rules = [
        rule
        for rule in iot._rules_for_account(account_id, region)
        if _matches(_parse(rule["sql"]).topic_filter, topic) and not rule["ruleDisabled"]
    ]
    if rules:
        message = _message(topic, payload, client_id)
        with responses.request_scope(account_id, region):
            for rule in rules:
                await _run_rule(account_id, region, rule, message)


async def _run_rule_actions(
    account_id: str, region: str, rule: dict[str, Any], payload: bytes, topic: str = "", client_id: str | None = None
) -> None:
    """Run one rule by name (Basic Ingest)."""
    if rule and not rule.get("ruleDisabled"):
        with responses.request_scope(account_id, region):
            await _run_rule(account_id, region, rule, _message(topic, payload, client_id))


def _message(topic: str, payload: bytes, client_id: str | None) -> rule_sql.Message:
    principal, trace_id = iot._rule_message_identity.get()
    return rule_sql.Message.of(topic, payload, client_id or "", principal or "", trace_id)


async def _run_rule(account_id: str, region: str, rule: dict[str, Any], message: rule_sql.Message) -> None:
    statement = _parse(rule["sql"])
    if not statement.takes(message):
        return
    event = statement.event(message)
    failures = []
    for action in rule["actions"]:
        ((kind, spec),) = action.items()
        try:
            if kind == "firehose":
                # A whole message goes on as it came, which spares the rules engine the encoding.
                record = event if isinstance(event, bytes) else json.dumps(event).encode()
                _to_firehose(account_id, region, spec, record)
            else:
                await _run_action(account_id, region, rule["ruleName"], action, _carried(event, message))
        except Exception as error:
            _log.warning("rule %s: %s action: %s: %s", rule["ruleName"], kind, type(error).__name__, error)
            resource = spec.get("deliveryStreamName") or iot._rule_action_resource(action, kind)
            failures.append(
                {
                    "failedAction": iot._rule_action_name(kind),
                    "failedResource": resource,
                    "errorMessage": f"{type(error).__name__}: {error}",
                }
            )
    if failures:
        await iot._dispatch_rule_error_action(
            account_id, region, rule, message.topic, message.payload, message.client_id or None, failures
        )


def _carried(event: dict[str, Any] | bytes, message: rule_sql.Message) -> Any:
    """The event as the emulator's actions take it: a JSON value, or a text that is none.

    Raises:
        UnicodeDecodeError: if it is neither.
    """
    if not isinstance(event, bytes):
        return event
    return event.decode() if message.content is rule_sql.UNDEFINED else message.content


async def _run_action(account_id: str, region: str, rule_name: str, action: dict[str, Any], event: Any) -> None:
    """Run one action, or error action, with the permissions of its role."""
    ((kind, spec),) = action.items()
    if kind == "firehose":
        _to_firehose(account_id, region, spec, json.dumps(event).encode())
        return
    if kind == "lambda":
        require_function_policy(spec["functionArn"], _PRINCIPAL, _arn("iot", f"rule/{rule_name}"))
    else:
        _require_permission(kind, spec)
    await _dispatch(account_id, region, rule_name, action, event)


def _to_firehose(account_id: str, region: str, spec: dict[str, Any], record: bytes) -> None:
    _require_permission("firehose", spec)
    firehose.accept(account_id, region, spec["deliveryStreamName"], record + spec.get("separator", "").encode())


def _require_permission(kind: str, spec: dict[str, Any]) -> None:
    known = _ACTIONS[kind]
    role_permissions.require_permission(spec["roleArn"], _PRINCIPAL, known.permission, known.resource(spec))


_dispatch: Callable[..., Any]


def install() -> None:
    """Replace how rules are stored, matched and run."""
    global _dispatch
    role_permissions.check_seams()
    for name, parameters in {
        "_rules_for_account": ("account_id", "region"),
        "_dispatch_rule_error_action": (
            "account_id", "region", "rule", "topic", "payload", "client_id", "failures",
        ),
        "_rule_action_name": ("action_type",),
        "_rule_action_resource": ("action", "action_type"),
        "_evaluate_topic_rules": ("account_id", "region", "topic", "payload", "client_id"),
        "_run_rule_actions": ("account_id", "region", "rule", "payload", "topic", "client_id"),
    }.items():  # fmt: skip
        seams.require(iot, name, *parameters)
    _dispatch = seams.require(iot, "_dispatch_rule_action", "account_id", "region", "rule_name", "action", "event")
    seams.require(iot, "_validate_rule_sql", "sql")
    # The emulator's grammar is another one than AWS's: ours decides, below.
    iot._validate_rule_sql = lambda _sql: None
    iot._subscription_matches = functools.lru_cache(65536)(
        seams.require(iot, "_subscription_matches", "filter_", "topic")
    )
    put = seams.require(iot, "put_topic_rule", "name", "payload", "created_at")

    def put_checked(name: str, payload: dict[str, Any], *, created_at: float | None = None) -> Any:
        if error := rule_error(payload):
            raise UnsupportedRuleError(error)
        return put(name, payload, created_at=created_at)

    iot.put_topic_rule = put_checked
    iot._evaluate_topic_rules = _evaluate_topic_rules
    iot._run_rule_actions = _run_rule_actions
    # The error action goes through the emulator's own caller of this name.
    iot._dispatch_rule_action = _run_action
