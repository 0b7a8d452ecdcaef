"""Step Functions state machines and SageMaker's model registry."""

from typing import Any

from sandbox.deployer.inputs import Inputs, json_text, tag_list
from sandbox.deployer.registry import Context, Made, handles


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
