"""Sensors that report as long as the drill goes on, each over a connection of its own as the plant's devices have."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pm_components.greengrass_site import client_devices
from pm_contracts import topics
from pm_contracts.messages import Reading, encode
from pm_edge.devices.sensor.discovery import Discovery
from pm_edge.devices.sensor.link import Link
from pm_sandbox.core_device.identity import enroll
from resilience.plant import SITE, Plant

_END_SECONDS = 90.0


class Enrolled:
    """A device that has its certificate and belongs to the plant's core device.

    Attributes:
        name: In the site.
        thing: Its thing.
        directory: Its folder, with `identity` in it.
        discovery: Where it finds the core device.
    """

    def __init__(self, plant: Plant, folder: Path, name: str) -> None:
        """Enrol the device `name` of the site, below `folder`."""
        cloud = plant.cloud
        self.name, self.thing = name, client_devices.thing_name(SITE, name)
        self.directory = folder / name
        policy = plant.factory.deployment.physical_id("aws:iot/policy:Policy", f"{SITE}-device-policy")
        authority = cloud.certificate_authority.read_bytes()
        enroll(self.directory / "identity", self.thing, [policy], authority, cloud.client("iot"))
        plant.greengrass.batch_associate_client_device_with_core_device(
            coreDeviceThingName=plant.device.thing_name, entries=[{"thingName": self.thing}]
        )
        # Not through the core device's uplink: a new nucleus has that at another port.
        self.discovery = Discovery(
            "127.0.0.1",
            cloud.device_port(),
            self.directory / "identity",
            self.thing,
            self.directory / "discovery.json",
        )


class Sensor:
    """A device that reports at its pace, in order and at least once.

    Attributes:
        sent: Its readings by `message_id`, with the time on the monotonic clock at which the link had each.
    """

    def __init__(self, device: Enrolled, readings: Iterator[Reading], per_second: float) -> None:
        """Report `readings` from now on."""
        self.sent: dict[str, float] = {}
        self._readings = readings
        self._pause = 1 / per_second
        self._topic = topics.device_topic(SITE, device.name, topics.READING)
        self._link = Link(device.discovery, device.directory / "identity", device.thing, lambda _: None)
        self._may_report = threading.Event()
        self._may_report.set()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._report, name=device.name, daemon=True)
        self._link.start()
        self._thread.start()

    def _report(self) -> None:
        for reading in self._readings:
            self._may_report.wait()
            if self._is_ending.wait(self._pause):
                return
            # Noted before: one that goes out while we end is one that was sent.
            self.sent[reading.message_id] = time.monotonic()
            if not self._link.publish(reading.sequence, self._topic, encode(reading)):
                del self.sent[reading.message_id]
                return

    def pause(self) -> bool:
        """Report nothing from now on; return whether all that was reported is taken by the core device."""
        self._may_report.clear()
        return self._link.flush(_END_SECONDS)

    def resume(self) -> None:
        """Report again."""
        self._may_report.set()

    def finish(self) -> bool:
        """Report no more; return whether the core device has taken all."""
        self._is_ending.set()
        self._may_report.set()
        # One that waits for room goes out first.
        self._thread.join(_END_SECONDS)
        return self._link.flush(_END_SECONDS)

    def close(self) -> None:
        """End at once."""
        self._is_ending.set()
        self._may_report.set()
        self._link.stop()
        self._thread.join(_END_SECONDS)
