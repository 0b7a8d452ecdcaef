"""The promises of each nucleus for a deployment: real processes, the nucleus itself, recipes by hand.

Without a cloud: that a deployment comes as a job is in `test_deployments.py`. That real nuclei judge so was read in
their source, not run here.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from pm_components.aws import recipes
from pm_components.greengrass_site.nuclei import NucleusKind
from pm_sandbox.core_device import judging
from pm_sandbox.core_device.cloud_access import CloudAccess
from pm_sandbox.core_device.component_log import read_log
from pm_sandbox.core_device.nucleus import Nucleus, Result
from pm_sandbox.core_device.plug_ins import RunningNucleus
from pm_sandbox.core_device.supervisor import FAILURES_UNTIL_BROKEN, State, Supervisor

LIMIT = 120.0
CLASSIC, LITE = NucleusKind
FAILS_AT_ONCE = "echo out of paper; exit 3"
STAYS = "exec sleep 1000"


def recipe(name: str, version: str, steps: Mapping[str, str], **dependencies: str) -> dict[str, Any]:
    return {
        "ComponentName": name,
        "ComponentVersion": version,
        "ComponentDependencies": {
            other: {"VersionRequirement": "*", "DependencyType": kind} for other, kind in dependencies.items()
        },
        "Manifests": [
            {
                "Platform": {"os": "linux", "runtime": "*"},
                "Lifecycle": {step: {"Script": script} for step, script in steps.items()},
                "Artifacts": [],
            }
        ],
    }


class Device:
    """A nucleus that is given its jobs by hand."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.nucleus = Nucleus(
            folder / "nucleus", "ulm-core", cast(CloudAccess, None), supervisor, RunningNucleus(supervisor.kind)
        )
        self._folder = folder
        self._jobs = 0

    async def deploy(self, *recipes: Mapping[str, Any], **merge: Mapping[str, Any]) -> Result:
        """Deploy these components, and merge what is given into the configurations of those named."""
        self._jobs += 1
        components: dict[str, Any] = {
            one["ComponentName"]: {"componentVersion": one["ComponentVersion"]} for one in recipes
        }
        for name, values in merge.items():
            components[name]["configurationUpdate"] = {"merge": dict(values)}
        return await self.nucleus.deploy(
            {
                "deploymentId": str(self._jobs),
                "targetArn": "arn:aws:iot:eu-central-1:000000000000:thinggroup/ulm",
                "components": components,
                "recipes": {one["ComponentName"]: one for one in recipes},
            }
        )

    def version(self, name: str) -> str:
        return self.supervisor.programs[name].version

    async def until_running(self, name: str, failures: int) -> None:
        """Wait until a component runs that has failed so often."""
        while (status := (await self.supervisor.status())[name])["state"] != "RUNNING" or status["failures"] < failures:
            await asyncio.sleep(0.02)

    async def until_says(self, name: str, line: str) -> None:
        """Wait until a component has written a line."""
        while line not in self.log(name).splitlines():
            await asyncio.sleep(0.02)

    def log(self, name: str) -> str:
        return read_log(self._folder / "logs" / f"{name}.log")


def on(kind: NucleusKind, folder: Path, body: Callable[[Device], Awaitable[None]]) -> None:
    async def run() -> None:
        supervisor = Supervisor({"PATH": os.environ["PATH"]}, folder / "logs", kind)
        await supervisor.open()
        try:
            async with asyncio.timeout(LIMIT):
                await body(Device(folder, supervisor))
        finally:
            await supervisor.close()

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nucleus lite's five seconds are long, and what it sees after one is the same."""
    monkeypatch.setattr(judging, "_LITE_HEAD_START", 1.0)


