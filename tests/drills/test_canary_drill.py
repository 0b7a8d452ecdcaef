"""A site with two core devices, one of them for canaries: a model on trial runs there and nowhere else.

The deployed function starts and ends the trial, as the pipeline has it do. Not proved here: what the pipeline makes of
a trial's outcomes (`tests/components/forecast_pipeline/test_model_trial.py`).
"""

import hashlib
import io
import json
import tarfile
import threading

import pytest

from pm_contracts import topics
from pm_contracts.manifest import METRICS_FILE
from pm_contracts.messages import PERSISTENCE, Outcome, TrialOutcome, decode, encode
from pm_edge.devices.simulator import sources
from pm_edge.runtime.mqtt_bus import MqttBus
from pm_sandbox.core_device import CoreDevice
from pm_sandbox.deployer import deploy
from pm_sandbox.factory import Factory
from tests.waiting import eventually

STEADY, CANARY = "lindau-core", "lindau-canary"
STATION = "air-1"
READINGS = 40


class StationSensor:
    """A sensor on the floor of one core device, and what its components say of the station there."""

    def __init__(self, device: CoreDevice) -> None:
        self._bus = MqttBus("127.0.0.1", device.status()["broker_port"], "sensor")
        self._heard: list[tuple[str, bytes]] = []
        self._news = threading.Condition()
        self._bus.subscribe(f"{topics.ROOT}/lindau/{STATION}/+", self._arrived)

    def _arrived(self, topic: str, payload: bytes) -> None:
        with self._news:
            self._heard.append((topic, payload))
            self._news.notify_all()

    def on(self, channel: str) -> list[bytes]:
        return [payload for topic, payload in list(self._heard) if topic.endswith(f"/{channel}")]

    def wait_for(self, channel: str, count: int) -> list[bytes]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.on(channel)) >= count, 60), f"{len(self.on(channel))} {channel}"
        return self.on(channel)

    def observe(self) -> None:
        for reading in list(sources.readings("lindau", {STATION: "air_quality"}))[:READINGS]:
            self._bus.publish(topics.device_topic("lindau", STATION, topics.READING), encode(reading))
        assert self._bus.flush(60)

    def close(self) -> None:
        self._bus.close()


@pytest.fixture(scope="module")
def factory(tmp_path_factory):
    site = {
        "name": "lindau",
        "core_devices": [STEADY, CANARY],
        "canary_devices": [CANARY],
        "devices": [{"name": STATION, "type": "air_quality"}],
    }
    training = {"drift_enabled": False, "schedule_enabled": False, "canary": {}}
    with Factory.start(
        tmp_path_factory.mktemp("canary"), {"sites": [site], "training": training}, deployer=deploy
    ) as running:
        yield running


def processes(device: CoreDevice) -> dict[str, int]:
    """The process of each component that has one."""
    return {name: each["pid"] for name, each in device.status()["components"].items() if each["pid"]}


def trial(factory: Factory, **event: object) -> dict:
    """The deployed function's answer to a step of a trial."""
    answer = factory.cloud.client("lambda").invoke(FunctionName="pm-dev-pipeline-trial", Payload=json.dumps(event))
    found = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, found
    return found


def test_a_model_on_trial_runs_on_the_canary_device_alone_beside_what_runs_on_both(factory, make_forecast_model):
    steady, canary = factory.core_devices[STEADY], factory.core_devices[CANARY]
    assert set(processes(steady)) == set(processes(canary))
    before = processes(steady), processes(canary)

    files = {**make_forecast_model(1.0), METRICS_FILE: b"{}"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    bucket = factory.deployment.outputs["artifact_bucket"]
    content, key = packed.getvalue(), "training/canary/model.tar.gz"
    stored = factory.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    verdict = {
        "kind": "forecast",
        "model_data": f"s3://{bucket}/{key}",
        "version_id": stored["VersionId"],
        "sha256": hashlib.sha256(content).hexdigest(),
        "made_at": "2024-01-01T00:00:00+00:00",
    }
    started = trial(factory, step="start", models=[{**verdict, "on_trial": True}])
    [deployment] = started["deployments"]
    assert canary.wait_for_deployment(deployment["deployment_id"])["status"] == "SUCCEEDED"
    assert processes(steady) == before[0]
    beside = processes(canary)
    assert beside.pop("pm.ForecastChallenger")
    assert beside == before[1], "what runs in charge goes on undisturbed"

    sensors = {device.thing_name: StationSensor(device) for device in (steady, canary)}
    for sensor in sensors.values():
        sensor.observe()
        in_charge = [decode(payload, Outcome) for payload in sensor.wait_for(topics.OUTCOME, READINGS - 1)]
        assert {outcome.model_version for outcome in in_charge} == {PERSISTENCE}
    [tried] = {decode(p, TrialOutcome).model_version for p in sensors[CANARY].wait_for(topics.TRIAL, 1)}
    assert tried == started["model_version"]
    assert sensors[STEADY].on(topics.TRIAL) == []

    trial(factory, step="end", models=[], result=None, error={})
    eventually(lambda: processes(canary) == before[1], "the challenger to be withdrawn")
    assert processes(steady) == before[0]
    for sensor in sensors.values():
        sensor.close()
