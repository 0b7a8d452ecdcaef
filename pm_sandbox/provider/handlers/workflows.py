"""Step Functions state machines."""

from functools import partial
from typing import Any

from pm_sandbox.provider.changes import TagArguments, changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, json_text, tag_pairs, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates

_tag_list = partial(tag_pairs, key="key", value="value")


@handles("aws:sfn/stateMachine:StateMachine")
def state_machine(inputs: Inputs, context: Context) -> Made:
    """A state machine."""
    name = inputs.need("name")
    arguments: dict[str, Any] = {**inputs.renamed(type="type"), **_state_machine(inputs)}
    if "tags" in inputs:
        arguments["tags"] = _tag_list(inputs.get("tags"))
    made = context.client("stepfunctions").create_state_machine(name=name, **arguments)
    return made["stateMachineArn"], {"arn": made["stateMachineArn"], "status": "ACTIVE"}


def _state_machine(inputs: Inputs) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "definition": json_text(inputs.need("definition")),
        "roleArn": inputs.need("roleArn"),
        **inputs.renamed(tracingConfiguration="tracingConfiguration"),
    }
    if logging := inputs.block("loggingConfiguration"):
        arguments["loggingConfiguration"] = logging.renamed(level="level", includeExecutionData="includeExecutionData")
        if "logDestination" in logging:
            group = {"logGroupArn": logging.get("logDestination")}
            arguments["loggingConfiguration"]["destinations"] = [{"cloudWatchLogsLogGroup": group}]
    return arguments


@reads("aws:sfn/stateMachine:StateMachine")
def read_state_machine(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A state machine; one that is being deleted is gone."""
    client = context.client("stepfunctions")
    found = client.describe_state_machine(stateMachineArn=id_)
    if found["status"] == "DELETING":
        return None
    logging = found.get("loggingConfiguration", {})
    answer = told(logging, level="level", includeExecutionData="includeExecutionData")
    for destination in logging.get("destinations", []):
        answer["logDestination"] = destination["cloudWatchLogsLogGroup"]["logGroupArn"]
    names = ("name", "type", "definition", "roleArn", "tracingConfiguration")
    return {
        **told(found, **{name: name for name in names}),
        "loggingConfiguration": answer,
        "tags": tags_of(client.list_tags_for_resource(resourceArn=id_)["tags"], "key", "value"),
    }


@updates("aws:sfn/stateMachine:StateMachine")
def update_state_machine(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A state machine, all at once, and its tags; executions that run go on by the old definition."""
    client = context.client("stepfunctions")
    if changed(olds, news, "definition", "roleArn", "tracingConfiguration", "loggingConfiguration"):
        none = {"loggingConfiguration": {"level": "OFF"}, "tracingConfiguration": {"enabled": False}}
        gone = {key: value for key, value in none.items() if key in olds and key not in news}
        client.update_state_machine(stateMachineArn=id_, **gone, **_state_machine(news))
    update_tags(
        olds,
        news,
        client.untag_resource,
        client.tag_resource,
        TagArguments("tagKeys", "tags", _tag_list),
        resourceArn=id_,
    )
    return {}


@deletes("aws:sfn/stateMachine:StateMachine")
def delete_state_machine(id_: str, state: dict[str, Any], context: Context) -> None:
    """A state machine."""
    context.client("stepfunctions").delete_state_machine(stateMachineArn=id_)
