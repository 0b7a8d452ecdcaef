"""`pm train`: the script as by hand, and SageMaker jobs like the pipeline's.

The SageMaker Python SDK has an environment of its own: the test of its jobs runs where `make sagemaker` has installed
it, as CI does, against the emulated SageMaker. Not proved here: that AWS takes the same jobs.
"""

import json
import uuid
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pm_cli import training_runs
from pm_cli.main import app
from pm_components.forecast_pipeline import training_jobs, training_workflow
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS
from pm_contracts.model_kinds import FORECAST
from pm_edge.devices.simulator import air_quality
from pm_sandbox.cloud import Cloud
from tests.sandbox.cloud.test_sagemaker_service import make_role


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 66 simulated days."""
    simulated = air_quality.simulate(3)
    frame = pd.DataFrame({name: simulated[name][: 24 * 66] for name in AIR_QUALITY_MEASUREMENTS})
    frame.insert(0, "date", pd.date_range("2010-01-02", periods=len(frame), freq="h"))
    file = tmp_path_factory.mktemp("data") / "air-1.csv"
    frame.to_csv(file, index=False)
    return file


def test_the_script_is_run_with_what_the_command_was_given(
    station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "model = pathlib.Path(sys.argv[sys.argv.index('--model-dir') + 1])\n"
        "model.mkdir()\n"
        "(model / 'arguments.json').write_text(json.dumps(sys.argv[1:]))\n"
    )
    monkeypatch.setitem(training_runs.MODEL_KINDS, "forecast", FORECAST._replace(script=str(script)))
    out = tmp_path / "model"
    command = ["train", "forecast", "--data", str(station), "--out", str(out), "--train-end", "2010-02-01"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "arguments.json" in done.output
    arguments = json.loads((out / "arguments.json").read_text())
    expected = [
        "--training",
        str(station),
        "--model-dir",
        str(out),
        "--checkpoint-dir",
        str(tmp_path / "model.checkpoints"),
    ]
    assert arguments == [*expected, "--seed", "1", "--train_end", "2010-02-01T00:00:00"]


def test_a_script_that_fails_makes_the_command_fail(station: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "fault", "--data", str(station), "--out", str(tmp_path / "model")])
    assert done.exit_code == 1
    assert not (tmp_path / "model").exists()


def test_without_the_sdk_the_command_that_installs_it_is_named(
    station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_runs, "SDK_ENVIRONMENT", tmp_path)
    with pytest.raises(training_runs.TrainingRefused, match="is not installed: `make sagemaker` does it"):
        training_runs.train_on_sagemaker(
            "fault", str(station), tmp_path, {}, state_machine="", clients=None, environment={}, logs=False
        )


@pytest.mark.skipif(
    not training_runs.SDK_ENVIRONMENT.exists(), reason=f"no SageMaker SDK: `{training_runs.INSTALL_SDK}` installs it"
)
def test_a_job_by_hand_is_one_of_the_pipelines_on_other_data(cloud: Cloud, station: Path, tmp_path: Path) -> None:
    bucket = f"artifacts-{uuid.uuid4().hex[:8]}"
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": cloud.region})
    training = training_jobs.Training(
        image_uri="123456789012.dkr.ecr.eu-central-1.amazonaws.com/pytorch:1",
        instance_type="ml.m5.xlarge",
        maximum_seconds=600,
        role_arn=make_role(cloud, bucket, ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]),
        code_uri=f"s3://{bucket}/training-code/other/sourcedir.tar.gz",
        job_prefix="dev",
        hyperparameters={"seed": "7"},
    )
    function = f"arn:aws:lambda:{cloud.region}:000000000000:function:none"
    workflow = training_workflow.Workflow(
        *(["lindau"], "lake", "lake", bucket, training, function, function, function, function, 30, 60)
    )
    machine = cloud.client("stepfunctions").create_state_machine(
        name=f"train-{uuid.uuid4().hex[:8]}",
        definition=json.dumps(training_workflow.definition(workflow)),
        roleArn=make_role(cloud, bucket, ["s3:GetObject"], "states.amazonaws.com"),
    )["stateMachineArn"]
    trained = training_runs.train_on_sagemaker(
        "forecast",
        str(station),
        tmp_path / "model",
        {"seed": "3"},
        state_machine=machine,
        clients=cloud.client,
        environment=cloud.environment(),
        logs=False,
    )
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["seed"] == 3
    assert trained["metrics"]["validation:rmse"] > 0
    job = cloud.client("sagemaker").describe_training_job(TrainingJobName=trained["name"])
    assert job["RoleArn"] == training.role_arn
    assert job["AlgorithmSpecification"]["TrainingImage"] == training.image_uri
    assert job["HyperParameters"]["sagemaker_program"] == '"pm_ml/forecast/train.py"'
    assert job["HyperParameters"]["sagemaker_submit_directory"] != json.dumps(training.code_uri)
    [channel] = job["InputDataConfig"]
    source = channel["DataSource"]["S3DataSource"]
    assert (channel["ChannelName"], source["S3DataType"]) == ("training", "S3Prefix")
    assert source["S3Uri"].startswith(f"s3://{bucket}/exports/by-hand/")
    key = source["S3Uri"].removeprefix(f"s3://{bucket}/")
    [uploaded] = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    assert uploaded["Size"] == station.stat().st_size
