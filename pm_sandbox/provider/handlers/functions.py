"""Lambda functions, layers, permissions and event sources."""

import hashlib
import json
from typing import Any

from pm_sandbox.provider.assets import archive_bytes
from pm_sandbox.provider.changes import MAP, changed, update_tags
from pm_sandbox.provider.inputs import Inputs, camel, pascal, told
from pm_sandbox.provider.registry import ON_DELETION, Context, Made, Renewal, deletes, handles, puts, reads, updates

_UPDATE_TRIGGER = "says that the content is another one, and the content is stored whenever the resource is made"
#: The cloud says "Pending" for half a second after a function's creation, and refuses to run it until then.
_WAIT = {"Delay": 0.1, "MaxAttempts": 100}
#: Pulumi's input -> the argument of CreateFunction and UpdateFunctionConfiguration.
_CONFIGURATION = {
    "description": "Description",
    "handler": "Handler",
    "kmsKeyArn": "KMSKeyArn",
    "layers": "Layers",
    "memorySize": "MemorySize",
    "runtime": "Runtime",
    "timeout": "Timeout",
}
#: Value of a function's input that the program takes away again.
_DEFAULTS: dict[str, Any] = {"Description": "", "KMSKeyArn": "", "Layers": [], "MemorySize": 128, "Timeout": 3}
#: Blocks with AWS's names but for the first letter.
_BLOCKS = {
    "deadLetterConfig": "DeadLetterConfig",
    "ephemeralStorage": "EphemeralStorage",
    "loggingConfig": "LoggingConfig",
    "tracingConfig": "TracingConfig",
}
_CODE = ("code", "s3Bucket", "s3Key", "s3ObjectVersion", "sourceCodeHash", "architectures")
_EVENT_SOURCE = {
    "batchSize": "BatchSize",
    "functionResponseTypes": "FunctionResponseTypes",
    "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
}
_EVENT_SOURCE_BLOCKS = {"filterCriteria": "FilterCriteria", "scalingConfig": "ScalingConfig"}
_PERMISSION = {
    "action": "Action",
    "eventSourceToken": "EventSourceToken",
    "principal": "Principal",
    "qualifier": "Qualifier",
    "sourceAccount": "SourceAccount",
    "sourceArn": "SourceArn",
}


def _code(inputs: Inputs) -> dict[str, Any]:
    if "code" in inputs:
        return {"ZipFile": archive_bytes(inputs.need("code"))}
    return inputs.renamed(s3Bucket="S3Bucket", s3Key="S3Key", s3ObjectVersion="S3ObjectVersion")


def _configuration(inputs: Inputs) -> dict[str, Any]:
    arguments: dict[str, Any] = inputs.renamed(**_CONFIGURATION)
    for key in _BLOCKS:
        if key in inputs:
            arguments |= pascal({key: inputs.get(key)})
    if environment := inputs.block("environment"):
        arguments["Environment"] = environment.renamed(variables="Variables")
    return arguments


@handles("aws:lambda/function:Function", skipDestroy=ON_DELETION, sourceCodeHash=_UPDATE_TRIGGER)
def function(inputs: Inputs, context: Context) -> Made:
    """A function of a zip archive, ready to be called."""
    client, name = context.client("lambda"), inputs.need("name")
    made = client.create_function(
        FunctionName=name,
        Role=inputs.need("role"),
        Code=_code(inputs),
        **_configuration(inputs),
        **inputs.renamed(architectures="Architectures", packageType="PackageType", publish="Publish", tags="Tags"),
    )
    if "reservedConcurrentExecutions" in inputs:
        client.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=inputs.get("reservedConcurrentExecutions")
        )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=_WAIT)
    return name, {
        "arn": made["FunctionArn"],
        "invokeArn": (
            f"arn:aws:apigateway:{context.region}:lambda:path/2015-03-31/functions/{made['FunctionArn']}/invocations"
        ),
        **_content(made),
    }


def _content(answer: dict[str, Any]) -> dict[str, Any]:
    """The outputs that follow from a function's content."""
    return {
        "codeSha256": answer["CodeSha256"],
        "sourceCodeSize": answer["CodeSize"],
        "qualifiedArn": f"{answer['FunctionArn']}:{answer['Version']}",
        "version": answer["Version"],
    }


