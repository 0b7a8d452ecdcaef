"""Refuses what AWS does not delete and the emulator would: EventBridge rules with targets, workgroups with queries."""

from typing import Any

from ministack.core import responses
from ministack.services import athena, eventbridge

from pm_sandbox.cloud import seams


def _rule_without_targets(delete: Any) -> Any:
    """Replace the deletion of a rule: "you must remove all targets", DeleteRule of the EventBridge API reference."""

    def deleted(data: dict[str, Any]) -> Any:
        key = eventbridge._rule_key(data.get("Name", ""), data.get("EventBusName", "default"))
        if eventbridge._targets.get(key):
            text = "Rule can't be deleted since it has targets."
            return responses.error_response_json("ValidationException", text, 400)
        return delete(data)

    return deleted


def _empty_workgroup(delete: Any) -> Any:
    """Replace the deletion of a workgroup: RecursiveDeleteOption of DeleteWorkGroup, Athena API reference."""

    def deleted(data: dict[str, Any]) -> Any:
        name = data.get("WorkGroup", "")
        kept = [*athena._named_queries.values(), *athena._executions.values()]
        if not data.get("RecursiveDeleteOption") and any(one.get("WorkGroup") == name for one in kept):
            return responses.error_response_json("InvalidRequestException", f"WorkGroup {name} is not empty", 400)
        return delete(data)

    return deleted


def install() -> None:
    """Look before a rule or a workgroup is deleted."""
    seams.require(eventbridge, "_rule_key", "rule_name", "bus_name")
    seams.require_value(eventbridge, "_targets", responses.AccountRegionScopedDict)
    for store in ("_named_queries", "_executions"):
        seams.require_value(athena, store, responses.AccountRegionScopedDict)
    eventbridge._delete_rule = _rule_without_targets(seams.require(eventbridge, "_delete_rule", "data"))
    athena._delete_workgroup = _empty_workgroup(seams.require(athena, "_delete_workgroup", "data"))
