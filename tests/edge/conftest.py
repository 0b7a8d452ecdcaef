"""Fixtures of the edge's tests: a real local broker, an ear on it, and components as the processes that they are."""

import datetime as dt
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from pm_contracts import site_devices, topics
from pm_contracts.forecast_features import FEATURES
from pm_contracts.manifest import CheckedAnswers, FaultManifest, ForecastManifest, Interval
from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_contracts.messages import Status, decode
from pm_edge.runtime.files import write_atomically
from pm_edge.runtime.mqtt_bus import MqttBus
from pm_ml import export

DEADLINE = 60.0
#: `python -m` of a component that reports ten times as often: the tests hear of what it did by its status.
_RUN = """
import runpy, sys
from pm_edge.runtime import component
component.STATUS_SECONDS = 0.2
sys.argv.pop(0)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class Ear:
    """Hears all that is said on a site's local bus, and can say something itself."""

    def __init__(self, port: int, site: str) -> None:
        self.site = site
        self.heard: list[tuple[str, bytes]] = []
        self._news = threading.Condition()
        self.bus = MqttBus("127.0.0.1", port, f"ear-{site}")
        self.bus.subscribe(f"{topics.ROOT}/{site}/#", self._arrived)

    def _arrived(self, topic: str, payload: bytes) -> None:
        with self._news:
            self.heard.append((topic, payload))
            self._news.notify_all()

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
        """Wait until `condition` holds; it is looked at whenever something is heard."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, f"waited {seconds:.0f} s for {what}"
                self._news.wait(min(left, 0.25))

    def on(self, channel: str) -> list[bytes]:
        """The messages on topics that end in `channel`."""
        return [payload for topic, payload in self.heard if topic.endswith(f"/{channel}")]

    def status(self, component: str) -> Status | None:
        """The latest status of a component."""
        statuses = [decode(payload, Status) for payload in self.on(topics.STATUS)]
        return next((status for status in reversed(statuses) if status.component == component), None)

    def wait_for_counter(self, component: str, name: str, value: int) -> None:
        """Wait until a component has counted at least `value`."""

        def reached() -> bool:
            status = self.status(component)
            return status is not None and status.counters.get(name, 0) >= value

        self.wait(reached, f"{component} to count {value} {name}; its last status is {self.status(component)}")

    def wait_for_state(self, component: str, state: str) -> None:
        """Wait until a component reports itself as in `state`."""

        def reached() -> bool:
            status = self.status(component)
            return status is not None and status.state == state

        self.wait(reached, f"{component} to be {state}")


@pytest.fixture(scope="session")
def local_broker() -> Iterator[int]:
    """The port of a local broker, a process of its own; use a site of your own on it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pm_sandbox.core_device.broker", "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    found = re.search(rb"\d+", process.stdout.readline())
    assert found
    yield int(found.group())
    process.kill()
    process.wait()


@pytest.fixture
def site() -> str:
    """A site that no other test knows."""
    return f"site-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def ear(local_broker: int, site: str) -> Iterator[Ear]:
    """An ear on the test's own site."""
    listening = Ear(local_broker, site)
    yield listening
    listening.bus.close()


class SiteProcesses:
    """Starts components of a site as processes, and ends those that still run.

    Attributes:
        directory: Their folder for data and logs.
        devices: The site's devices, which components are told on their command line unless there is a list of them.
    """

    def __init__(self, port: int, site: str, directory: Path) -> None:
        self._port = port
        self._site = site
        self.directory = directory
        self.devices = {"air-1": "air_quality", "machine-01": "machine", "machine-02": "machine"}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a component by its module; its log is `{module}.log` in the directory."""
        settings = ["--site", self._site, "--data-directory", str(self.directory)]
        if not (self.directory / site_devices.FILE_NAME).exists():
            settings += ["--devices", ",".join(f"{name}={type_}" for name, type_ in self.devices.items())]
        with (self.directory / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _RUN, module, *settings, *arguments],
                env={**os.environ, "PM_LOCAL_BROKER": f"127.0.0.1:{self._port}", **environment},
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def list_devices(self, devices: Mapping[str, str]) -> None:
        """Install the site's list of devices, as `pm.SiteDevices` does."""
        write_atomically(self.directory / site_devices.FILE_NAME, site_devices.encode(self._site, devices))

    def log(self, module: str) -> str:
        """A component's log."""
        return (self.directory / f"{module}.log").read_text()

    def end(self) -> None:
        """End what still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def floor(local_broker: int, site: str, tmp_path: Path) -> Iterator[SiteProcesses]:
    """The test's own site, ready to run components."""
    running = SiteProcesses(local_broker, site, tmp_path)
    yield running
    running.end()


