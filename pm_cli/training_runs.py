"""Trains a model by hand: here, as the script alone does, or as a SageMaker job like those of the pipeline."""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pm_cli.extras import require
from pm_components.aws import archives, packaging
from pm_components.forecast_pipeline.training_jobs import CHECKPOINTS
from pm_contracts.model_kinds import MODEL_KINDS
from pm_sandbox.surroundings import environment

ROOT = Path(__file__).resolve().parent.parent
#: Environment of the SageMaker Python SDK, apart from the rest (`requirements/sagemaker.in` says why).
SDK_ENVIRONMENT = ROOT / ".venv-sagemaker"
INSTALL_SDK = "make sagemaker"


class TrainingRefused(RuntimeError):
    """The training was not done; the text says why, and where it helps what to do."""


def train_here(model: str, data: Path, out: Path, hyperparameters: Mapping[str, str]) -> None:
    """Run the training script as a person would; it shows its own progress.

    What an interrupted run leaves is kept beside `out`, and the next one of the same data goes on from it.

    Args:
        model: the kind of model, by its name.
        data: a folder of Parquet files as the lake exports them or of CSV files, or one such file.
        out: the folder for the model.
        hyperparameters: arguments of the script, by name.

    Raises:
        TrainingRefused: if the script fails; it has said why.
        ModuleNotFoundError: if the packages for training are not installed.
    """
    require("xgboost")
    command = [sys.executable, str(ROOT / MODEL_KINDS[model].script), "--training", str(data), "--model-dir", str(out)]
    command += ["--checkpoint-dir", str(out.with_name(f"{out.name}.checkpoints"))]
    command += [word for name, value in hyperparameters.items() for word in (f"--{name}", value)]
    if subprocess.run(command, env=environment(), check=False).returncode:
        raise TrainingRefused("the script failed: see above")


def train_on_sagemaker(
    model: str,
    data: str,
    out: Path,
    hyperparameters: Mapping[str, str],
    *,
    state_machine: str,
    clients: Any,
    environment: Mapping[str, str],
    logs: bool,
) -> dict[str, Any]:
    """Run a training job like the pipeline's own, on other data and with the code of this checkout.

    Args:
        model: the kind of model, by its name.
        data: a folder or file here, which is uploaded, or the `s3://` address of a folder that the training role reads.
        out: the folder for the model.
        hyperparameters: over those of the pipeline.
        state_machine: ARN of the pipeline's state machine, whose training job it follows.
        clients: gives the boto3 client of a service.
        environment: for the SDK's process: credentials, region, endpoint.
        logs: whether to show the container's log, which needs CloudWatch.

    Returns:
        The job's name, status, the address of its model, and its metrics.

    Raises:
        TrainingRefused: if the SDK is missing, or the job fails.
    """
    interpreter = SDK_ENVIRONMENT / "bin" / "python"
    if not interpreter.exists():
        raise TrainingRefused(f"the SageMaker SDK is not installed: `{INSTALL_SDK}` does it")
    request = training_job(clients("stepfunctions"), state_machine, model)
    bucket, _ = _bucket_and_key(request["OutputDataConfig"]["S3OutputPath"])
    code = f"s3://{bucket}/{_upload_code(clients('s3'), bucket)}"
    name = f"by-hand-{model}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
    request["CheckpointConfig"] = {"S3Uri": f"s3://{bucket}/{CHECKPOINTS}/{name}"}
    request["HyperParameters"] |= {"sagemaker_submit_directory": json.dumps(code)}
    request["HyperParameters"] |= {name: json.dumps(value) for name, value in hyperparameters.items()}
    if not data.startswith("s3://"):
        data = str(Path(data).resolve())
    order = {"request": request, "name": name, "data": data, "logs": logs}
    done = subprocess.run(
        [interpreter, "-m", "pm_cli.sagemaker_job"],
        cwd=ROOT,
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
        check=False,
    )
    if done.returncode:
        raise TrainingRefused(f"job {name}: see above")
    trained: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if trained["status"] != "Completed":
        raise TrainingRefused(f"job {trained['name']} is {trained['status']}")
    bucket, key = _bucket_and_key(trained["model"])
    archive = clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        tar.extractall(out, filter="data")
    return trained


def training_job(stepfunctions: Any, state_machine: str, model: str) -> dict[str, Any]:
    """The request by which the pipeline's state machine has the model trained.

    Raises:
        TrainingRefused: if it is no state machine of a `ForecastPipeline`.
    """
    definition = json.loads(stepfunctions.describe_state_machine(stateMachineArn=state_machine)["definition"])
    for state in definition["States"].values():
        for branch in state.get("Branches", []):
            if f"Train {model}" in branch["States"]:
                request: dict[str, Any] = branch["States"][f"Train {model}"]["Parameters"]
                return request
    raise TrainingRefused(f"{state_machine} has no state 'Train {model}'")


def _upload_code(s3: Any, bucket: str) -> str:
    """The key of this checkout's training code, put there where it is not yet."""
    contents = archives.read_files(packaging.training_files())
    key = packaging.training_code_key(contents)
    s3.put_object(Bucket=bucket, Key=key, Body=archives.tar_gz_bytes(contents), ContentType="application/gzip")
    return key


def _bucket_and_key(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key
