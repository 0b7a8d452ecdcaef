"""`python -m pm_sandbox.core_device.client_devices SETTINGS`: the gateway of client devices, until SIGTERM.

The settings are a JSON file: `thing_name`, `identity` (folder), `directory` (for what it keeps), and `configurations`
(by component). `PM_LOCAL_BROKER` and `PM_DEVICE_ENDPOINT` say where the bus and the cloud are.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from pm_contracts.logs import log_to
from pm_sandbox.core_device.client_devices import configuration
from pm_sandbox.core_device.client_devices.admission import Admission
from pm_sandbox.core_device.client_devices.authority import Authority
from pm_sandbox.core_device.client_devices.bus_link import BusLink
from pm_sandbox.core_device.client_devices.cloud import DeviceCloud, Refused, Unreachable
from pm_sandbox.core_device.client_devices.gateway import Gateway
from pm_sandbox.core_device.client_devices.program import STATUS_FILE
from pm_sandbox.core_device.client_devices.shadows import Shadows
from pm_sandbox.core_device.identity import identity_in
from pm_sandbox.state_files import read_json

LOOPBACK = "127.0.0.1"
_ANNOUNCE_AGAIN = 2.0

log = logging.getLogger("client_devices")


async def run(settings: dict[str, Any]) -> None:
    """Serve client devices until SIGTERM."""
    thing_name, directory = settings["thing_name"], Path(settings["directory"])
    wanted = configuration.parse(settings["configurations"])
    identity = identity_in(Path(settings["identity"]))
    cloud = DeviceCloud(*_address("PM_DEVICE_ENDPOINT"), identity, thing_name)
    authority = Authority(directory, thing_name)
    admission = Admission(cloud, wanted.trust_seconds, directory / "verified.json")
    bus = BusLink(*_address("PM_LOCAL_BROKER"), f"{thing_name}-bridge")
    gateway = Gateway(wanted, admission, bus, directory / STATUS_FILE, directory / "sessions.json")
    if wanted.local_shadows:
        gateway.shadows = Shadows(directory / "shadows.json", cloud, wanted.synchronized, gateway.tell)
    listening = _bound(directory / "port")
    context = authority.server_context(LOOPBACK, identity.root_certificate)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    works = [
        gateway.listen(listening, context),
        gateway.keep_checking(),
        bus.run(),
        _announce(cloud, listening.getsockname()[1], authority.pem),
    ]
    if gateway.shadows is not None:
        works.append(gateway.shadows.run(gateway.is_connected))
    # One that fails ends them all, and the process with them.
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        await stopped.wait()
        for task in tasks:
            task.cancel()


async def _announce(cloud: DeviceCloud, port: int, authority: str) -> None:
    """Tell the cloud where client devices come to, as soon as it can be reached and takes it."""
    while True:
        try:
            await asyncio.to_thread(cloud.announce, LOOPBACK, port, authority)
            log.info("the cloud knows where client devices come to: port %d", port)
            return
        except Unreachable:
            pass
        except Refused as refused:
            log.error("the cloud does not take where client devices come to: %s", refused)
        await asyncio.sleep(_ANNOUNCE_AGAIN)


def _bound(file: Path) -> socket.socket:
    """A listening socket on the port of earlier runs, so that devices find it again; on any free one at first."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, int(file.read_text())))
    except (OSError, ValueError):
        bound.bind((LOOPBACK, 0))
    file.write_text(str(bound.getsockname()[1]))
    return bound


def _address(variable: str) -> tuple[str, int]:
    host, _, port = os.environ[variable].rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The gateway of client devices.")
    parser.add_argument("settings", type=Path, help="JSON file")
    log_to(sys.stderr, "%(asctime)s %(levelname)s %(message)s")
    asyncio.run(run(read_json(parser.parse_args().settings, advice="deploy anew, which writes it")))