@pytest.mark.parametrize("kind", NucleusKind)
def test_a_run_that_fails_later_has_succeeded_and_is_not_rolled_back(tmp_path: Path, kind: NucleusKind) -> None:
    later = tmp_path / "later"
    os.mkfifo(later)

    async def body(device: Device) -> None:
        await device.deploy(recipe("Printer", "1.0.0", {"run": STAYS}))
        result = await device.deploy(recipe("Printer", "2.0.0", {"run": f"read -r _ < {later}; exit 3"}))
        assert (result.status, result.code) == ("SUCCEEDED", "SUCCESSFUL")
        assert device.supervisor.state("Printer") is State.RUNNING
        for failures in range(FAILURES_UNTIL_BROKEN):
            await device.until_running("Printer", failures)
            await asyncio.to_thread(later.write_text, "\n")
        await device.supervisor.until(lambda: device.supervisor.state("Printer") is State.BROKEN)
        assert device.version("Printer") == "2.0.0"

    on(kind, tmp_path, body)


def test_a_startup_that_fails_as_late_is_rolled_back_on_a_classic_nucleus(tmp_path: Path) -> None:
    async def body(device: Device) -> None:
        await device.deploy(recipe("Printer", "1.0.0", {"startup": "exit 0"}))
        result = await device.deploy(recipe("Printer", "2.0.0", {"startup": "sleep 1.5; echo out of paper; exit 3"}))
        assert (result.status, result.code) == ("FAILED", "FAILED_ROLLBACK_COMPLETE")
        # As much as the cloud hears of it.
        assert result.detail == "Service Printer in broken state after deployment"
        assert result.cause == ("Printer 2.0.0 is broken: startup ended with exit code 3; its last line: out of paper")
        assert (device.version("Printer"), device.supervisor.state("Printer")) == ("1.0.0", State.RUNNING)

    on(CLASSIC, tmp_path, body)


def test_nucleus_lite_fails_a_deployment_and_goes_back_to_nothing(tmp_path: Path) -> None:
    async def body(device: Device) -> None:
        await device.deploy(recipe("Printer", "1.0.0", {"run": STAYS}))
        result = await device.deploy(recipe("Printer", "2.0.0", {"install": FAILS_AT_ONCE, "run": STAYS}))
        assert (result.status, result.code) == ("FAILED", "FAILED_ROLLBACK_NOT_REQUESTED")
        assert (device.version("Printer"), device.supervisor.state("Printer")) == ("2.0.0", State.BROKEN)
        # The next deployment mends it.
        assert (await device.deploy(recipe("Printer", "3.0.0", {"run": STAYS}))).status == "SUCCEEDED"

    on(LITE, tmp_path, body)


def test_a_classic_nucleus_starts_a_component_beside_what_it_depends_on_soft(tmp_path: Path) -> None:
    """The dependency's install step waits here for the one that depends on it, for ever if need be."""
    started = tmp_path / "started"
    os.mkfifo(started)

    async def body(device: Device) -> None:
        waiting = recipe("Check", "1.0.0", {"install": f"read -r _ < {started}", "run": "true"})
        result = await device.deploy(waiting, recipe("Printer", "1.0.0", {"run": f"echo > {started}"}, Check="SOFT"))
        assert result.status == "SUCCEEDED"

    on(CLASSIC, tmp_path, body)


def test_a_classic_nucleus_waits_for_what_a_component_depends_on_hard(tmp_path: Path) -> None:
    async def body(device: Device) -> None:
        check = recipe("Check", "1.0.0", {"install": "true", "startup": f"touch {tmp_path}/checked"})
        printer = recipe("Printer", "1.0.0", {"run": f"test -e {tmp_path}/checked && {STAYS}"}, Check="HARD")
        assert (await device.deploy(check, printer)).status == "SUCCEEDED"
        broken = recipe("Check", "2.0.0", {"install": FAILS_AT_ONCE, "run": "true"})
        result = await device.deploy(broken, printer)
        assert result.detail == "Service Check in broken state after deployment"
        assert device.log("Printer").count("Printer 1.0.0: run") == 2, "at first, and after the way back"

    on(CLASSIC, tmp_path, body)


