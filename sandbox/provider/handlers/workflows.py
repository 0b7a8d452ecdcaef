"""Step Functions state machines and SageMaker's model registry."""

from typing import Any

from sandbox.provider.changes import changed, tags_of, update_tags
from sandbox.provider.inputs import Inputs, json_text, tag_list, told
from sandbox.provider.registry import Context, Made, deletes, handles, reads, records, updates


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


def _tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]


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
        lambda keys: client.untag_resource(resourceArn=id_, tagKeys=keys),
        lambda tags: client.tag_resource(resourceArn=id_, tags=_tag_list(tags.set)),
    )
    return {}


@deletes("aws:sfn/stateMachine:StateMachine")
def delete_state_machine(id_: str, state: dict[str, Any], context: Context) -> None:
    """A state machine."""
    context.client("stepfunctions").delete_state_machine(stateMachineArn=id_)


@handles("aws:sagemaker/modelPackageGroup:ModelPackageGroup")
def model_package_group(inputs: Inputs, context: Context) -> Made:
    """A group of a model's versions."""
    name = inputs.need("modelPackageGroupName")
    made = context.client("sagemaker").create_model_package_group(
        ModelPackageGroupName=name,
        Tags=tag_list(inputs),
        **inputs.renamed(modelPackageGroupDescription="ModelPackageGroupDescription"),
    )
    return name, {"arn": made["ModelPackageGroupArn"]}


@reads("aws:sagemaker/modelPackageGroup:ModelPackageGroup")
def read_model_package_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A group with its tags."""
    client = context.client("sagemaker")
    found = client.describe_model_package_group(ModelPackageGroupName=id_)
    pages = client.get_paginator("list_tags").paginate(ResourceArn=found["ModelPackageGroupArn"])
    return {
        "modelPackageGroupName": id_,
        **told(found, modelPackageGroupDescription="ModelPackageGroupDescription"),
        "tags": tags_of([tag for page in pages for tag in page["Tags"]]),
    }


@updates("aws:sagemaker/modelPackageGroup:ModelPackageGroup")
def update_model_package_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A group's tags."""
    update_tags(
        olds,
        news,
        lambda keys: context.client("sagemaker").delete_tags(ResourceArn=olds["arn"], TagKeys=keys),
        lambda tags: context.client("sagemaker").add_tags(ResourceArn=olds["arn"], Tags=tags.pairs),
    )
    return {}


@deletes("aws:sagemaker/modelPackageGroup:ModelPackageGroup")
def delete_model_package_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A group, unless it has versions."""
    context.client("sagemaker").delete_model_package_group(ModelPackageGroupName=id_)


_NO_NOTEBOOKS = "a notebook instance is a machine of its own; here the notebooks of `ml` open in any Jupyter"


@records("aws:sagemaker/notebookInstance:NotebookInstance", _NO_NOTEBOOKS)
def notebook_instance(inputs: Inputs, context: Context) -> Made:
    """A notebook instance."""
    name = inputs.need("name")
    return name, {"arn": context.arn("sagemaker", f"notebook-instance/{name}"), "url": f"{name}.notebook.invalid"}


@records("aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration", _NO_NOTEBOOKS)
def notebook_life_cycle(inputs: Inputs, context: Context) -> Made:
    """The script of a notebook instance's start."""
    name = inputs.need("name")
    return name, {"arn": context.arn("sagemaker", f"notebook-instance-lifecycle-config/{name}")}
