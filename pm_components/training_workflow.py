"""The state machine that makes models: export from the lake, train, judge, register, try, release, watch.

Pure: it takes names and ARNs and gives Amazon States Language, so that it can be checked and read without an account.

One kind of model that cannot be made does not stop the other: its branch ends with what went wrong, what was made is
shipped, and then the execution fails, so that the alarm on failed executions tells.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import AirQualityReading, MachineReading

FORECAST = "forecast"
FAULT = "fault"

_FORECAST_FIGURES = ("rmse", "persistence_rmse", "skill", "mae", "coverage")
_FAULT_FIGURES = ("cost", "never_alarm_cost", "always_alarm_cost", "precision", "recall")

#: Channel of the training jobs, `SM_CHANNEL_TRAINING` to the script.
CHANNEL = "training"

_EXPORTS = "exports"
_VOLUME_GIBIBYTES = 30

# "Handling transient Lambda service exceptions", AWS Step Functions developer guide.
_TRANSIENT = {
    "ErrorEquals": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 5,
    "BackoffRate": 2.0,
}


_BUSY = {
    "ErrorEquals": ["Athena.TooManyRequestsException"],
    "IntervalSeconds": 5,
    "MaxAttempts": 5,
    "BackoffRate": 2.0,
}
_INVOKE = "arn:aws:states:::lambda:invoke"
_QUERY = "arn:aws:states:::athena:startQueryExecution.sync"


class Model(NamedTuple):
    """A kind of model: what it is trained on, and by which script of the training code."""

    kind: str
    device_type: str
    table: str
    script: str
    figures: tuple[str, ...]
    """Figures of the validation, which the script prints as `validation_NAME=VALUE` and the job keeps as metrics."""


MODELS = (
    Model(
        FORECAST,
        AIR_QUALITY,
        AirQualityReading.kind,
        "ml/train_forecast.py",
        _FORECAST_FIGURES,
    ),
    Model(FAULT, MACHINE, MachineReading.kind, "ml/train_fault.py", _FAULT_FIGURES),
)


class Training(NamedTuple):
    """How training jobs are run."""

    image_uri: str
    instance_type: str
    maximum_seconds: int
    role_arn: str
    code_uri: str
    """`s3://` address of the training code, a gzipped tar archive."""
    job_prefix: str
    """What the names of the jobs begin with."""
    hyperparameters: dict[str, str]


class Trial(NamedTuple):
    """How a challenger is tried on a core device beside the champion."""

    function_arn: str
    interval_seconds: int
    """Between two looks at how it does."""
    maximum_seconds: int
    """After which a trial without a decision is lost."""


class Workflow(NamedTuple):
    """All that the definition depends on."""

    sites: Sequence[str]
    database: str
    workgroup: str
    artifact_bucket: str
    training: Training
    gate_arn: str
    register_arn: str
    release_arn: str
    watch_arn: str
    watch_interval_seconds: int
    watch_seconds: int
    trial: Trial | None = None
    """None: a model that passed the gate is released at once."""


def export_statement(table: str, database: str, sites: Sequence[str], destination: str) -> str:
    """The Athena statement that writes a table's readings as Parquet, each reading once.

    A message may be in the lake more than once, since every hop delivers at least once; its id tells.

    Args:
        table: the table.
        database: the Glue database.
        sites: whose readings.
        destination: `s3://` prefix, which must be empty.
    """
    columns = "message_id, site, device, sequence, event_time, measurements"
    columns += ", faulty" if table == MachineReading.kind else ""
    names = ", ".join(f"'{site}'" for site in sorted(sites))
    return (
        f"UNLOAD (SELECT {columns} FROM (SELECT *, row_number() OVER (PARTITION BY message_id ORDER BY ingest_day) "
        f'AS copy FROM "{database}"."{table}" WHERE site IN ({names})) WHERE copy = 1) '
        f"TO '{destination}' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )


def definition(workflow: Workflow) -> dict[str, Any]:
    """The state machine, Amazon States Language.

    Its input is not looked at. Its output has `models` (kind, passed, reasons, version, metrics, model_package_arn of
    each) and, where one passed, `release` (versions, deployments) and `rollout` (status, devices); after a trial
    `trial` (decision, reasons, figures) too.
    """
    trial = workflow.trial
    seconds = 2 * workflow.training.maximum_seconds + workflow.watch_seconds + 3600
    return {
        "Comment": "Export, train, judge, register, try, release and watch the models of the sites",
        "StartAt": "Make models",
        "TimeoutSeconds": seconds + (trial.maximum_seconds + trial.interval_seconds if trial else 0),
        "States": {
            "Make models": {
                "Type": "Parallel",
                "Branches": [_branch(workflow, model) for model in MODELS],
                "ResultSelector": {"models.$": "$"},
                "Next": "Any on trial?" if trial else "Any good?",
            },
            **(_trial_states(workflow, trial) if trial else {}),
            **_release_states(workflow),
            "All made?": {
                "Type": "Choice",
                "Choices": _any_model("failed", "Not all made"),
                "Default": "Done",
            },
            "Not all made": {
                "Type": "Fail",
                "Error": "ModelNotMade",
                "CausePath": "States.JsonToString($.models)",
            },
            "Done": {"Type": "Succeed"},
        },
    }


def _any_model(flag: str, state: str) -> list[dict[str, Any]]:
    """The choices that go to `state` where the flag of any model is set."""
    return [
        {"Variable": f"$.models[{index}].{flag}", "BooleanEquals": True, "Next": state} for index in range(len(MODELS))
    ]


def _call(function_arn: str, payload: Any = None, **more: Any) -> dict[str, Any]:
    """A task that calls a function with the state's input, or with `payload`."""
    given = {"Payload.$": "$"} if payload is None else {"Payload": payload}
    return {
        "Type": "Task",
        "Resource": _INVOKE,
        "Parameters": {"FunctionName": function_arn, **given},
        "Retry": [_TRANSIENT],
        **more,
    }


