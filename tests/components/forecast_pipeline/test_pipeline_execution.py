"""The deployed state machine, executed in the emulated AWS with IAM enforced: from readings in the lake to deployments.

The training scripts are small stand-ins, put where the pipeline keeps the training code, so that what is proved is the
way of data and models: export without repeats, both jobs, verdicts, registry, component versions, deployments.
Not proved: that the real scripts make good models (tests/ml), nor that a core device takes them
(tests/sandbox/core_device).
"""

import datetime as dt
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pm_components.aws import archives, packaging
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements, MachineMeasurements
from pm_contracts.messages import AirQualityReading, MachineReading, encode
from pm_contracts.model_kinds import MODEL_KINDS
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import deploy
from tests.components.forecast_pipeline.published_models import model_versions, recipe
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]
START = dt.datetime(2010, 1, 2, tzinfo=dt.UTC)
DEADLINE_SECONDS = 90

GOOD_FORECAST = {"rmse": 20.0, "persistence_rmse": 25.0, "skill": 0.2}
BAD_FORECAST = {"rmse": 26.0, "persistence_rmse": 25.0, "skill": -0.04}
GOOD_FAULT = {"cost": 100.0, "never_alarm_cost": 500.0, "always_alarm_cost": 900.0}
ROWS = 5


class Pipeline(NamedTuple):
    cloud: Cloud
    outputs: dict[str, Any]
    stand_in: Callable[[str, dict[str, float]], bytes]

    def train_with(self, forecast: dict[str, float], fault: dict[str, float], broken: str = "") -> None:
        """Put stand-ins where the pipeline keeps the training code, the one of the kind `broken` without use."""
        contracts = packaging.files_below(ROOT / "pm_contracts", "**/*.py")
        files = archives.read_files(packaging.below("pm_contracts", contracts))
        for kind, figures in (("forecast", forecast), ("fault", fault)):
            useless = b"import sys; sys.exit('broken on purpose')"
            files[MODEL_KINDS[kind].script] = useless if kind == broken else self.stand_in(kind, figures)
        s3, bucket = self.cloud.client("s3"), self.outputs["artifact_bucket"]
        (code,) = s3.list_objects_v2(Bucket=bucket, Prefix="training-code/")["Contents"]
        s3.put_object(Bucket=bucket, Key=code["Key"], Body=archives.tar_gz_bytes(files))

    def execute(self) -> tuple[str, dict[str, Any]]:
        """Run the state machine to its end: its status, and its output or how it failed."""
        states = self.cloud.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=self.outputs["state_machine_arn"], input="{}")["executionArn"]

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = states.describe_execution(executionArn=arn)
            return None if described["status"] == "RUNNING" else described

        found = eventually(ended, "the state machine to end", DEADLINE_SECONDS)
        return found["status"], json.loads(found["output"]) if found["status"] == "SUCCEEDED" else found

    def released(self, output: dict[str, Any]) -> dict[str, str]:
        """The version of the model in each component that an execution released."""
        return model_versions(self.cloud, output["release"]["versions"])

    def model_deployments(self) -> list[dict[str, Any]]:
        """The deployments to the site's model group, newest first."""
        greengrass, iot = self.cloud.client("greengrassv2"), self.cloud.client("iot")
        group = self.outputs["sites"]["lindau"]["model_thing_group"]
        arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
        found = greengrass.list_deployments(targetArn=arn, historyFilter="ALL")["deployments"]
        return [greengrass.get_deployment(deploymentId=each["deploymentId"]) for each in found]


def readings() -> list[tuple[str, bytes]]:
    """A few readings of both kinds, the first of each twice."""
    found: list[tuple[str, bytes]] = []
    for index in range(ROWS):
        time_ = START + dt.timedelta(hours=index)
        measurements = AirQualityMeasurements(**dict.fromkeys(AIR_QUALITY_MEASUREMENTS, 0.0) | {"press": 1000.0})
        identity = {"site": "lindau", "sequence": index, "event_time": time_}
        air = AirQualityReading(device="air-1", measurements=measurements, **identity)
        machine = MachineReading(
            device="machine-01", measurements=MachineMeasurements(aa_000=1.0), faulty=False, **identity
        )
        for reading in (air, machine):
            found += [(reading.kind, encode(reading))] * (2 if index == 0 else 1)
    return found