def test_nucleus_lite_runs_nothing_before_all_is_installed(tmp_path: Path) -> None:
    async def body(device: Device) -> None:
        check = recipe("Check", "1.0.0", {"install": f"sleep 0.3; touch {tmp_path}/checked", "run": "true"})
        printer = recipe("Printer", "1.0.0", {"run": f"test -e {tmp_path}/checked && {STAYS}"})
        assert (await device.deploy(check, printer)).status == "SUCCEEDED"
        broken = recipe("Check", "2.0.0", {"install": FAILS_AT_ONCE, "run": "true"})
        other = recipe("Other", "1.0.0", {"run": STAYS})
        result = await device.deploy(broken, printer, other)
        assert result.detail == "Service Check in broken state after deployment"
        assert device.supervisor.state("Other") is State.INSTALLED
        assert (await device.deploy(check, printer, other)).status == "SUCCEEDED"

    on(LITE, tmp_path, body)


def test_nucleus_lite_refuses_a_component_that_it_would_wait_for_in_vain(tmp_path: Path) -> None:
    async def body(device: Device) -> None:
        result = await device.deploy(recipe("Model", "1.0.0", {"install": "true"}))
        assert (result.status, result.code) == ("FAILED", "FAILED_NO_STATE_CHANGE")
        assert "waits 300 s for a component that has neither run nor startup" in result.detail

    on(LITE, tmp_path, body)


@pytest.mark.parametrize("kind", NucleusKind)
def test_a_changed_configuration_alone_starts_a_component_anew(tmp_path: Path, kind: NucleusKind) -> None:
    """On nucleus lite since 2.6.0."""
    printer = recipe("Printer", "1.0.0", {"run": f"echo {{configuration:/ink}}; {STAYS}"})
    printer["ComponentConfiguration"] = {"DefaultConfiguration": {"ink": "blue"}}

    async def body(device: Device) -> None:
        await device.deploy(printer)
        assert (await device.deploy(printer, Printer={"ink": "red"})).status == "SUCCEEDED"
        await device.until_says("Printer", "red")
        assert device.log("Printer").count("Printer 1.0.0: run") == 2

    on(kind, tmp_path, body)


@pytest.mark.parametrize(
    ("kind", "code"), [(CLASSIC, "FAILED_ROLLBACK_COMPLETE"), (LITE, "FAILED_ROLLBACK_NOT_REQUESTED")]
)
def test_a_device_whose_interpreter_cannot_run_the_components_fails_its_deployment(
    tmp_path: Path, kind: NucleusKind, code: str
) -> None:
    check = recipes.load("python_runtime").recipe
    name, nowhere = check["ComponentName"], str(tmp_path / "python")
    check["ComponentVersion"] = "1.0.0"
    component = recipe("Component", "1.0.0", {"run": STAYS}, **{name: "SOFT"})

    async def body(device: Device) -> None:
        result = await device.deploy(check, component, **{name: {"python": nowhere}})
        assert (result.status, result.code) == ("FAILED", code)
        assert f"{nowhere} cannot run the components: give it Python 3.11" in result.cause

    on(kind, tmp_path, body)


@pytest.mark.parametrize(("kind", "installs"), [(CLASSIC, 2), (LITE, 1)])
def test_a_device_that_starts_again_installs_again_on_a_classic_nucleus_alone(
    tmp_path: Path, kind: NucleusKind, installs: int
) -> None:
    async def first(device: Device) -> None:
        await device.deploy(recipe("Model", "1.0.0", {"install": "true", "run": STAYS}))

    async def again(device: Device) -> None:
        await device.nucleus.resume()
        await device.supervisor.until(lambda: device.supervisor.state("Model") is State.RUNNING)
        assert device.log("Model").count("Model 1.0.0: install") == installs

    on(kind, tmp_path, first)
    on(kind, tmp_path, again)
