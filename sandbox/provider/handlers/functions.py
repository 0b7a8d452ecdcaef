"""Lambda functions, layers, permissions and event sources."""

import hashlib
import json
from typing import Any

from sandbox.provider.assets import archive_bytes
from sandbox.provider.inputs import Inputs, pascal
from sandbox.provider.registry import ON_DELETION, Context, Made, handles

_UPDATE_TRIGGER = "says that the content is another one, and the content is stored whenever the resource is made"
#: The cloud says "Pending" for half a second after a function's creation, and refuses to run it until then.
_WAIT = {"Delay": 0.1, "MaxAttempts": 100}


def _code(inputs: Inputs) -> dict[str, Any]:
    if "code" in inputs:
        return {"ZipFile": archive_bytes(inputs.need("code"))}
    return inputs.renamed(s3Bucket="S3Bucket", s3Key="S3Key", s3ObjectVersion="S3ObjectVersion")


@handles("aws:lambda/function:Function", skipDestroy=ON_DELETION, sourceCodeHash=_UPDATE_TRIGGER)
def function(inputs: Inputs, context: Context) -> Made:
    """A function of a zip archive, ready to be called."""
    client, name = context.client("lambda"), inputs.need("name")
    arguments: dict[str, Any] = inputs.renamed(
        architectures="Architectures",
        description="Description",
        handler="Handler",
        kmsKeyArn="KMSKeyArn",
        layers="Layers",
        memorySize="MemorySize",
        packageType="PackageType",
        publish="Publish",
        runtime="Runtime",
        tags="Tags",
        timeout="Timeout",
    )
    for key in ("deadLetterConfig", "ephemeralStorage", "loggingConfig", "tracingConfig"):
        if key in inputs:
            arguments |= pascal({key: inputs.get(key)})
    if environment := inputs.block("environment"):
        arguments["Environment"] = environment.renamed(variables="Variables")
    made = client.create_function(FunctionName=name, Role=inputs.need("role"), Code=_code(inputs), **arguments)
    if "reservedConcurrentExecutions" in inputs:
        client.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=inputs.get("reservedConcurrentExecutions")
        )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=_WAIT)
    return name, {
        "arn": made["FunctionArn"],
        "codeSha256": made["CodeSha256"],
        "sourceCodeSize": made["CodeSize"],
        "invokeArn": (
            f"arn:aws:apigateway:{context.region}:lambda:path/2015-03-31/functions/{made['FunctionArn']}/invocations"
        ),
        "qualifiedArn": f"{made['FunctionArn']}:{made['Version']}",
        "version": made["Version"],
    }


@handles("aws:lambda/layerVersion:LayerVersion", skipDestroy=ON_DELETION, sourceCodeHash=_UPDATE_TRIGGER)
def layer_version(inputs: Inputs, context: Context) -> Made:
    """A version of a layer."""
    made = context.client("lambda").publish_layer_version(
        LayerName=inputs.need("layerName"),
        Content=_code(inputs),
        **inputs.renamed(
            compatibleArchitectures="CompatibleArchitectures",
            compatibleRuntimes="CompatibleRuntimes",
            description="Description",
            licenseInfo="LicenseInfo",
        ),
    )
    return made["LayerVersionArn"], {
        "arn": made["LayerVersionArn"],
        "layerArn": made["LayerArn"],
        "version": str(made["Version"]),
    }


@handles("aws:lambda/permission:Permission")
def permission(inputs: Inputs, context: Context) -> Made:
    """A statement of a function's policy; without an id of its own it gets one from its content."""
    arguments = inputs.renamed(
        action="Action",
        eventSourceToken="EventSourceToken",
        principal="Principal",
        qualifier="Qualifier",
        sourceAccount="SourceAccount",
        sourceArn="SourceArn",
    )
    digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
    statement = inputs.get("statementId", f"pulumi-{digest[:20]}")
    context.client("lambda").add_permission(FunctionName=inputs.need("function"), StatementId=statement, **arguments)
    return statement, {"statementId": statement}


@handles("aws:lambda/eventSourceMapping:EventSourceMapping")
def event_source_mapping(inputs: Inputs, context: Context) -> Made:
    """A queue or stream that feeds a function."""
    arguments: dict[str, Any] = inputs.renamed(
        batchSize="BatchSize",
        enabled="Enabled",
        functionResponseTypes="FunctionResponseTypes",
        maximumBatchingWindowInSeconds="MaximumBatchingWindowInSeconds",
        tags="Tags",
    )
    for key in ("filterCriteria", "scalingConfig"):
        if key in inputs:
            arguments |= pascal({key: inputs.get(key)})
    made = context.client("lambda").create_event_source_mapping(
        EventSourceArn=inputs.need("eventSourceArn"), FunctionName=inputs.need("functionName"), **arguments
    )
    return made["UUID"], {
        "arn": context.arn("lambda", f"event-source-mapping:{made['UUID']}"),
        "functionArn": made["FunctionArn"],
        "uuid": made["UUID"],
        "state": made["State"],
    }


@handles("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def function_event_invoke_config(inputs: Inputs, context: Context) -> Made:
    """What happens to a function's asynchronous calls that fail."""
    name = inputs.need("functionName")
    arguments: dict[str, Any] = inputs.renamed(
        maximumEventAgeInSeconds="MaximumEventAgeInSeconds",
        maximumRetryAttempts="MaximumRetryAttempts",
        qualifier="Qualifier",
    )
    if "destinationConfig" in inputs:
        arguments["DestinationConfig"] = pascal(inputs.get("destinationConfig"))
    context.client("lambda").put_function_event_invoke_config(FunctionName=name, **arguments)
    return name, {}
