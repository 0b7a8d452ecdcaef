"""A core device for measuring: the emulated IoT Core, a local broker and the real components, each a process.

The cloud is asked by clients of our own here: one that publishes as fast as it is acknowledged (the reference of the
rates), and one that hears nothing but a few chosen topics, so that it costs the broker nothing.
"""

import concurrent.futures
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from awscrt import mqtt5

from bench.edge_models import ROOT, SITE
from pm_contracts import topics
from pm_contracts.messages import Status, decode
from pm_edge.components.uplink.cloud import WINDOW, Cloud, Endpoint
from pm_edge.runtime.mqtt_bus import MqttBus
from pm_sandbox.cloud import Cloud as EmulatedCloud
from pm_sandbox.surroundings import environment as processes_environment
from pm_sandbox.surroundings import python

#: Seconds that anything waited for may take.
DEADLINE = 240.0
Message = tuple[str, bytes]


class Stuck(RuntimeError):
    """An awaited event did not come; the text says which."""


class Arrivals:
    """The time of the first message on each topic, seconds of `time.perf_counter`."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._news = threading.Condition()

    def note(self, topic: str, _: bytes = b"") -> None:
        """Something came on `topic`."""
        with self._news:
            self._at.setdefault(topic, time.perf_counter())
            self._news.notify_all()

    def wait(self, *awaited: str, seconds: float = DEADLINE) -> list[float]:
        """Wait until something has come on each topic; when it did.

        Raises:
            Stuck: if it does not.
        """
        with self._news:
            if not self._news.wait_for(lambda: all(topic in self._at for topic in awaited), seconds):
                raise Stuck(f"in {seconds:.0f} s nothing came on {[one for one in awaited if one not in self._at]}")
            return [self._at[topic] for topic in awaited]


class EdgeDevice:
    """A running core device; a context manager that ends all that it has started.

    Attributes:
        directory: The components' data directory.
        identity: Folder of the device's certificate, key and the root to trust.
        cloud: The emulated cloud.
    """

    def __init__(self, directory: Path, devices: dict[str, str]) -> None:
        """Prepare; entering the context starts the cloud and the local broker."""
        self.directory = directory
        self.identity = directory / "identity"
        self._devices = devices
        self._processes: list[subprocess.Popen[bytes]] = []
        self._clients: list[Cloud] = []
        self._buses: list[MqttBus] = []
        self._broker_port = 0

    def __enter__(self) -> Self:
        self.cloud = EmulatedCloud.start(self.directory / "cloud")
        try:
            self._register()
            self._broker_port = self._start_broker()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.stop()
        for bus in self._buses:
            bus.close()
        for process in self._processes:
            end(process)
        self.cloud.stop()

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the component `python -m module`; its log is `{module}.log` in the directory."""
        devices = ",".join(f"{name}={device_type}" for name, device_type in self._devices.items())
        settings = ["--site", SITE, "--devices", devices, "--data-directory", str(self.directory)]
        environment = {
            "PM_LOCAL_BROKER": f"127.0.0.1:{self._broker_port}",
            "PM_IOT_ENDPOINT": f"{self.cloud.mqtt_host}:{self.cloud.mqtt_port}",
            "AWS_IOT_THING_NAME": f"{SITE}-core",
        }
        with (self.directory / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                python(module, *settings, *arguments),
                cwd=ROOT, env={**processes_environment(), **environment}, stdout=log, stderr=log,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def run(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a program of another make; it is ended with the rest."""
        with log.open("ab") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        self._processes.append(process)
        return process

    def bus(self, name: str) -> MqttBus:
        """A connection to the local bus."""
        bus = MqttBus("127.0.0.1", self._broker_port, f"{SITE}-{name}")
        self._buses.append(bus)
        return bus

    def client(self, name: str, topic_filter: str, arrivals: Arrivals) -> Cloud:
        """A connection to the cloud that notes what comes on `topic_filter`; it is there when this returns."""
        up = threading.Event()
        client = Cloud(
            Endpoint(self.cloud.mqtt_host, self.cloud.mqtt_port), f"{SITE}-{name}", self.identity, "none",
            command_filter=topic_filter, on_command=arrivals.note, on_up=up.set, on_down=lambda _: None,
        )  # fmt: skip
        self._clients.append(client)
        client.start()
        if not up.wait(30):
            raise Stuck(f"{name} is not connected to the cloud")
        return client

    def _register(self) -> None:
        iot = self.cloud.client("iot")
        made = iot.create_keys_and_certificate(setAsActive=True)
        allow = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        iot.create_policy(policyName=SITE, policyDocument=document)
        iot.attach_policy(policyName=SITE, target=made["certificateArn"])
        iot.create_thing(thingName=f"{SITE}-core")
        iot.attach_thing_principal(thingName=f"{SITE}-core", principal=made["certificateArn"])
        self.identity.mkdir(parents=True)
        (self.identity / "certificate.pem").write_text(made["certificatePem"])
        (self.identity / "private-key.pem").touch(mode=0o600)
        (self.identity / "private-key.pem").write_text(made["keyPair"]["PrivateKey"])
        (self.identity / "root-ca.pem").write_bytes(self.cloud.certificate_authority.read_bytes())

    def _start_broker(self) -> int:
        process = subprocess.Popen(
            python("pm_sandbox.core_device.broker", "--port", "0"), env=processes_environment(),
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._processes.append(process)
        assert process.stdout is not None  # noqa: S101 - it was asked for
        found = re.search(rb"\d+", process.stdout.readline())
        if not found:
            raise Stuck("the local broker does not start")
        return int(found.group())


class Statuses:
    """The latest status of each component, as the local bus has it."""

    def __init__(self, bus: MqttBus) -> None:
        """Listen on `bus`."""
        self._latest: dict[str, Status] = {}
        self._news = threading.Condition()
        bus.subscribe(topics.site_topic(SITE, topics.STATUS), self._arrived)

    def _arrived(self, _: str, payload: bytes) -> None:
        status = decode(payload, Status)
        with self._news:
            self._latest[status.component] = status
            self._news.notify_all()

    def forget(self, component: str) -> None:
        """Forget what a component has said: another one of its name is to start."""
        with self._news:
            self._latest.pop(component, None)

    def wait(self, component: str, state: str = "running", **counted: int) -> dict[str, int]:
        """Wait until a component is in a state and has counted at least so much; all its counters.

        Raises:
            Stuck: if it does not get there.
        """

        def reached() -> bool:
            status = self._latest.get(component)
            return (
                status is not None
                and status.state == state
                and all(status.counters.get(name, 0) >= value for name, value in counted.items())
            )

        with self._news:
            if not self._news.wait_for(reached, DEADLINE):
                raise Stuck(f"{component} does not get to {state} {counted}: {self._latest.get(component)}")
            return dict(self._latest[component].counters)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and wait for it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def direct_rate(client: Cloud, messages: Iterable[Message], window: int = WINDOW["none"]) -> float:
    """Messages a second that the cloud's broker acknowledges to one client, quality of service 1, `window` under way.

    Raises:
        Stuck: if an acknowledgement does not come.
    """
    room = threading.Semaphore(window)
    count = 0

    def answered(done: "concurrent.futures.Future[mqtt5.PublishCompletionData]") -> None:
        if done.exception() is None and done.result().puback.reason_code < mqtt5.PubackReasonCode.UNSPECIFIED_ERROR:
            room.release()

    began = time.perf_counter()
    for count, (topic, payload) in enumerate(messages, start=1):
        if not room.acquire(timeout=DEADLINE):
            raise Stuck(f"the broker has not acknowledged message {count - window}")
        client.publish(topic, payload).add_done_callback(answered)
    for _ in range(window):
        if not room.acquire(timeout=DEADLINE):
            raise Stuck("the broker has not acknowledged the last messages")
    return count / (time.perf_counter() - began)
