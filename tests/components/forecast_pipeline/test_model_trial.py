"""A trial in the emulated AWS with IAM enforced: challenger beside champion, promoted or rolled back by live outcomes.

Training is a stand-in, and the outcomes are put where the devices' would arrive, so that what is proved is the way of
the decision: deployment and withdrawal, measuring in the lake, registry, release; and that drift starts it all.
Not proved: that a core device runs the challenger (tests/edge/components/test_forecast_challenger.py runs the same
artifact).
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pm_components.aws import archives, packaging
from pm_components.functions.start_training.core import SCHEDULED
from pm_contracts import topics
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements, MachineMeasurements
from pm_contracts.messages import AirQualityReading, Alert, MachineReading, Outcome, TrialOutcome, encode
from pm_contracts.model_kinds import MODEL_KINDS
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import deploy
from tests.components.forecast_pipeline.published_models import model_versions
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]
START = dt.datetime(2010, 1, 2, tzinfo=dt.UTC)
DEADLINE_SECONDS = 120
OUTCOMES = 10
CANARY = {"minimum_outcomes": OUTCOMES, "maximum_seconds": 500, "interval_seconds": 1}

GOOD_FAULT = {"cost": 100.0, "never_alarm_cost": 500.0, "always_alarm_cost": 900.0}
BAD_FAULT = {**GOOD_FAULT, "cost": 800.0}


class Factory(NamedTuple):
    cloud: Cloud
    outputs: dict[str, Any]
    stand_in: Callable[[str, dict[str, float]], bytes]

    def train_with(self, rmse: float, fault: dict[str, float] = GOOD_FAULT) -> None:
        """Put stand-ins where the pipeline keeps the training code."""
        files = archives.read_files(
            packaging.below("pm_contracts", packaging.files_below(ROOT / "pm_contracts", "**/*.py"))
        )
        forecast = {"rmse": rmse, "persistence_rmse": 25.0, "skill": 1 - rmse / 25.0}
        for kind, figures in (("forecast", forecast), ("fault", fault)):
            files[MODEL_KINDS[kind].script] = self.stand_in(kind, figures)
        s3, bucket = self.cloud.client("s3"), self.outputs["artifact_bucket"]
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="training-code/")["Contents"]]
        (key,) = [key for key in keys if key.endswith("sourcedir.tar.gz")]
        s3.put_object(Bucket=bucket, Key=key, Body=archives.tar_gz_bytes(files))

    def put(self, *messages: Any) -> None:
        """Put messages into the lake's streams, and wait until they are in the lake."""
        firehose = self.cloud.client("firehose")
        for message in messages:
            firehose.put_record(
                DeliveryStreamName=self.outputs["streams"][message.kind], Record={"Data": encode(message) + b"\n"}
            )
        eventually(
            lambda: all(count["accepted"] == count["delivered"] for count in self.cloud.firehose_counts().values()),
            "the lake",
        )

    def start(self) -> str:
        states = self.cloud.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=self.outputs["state_machine_arn"], input="{}")["executionArn"]
        return str(arn)

    def end(self, execution: str) -> tuple[str, Any]:
        states = self.cloud.client("stepfunctions")

        def ended() -> Any:
            found = states.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        found = eventually(ended, "the end of the execution", DEADLINE_SECONDS)
        return found["status"], json.loads(found["output"]) if found["status"] == "SUCCEEDED" else found

    def canary(self) -> dict[str, Any]:
        """The present deployment to the canary group; empty if there is none."""
        greengrass, group = self.cloud.client("greengrassv2"), "pm-dev-lindau-canary"
        arn = self.cloud.client("iot").describe_thing_group(thingGroupName=group)["thingGroupArn"]
        found = greengrass.list_deployments(targetArn=arn, historyFilter="LATEST_ONLY")["deployments"]
        return greengrass.get_deployment(deploymentId=found[0]["deploymentId"]) if found else {}

    def on_trial(self) -> dict[str, Any]:
        """The challenger in the canary deployment, once it is there."""

        def found() -> Any:
            return self.canary().get("components", {}).get("pm.ForecastChallenger")

        return dict(eventually(found, "the challenger"))

    def package(self, arn: str) -> dict[str, Any]:
        return dict(self.cloud.client("sagemaker").describe_model_package(ModelPackageName=arn))

    def version_on_trial(self) -> str:
        sagemaker = self.cloud.client("sagemaker")
        found = sagemaker.list_model_packages(
            ModelPackageGroupName="pm-dev-pipeline-forecast", ModelApprovalStatus="PendingManualApproval"
        )["ModelPackageSummaryList"]
        (package,) = found
        return str(self.package(package["ModelPackageArn"])["CustomerMetadataProperties"]["version"])

    def model_components(self) -> dict[str, str]:
        """The version of the model that each component of the model deployment brings."""
        greengrass, group = self.cloud.client("greengrassv2"), "pm-dev-lindau-model"
        arn = self.cloud.client("iot").describe_thing_group(thingGroupName=group)["thingGroupArn"]
        found = greengrass.list_deployments(targetArn=arn, historyFilter="LATEST_ONLY")["deployments"]
        if not found:
            return {}
        components = greengrass.get_deployment(deploymentId=found[0]["deploymentId"])["components"]
        return model_versions(self.cloud, {name: its["componentVersion"] for name, its in components.items()})


