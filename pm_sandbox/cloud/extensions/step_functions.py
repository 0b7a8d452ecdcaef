"""Step Functions: `athena:startQueryExecution.sync` and `sagemaker:createTrainingJob.sync`, and the role's permissions.

The emulator runs each task with all rights and has neither of the two. Here both are API calls with credentials of the
state machine's role, so that everything that they need is asked of the role; other tasks are checked before they run,
and integrations that are not checked are refused.
"""

import contextvars
import datetime as dt
import hashlib
import json
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import botocore.exceptions
import botocore.session
from ministack.core import responses
from ministack.services import stepfunctions, sts

from pm_sandbox.cloud import role_permissions, seams
from pm_sandbox.surroundings import aws_client

_PRINCIPAL = "states.amazonaws.com"
_INTEGRATION = "arn:aws:states:::"
_POLL_SECONDS = 0.2
#: "Maximum input or output size for a task, state, or execution", AWS Step Functions quotas: 256 KiB, as UTF-8.
_PAYLOAD_BYTES = 262_144

_execution: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("step_functions_execution")


class _Job(NamedTuple):
    """An integration that starts a job and waits for its end."""

    service: str
    start: str
    describe: str
    stop: str
    #: From the start's answer and its parameters, the parameters that describe and stop take.
    identify: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
    #: From the description, whether it has ended: None, or whether it succeeded.
    ended: Callable[[dict[str, Any]], bool | None]
    #: IAM actions beside those of the calls themselves, with the resource's suffix, in which parameters may stand.
    also: tuple[tuple[str, str], ...]


def _ended(status: str) -> bool | None:
    return {"SUCCEEDED": True, "Completed": True}.get(status, False if status not in _UNDER_WAY else None)


_UNDER_WAY = ("QUEUED", "RUNNING", "InProgress", "Stopping")
# "IAM policies for calling Amazon SageMaker", AWS Step Functions developer guide: the rule that tells of a job's end.
# The job is tagged as started by Step Functions.
_MANAGED_RULE = "rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"
_JOBS = {
    "athena:startQueryExecution.sync": _Job(
        "athena",
        "start_query_execution",
        "get_query_execution",
        "stop_query_execution",
        lambda answer, _: {"QueryExecutionId": answer["QueryExecutionId"]},
        lambda described: _ended(described["QueryExecution"]["Status"]["State"]),
        # "IAM policies for calling Amazon Athena", AWS Step Functions developer guide.
        (("athena:GetDataCatalog", "datacatalog/AwsDataCatalog"),),
    ),
    "sagemaker:createTrainingJob.sync": _Job(
        "sagemaker",
        "create_training_job",
        "describe_training_job",
        "stop_training_job",
        lambda _, parameters: {"TrainingJobName": parameters["TrainingJobName"]},
        lambda described: _ended(described["TrainingJobStatus"]),
        (
            *((f"events:{action}", _MANAGED_RULE) for action in ("PutTargets", "PutRule", "DescribeRule")),
            ("sagemaker:AddTags", "training-job/{TrainingJobName}"),
        ),
    ),
}


def _run_job(job: _Job, parameters: dict[str, Any], execution: dict[str, Any], role: str) -> dict[str, Any]:
    """Start the job with the role's credentials and wait for its end; stop it where the execution ends first."""
    for action, suffix in job.also:
        arn = _arn(action.split(":")[0], suffix.format_map(parameters))
        role_permissions.require_permission(role, _PRINCIPAL, action, arn)
    client = _client(job.service, role, execution["name"])
    identity = job.identify(getattr(client, job.start)(**parameters), parameters)
    stopped = False
    while (succeeded := job.ended(described := getattr(client, job.describe)(**identity))) is None:
        if execution["status"] != "RUNNING" and not stopped:
            getattr(client, job.stop)(**identity)
            stopped = True
        time.sleep(_POLL_SECONDS)
    described.pop("ResponseMetadata")
    output: dict[str, Any] = json.loads(json.dumps(described, default=_milliseconds))
    if not succeeded:
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(output))
    return output


def _milliseconds(value: dt.datetime) -> int:
    """A time as Step Functions gives it."""
    return int(value.timestamp() * 1000)


def _client(service: str, role: str, session_name: str) -> Any:
    """A boto3 client with temporary credentials of the role."""
    account, region = responses.get_account_id(), responses.get_region()
    digest = hashlib.sha256(f"{os.environ['AWS_SECRET_ACCESS_KEY']}:{role}:{session_name}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], digest[8:64]
    name = role.rsplit("/", 1)[-1]
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session_name[:64]}",
        "UserId": f"{name}:{session_name[:64]}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key, session)
    endpoint = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
    return aws_client(service, endpoint=endpoint, region=region, key=key, secret=secret, token=token)


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{resource}"


def _function_arn(given: str) -> str:
    return given if given.startswith("arn:") else _arn("lambda", f"function:{given}")


def _table(parameters: dict[str, Any]) -> str:
    return _arn("dynamodb", f"table/{parameters['TableName']}")


