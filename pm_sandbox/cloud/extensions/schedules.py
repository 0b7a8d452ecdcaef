"""EventBridge Scheduler: a schedule's group in its ARN, its target's role asked, and a second between two looks.

The emulator judges every schedule as one of the group `default`, starts targets whatever the role of the schedule
allows, and looks for those that are due every ten seconds.
"""

import functools
import json
import logging
from typing import Any

from ministack.core import iam_actions
from ministack.services import eventbridge, scheduler

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
    service = arn.split(":")[2]
    if service not in _ACTIONS:
        raise PermissionDenied(f"target {arn}: the sandbox starts {', '.join(sorted(_ACTIONS))} only")
    role_permissions.require_permission(target["RoleArn"], _PRINCIPAL, _ACTIONS[service], arn)


def install() -> None:
    """Replace how schedules are named to IAM and how their targets are started."""
    role_permissions.check_seams()
    seams.require_value(scheduler, "_SCHEDULE_TICK_INTERVAL", int)
    extract = seams.require(
        iam_actions, "extract_resource_arn",
        "service", "method", "path", "headers", "body", "query_params", "region", "account_id",
    )  # fmt: skip
    invoke = seams.require(eventbridge, "_invoke_target", "target", "event", "rule", "view")

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
        invoke(target, event, rule, view)

    iam_actions.extract_resource_arn = resource_arn
    eventbridge._invoke_target = invoke_where_allowed
    scheduler._SCHEDULE_TICK_INTERVAL = _LOOK_EVERY_SECONDS