def outcomes(version: str, error: float, kind: type[Outcome] = Outcome) -> list[Outcome]:
    """Outcomes of a model that is off by `error` each hour."""
    return [
        kind(
            site="lindau",
            device="air-1",
            issued_at=START + dt.timedelta(hours=hour),
            target_time=START + dt.timedelta(hours=hour + 1),
            horizon_hours=1,
            value=100.0 + error,
            lower=90.0,
            upper=110.0,
            interval_level=0.9,
            last_value=100.0,
            model_version=version,
            actual=100.0,
            inside_interval=True,
        )
        for hour in range(OUTCOMES)
    ]


def drifted(device: str) -> Alert:
    return Alert(
        site="lindau",
        device=device,
        cause="forecast_quality",
        severity="warning",
        state="active",
        raised_at=START,
        dedupe_key=f"forecast_quality/{device}",
        text="The forecasts have left the acceptable range.",
    )


@pytest.fixture(scope="module")
def factory(
    tmp_path_factory: pytest.TempPathFactory, training_stand_in: Callable[[str, dict[str, float]], bytes]
) -> Iterator[Factory]:
    with Cloud.start(tmp_path_factory.mktemp("trial")) as cloud:
        training = {
            "schedule_enabled": False,
            "watch_interval_seconds": 1,
            "watch_seconds": 1,
            "canary": CANARY,
            "champion_margin": 1.0,
            "workbench": {},
        }
        outputs = deploy(ROOT, "dev", cloud, {"pm:training": training}).outputs
        made = Factory(cloud, outputs, training_stand_in)
        readings: list[Any] = []
        for hour in range(5):
            identity = {"site": "lindau", "sequence": hour, "event_time": START + dt.timedelta(hours=hour)}
            measured = AirQualityMeasurements(**dict.fromkeys(AIR_QUALITY_MEASUREMENTS, 0.0) | {"press": 1000.0})
            readings.append(AirQualityReading(device="air-1", measurements=measured, **identity))
            readings.append(
                MachineReading(
                    device="machine-01", measurements=MachineMeasurements(aa_000=1.0), faulty=False, **identity
                )
            )
        made.put(*readings, *outcomes("persistence", error=10.0))
        yield made


