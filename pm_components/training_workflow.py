"""The state machine that makes models: export from the lake, train, judge, register, release, watch.

Pure: it takes names and ARNs and gives Amazon States Language, so that it can be checked and read without an account.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import AirQualityReading, MachineReading

FORECAST = "forecast"
FAULT = "fault"

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


class Model(NamedTuple):
    """A kind of model: what it is trained on, and by which script of the training code."""

    kind: str
    device_type: str
    table: str
    script: str


MODELS = (
    Model(FORECAST, AIR_QUALITY, AirQualityReading.kind, "ml/train_forecast.py"),
    Model(FAULT, MACHINE, MachineReading.kind, "ml/train_fault.py"),
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

    Its input is `{}`. Its output has `models` (kind, passed, reasons, version, metrics, model_package_arn of each) and,
    where one passed, `release` (versions, deployments) and `rollout` (status, devices).
    """
    invoke = "arn:aws:states:::lambda:invoke"
    return {
        "Comment": "Export, train, judge, register, release and watch the models of the sites",
        "StartAt": "Make models",
        "TimeoutSeconds": 2 * workflow.training.maximum_seconds + workflow.watch_seconds + 3600,
        "States": {
            "Make models": {
                "Type": "Parallel",
                "Branches": [_branch(workflow, model) for model in MODELS],
                "ResultSelector": {"models.$": "$"},
                "Next": "Any good?",
            },
            "Any good?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": f"$.models[{index}].passed", "BooleanEquals": True, "Next": "Release"}
                    for index in range(len(MODELS))
                ],
                "Default": "Nothing to release",
            },
            "Nothing to release": {"Type": "Succeed"},
            "Release": {
                "Type": "Task",
                "Resource": invoke,
                "Parameters": {"FunctionName": workflow.release_arn, "Payload.$": "$"},
                "ResultSelector": {
                    "versions.$": "$.Payload.versions",
                    "deployments.$": "$.Payload.deployments",
                    "released_at.$": "$.Payload.released_at",
                },
                "ResultPath": "$.release",
                "Retry": [_TRANSIENT],
                "Next": "Watch",
            },
            "Watch": {
                "Type": "Task",
                "Resource": invoke,
                "Parameters": {"FunctionName": workflow.watch_arn, "Payload.$": "$.release"},
                "ResultSelector": {"status.$": "$.Payload.status", "devices.$": "$.Payload.devices"},
                "ResultPath": "$.rollout",
                "Retry": [_TRANSIENT],
                "Next": "Arrived?",
            },
            "Arrived?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.rollout.status", "StringEquals": "SUCCEEDED", "Next": "Done"},
                    {"Variable": "$.rollout.status", "StringEquals": "PENDING", "Next": "Done"},
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
            "Done": {"Type": "Succeed"},
        },
    }


def _branch(workflow: Workflow, model: Model) -> dict[str, Any]:
    """From the lake to a registered model of one kind."""
    invoke = "arn:aws:states:::lambda:invoke"
    word = model.kind
    export = f"s3://{workflow.artifact_bucket}/{_EXPORTS}/{{}}/{model.table}/"
    statement = export_statement(model.table, workflow.database, workflow.sites, "{}")
    training = workflow.training
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
                "Resource": "arn:aws:states:::athena:startQueryExecution.sync",
                "Parameters": {
                    "QueryString.$": f"States.Format('{_quoted(statement)}', $.destination)",
                    "WorkGroup": workflow.workgroup,
                    "QueryExecutionContext": {"Database": workflow.database},
                },
                "ResultPath": None,
                "Retry": [
                    {
                        "ErrorEquals": ["Athena.TooManyRequestsException"],
                        "IntervalSeconds": 5,
                        "MaxAttempts": 5,
                        "BackoffRate": 2.0,
                    }
                ],
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
                "TimeoutSeconds": 2 * training.maximum_seconds,
                "Next": f"Judge {word}",
            },
            f"Judge {word}": {
                "Type": "Task",
                "Resource": invoke,
                "Parameters": {"FunctionName": workflow.gate_arn, "Payload.$": "$"},
                "OutputPath": "$.Payload",
                "Retry": [_TRANSIENT],
                "Next": f"Register {word}",
            },
            f"Register {word}": {
                "Type": "Task",
                "Resource": invoke,
                "Parameters": {"FunctionName": workflow.register_arn, "Payload.$": "$"},
                "OutputPath": "$.Payload",
                "Retry": [_TRANSIENT],
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
        "AlgorithmSpecification": {"TrainingImage": training.image_uri, "TrainingInputMode": "File"},
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
