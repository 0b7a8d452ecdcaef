"""EventBridge rules and Scheduler schedules."""

from sandbox.provider.inputs import Inputs, json_text, pascal, tag_list
from sandbox.provider.registry import ON_DELETION, Context, Made, handles


@handles("aws:scheduler/scheduleGroup:ScheduleGroup")
def schedule_group(inputs: Inputs, context: Context) -> Made:
    """A group of schedules."""
    name = inputs.need("name")
    made = context.client("scheduler").create_schedule_group(Name=name, Tags=tag_list(inputs))
    return name, {"arn": made["ScheduleGroupArn"], "state": "ACTIVE"}


@handles("aws:scheduler/schedule:Schedule")
def schedule(inputs: Inputs, context: Context) -> Made:
    """A schedule and what it starts."""
    name, group = inputs.need("name"), inputs.get("groupName", "default")
    made = context.client("scheduler").create_schedule(
        Name=name,
        GroupName=group,
        FlexibleTimeWindow=pascal(inputs.need("flexibleTimeWindow")),
        ScheduleExpression=inputs.need("scheduleExpression"),
        Target=pascal(inputs.need("target")),
        **inputs.renamed(
            actionAfterCompletion="ActionAfterCompletion",
            description="Description",
            kmsKeyArn="KmsKeyArn",
            scheduleExpressionTimezone="ScheduleExpressionTimezone",
            state="State",
        ),
    )
    return f"{group}/{name}", {"arn": made["ScheduleArn"], "groupName": group}


@handles("aws:cloudwatch/eventRule:EventRule", forceDestroy=ON_DELETION)
def event_rule(inputs: Inputs, context: Context) -> Made:
    """A rule of an event bus."""
    name = inputs.need("name")
    arguments = inputs.renamed(
        description="Description", eventBusName="EventBusName", scheduleExpression="ScheduleExpression", state="State"
    )
    if "eventPattern" in inputs:
        arguments["EventPattern"] = json_text(inputs.get("eventPattern"))
    made = context.client("events").put_rule(Name=name, Tags=tag_list(inputs), **arguments)
    return name, {"arn": made["RuleArn"]}


@handles("aws:cloudwatch/eventTarget:EventTarget", forceDestroy=ON_DELETION)
def event_target(inputs: Inputs, context: Context) -> Made:
    """A target of a rule."""
    rule, target_id = inputs.need("rule"), inputs.need("targetId")
    target = {
        "Id": target_id,
        "Arn": inputs.need("arn"),
        **inputs.renamed(input="Input", inputPath="InputPath", roleArn="RoleArn"),
    }
    for key in ("deadLetterConfig", "retryPolicy", "inputTransformer"):
        if key in inputs:
            target |= pascal({key: inputs.get(key)}, inputPaths="InputPathsMap")
    answer = context.client("events").put_targets(
        Rule=rule, Targets=[target], **inputs.renamed(eventBusName="EventBusName")
    )
    if answer.get("FailedEntryCount"):
        raise RuntimeError(f"the target was refused: {answer['FailedEntries']}")
    return f"{rule}-{target_id}", {}
