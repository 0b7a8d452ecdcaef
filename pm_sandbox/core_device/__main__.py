"""`python -m pm_sandbox.core_device DIRECTORY`: one core device, until its standard input ends or it has to stop."""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pm_components.greengrass_site.nuclei import NucleusKind
from pm_contracts.logs import log_to
from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device import control
from pm_sandbox.core_device.client_devices.program import gateway_status
from pm_sandbox.core_device.cloud_access import CloudAccess
from pm_sandbox.core_device.device import SETTINGS_FILE, STATE_FILE
from pm_sandbox.core_device.forwarder import LOOPBACK, Forwarder
from pm_sandbox.core_device.identity import enroll
from pm_sandbox.core_device.jobs import JobClient
from pm_sandbox.core_device.lifeline import until_stopped
from pm_sandbox.core_device.local_bus import LocalBus
from pm_sandbox.core_device.nucleus import Nucleus
from pm_sandbox.core_device.plug_ins import RunningNucleus
from pm_sandbox.core_device.supervisor import Supervisor
from pm_sandbox.state_files import read_json, write_json

log = logging.getLogger("core_device")


class Device:
    """All parts of a core device, put together."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._settings = read_json(directory / SETTINGS_FILE, advice="start the core device anew, which writes it")
        self._thing_name: str = self._settings["thing_name"]
        self._cloud = Cloud.attach(Path(self._settings["cloud_directory"]))
        api = urlsplit(self._cloud.endpoint)
        assert api.hostname is not None  # noqa: S101 - it is http://HOST:PORT
        assert api.port is not None  # noqa: S101
        self._mqtt_uplink = Forwarder(self._cloud.mqtt_host, self._cloud.mqtt_port)
        self._api_uplink = Forwarder(api.hostname, api.port)
        self._device_uplink = Forwarder(self._cloud.mqtt_host, self._cloud.device_port())
        self._uplinks = (self._api_uplink, self._device_uplink, self._mqtt_uplink)
        self._bus = LocalBus(directory)
        self._jobs: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        """Be a core device until told to stop."""
        async with contextlib.AsyncExitStack() as undo:
            identity = await asyncio.to_thread(
                enroll,
                self._directory / "identity",
                self._thing_name,
                self._settings["policies"],
                self._cloud.certificate_authority.read_bytes(),
                self._cloud.client("iot"),
            )
            for uplink in self._uplinks:
                await uplink.restore()
                undo.push_async_callback(uplink.cut)
            await self._bus.start()
            undo.push_async_callback(self._bus.stop)
            running = RunningNucleus(**self._settings["nucleus"])
            supervisor = Supervisor(self._component_environment(), self._directory / "logs", NucleusKind(running.kind))
            await supervisor.open()
            undo.push_async_callback(supervisor.close)
            self._supervisor = supervisor
            access = CloudAccess(
                endpoint=f"http://{LOOPBACK}:{self._api_uplink.port}",
                operator=self._cloud.environment(),
                account_id=self._cloud.account_id,
                thing_name=self._thing_name,
                role_arn=self._settings["token_exchange_role_arn"],
            )
            self._nucleus = Nucleus(self._directory / "nucleus", self._thing_name, access, supervisor, running)
            self._job_client = JobClient(
                self._thing_name, identity, LOOPBACK, self._mqtt_uplink.port, self._jobs.put_nowait
            )
            server, address = await control.serve(
                {
                    "status": self._status,
                    "cut_uplink": self._cut_uplink,
                    "restore_uplink": self._restore_uplink,
                    "wait_for_deployment": self._wait_for_deployment,
                }
            )
            undo.callback(server.close)
            working = asyncio.create_task(self._work())
            undo.push_async_callback(_cancelled, working)
            self._job_client.start()
            undo.callback(self._job_client.stop)
            state_file = self._directory / STATE_FILE
            write_json(state_file, {"pid": os.getpid(), "control": address})
            undo.callback(state_file.unlink)
            print("ready", flush=True)
            await self._until_stopped(working)
            log.info("stopping")

    async def _until_stopped(self, working: "asyncio.Task[None]") -> None:
        reasons = {working, asyncio.ensure_future(until_stopped())}
        done, _ = await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            working.result()

    def _component_environment(self) -> dict[str, str]:
        """A component's environment by the nucleus; nothing of this process's own, which has the operator's keys."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            "LANG": "C.UTF-8",
            "AWS_IOT_THING_NAME": self._thing_name,
            "AWS_REGION": self._cloud.region,
            "AWS_DEFAULT_REGION": self._cloud.region,
            "PM_LOCAL_BROKER": f"{LOOPBACK}:{self._bus.port}",
            "PM_IOT_ENDPOINT": f"{LOOPBACK}:{self._mqtt_uplink.port}",
            "PM_DEVICE_ENDPOINT": f"{LOOPBACK}:{self._device_uplink.port}",
        }

    async def _work(self) -> None:
        """Resume what was deployed before, then carry out one job after the other."""
        await self._nucleus.resume()
        reports: dict[tuple[str, int], tuple[str, dict[str, str]]] = {}
        while True:
            execution = await self._jobs.get()
            # Only the latest that the cloud has named is next; one named before it has been cancelled since.
            while not self._jobs.empty():
                execution = self._jobs.get_nowait()
            job_id = execution["jobId"]
            key = (job_id, execution.get("executionNumber", 1))
            # The cloud names the job again where it has not yet heard how it went, as after a lost connection.
            if key not in reports:
                self._job_client.report(
                    job_id, "IN_PROGRESS", {"detail": "the core device has taken the deployment up"}
                )
                result = await self._nucleus.deploy(execution["jobDocument"])
                reports[key] = (result.status, {"detailed-deployment-status": result.code, "detail": result.detail})
            self._job_client.report(job_id, *reports[key])

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "thing_name": self._thing_name,
            "nucleus": self._nucleus.running._asdict(),
            "pid": os.getpid(),
            "broker_port": self._bus.port,
            "broker_pid": self._bus.pid,
            "broker_restarts": self._bus.restarts,
            "broker_counts": self._bus.counts,
            "device_port": self._device_uplink.port,
            "client_devices": gateway_status(self._nucleus.gateway_directory),
            "uplink": "cut" if self._mqtt_uplink.is_cut else "up",
            "connected": self._job_client.connected,
            "components": await self._supervisor.status(),
            "not_run": self._nucleus.not_run(),
            "deployments": [asdict(result) for result in self._nucleus.results],
        }

    async def _cut_uplink(self, _: Mapping[str, Any]) -> None:
        log.info("the uplink is cut")
        for uplink in reversed(self._uplinks):
            await uplink.cut()

    async def _restore_uplink(self, _: Mapping[str, Any]) -> None:
        log.info("the uplink is restored")
        for uplink in self._uplinks:
            await uplink.restore()

    async def _wait_for_deployment(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        wanted = arguments["deployment_id"]

        def found() -> dict[str, str] | None:
            return next((asdict(each) for each in self._nucleus.results if each.deployment_id == wanted), None)

        async with asyncio.timeout(arguments["timeout"]):
            async with self._nucleus.finished:
                await self._nucleus.finished.wait_for(lambda: found() is not None)
        result = found()
        assert result is not None  # noqa: S101 - it was just waited for
        return result


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An emulated Greengrass core device.")
    parser.add_argument("directory", type=Path, help=f"the device's folder, with its {SETTINGS_FILE}")
    log_to(sys.stderr, "%(asctime)s %(name)s %(levelname)s %(message)s")

    async def _main(directory: Path) -> None:
        await Device(directory).run()

    asyncio.run(_main(parser.parse_args().directory))