def _checked(rows: list[list[float]], answers: list[list[float]]) -> CheckedAnswers:
    return CheckedAnswers(inputs=rows, outputs=answers, tolerance=1e-4)


_DESCRIPTION = {
    "trained_from": dt.datetime(2010, 1, 1, tzinfo=dt.UTC),
    "trained_until": dt.datetime(2011, 12, 31, tzinfo=dt.UTC),
    "trained_rows": 1,
    "seed": 0,
    "libraries": {},
}


@pytest.fixture(scope="session")
def constant_forecast_model() -> Callable[..., tuple[ForecastManifest, bytes]]:
    """Makes a forecast model that answers every question with the same change and spread, ug/m3."""

    def make(
        change: float, spread: float = 10.0, checked_change: float | None = None
    ) -> tuple[ForecastManifest, bytes]:
        width = len(FEATURES)
        zeros = {shape: np.zeros(shape, dtype=np.float32) for shape in ((width, 2), (2,), (1, 2, 2), (1, 2))}
        biases = np.array([[change, np.log(np.expm1(spread))]], dtype=np.float32)  # softplus makes it the spread
        content = export.forecast_graph(
            _AsTheyAre(width), 8.0, (zeros[width, 2], zeros[2,]), (zeros[1, 2, 2], zeros[1, 2]),
            (zeros[1, 2, 2], biases), 0.0, 1.0, 1.0, [_NO_CHANGE],
        )  # fmt: skip
        said = change if checked_change is None else checked_change
        manifest = export.describe(
            ForecastManifest,
            content,
            checked=_checked([[0.0] * width], [[said, spread]]),
            horizon_hours=1,
            features=list(FEATURES),
            maximum_change=500.0,
            interval=Interval(level=0.9, scores=[i / 10 for i in range(1, 41)]),
            **_DESCRIPTION,
        )
        return manifest, content

    return make


#: A tree that is a single leaf.
_NO_CHANGE = {
    "left_children": [-1],
    "right_children": [-1],
    "split_indices": [0],
    "split_conditions": [0.0],
    "default_left": [0],
    "sum_hessian": [1.0],
}


class _AsTheyAre:
    """Features, or measurements' logarithms, as they are."""

    def __init__(self, width: int) -> None:
        self.mean, self.scale = np.zeros(width), np.ones(width)
        self.to_use, self.from_use = np.zeros((width, 1)), np.zeros((1, width))


@pytest.fixture(scope="session")
def simple_fault_model() -> Callable[..., tuple[FaultManifest, bytes]]:
    """Makes a fault model that calls a machine faulty where `aa_000`, its first measurement, is above 99."""

    def make(
        faulty_margin: float = 2.0, threshold: float = 0.5, readings: tuple[float, ...] = (10.0, 9.0, 1.0)
    ) -> tuple[FaultManifest, bytes]:
        tree = {
            "left_children": [1, -1, -1],
            "right_children": [2, -1, -1],
            "split_indices": [0, 0, 0],
            "split_conditions": [float(np.log(100.0)), -4.0, faulty_margin],
            "default_left": [1, 0, 0],
            "sum_hessian": list(readings),
        }
        content = export.fault_graph(_AsTheyAre(len(MACHINE_MEASUREMENTS)), [tree], 0.0)
        healthy = 1 / (1 + float(np.exp(4.0)))
        manifest = export.describe(
            FaultManifest,
            content,
            checked=_checked([[1.0] * len(MACHINE_MEASUREMENTS)], [[healthy]]),
            features=list(MACHINE_MEASUREMENTS),
            threshold=threshold,
            **_DESCRIPTION,
        )
        return manifest, content

    return make
