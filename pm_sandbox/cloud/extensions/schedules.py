"""EventBridge Scheduler: a schedule's group in its ARN, its target's role asked, and a second between two looks.

The emulator judges every schedule as one of the group `default`, starts targets whatever the role of the schedule
allows, and looks for those that are due every ten seconds. It keeps universal targets and passes them over; here
SendMessage of SQS is one, and any other is refused when the schedule is made.
"""

import functools
import json
import logging
from collections.abc import Callable
from typing import Any

import botocore.session
from ministack.core import iam_actions, responses
from ministack.services import eventbridge, scheduler, sqs

from pm_sandbox.cloud import role_permissions, seams
from pm_sandbox.cloud.role_permissions import PermissionDenied

_PRINCIPAL = "scheduler.amazonaws.com"
_LOOK_EVERY_SECONDS = 1
#: "Target types", EventBridge Scheduler user guide: what the role must be allowed, by the service of the target's ARN.
_ACTIONS = {
    "events": "events:PutEvents",
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}

#: The form of a universal target, and the one that is honoured: "Using universal targets", EventBridge Scheduler user
#: guide. Its input are the operation's parameters, by the names of the API reference.
_UNIVERSAL = ":scheduler:::aws-sdk:"
_SEND_MESSAGE = f"arn:aws{_UNIVERSAL}sqs:sendMessage"

_log = logging.getLogger("pm.scheduler")


def group_of(body: bytes, query_params: dict[str, Any]) -> str:
    """The group that a request on a schedule names: in the query to get or delete one, in the body otherwise."""
    for key in ("groupName", "GroupName"):
        if query_params.get(key):
            value = query_params[key]
            return str(value[0] if isinstance(value, list) else value)
    try:
        given = json.loads(body) if body else {}
    except ValueError:
        return "default"
    return str(given.get("GroupName", "default")) if isinstance(given, dict) else "default"


def require_target(target: dict[str, Any]) -> None:
    """Refuse where the schedule's role does not allow what its target takes.

    Raises:
        PermissionDenied: naming role, action and target.
    """
    arn = target["Arn"]
    if arn == _SEND_MESSAGE:
        account, name = json.loads(target["Input"])["QueueUrl"].rsplit("/", 2)[-2:]
        queue = f"arn:aws:sqs:{responses.get_region()}:{account}:{name}"
        role_permissions.require_permission(target["RoleArn"], _PRINCIPAL, _ACTIONS["sqs"], queue)
        return
    service = arn.split(":")[2]
    if service not in _ACTIONS:
        raise PermissionDenied(f"target {arn}: the sandbox starts {', '.join(sorted(_ACTIONS))} only")
    role_permissions.require_permission(target["RoleArn"], _PRINCIPAL, _ACTIONS[service], arn)


def target_error(target: dict[str, Any]) -> str:
    """The reason that a schedule with this target cannot be honoured; empty if it can."""
    arn = str(target.get("Arn", ""))
    if _UNIVERSAL not in arn:
        return ""
    if arn != _SEND_MESSAGE:
        return f"universal target {arn} is not honoured here; honoured is {_SEND_MESSAGE}"
    try:
        given = json.loads(target.get("Input", ""))
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return f"Input of {arn} must be a JSON object of the operation's parameters"
    known = _send_message_model()
    if unknown := sorted(set(given) - set(known.members)):
        return f"Input of {arn}: SendMessage has no parameter {unknown[0]}"
    if missing := [name for name in known.required_members if name not in given]:
        return f"Input of {arn}: SendMessage needs {missing[0]}"
    return ""


@functools.cache
def _send_message_model() -> Any:
    return botocore.session.get_session().get_service_model("sqs").operation_model("SendMessage").input_shape


def _checked(write: Callable[[str, dict[str, Any]], Any]) -> Callable[[str, dict[str, Any]], Any]:
    @functools.wraps(write)
    def checked(name: str, body: dict[str, Any]) -> Any:
        if error := target_error(body.get("Target") or {}):
            return scheduler._error(400, "ValidationException", error)
        return write(name, body)

    return checked


def install() -> None:
    """Replace how schedules are named to IAM, which are taken, and how their targets are started."""
    role_permissions.check_seams()
    seams.require_value(scheduler, "_SCHEDULE_TICK_INTERVAL", int)
    extract = seams.require(
        iam_actions, "extract_resource_arn",
        "service", "method", "path", "headers", "body", "query_params", "region", "account_id",
    )  # fmt: skip
    invoke = seams.require(eventbridge, "_invoke_target", "target", "event", "rule", "view")
    send_message = seams.require(sqs, "_act_send_message", "data", "qurl")
    seams.require(scheduler, "_error", "status", "code", "message")
    for name in ("_create_schedule", "_update_schedule"):
        setattr(scheduler, name, _checked(seams.require(scheduler, name, "name", "body")))

    @functools.wraps(extract)
    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query_params: dict[str, Any], *where: str
    ) -> str:
        arn = str(extract(service, method, path, headers, body, query_params, *where))
        if service == "scheduler" and ":schedule/default/" in arn:
            return arn.replace(":schedule/default/", f":schedule/{group_of(body, query_params)}/")
        return arn

    def invoke_where_allowed(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> None:
        if event.get("Source") == "aws.scheduler":
            try:
                require_target(target)
            except PermissionDenied as error:
                _log.warning("schedule %s starts nothing: %s", rule.get("Arn"), error)
                return
            if target["Arn"] == _SEND_MESSAGE:
                send_message(json.loads(target["Input"]), "")
                return
        invoke(target, event, rule, view)

    iam_actions.extract_resource_arn = resource_arn
    eventbridge._invoke_target = invoke_where_allowed
    scheduler._SCHEDULE_TICK_INTERVAL = _LOOK_EVERY_SECONDS
