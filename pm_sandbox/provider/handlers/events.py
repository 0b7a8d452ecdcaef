"""EventBridge rules and Scheduler schedules."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, camel, json_text, pascal, tag_list, told
from pm_sandbox.provider.registry import ON_DELETION, Context, Made, deletes, handles, puts, reads, updates

_SCHEDULE = {
    "actionAfterCompletion": "ActionAfterCompletion",
    "description": "Description",
    "kmsKeyArn": "KmsKeyArn",
    "scheduleExpression": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "state": "State",
}
_RULE = {
    "description": "Description",
    "eventBusName": "EventBusName",
    "scheduleExpression": "ScheduleExpression",
    "state": "State",
}
_TARGET = {"arn": "Arn", "input": "Input", "inputPath": "InputPath", "roleArn": "RoleArn"}
_TARGET_BLOCKS = {
    "deadLetterConfig": "DeadLetterConfig",
    "inputTransformer": "InputTransformer",
    "retryPolicy": "RetryPolicy",
}


@handles("aws:scheduler/scheduleGroup:ScheduleGroup")
def schedule_group(inputs: Inputs, context: Context) -> Made:
    """A group of schedules."""
    name = inputs.need("name")
    made = context.client("scheduler").create_schedule_group(Name=name, Tags=tag_list(inputs))
    return name, {"arn": made["ScheduleGroupArn"], "state": "ACTIVE"}


@reads("aws:scheduler/scheduleGroup:ScheduleGroup")
def read_schedule_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A group; one that is being deleted is gone."""
    client = context.client("scheduler")
    found = client.get_schedule_group(Name=id_)
    if found["State"] == "DELETING":
        return None
    return {"name": id_, "tags": tags_of(client.list_tags_for_resource(ResourceArn=found["Arn"])["Tags"])}


@updates("aws:scheduler/scheduleGroup:ScheduleGroup")
def update_schedule_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A group's tags."""
    client = context.client("scheduler")
    update_tags(olds, news, client.untag_resource, client.tag_resource, ResourceArn=olds["arn"])
    return {}


@deletes("aws:scheduler/scheduleGroup:ScheduleGroup")
def delete_schedule_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A group, with the schedules in it."""
    context.client("scheduler").delete_schedule_group(Name=id_)


@handles("aws:scheduler/schedule:Schedule")
def schedule(inputs: Inputs, context: Context) -> Made:
    """A schedule and what it starts."""
    name, group = inputs.need("name"), inputs.get("groupName", "default")
    made = context.client("scheduler").create_schedule(Name=name, GroupName=group, **_schedule(inputs))
    return f"{group}/{name}", {"arn": made["ScheduleArn"], "groupName": group}


def _schedule(inputs: Inputs) -> dict[str, Any]:
    inputs.need("scheduleExpression")
    return {
        "FlexibleTimeWindow": pascal(inputs.need("flexibleTimeWindow")),
        "Target": pascal(inputs.need("target")),
        **inputs.renamed(**_SCHEDULE),
    }


@reads("aws:scheduler/schedule:Schedule")
def read_schedule(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A schedule."""
    group, _, name = id_.partition("/")
    found = context.client("scheduler").get_schedule(Name=name, GroupName=group)
    return {
        "name": name,
        "groupName": group,
        **told(found, **_SCHEDULE),
        "flexibleTimeWindow": camel(found["FlexibleTimeWindow"]),
        "target": camel(found["Target"]),
    }


@updates("aws:scheduler/schedule:Schedule")
def update_schedule(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A schedule, all at once: what is not said anew falls back to its default."""
    group, _, name = id_.partition("/")
    context.client("scheduler").update_schedule(Name=name, GroupName=group, **_schedule(news))
    return {}


@deletes("aws:scheduler/schedule:Schedule")
def delete_schedule(id_: str, state: dict[str, Any], context: Context) -> None:
    """A schedule."""
    group, _, name = id_.partition("/")
    context.client("scheduler").delete_schedule(Name=name, GroupName=group)


@handles("aws:cloudwatch/eventRule:EventRule", forceDestroy=ON_DELETION)
def event_rule(inputs: Inputs, context: Context) -> Made:
    """A rule of an event bus."""
    name = inputs.need("name")
    made = context.client("events").put_rule(Name=name, Tags=tag_list(inputs), **_rule(inputs))
    return name, {"arn": made["RuleArn"]}


def _rule(inputs: Inputs) -> dict[str, Any]:
    arguments: dict[str, Any] = inputs.renamed(**_RULE)
    if "eventPattern" in inputs:
        arguments["EventPattern"] = json_text(inputs.get("eventPattern"))
    return arguments


def _bus(state: dict[str, Any]) -> dict[str, str]:
    return {"EventBusName": state["eventBusName"]} if state.get("eventBusName") else {}


@reads("aws:cloudwatch/eventRule:EventRule")
def read_event_rule(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A rule with its tags."""
    client = context.client("events")
    found = client.describe_rule(Name=id_, **_bus(state))
    tags = tags_of(client.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"])
    return {"name": id_, **told(found, **_RULE, eventPattern="EventPattern"), "tags": tags}


@updates("aws:cloudwatch/eventRule:EventRule")
def update_event_rule(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A rule, all at once; its tags are not set by that."""
    client = context.client("events")
    if changed(olds, news, *_RULE, "eventPattern"):
        client.put_rule(Name=id_, **_rule(news))
    update_tags(olds, news, client.untag_resource, client.tag_resource, ResourceARN=olds["arn"])
    return {}


@deletes("aws:cloudwatch/eventRule:EventRule")
def delete_event_rule(id_: str, state: dict[str, Any], context: Context) -> None:
    """A rule, unless it has targets."""
    force = {"Force": True} if state.get("forceDestroy") else {}
    context.client("events").delete_rule(Name=id_, **_bus(state), **force)


@puts("aws:cloudwatch/eventTarget:EventTarget", forceDestroy=ON_DELETION)
def event_target(inputs: Inputs, context: Context) -> Made:
    """A target of a rule."""
    rule, target_id = inputs.need("rule"), inputs.need("targetId")
    inputs.need("arn")
    target = {"Id": target_id, **inputs.renamed(**_TARGET)}
    for key in _TARGET_BLOCKS:
        if key in inputs:
            target |= pascal({key: inputs.get(key)}, inputPaths="InputPathsMap")
    answer = context.client("events").put_targets(
        Rule=rule, Targets=[target], **inputs.renamed(eventBusName="EventBusName")
    )
    if failed := [*answer["FailedEntries"]]:
        raise RuntimeError(f"the target was refused: {failed}")
    return f"{rule}-{target_id}", {}


@reads("aws:cloudwatch/eventTarget:EventTarget")
def read_event_target(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A target, if its rule has it."""
    rule, target_id = state["rule"], state["targetId"]
    pages = context.client("events").get_paginator("list_targets_by_rule").paginate(Rule=rule, **_bus(state))
    for found in (target for page in pages for target in page["Targets"]):
        if found["Id"] == target_id:
            blocks = {key: camel(found.get(name), inputPaths="InputPathsMap") for key, name in _TARGET_BLOCKS.items()}
            return {"rule": rule, "targetId": target_id, **told(found, **_TARGET), **blocks}
    return None


@deletes("aws:cloudwatch/eventTarget:EventTarget")
def delete_event_target(id_: str, state: dict[str, Any], context: Context) -> None:
    """A target; its rule stays."""
    force = {"Force": True} if state.get("forceDestroy") else {}
    context.client("events").remove_targets(Rule=state["rule"], Ids=[state["targetId"]], **_bus(state), **force)