@pytest.fixture(scope="module")
def pipeline(
    tmp_path_factory: pytest.TempPathFactory, training_stand_in: Callable[[str, dict[str, float]], bytes]
) -> Iterator[Pipeline]:
    with Cloud.start(tmp_path_factory.mktemp("pipeline")) as cloud:
        training = {"schedule_enabled": False, "watch_interval_seconds": 1, "watch_seconds": 1, "minimum_skill": 0.01}
        outputs = deploy(ROOT, "dev", cloud, {"pm:training": {**training, "hyperparameters": {"seed": "1"}}}).outputs
        firehose = cloud.client("firehose")
        for kind, payload in readings():
            firehose.put_record(DeliveryStreamName=outputs["streams"][kind], Record={"Data": payload + b"\n"})
        eventually(
            lambda: all(counts["accepted"] == counts["delivered"] for counts in cloud.firehose_counts().values()),
            lambda: str(cloud.firehose_counts()),
        )
        yield Pipeline(cloud, outputs, training_stand_in)


def test_a_bad_forecast_model_is_registered_as_rejected_and_only_the_fault_model_ships(pipeline: Pipeline) -> None:
    pipeline.train_with(BAD_FORECAST, GOOD_FAULT)
    status, output = pipeline.execute()
    assert status == "SUCCEEDED", output
    forecast, fault = output["models"]
    assert (forecast["kind"], forecast["passed"], fault["kind"], fault["passed"]) == ("forecast", False, "fault", True)
    assert "does not beat persistence" in forecast["reasons"][0]
    # Each reading once, though the first came twice.
    assert forecast["metrics"]["validation"]["rows"] == fault["metrics"]["validation"]["rows"] == ROWS
    assert pipeline.released(output) == {"pm.FaultModel": fault["version"]}
    # Nobody plays the core device here, so that its job still waits when the watch ends.
    assert output["rollout"] == {"status": "PENDING", "devices": {"lindau-core": "QUEUED"}}
    sagemaker = pipeline.cloud.client("sagemaker")
    packages = [sagemaker.describe_model_package(ModelPackageName=m["model_package_arn"]) for m in (forecast, fault)]
    assert [package["ModelApprovalStatus"] for package in packages] == ["Rejected", "Approved"]
    assert packages[0]["CustomerMetadataProperties"]["validation.rmse"] == "26"
    (deployment,) = pipeline.model_deployments()
    assert {n: c["componentVersion"] for n, c in deployment["components"].items()} == output["release"]["versions"]


def test_a_released_model_arrives_as_component_beside_the_one_that_is_there(pipeline: Pipeline) -> None:
    pipeline.train_with(GOOD_FORECAST, {**GOOD_FAULT, "cost": 501.0})
    status, output = pipeline.execute()
    assert status == "SUCCEEDED", output
    forecast = output["models"][0]
    assert pipeline.released(output) == {"pm.ForecastModel": forecast["version"]}
    newest = pipeline.model_deployments()[0]
    assert newest["deploymentId"] == output["release"]["deployments"][0]["deployment_id"]
    assert set(newest["components"]) == {"pm.ForecastModel", "pm.FaultModel"}
    merged = json.loads(newest["components"]["pm.ForecastModel"]["configurationUpdate"]["merge"])
    assert merged == {"dataDirectory": "/var/lib/pm"}
    published = recipe(pipeline.cloud, "pm.ForecastModel", newest["components"]["pm.ForecastModel"]["componentVersion"])
    (artifact,) = published["Manifests"][0]["Artifacts"]
    bucket, _, key = artifact["Uri"].removeprefix("s3://").partition("/")
    assert (bucket, key.split("/")[:2]) == (pipeline.outputs["artifact_bucket"], ["models", "pm.ForecastModel"])
    stored = pipeline.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        assert sorted(archive.namelist()) == [
            "manifest.json", "metrics.json", "model.onnx", "release.json", "release.sig",
        ]  # fmt: skip
        # The hyperparameters of the configuration reached the script.
        assert b'["--seed", "1", ' in archive.read("model.onnx")