#: Integration -> the IAM action and the resource that it acts on, from its parameters.
_PERMISSIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "lambda:invoke": ("lambda:InvokeFunction", lambda p: _function_arn(p["FunctionName"])),
    "sns:publish": ("sns:Publish", lambda p: str(p["TopicArn"])),
    "sqs:sendMessage": ("sqs:SendMessage", lambda p: _arn("sqs", p["QueueUrl"].rsplit("/", 1)[-1])),
    "states:startExecution": ("states:StartExecution", lambda p: str(p["StateMachineArn"])),
    "dynamodb:getItem": ("dynamodb:GetItem", _table),
    "dynamodb:putItem": ("dynamodb:PutItem", _table),
    "dynamodb:updateItem": ("dynamodb:UpdateItem", _table),
    "dynamodb:deleteItem": ("dynamodb:DeleteItem", _table),
}


def _check(resource: str, parameters: dict[str, Any], role: str) -> None:
    """Refuse a task that the role does not allow, or whose permissions are not known here.

    Raises:
        _ExecutionError: which fails the state.
    """
    if ":function:" in resource:
        action, arn = "lambda:InvokeFunction", resource
    else:
        name = resource.removeprefix(_INTEGRATION).split(".")[0]
        if name not in _PERMISSIONS:
            known = ", ".join(sorted([*_PERMISSIONS, *_JOBS]))
            raise stepfunctions._ExecutionError(
                "States.Runtime", f"integration {resource} is not honoured here; honoured are {known}"
            )
        action, find = _PERMISSIONS[name]
        arn = find(parameters)
    role_permissions.require_permission(role, _PRINCIPAL, action, arn)


def _within_limit(resource: str, result: Any) -> Any:
    """The result of a task, where a state machine may take it.

    Raises:
        _ExecutionError: if it is too large, which ends the execution.
    """
    if len(json.dumps(result, ensure_ascii=False, separators=(",", ":"), default=str).encode()) > _PAYLOAD_BYTES:
        raise stepfunctions._ExecutionError(
            "States.DataLimitExceeded",
            f"The state/task '{resource}' returned a result with a size exceeding the maximum number of bytes service "
            "limit.",
        )
    return result


#: Service -> what the names of its errors begin with, and the name of those that its API does not model: the base class
#: of the service's exceptions in the AWS SDK for Java, 1.x.
_ERROR_NAMES = {
    "athena": ("Athena", "AmazonAthenaException"),
    "lambda": ("Lambda", "AWSLambdaException"),
    "sagemaker": ("SageMaker", "AmazonSageMakerException"),
}


def _error_name(service: str, code: str) -> str:
    """The name under which a service's error fails a state, which Retry and Catch go by.

    An error that the API models keeps its name, as `SageMaker.ResourceLimitExceededException`. Refused permissions and
    throttling of SageMaker are not modelled: `SageMaker.AmazonSageMakerException`.
    """
    if service not in _ERROR_NAMES:
        return f"{service.capitalize()}.{code.removesuffix('Exception')}Exception"
    prefix, base = _ERROR_NAMES[service]
    modelled = {shape.name for shape in botocore.session.get_session().get_service_model(service).error_shapes}
    return f"{prefix}.{code.removesuffix('Exception')}Exception" if code in modelled else f"{prefix}.{base}"


def _invoke(resource: str, parameters: dict[str, Any], otherwise: Callable[[], Any]) -> Any:
    """Run one task, as a job or by `otherwise`; what a service refuses fails the state under the service's name."""
    execution = _execution.get()
    role = stepfunctions._state_machines[execution["stateMachineArn"]]["roleArn"]
    job = _JOBS.get(resource.removeprefix(_INTEGRATION))
    service = "lambda" if ":function:" in resource else resource.removeprefix(_INTEGRATION).split(":")[0]
    try:
        if job:
            return _within_limit(resource, _run_job(job, parameters, execution, role))
        _check(resource, parameters, role)
        return _within_limit(resource, otherwise())
    except role_permissions.PermissionDenied as error:
        raise stepfunctions._ExecutionError(_error_name(service, "AccessDeniedException"), str(error)) from error
    except botocore.exceptions.ClientError as error:
        name, cause = _error_name(service, error.response["Error"]["Code"]), error.response["Error"]["Message"]
        raise stepfunctions._ExecutionError(name, cause) from error
    except botocore.exceptions.ParamValidationError as error:
        raise stepfunctions._ExecutionError("States.Runtime", str(error)) from error


def install() -> None:
    """Replace how tasks are invoked."""
    role_permissions.check_seams()
    seams.require_value(stepfunctions, "_state_machines", responses.AccountRegionScopedDict)
    seams.require_value(stepfunctions, "_ExecutionError", type)
    seams.require(sts, "register_session", "access_key", "session")
    execute = seams.require(stepfunctions, "_execute_task", "state_def", "raw_input", "execution", "ctx")
    invoke = seams.require(stepfunctions, "_invoke_resource", "resource", "input_data")
    invoke_callback = seams.require(
        stepfunctions, "_invoke_with_callback", "resource", "input_data", "token", "state_def"
    )

    def execute_task(state_def: Any, raw_input: Any, execution: dict[str, Any], ctx: Any) -> Any:
        token = _execution.set(execution)
        try:
            return execute(state_def, raw_input, execution, ctx)
        finally:
            _execution.reset(token)

    def invoke_with_callback(resource: str, input_data: Any, token: str, state_def: Any) -> Any:
        return _invoke(resource, input_data, lambda: invoke_callback(resource, input_data, token, state_def))

    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_resource = lambda resource, data: _invoke(resource, data, lambda: invoke(resource, data))
    stepfunctions._invoke_with_callback = invoke_with_callback
