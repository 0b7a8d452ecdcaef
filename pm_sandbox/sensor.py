"""A sensor of the plant as a child process: enrolled, associated with a core device, started and stopped."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device import CoreDevice
from pm_sandbox.core_device.identity import enroll
from pm_sandbox.surroundings import environment, python

_STOP_LIMIT = 20.0


class SensorError(RuntimeError):
    """The sensor cannot be set up; the text says why."""


class Sensor:
    """A running sensor, `python -m pm_edge.devices.sensor`.

    Attributes:
        directory: Its folder: identity, what discovery said, its progress, and `sensor.log`.
        thing_name: Its thing.
        process: Its process.
    """

    def __init__(self, directory: Path, thing_name: str, process: "subprocess.Popen[bytes]") -> None:
        """Take over a running sensor; use `start`."""
        self.directory = directory
        self.thing_name = thing_name
        self.process = process

    @classmethod
    def start(
        cls,
        cloud: Cloud,
        core: CoreDevice,
        directory: Path,
        *,
        site: str,
        device: str,
        device_type: str,
        policy: str,
        arguments: Sequence[str] = (),
    ) -> Self:
        """Enrol a sensor where that is still to do, associate it with a core device, and start it.

        Args:
            cloud: Its cloud, which has a thing `{site}_{device}`.
            core: The core device, through whose uplink it discovers.
            directory: Its folder, made where missing.
            site: Its site.
            device: Its name in the site.
            device_type: What it measures.
            policy: AWS IoT policy of the site's devices.
            arguments: More of `python -m pm_edge.devices.sensor`.

        Raises:
            SensorError: if the core device does not take the association.
        """
        thing = f"{site}_{device}"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = cloud.certificate_authority.read_bytes()
        enroll(directory / "identity", thing, [policy], authority, cloud.client("iot"))
        answer = cloud.client("greengrassv2").batch_associate_client_device_with_core_device(
            coreDeviceThingName=core.thing_name, entries=[{"thingName": thing}]
        )
        if answer.get("errorEntries"):
            raise SensorError(f"{thing} cannot be a client device of {core.thing_name}: {answer['errorEntries']}")
        return cls(directory, thing, run(directory, site, device, device_type, core.status()["device_port"], arguments))

    def log(self) -> str:
        """The sensor's output so far."""
        return (self.directory / "sensor.log").read_text(errors="replace")

    def stop(self) -> None:
        """Stop it in order."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def run(
    directory: Path, site: str, device: str, device_type: str, port: int, arguments: Sequence[str]
) -> "subprocess.Popen[bytes]":
    """Start the process of a sensor that is enrolled in `directory`, with discovery at a port of loopback."""
    with (directory / "sensor.log").open("ab") as output:
        return subprocess.Popen(
            python(
                "pm_edge.devices.sensor",
                *("--site", site, "--devices", f"{device}={device_type}", "--endpoint", f"127.0.0.1:{port}"),
                *("--data-directory", str(directory), *arguments),
            ),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
