"""SIGTERM ends every process of the edge in bounded time, whatever it waits for: real processes, real signals.

Each state is met by all of them at once, so that the machine starts them beside one another. Their windows are small
here, so that little fills them. Not proved here: how long it takes, and the deaths that nobody asks for.
"""

import base64
import datetime as dt
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pm_contracts import topics
from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE, encode_manifest
from pm_contracts.messages import Command, encode
from pm_edge.devices.simulator import sources
from pm_edge.runtime.bus import GREENGRASS_VARIABLE
from pm_edge.runtime.model_store import CURRENT
from resilience.signing import sign_directory, trust
from tests.edge.fake_nucleus import LITE_SOCKET, TOKEN, Nucleus
from tests.edge.silent_broker import LOOPBACK, SilentBroker, make_identity
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
SITE = "lindau"
DEVICES = {"air-1": "air_quality", "machine-01": "machine"}
#: On the bus, with what is published by each: the uplink publishes nothing that a bus acknowledges.
COMPONENTS = {
    "pm_edge.components.uplink": "pm.Uplink",
    "pm_edge.components.forecaster": "pm.Forecaster",
    "pm_edge.components.fault_detector": "pm.FaultDetector",
    "pm_edge.components.forecast_challenger": "pm.ForecastChallenger",
    "pm_edge.components.replayer": "pm.Replayer",
    "pm_edge.components.device_simulator": "pm.DeviceSimulator",
}
WINDOW = 5
READINGS = 4 * WINDOW
LIMIT = 60.0
_RUN = f"""
import runpy, sys
from pm_edge.runtime import bus
bus.ROOM = bus.ROOM._replace(operations={WINDOW})
from pm_edge.runtime import mqtt_bus
mqtt_bus._CALLBACK_ROOM = bus.ROOM
mqtt_bus._CONNECT_SECONDS = 0.5
from pm_edge.runtime import component
component.STATUS_SECONDS = 0.2
sys.argv.pop(0)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class Processes:
    """The edge's processes, from a copy of the code that has a model on trial beside it."""

    def __init__(self, directory: Path, identity: Path, endpoint: str, code: Path) -> None:
        self._directory, self._identity, self._endpoint, self._code = directory, identity, endpoint, code
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, module: str, *arguments: str, devices: dict[str, str] = DEVICES, **environment: str) -> None:
        """Start one, with a data folder of its own."""
        data = self._directory / module
        shutil.copytree(self._identity, data / "identity")
        shutil.copytree(self._code / "fault", data / "models" / "fault" / "1")
        (data / "models" / "fault" / CURRENT).symlink_to("1")
        trust(data)
        words = ",".join(f"{name}={device_type}" for name, device_type in devices.items())
        variables = {
            **os.environ,
            "PYTHONPATH": str(self._code),
            "AWS_IOT_THING_NAME": "lindau-core",
            "PM_IOT_ENDPOINT": self._endpoint,
            **environment,
        }
        with (data / "log").open("wb") as log:
            self.running[module] = subprocess.Popen(
                [
                    *(sys.executable, "-c", _RUN, module, "--site", SITE, "--devices", words),
                    *("--data-directory", str(data), *arguments),
                ],
                cwd=self._code,
                env=variables,
                stdout=log,
                stderr=log,
            )

    def start_sensor(self, endpoint: str) -> None:
        """Start a sensor, whose discovery nobody answers."""
        arguments = ("--endpoint", endpoint, "--per-second", "0")
        self.start("pm_edge.devices.sensor", *arguments, devices={"air-1": "air_quality"})

    def log(self, module: str) -> str:
        return (self._directory / module / "log").read_text()

    def logs(self) -> str:
        return "\n".join(f"{module}:\n{self.log(module)}" for module in self.running)

    def end(self, number: int = signal.SIGTERM) -> dict[str, int]:
        """Ask all of them to end; the exit status of each."""
        for process in self.running.values():
            process.send_signal(number)
        return {module: process.wait(LIMIT) for module, process in self.running.items()}

    def kill(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def code(tmp_path_factory, constant_forecast_model, simple_fault_model) -> Path:
    directory = tmp_path_factory.mktemp("code")
    for package in ("pm_edge", "pm_contracts"):
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (manifest, model) in {"model": constant_forecast_model(5.0), "fault": simple_fault_model()}.items():
        (directory / name).mkdir()
        (directory / name / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
        (directory / name / MODEL_FILE).write_bytes(model)
        sign_directory(directory / name, SITE, on_trial=name == "model")
    return directory


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where connections are taken, and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen(50)
        yield f"{LOOPBACK}:{listening.getsockname()[1]}"


@pytest.fixture
def processes(tmp_path, nobody, code) -> Iterator[Processes]:
    started = Processes(tmp_path, make_identity(tmp_path / "identity"), nobody, code)
    yield started
    started.kill()


def feed(tell: Callable[[str, bytes], None]) -> None:
    """Say what has each component publish more than its window holds."""
    stream = sources.readings(SITE, DEVICES, end=sources.START + dt.timedelta(days=READINGS))
    for reading in stream:
        tell(topics.device_topic(SITE, reading.device, topics.READING), encode(reading))
    for name in ("replay", "simulate"):
        command = Command(site=SITE, name=name, issued_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        tell(topics.command_topic(SITE, name), encode(command))


def test_while_the_bus_or_the_core_device_says_nothing(processes, nobody):
    for module in COMPONENTS:
        processes.start(module, PM_LOCAL_BROKER=nobody)
    processes.start_sensor(nobody)
    for module in COMPONENTS:
        eventually(lambda: "no broker at" in processes.log(module), processes.logs)  # noqa: B023
    eventually(lambda: "20 messages wait" in processes.log("pm_edge.devices.sensor"), processes.logs)
    statuses = processes.end()
    assert statuses.pop("pm_edge.devices.sensor") == 0, processes.log("pm_edge.devices.sensor")
    # With 0, a classic nucleus would go on taking them for running.
    assert set(statuses.values()) == {-signal.SIGTERM}, processes.logs()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_sensor_with_readings_that_nobody_takes(processes, number):
    processes.start_sensor(f"{LOOPBACK}:1")
    eventually(lambda: "20 messages wait" in processes.log("pm_edge.devices.sensor"), processes.logs)
    assert processes.end(number) == {"pm_edge.devices.sensor": 0}, processes.logs()
    assert "the core device has not taken all readings" in processes.log("pm_edge.devices.sensor")


def test_while_a_broker_acknowledges_nothing_and_every_window_is_full(processes):
    with SilentBroker().running() as broker:
        broker.silent_on = {f"/{channel}" for channel in ("forecast", "outcome", "fault", "alert", "trial")}
        broker.silent_on |= {f"/{topics.HISTORY}", f"/{topics.READING}"}
        for module in COMPONENTS:
            processes.start(module, PM_LOCAL_BROKER=f"{LOOPBACK}:{broker.port}")
        eventually(lambda: len(broker.subscribers()) == len(COMPONENTS), processes.logs)
        feed(broker.tell)
        publishers = [f"{SITE}-{name}-publisher" for name in COMPONENTS.values() if name != "pm.Uplink"]
        eventually(
            lambda: all(broker.unanswered[name] >= WINDOW for name in publishers),
            lambda: f"{broker.unanswered}\n{processes.logs()}",
        )
        assert set(processes.end().values()) == {-signal.SIGTERM}, processes.logs()


def test_while_a_nucleus_answers_nothing_and_every_window_is_full(processes, tmp_path):
    nucleus = Nucleus(tmp_path / LITE_SOCKET)
    for module in COMPONENTS:
        processes.start(module, **{GREENGRASS_VARIABLE: str(nucleus.path), "SVCUID": TOKEN})
    eventually(lambda: len(nucleus.unanswered()) == len(COMPONENTS), processes.logs)
    nucleus.mute_answers = True
    feed(lambda topic, payload: nucleus.tell(topic, base64.b64encode(payload).decode()))
    # With its subscriptions, which stay; the uplink has its statuses.
    eventually(
        lambda: sum(count > WINDOW for count in nucleus.unanswered()) == len(COMPONENTS),
        lambda: f"{nucleus.unanswered()}\n{processes.logs()}",
    )
    assert set(processes.end().values()) == {-signal.SIGTERM}, processes.logs()
    nucleus.stop()