def test_the_same_models_again_make_no_new_version_and_no_new_deployment(pipeline: Pipeline) -> None:
    pipeline.train_with(GOOD_FORECAST, GOOD_FAULT)
    _, first = pipeline.execute()
    before = [deployment["deploymentId"] for deployment in pipeline.model_deployments()]
    status, second = pipeline.execute()
    assert status == "SUCCEEDED", second
    assert second["release"]["versions"] == first["release"]["versions"]
    assert [deployment["deploymentId"] for deployment in pipeline.model_deployments()] == before


def test_a_script_that_fails_fails_the_execution_with_its_words(pipeline: Pipeline) -> None:
    pipeline.train_with(GOOD_FORECAST, GOOD_FAULT)
    s3, bucket = pipeline.cloud.client("s3"), pipeline.outputs["artifact_bucket"]
    (code,) = s3.list_objects_v2(Bucket=bucket, Prefix="training-code/")["Contents"]
    broken = {kind.script: b"import sys; sys.exit('the data has no hours')" for kind in MODEL_KINDS.values()}
    s3.put_object(Bucket=bucket, Key=code["Key"], Body=archives.tar_gz_bytes(broken))
    status, failure = pipeline.execute()
    assert status == "FAILED"
    assert failure["error"] == "ModelNotMade"
    assert "the data has no hours" in failure["cause"]


def test_a_job_that_fails_does_not_stop_the_other_model(pipeline: Pipeline) -> None:
    pipeline.train_with({**GOOD_FORECAST, "rmse": 19.5}, GOOD_FAULT, broken="fault")
    before = pipeline.model_deployments()
    status, failure = pipeline.execute()
    # What could be made is on its way; that the other could not is an execution that failed, which has an alarm.
    assert (status, failure["error"]) == ("FAILED", "ModelNotMade")
    assert "broken on purpose" in failure["cause"]
    after = pipeline.model_deployments()
    assert len(after) == len(before) + 1
    forecast, fault = json.loads(failure["cause"])
    assert (forecast["passed"], fault["passed"]) == (True, False)
    shipped = recipe(pipeline.cloud, "pm.ForecastModel", after[0]["components"]["pm.ForecastModel"]["componentVersion"])
    assert shipped["ComponentDescription"].endswith(f"Model {forecast['version']}.")


def test_a_model_that_falls_behind_the_champion_stays_at_home(pipeline: Pipeline) -> None:
    pipeline.train_with({**GOOD_FORECAST, "rmse": 19.0}, GOOD_FAULT)
    assert pipeline.execute()[0] == "SUCCEEDED"
    pipeline.train_with({**GOOD_FORECAST, "rmse": 21.0}, GOOD_FAULT)
    status, output = pipeline.execute()
    assert status == "SUCCEEDED", output
    forecast, fault = output["models"]
    assert (forecast["passed"], fault["passed"]) == (False, True)
    assert "falls behind champion" in forecast["reasons"][1]
    packaged = pipeline.cloud.client("sagemaker").describe_model_package(ModelPackageName=forecast["model_package_arn"])
    assert packaged["ModelApprovalStatus"] == "Rejected"


def test_what_the_script_measured_is_kept_with_the_job(pipeline: Pipeline) -> None:
    pipeline.train_with({**GOOD_FORECAST, "rmse": 18.5}, GOOD_FAULT)
    _, output = pipeline.execute()
    job = pipeline.cloud.client("sagemaker").describe_training_job(TrainingJobName=output["models"][0]["training_job"])
    measured = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert measured == {"validation:rmse": 18.5, "validation:persistence_rmse": 25.0, "validation:skill": 0.2}