def _release_states(workflow: Workflow) -> dict[str, Any]:
    """What passed goes to every site, and how it arrives is watched."""
    return {
        "Any good?": {
            "Type": "Choice",
            "Choices": _any_model("passed", "Release"),
            "Default": "All made?",
        },
        "Release": _call(
            workflow.release_arn,
            ResultSelector={
                "versions.$": "$.Payload.versions",
                "deployments.$": "$.Payload.deployments",
                "released_at.$": "$.Payload.released_at",
            },
            ResultPath="$.release",
            Next="Watch",
        ),
        "Watch": {
            "Type": "Task",
            "Resource": _INVOKE,
            "Parameters": {"FunctionName": workflow.watch_arn, "Payload.$": "$.release"},
            "ResultSelector": {"status.$": "$.Payload.status", "devices.$": "$.Payload.devices"},
            "ResultPath": "$.rollout",
            "Retry": [_TRANSIENT],
            "Next": "Arrived?",
        },
        "Arrived?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.rollout.status", "StringEquals": "SUCCEEDED", "Next": "All made?"},
                {"Variable": "$.rollout.status", "StringEquals": "PENDING", "Next": "All made?"},
                {"Variable": "$.rollout.status", "StringEquals": "IN_PROGRESS", "Next": "Wait for the devices"},
            ],
            "Default": "Rolled back",
        },
        "Wait for the devices": {
            "Type": "Wait",
            "Seconds": workflow.watch_interval_seconds,
            "Next": "Watch",
        },
        "Rolled back": {
            "Type": "Fail",
            "Error": "RolloutFailed",
            "CausePath": "States.JsonToString($.rollout)",
        },
    }


def _trial_states(workflow: Workflow, trial: Trial) -> dict[str, Any]:
    """The challenger runs beside the champion until their errors decide; whatever happens, it is withdrawn."""
    broke = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "End the broken trial"}]
    return {
        "Any on trial?": {
            "Type": "Choice",
            "Choices": _any_model("on_trial", "Start the trial"),
            "Default": "Any good?",
        },
        "Start the trial": _call(
            trial.function_arn,
            {"step": "start", "models.$": "$.models"},
            ResultSelector={"trial.$": "$.Payload"},
            ResultPath="$.started",
            Catch=broke,
            Next="Wait for outcomes",
        ),
        "Wait for outcomes": {
            "Type": "Wait",
            "Seconds": trial.interval_seconds,
            "Next": "Measure the trial",
        },
        "Measure the trial": {
            "Type": "Task",
            "Resource": _QUERY,
            "Parameters": {
                "QueryString.$": "$.started.trial.query",
                "WorkGroup": workflow.workgroup,
                "QueryExecutionContext": {"Database": workflow.database},
            },
            "ResultSelector": {"id.$": "$.QueryExecution.QueryExecutionId"},
            "ResultPath": "$.measured",
            "Retry": [_BUSY],
            "Catch": broke,
            "Next": "Compare",
        },
        "Compare": _call(
            trial.function_arn,
            {"step": "compare", "trial.$": "$.started.trial", "query_execution_id.$": "$.measured.id"},
            ResultSelector={"result.$": "$.Payload"},
            ResultPath="$.compared",
            Catch=broke,
            Next="Decided?",
        ),
        "Decided?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.compared.result.decision", "StringEquals": "CONTINUE", "Next": "Wait for outcomes"}
            ],
            "Default": "End the trial",
        },
        "End the trial": _call(
            trial.function_arn,
            {"step": "end", "models.$": "$.models", "result.$": "$.compared.result"},
            OutputPath="$.Payload",
            Next="Any good?",
        ),
        "End the broken trial": _call(
            trial.function_arn,
            {"step": "end", "models.$": "$.models", "error.$": "$.error"},
            OutputPath="$.Payload",
            Next="Any good?",
        ),
    }


