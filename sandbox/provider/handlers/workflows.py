"""Step Functions state machines and SageMaker's model registry."""

from typing import Any

from sandbox.provider.inputs import Inputs, json_text, tag_list
from sandbox.provider.registry import Context, Made, handles, records


@handles("aws:sfn/stateMachine:StateMachine")
def state_machine(inputs: Inputs, context: Context) -> Made:
    """A state machine."""
    name = inputs.need("name")
    arguments: dict[str, Any] = inputs.renamed(type="type", tracingConfiguration="tracingConfiguration")
    if logging := inputs.block("loggingConfiguration"):
        arguments["loggingConfiguration"] = logging.renamed(level="level", includeExecutionData="includeExecutionData")
        if "logDestination" in logging:
            group = {"logGroupArn": logging.get("logDestination")}
            arguments["loggingConfiguration"]["destinations"] = [{"cloudWatchLogsLogGroup": group}]
    if "tags" in inputs:
        arguments["tags"] = [{"key": tag["Key"], "value": tag["Value"]} for tag in tag_list(inputs)]
    made = context.client("stepfunctions").create_state_machine(
        name=name, definition=json_text(inputs.need("definition")), roleArn=inputs.need("roleArn"), **arguments
    )
    return made["stateMachineArn"], {"arn": made["stateMachineArn"], "status": "ACTIVE"}


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


_NO_NOTEBOOKS = "a notebook instance is a machine of its own; here the notebooks of `ml` open in any Jupyter"


@records("aws:sagemaker/notebookInstance:NotebookInstance", _NO_NOTEBOOKS)
def notebook_instance(inputs: Inputs, context: Context) -> Made:
    """A notebook instance."""
    name = inputs.need("name")
    return name, {"arn": context.arn("sagemaker", f"notebook-instance/{name}"), "url": f"{name}.notebook.invalid"}


@records("aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration", _NO_NOTEBOOKS)
def notebook_life_cycle(inputs: Inputs, context: Context) -> Made:
    """What runs when a notebook instance starts."""
    name = inputs.need("name")
    return name, {"arn": context.arn("sagemaker", f"notebook-instance-lifecycle-config/{name}")}
