"""A Lambda function as every component here makes one: own role, own log group, explicit name, timeout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming, packaging
from pm_components.aws.limits import FUNCTION_NAME_LENGTH, LAMBDA_TIMEOUT_SECONDS
from pm_components.aws.permissions import Statement, allow, service_role

RUNTIME = "python3.11"
LOG_RETENTION_DAYS = 30


class LambdaFunction(NamedTuple):
    """A function and the role it runs with."""

    function: aws.lambda_.Function
    role: aws.iam.Role


def contracts_layer(name: str, *, parent: pulumi.Resource) -> aws.lambda_.LayerVersion:
    """The layer `{name}-contracts`: the contracts and what they import."""
    return aws.lambda_.LayerVersion(
        f"{name}-contracts",
        layer_name=naming.physical_name(name, "contracts"),
        code=packaging.archive(packaging.contracts_layer_files()),
        compatible_runtimes=[RUNTIME],
        compatible_architectures=["x86_64"],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def lambda_function(
    name: str,
    package: str,
    *,
    parent: pulumi.Resource,
    description: str,
    statements: Sequence[Statement],
    environment: Mapping[str, pulumi.Input[str]],
    layers: Sequence[pulumi.Input[str]],
    timeout_seconds: int,
    memory_mebibytes: int = 256,
    reserved_concurrency: pulumi.Input[int] | None = None,
    extra_files: Mapping[str, Path] | None = None,
) -> LambdaFunction:
    """The function of `pm_components/functions/{package}`, whose `handler.py` has a `handle(event, context)`.

    Args:
        name: the logical name; `{name}-logs`, `{name}-role`, `{name}-permissions` and `{name}-function` are registered.
        package: the folder below `pm_components/functions`.
        parent: the component that it belongs to.
        description: what it does, for whoever reads the console.
        statements: what it may do beyond writing its own log.
        environment: environment variables.
        layers: ARNs of layer versions.
        timeout_seconds: after which Lambda ends an invocation.
        memory_mebibytes: memory, and with it the share of a processor.
        reserved_concurrency: executions that the account keeps for this function, which gets no more of them; none by
            default, since a new account has ten in all and lets nobody reserve any.
        extra_files: more files of the archive, by their path in it.

    Raises:
        ValueError: for a timeout that Lambda does not allow.
        FileNotFoundError: if the package does not exist.
    """
    if not 1 <= timeout_seconds <= LAMBDA_TIMEOUT_SECONDS:
        raise ValueError(f"{name}: timeout_seconds {timeout_seconds}, allowed are 1 to {LAMBDA_TIMEOUT_SECONDS}")
    options = pulumi.ResourceOptions(parent=parent)
    physical = naming.physical_name(name, maximum=FUNCTION_NAME_LENGTH)
    logs = aws.cloudwatch.LogGroup(
        f"{name}-logs", name=f"/aws/lambda/{physical}", retention_in_days=LOG_RETENTION_DAYS, opts=options
    )
    write_log = allow(["logs:CreateLogStream", "logs:PutLogEvents"], [pulumi.Output.concat(logs.arn, ":*")])
    role = service_role(
        name,
        "lambda.amazonaws.com",
        [write_log, *statements],
        parent=parent,
    )
    function = aws.lambda_.Function(
        f"{name}-function",
        name=physical,
        description=description,
        runtime=RUNTIME,
        architectures=["x86_64"],
        handler=f"pm_components.functions.{package}.handler.handle",
        code=packaging.archive({**packaging.function_files(package), **(extra_files or {})}),
        role=role.arn,
        layers=list(layers),
        timeout=timeout_seconds,
        memory_size=memory_mebibytes,
        reserved_concurrent_executions=reserved_concurrency,
        environment={"variables": dict(environment)},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[logs]),
    )
    return LambdaFunction(function, role.role)