def _branch(workflow: Workflow, model: Model) -> dict[str, Any]:
    """From the lake to a registered model of one kind, or to what went wrong on the way."""
    word = model.kind
    export = f"s3://{workflow.artifact_bucket}/{_EXPORTS}/{{}}/{model.table}/"
    statement = export_statement(model.table, workflow.database, workflow.sites, "{}")
    training = workflow.training
    failed = f"No {word} model"
    otherwise = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": failed}]
    return {
        "StartAt": f"Export for {word}",
        "States": {
            f"Export for {word}": {
                "Type": "Pass",
                "Parameters": {"destination.$": f"States.Format('{export}', $$.Execution.Name)"},
                "Next": f"Unload for {word}",
            },
            f"Unload for {word}": {
                "Type": "Task",
                "Resource": _QUERY,
                "Parameters": {
                    "QueryString.$": f"States.Format('{_quoted(statement)}', $.destination)",
                    "WorkGroup": workflow.workgroup,
                    "QueryExecutionContext": {"Database": workflow.database},
                },
                "ResultPath": None,
                "Retry": [_BUSY],
                "Catch": otherwise,
                "Next": f"Train {word}",
            },
            f"Train {word}": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
                "Parameters": _training_job(workflow, model),
                "ResultSelector": {
                    "kind": word,
                    "training_job.$": "$.TrainingJobName",
                    "model_data.$": "$.ModelArtifacts.S3ModelArtifacts",
                },
                "Retry": [
                    {
                        "ErrorEquals": ["SageMaker.ResourceLimitExceededException", "SageMaker.ThrottlingException"],
                        "IntervalSeconds": 60,
                        "MaxAttempts": 5,
                        "BackoffRate": 2.0,
                    }
                ],
                "Catch": otherwise,
                "TimeoutSeconds": 2 * training.maximum_seconds,
                "Next": f"Judge {word}",
            },
            f"Judge {word}": _call(workflow.gate_arn, OutputPath="$.Payload", Catch=otherwise, Next=f"Register {word}"),
            f"Register {word}": _call(workflow.register_arn, OutputPath="$.Payload", Catch=otherwise, End=True),
            failed: {
                "Type": "Pass",
                "Parameters": {
                    "kind": word,
                    "passed": False,
                    "on_trial": False,
                    "failed": True,
                    "reasons.$": "States.Array(States.JsonToString($.error))",
                },
                "End": True,
            },
        },
    }


def _training_job(workflow: Workflow, model: Model) -> dict[str, Any]:
    """The request of a training job in script mode."""
    training = workflow.training
    hyperparameters = {
        "sagemaker_program": model.script,
        "sagemaker_submit_directory": training.code_uri,
        **training.hyperparameters,
    }
    return {
        "TrainingJobName.$": f"States.Format('{training.job_prefix}-{model.kind}-{{}}', States.UUID())",
        "RoleArn": training.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": training.image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": f"validation:{name}", "Regex": rf"\bvalidation_{name}=([-+0-9.eE]+)"} for name in model.figures
            ],
        },
        # The training toolkit reads every hyperparameter as JSON.
        "HyperParameters": {name: json.dumps(value) for name, value in hyperparameters.items()},
        "InputDataConfig": [
            {
                "ChannelName": CHANNEL,
                "ContentType": "application/x-parquet",
                "InputMode": "File",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri.$": "$.destination",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{workflow.artifact_bucket}/training"},
        "ResourceConfig": {
            "InstanceType": training.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": _VOLUME_GIBIBYTES,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": training.maximum_seconds},
    }


def _quoted(text: str) -> str:
    """`text` inside the quotes of an intrinsic function, where a quote takes a backslash before it."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
