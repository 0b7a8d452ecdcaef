"""Runs one training job by hand with the SageMaker Python SDK; a script for that SDK's own environment.

The SDK needs older releases of libraries than the rest of this project, so `pm train --where sagemaker` has this module
run by the interpreter of `.venv-sagemaker`. It imports nothing else of this project, reads its order as JSON from its
input, and writes what came of it as the last line of its output. Of the SDK's ways into the container it uses none: the
job is in script mode, as the pipeline's are, with the same image and the same kind of archive of code.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

#: Prefix of the input of jobs by hand in the artifact bucket: the training role reads below `exports/`.
INPUT_PREFIX = "exports/by-hand"


def main() -> int:
    """Do what the order says: `request` (of CreateTrainingJob), `name`, `data` (a path or an S3 address), `logs`."""
    order = json.load(sys.stdin)
    # The role's rights are narrower than what the SDK asks IAM for; SageMaker itself refuses what is missing.
    os.environ["SAGEMAKER_VALIDATE_ROLE"] = "false"
    with tempfile.TemporaryDirectory() as settings:
        file = Path(settings) / "config.yaml"
        file.write_text('SchemaVersion: "1.0"\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n')
        os.environ["SAGEMAKER_USER_CONFIG_OVERRIDE"] = str(file)
        trained = _train(order)
    print(json.dumps(trained))
    return 0


def _train(order: dict[str, Any]) -> dict[str, Any]:
    import boto3
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.train import ModelTrainer, configs

    request: dict[str, Any] = order["request"]
    bucket = request["OutputDataConfig"]["S3OutputPath"].removeprefix("s3://").partition("/")[0]
    session = Session(boto3.Session(), default_bucket=bucket)
    data = order["data"]
    if not data.startswith("s3://"):
        data = session.upload_data(data, bucket=bucket, key_prefix=f"{INPUT_PREFIX}/{order['name']}")
    spot = bool(request.get("EnableManagedSpotTraining"))
    resources, stopping = request["ResourceConfig"], request["StoppingCondition"]
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=request["RoleArn"],
        base_job_name=order["name"],
        training_image=request["AlgorithmSpecification"]["TrainingImage"],
        compute=configs.Compute(
            instance_type=resources["InstanceType"],
            instance_count=resources["InstanceCount"],
            volume_size_in_gb=resources["VolumeSizeInGB"],
            enable_managed_spot_training=spot,
        ),
        stopping_condition=configs.StoppingCondition(
            max_runtime_in_seconds=stopping["MaxRuntimeInSeconds"],
            max_wait_time_in_seconds=stopping.get("MaxWaitTimeInSeconds"),
        ),
        output_data_config=configs.OutputDataConfig(s3_output_path=request["OutputDataConfig"]["S3OutputPath"]),
        hyperparameters=request["HyperParameters"],
        input_data_config=[
            configs.InputData(channel_name=request["InputDataConfig"][0]["ChannelName"], data_source=data)
        ],
    ).with_metric_definitions(
        [
            configs.MetricDefinition(name=each["Name"], regex=each["Regex"])
            for each in request["AlgorithmSpecification"]["MetricDefinitions"]
        ]
    )
    checkpoints = configs.CheckpointConfig(s3_uri=request["CheckpointConfig"]["S3Uri"])
    trainer = trainer.with_checkpoint_config(checkpoints)
    trainer.train(wait=True, logs=order["logs"])
    job = trainer._latest_training_job
    job.refresh()
    return {
        "name": job.training_job_name,
        "status": job.training_job_status,
        "model": job.model_artifacts.s3_model_artifacts,
        "metrics": {each.metric_name: each.value for each in job.final_metric_data_list or []},
    }


if __name__ == "__main__":
    sys.exit(main())
