"""The training jobs of Amazon SageMaker that the state machine runs, in script mode; pure."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pm_components.aws.limits import HYPERPARAMETER_VALUE_LENGTH, HYPERPARAMETERS
from pm_contracts.model_kinds import ModelKind

#: Channel of the training jobs, `SM_CHANNEL_TRAINING` to the script.
CHANNEL = "training"
#: Prefix of the jobs' checkpoints in the artifact bucket.
CHECKPOINTS = "training/checkpoints"
_VOLUME_GIBIBYTES = 30
#: Hyperparameters by which the training toolkit finds the script to run.
_SCRIPT_HYPERPARAMETERS = ("sagemaker_program", "sagemaker_submit_directory")
#: A spot job's limit with waiting, as a multiple of its running time.
_SPOT_WAIT = 3

NO_CAPACITY = {
    "ErrorEquals": ["SageMaker.ResourceLimitExceededException"],
    "IntervalSeconds": 60,
    "MaxAttempts": 5,
    "BackoffRate": 2.0,
}
"""Errors to retry for want of a quota that others of the account use."""
THROTTLED = {
    "ErrorEquals": ["SageMaker.AmazonSageMakerException"],
    "IntervalSeconds": 10,
    "MaxAttempts": 4,
    "BackoffRate": 2.0,
}
"""Errors to retry if SageMaker throttles.

Throttling is not among the errors that its API models, and a state machine sees all others under one name: refused
permissions too, so that there are few attempts. Source: what the tests of AWS's Step Functions Data Science SDK retry,
github.com/aws/aws-step-functions-data-science-sdk-python/pull/162.
"""


class Training(NamedTuple):
    """The settings of training jobs."""

    image_uri: str
    instance_type: str
    maximum_seconds: int
    role_arn: str
    code_uri: str
    """`s3://` address of the training code, a gzipped tar archive."""
    job_prefix: str
    """The prefix of the jobs' names."""
    hyperparameters: dict[str, str]
    spot: bool = False
    """Run jobs on spot capacity; an interrupted one resumes from its checkpoints."""

    @property
    def longest_seconds(self) -> int:
        """The longest time from a job's start to its end, waiting for capacity included."""
        return (_SPOT_WAIT if self.spot else 1) * self.maximum_seconds


def training_state(
    training: Training, artifact_bucket: str, model: ModelKind, *, catch: list[dict[str, Any]], following: str
) -> dict[str, Any]:
    """The state that trains a model on what lies at `$.destination`, and goes on with `training_job` and `model_data`.

    Args:
        training: how.
        artifact_bucket: the bucket that the output goes to.
        model: what is trained.
        catch: where a job goes that failed.
        following: the state after it.
    """
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": _training_job(training, artifact_bucket, model),
        "ResultSelector": {
            "kind": model.name,
            "training_job.$": "$.TrainingJobName",
            "model_data.$": "$.ModelArtifacts.S3ModelArtifacts",
        },
        "Retry": [NO_CAPACITY, THROTTLED],
        "Catch": catch,
        "TimeoutSeconds": 2 * training.longest_seconds,
        "Next": following,
    }


def check_hyperparameters(given: Mapping[str, str]) -> None:
    """Check that a training job takes the hyperparameters beside the two that make it run a script.

    Args:
        given: value by name.

    Raises:
        ValueError: if there are too many, or the JSON of a value is too long.
    """
    allowed = HYPERPARAMETERS - len(_SCRIPT_HYPERPARAMETERS)
    if len(given) > allowed:
        raise ValueError(f"hyperparameters: found {len(given)}, allowed are {allowed} at most")
    for name, value in given.items():
        if (length := len(json.dumps(value))) > HYPERPARAMETER_VALUE_LENGTH:
            raise ValueError(
                f"hyperparameters.{name}: found {length} characters as JSON, allowed are {HYPERPARAMETER_VALUE_LENGTH}"
            )


def _training_job(training: Training, artifact_bucket: str, model: ModelKind) -> dict[str, Any]:
    """The request of a training job in script mode."""
    check_hyperparameters(training.hyperparameters)
    script = zip(_SCRIPT_HYPERPARAMETERS, (model.script, training.code_uri), strict=True)
    hyperparameters = {**dict(script), **training.hyperparameters}
    return {
        "TrainingJobName.$": f"States.Format('{training.job_prefix}-{model.name}-{{}}', States.UUID())",
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
        "OutputDataConfig": {"S3OutputPath": f"s3://{artifact_bucket}/training"},
        "ResourceConfig": {
            "InstanceType": training.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": _VOLUME_GIBIBYTES,
        },
        # By execution: a job that is tried again goes on from the checkpoints of the one before.
        "CheckpointConfig": {
            "S3Uri.$": (f"States.Format('s3://{artifact_bucket}/{CHECKPOINTS}/{{}}/{model.name}', $$.Execution.Name)")
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": training.maximum_seconds}
        | ({"MaxWaitTimeInSeconds": training.longest_seconds} if training.spot else {}),
        **({"EnableManagedSpotTraining": True} if training.spot else {}),
    }