def test_drift_has_models_made_once(factory: Factory) -> None:
    factory.train_with(30.0, BAD_FAULT)
    states = factory.cloud.client("stepfunctions")

    def executions() -> list[dict[str, Any]]:
        return list(states.list_executions(stateMachineArn=factory.outputs["state_machine_arn"])["executions"])

    iot = factory.cloud.client("iot-data")
    for device in ("air-1", "air-2"):
        iot.publish(topic=topics.drift_topic("lindau"), qos=1, payload=encode(drifted(device)))
    (execution,) = eventually(executions, "an execution")
    assert execution["name"].startswith("start-")
    described = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"])["started_by"] == "drift"
    sqs = factory.cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="pm-dev-pipeline-start")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=SCHEDULED)  # what the schedule sends
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def drained() -> bool:
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return set(counts.values()) == {"0"}

    eventually(drained, "the second alert and the schedule")
    assert len(executions()) == 1
    status, output = factory.end(execution["executionArn"])
    assert status == "SUCCEEDED", output
    assert [model["passed"] for model in output["models"]] == [False, False]
    assert factory.canary() == {}, "nobody passed the gate, so that nobody is tried"


def test_a_model_that_errs_less_on_the_floor_is_promoted(factory: Factory) -> None:
    factory.train_with(20.0)
    execution = factory.start()
    challenger = factory.on_trial()
    configuration = json.loads(challenger["configurationUpdate"]["merge"])
    # The interpreter is the recipe's default, for the forecaster and so for the challenger.
    assert (configuration["site"], set(configuration)) == ("lindau", {"site", "accessControl"})
    topics = configuration["accessControl"]["aws.greengrass.ipc.pubsub"]["pm.ForecastChallenger:pubsub:2"]["resources"]
    assert topics == ["pm/lindau/*/trial", "pm/lindau/status"]
    assert "pm.ForecastModel" not in factory.model_components(), "it is not in charge of anything yet"
    version = factory.version_on_trial()
    factory.put(*outcomes(version, error=5.0, kind=TrialOutcome))
    status, output = factory.end(execution)
    assert status == "SUCCEEDED", output
    trial = output["trial"]
    assert trial["decision"] == "PROMOTE"
    assert trial["measured"] == {"outcomes": OUTCOMES, "challenger_rmse": 5.0, "champion_rmse": 10.0}
    forecast = output["models"][0]
    assert (forecast["passed"], forecast["version"]) == (True, version)
    package = factory.package(forecast["model_package_arn"])
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"].startswith("trial: live rmse 5.00 against the champion's 10.00")
    assert factory.model_components()["pm.ForecastModel"] == version
    assert factory.canary()["components"] == {}, "nothing of the trial is left"


def test_a_model_that_errs_more_on_the_floor_is_rolled_back_and_the_other_ships(factory: Factory) -> None:
    before = factory.model_components()
    factory.train_with(19.0, {**GOOD_FAULT, "cost": 50.0})
    execution = factory.start()
    factory.on_trial()
    factory.put(*outcomes(factory.version_on_trial(), error=12.0, kind=TrialOutcome))
    status, output = factory.end(execution)
    assert status == "SUCCEEDED", output
    assert output["trial"]["decision"] == "ROLL_BACK"
    forecast, fault = output["models"]
    assert (forecast["passed"], fault["passed"]) == (False, True)
    assert factory.package(forecast["model_package_arn"])["ModelApprovalStatus"] == "Rejected"
    after = factory.model_components()
    assert after["pm.ForecastModel"] == before["pm.ForecastModel"]
    assert after["pm.FaultModel"] == fault["version"] != before["pm.FaultModel"]
    assert factory.canary()["components"] == {}


def test_without_a_core_device_to_try_it_on_no_model_takes_charge_and_the_alarm_can_tell(factory: Factory) -> None:
    factory.cloud.client("iot").remove_thing_from_thing_group(
        thingGroupName="pm-dev-lindau-canary", thingName="lindau-core"
    )
    before = factory.model_components()
    factory.train_with(18.0)
    status, failure = factory.end(factory.start())
    assert (status, failure["error"]) == ("FAILED", "ModelNotMade")
    forecast, _ = json.loads(failure["cause"])
    assert "trial broke" in forecast["reasons"][-1]
    assert "no core device is in any of pm-dev-lindau-canary" in forecast["reasons"][-1]
    assert factory.package(forecast["model_package_arn"])["ModelApprovalStatus"] == "Rejected"
    assert factory.model_components()["pm.ForecastModel"] == before["pm.ForecastModel"]