@reads("aws:lambda/function:Function")
def read_function(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A function, without its archive."""
    found = context.client("lambda").get_function(FunctionName=id_)
    settings = found["Configuration"]
    return {
        "name": id_,
        **told(settings, **_CONFIGURATION, role="Role", architectures="Architectures", packageType="PackageType"),
        **camel(told(settings, **_BLOCKS)),
        "layers": [layer["Arn"] for layer in settings.get("Layers", [])],
        "environment": {"variables": settings.get("Environment", {}).get("Variables", {})},
        "reservedConcurrentExecutions": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        "tags": found.get("Tags", {}),
    }


@updates(
    "aws:lambda/function:Function",
    renews={
        **dict.fromkeys(("codeSha256", "sourceCodeSize"), Renewal(_CODE)),
        **dict.fromkeys(("qualifiedArn", "version"), Renewal(_CODE, where="publish")),
    },
)
def update_function(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Configuration first, then content, each waited for; then what calls of their own set."""
    client, outputs = context.client("lambda"), {}
    if changed(olds, news, *_CONFIGURATION, *_BLOCKS, "environment", "role"):
        gone = {name: _DEFAULTS[name] for key, name in _CONFIGURATION.items() if key in olds and name in _DEFAULTS}
        if olds.get("environment"):
            gone["Environment"] = {"Variables": {}}
        client.update_function_configuration(
            FunctionName=id_, Role=news.need("role"), **{**gone, **_configuration(news)}
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=id_, WaiterConfig=_WAIT)
    if changed(olds, news, *_CODE):
        made = client.update_function_code(
            FunctionName=id_, **_code(news), **news.renamed(architectures="Architectures", publish="Publish")
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=id_, WaiterConfig=_WAIT)
        outputs = _content(made)
    if changed(olds, news, "reservedConcurrentExecutions"):
        if "reservedConcurrentExecutions" in news:
            client.put_function_concurrency(
                FunctionName=id_, ReservedConcurrentExecutions=news.get("reservedConcurrentExecutions")
            )
        else:
            client.delete_function_concurrency(FunctionName=id_)
    _update_tags(olds, news, context)
    return outputs


@deletes("aws:lambda/function:Function")
def delete_function(id_: str, state: dict[str, Any], context: Context) -> None:
    """A function, unless the program has it kept."""
    if not state.get("skipDestroy"):
        context.client("lambda").delete_function(FunctionName=id_)


def _update_tags(olds: dict[str, Any], news: Inputs, context: Context) -> None:
    client = context.client("lambda")
    update_tags(olds, news, client.untag_resource, client.tag_resource, MAP, Resource=olds["arn"])


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


@reads("aws:lambda/layerVersion:LayerVersion")
def read_layer_version(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A version of a layer, without its archive."""
    found = context.client("lambda").get_layer_version_by_arn(Arn=id_)
    return {
        "layerName": id_.split(":")[6],
        **told(
            found,
            compatibleArchitectures="CompatibleArchitectures",
            compatibleRuntimes="CompatibleRuntimes",
            licenseInfo="LicenseInfo",
        ),
        "description": found.get("Description") or None,
    }


@deletes("aws:lambda/layerVersion:LayerVersion")
def delete_layer_version(id_: str, state: dict[str, Any], context: Context) -> None:
    """A version of a layer, unless the program has it kept; functions that have it go on."""
    if not state.get("skipDestroy"):
        name, number = id_.split(":")[6:8]
        context.client("lambda").delete_layer_version(LayerName=name, VersionNumber=int(number))


@handles("aws:lambda/permission:Permission")
def permission(inputs: Inputs, context: Context) -> Made:
    """A statement of a function's policy; without an id of its own it gets one from its content."""
    arguments = inputs.renamed(**_PERMISSION)
    digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
    statement = inputs.get("statementId", f"pulumi-{digest[:20]}")
    context.client("lambda").add_permission(FunctionName=inputs.need("function"), StatementId=statement, **arguments)
    return statement, {"statementId": statement}


@reads("aws:lambda/permission:Permission")
def read_permission(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A statement of a function's policy."""
    qualifier = {"Qualifier": state["qualifier"]} if state.get("qualifier") else {}
    policy = json.loads(context.client("lambda").get_policy(FunctionName=state["function"], **qualifier)["Policy"])
    for found in policy["Statement"]:
        if found["Sid"] == id_:
            principal, conditions = found["Principal"], found.get("Condition", {})
            return {
                "statementId": id_,
                "function": state["function"],
                "action": found["Action"],
                "principal": next(iter(principal.values())) if isinstance(principal, dict) else principal,
                "sourceAccount": conditions.get("StringEquals", {}).get("AWS:SourceAccount"),
                "sourceArn": conditions.get("ArnLike", {}).get("AWS:SourceArn"),
            }
    return None


@deletes("aws:lambda/permission:Permission")
def delete_permission(id_: str, state: dict[str, Any], context: Context) -> None:
    """A statement; what it let in is shut out."""
    qualifier = {"Qualifier": state["qualifier"]} if state.get("qualifier") else {}
    context.client("lambda").remove_permission(FunctionName=state["function"], StatementId=id_, **qualifier)


@handles("aws:lambda/eventSourceMapping:EventSourceMapping")
def event_source_mapping(inputs: Inputs, context: Context) -> Made:
    """A queue or stream that feeds a function."""
    made = context.client("lambda").create_event_source_mapping(
        EventSourceArn=inputs.need("eventSourceArn"),
        FunctionName=inputs.need("functionName"),
        **_event_source(inputs),
        **inputs.renamed(tags="Tags"),
    )
    return made["UUID"], {
        "arn": context.arn("lambda", f"event-source-mapping:{made['UUID']}"),
        "functionArn": made["FunctionArn"],
        "uuid": made["UUID"],
        "state": made["State"],
    }


def _event_source(inputs: Inputs) -> dict[str, Any]:
    arguments: dict[str, Any] = inputs.renamed(**_EVENT_SOURCE, enabled="Enabled")
    for key in _EVENT_SOURCE_BLOCKS:
        if key in inputs:
            arguments |= pascal({key: inputs.get(key)})
    return arguments


@reads("aws:lambda/eventSourceMapping:EventSourceMapping")
def read_event_source_mapping(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A mapping; its function as the program names it: by name or ARN."""
    client = context.client("lambda")
    found = client.get_event_source_mapping(UUID=id_)
    asked, arn = str(state.get("functionName")), found["FunctionArn"]
    return {
        "eventSourceArn": found["EventSourceArn"],
        "functionName": asked if arn.split(":")[6:7] == [asked] else arn,
        "enabled": found["State"] in ("Enabled", "Enabling", "Creating"),
        **told(found, **_EVENT_SOURCE),
        **camel(told(found, **_EVENT_SOURCE_BLOCKS)),
        "tags": client.list_tags(Resource=state["arn"])["Tags"],
    }


@updates("aws:lambda/eventSourceMapping:EventSourceMapping")
def update_event_source_mapping(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A mapping's settings, all at once, and its tags."""
    if changed(olds, news, "functionName", "enabled", *_EVENT_SOURCE, *_EVENT_SOURCE_BLOCKS):
        gone: dict[str, Any] = {
            name: {} for key, name in _EVENT_SOURCE_BLOCKS.items() if key in olds and key not in news
        }
        context.client("lambda").update_event_source_mapping(
            UUID=id_, FunctionName=news.need("functionName"), **{"Enabled": True, **gone, **_event_source(news)}
        )
    _update_tags(olds, news, context)
    return {}


@deletes("aws:lambda/eventSourceMapping:EventSourceMapping")
def delete_event_source_mapping(id_: str, state: dict[str, Any], context: Context) -> None:
    """A mapping; queue and function stay."""
    context.client("lambda").delete_event_source_mapping(UUID=id_)


@puts("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def function_event_invoke_config(inputs: Inputs, context: Context) -> Made:
    """The handling of a function's asynchronous calls that fail."""
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


@reads("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def read_function_event_invoke_config(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """The handling of a function's asynchronous calls that fail."""
    qualifier = {"Qualifier": state["qualifier"]} if state.get("qualifier") else {}
    found = context.client("lambda").get_function_event_invoke_config(FunctionName=id_, **qualifier)
    return {
        "functionName": id_,
        **told(
            found,
            maximumEventAgeInSeconds="MaximumEventAgeInSeconds",
            maximumRetryAttempts="MaximumRetryAttempts",
        ),
        "destinationConfig": camel(found.get("DestinationConfig")),
    }


@deletes("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def delete_function_event_invoke_config(id_: str, state: dict[str, Any], context: Context) -> None:
    """Back to what Lambda does with all of them."""
    qualifier = {"Qualifier": state["qualifier"]} if state.get("qualifier") else {}
    context.client("lambda").delete_function_event_invoke_config(FunctionName=id_, **qualifier)
