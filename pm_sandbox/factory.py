"""The embedded factory: the emulated cloud, the deployed environment, and the core devices of its sites.

`Factory.start` runs it as children of this process, for `pm demo` and the tests; `python -m pm_sandbox.factory` keeps
one running in the background for `pm up`, until it is told to stop.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device import CoreDevice
from pm_sandbox.core_device.interpreter import make_interpreter
from pm_sandbox.deployer import Deployment, deploy
from pm_sandbox.engine.deploy import PulumiDeployer
from pm_sandbox.folder_lock import FolderLock, holder
from pm_sandbox.operator import Operator
from pm_sandbox.progress import SILENT, Progress
from pm_sandbox.state_files import DamagedFileError, read_json, write_json

_INSTALLED = Path(__file__).resolve().parent / "program"
#: The program of the factory: the checkout's, or the copy that `setup.py` puts into the wheel.
PROGRAM = _INSTALLED if _INSTALLED.exists() else Path(__file__).resolve().parents[1]
CLOUD = "cloud"
#: Below it each core device has its folder, which is its data directory too.
DEVICES = "devices"
#: Folder that Pulumi's own engine reads and writes.
PULUMI = "pulumi"
#: The stack of a factory, and the one that Pulumi's command line fills by hand.
STACK, BY_HAND = "dev", "local"
#: Its core devices' interpreter.
INTERPRETER = "python"
#: In the folder of a factory that runs in the background: what it consists of, and what it has said so far.
STATE_FILE = "factory.json"
STARTING_FILE = "starting.jsonl"
#: In the folder of each factory: the lock that its process holds for as long as it lives.
LOCK_FILE = "factory.lock"
#: A folder of a factory becomes the stack's `python` and `data_directory`, which recipes put into shell scripts
#: (`_AbsolutePath` of `pm_components/stack/config.py`).
_NOT_IN_A_PATH = re.compile(r"[^A-Za-z0-9._/-]")


class FactoryError(RuntimeError):
    """The factory did not come up, or is not there; the text says why and where to look."""


class Named(Protocol):
    """A resource, as far as progress tells of it."""

    @property
    def type(self) -> str:
        """Pulumi's type token."""

    @property
    def name(self) -> str:
        """The logical name."""


class Deployer(Protocol):
    """Deploy a stack of a program into a new cloud, as `pm_sandbox.deployer.deploy` does by our own engine."""

    def __call__(
        self,
        program: Path,
        stack: str,
        cloud: Cloud,
        config: dict[str, Any],
        on_step: Callable[[Named], None],
    ) -> Deployment:
        """Deploy; DeploymentError where that fails."""


class Factory:
    """A running factory.

    Attributes:
        directory: Its folder: the cloud's and each core device's are below.
        cloud: The emulated AWS.
        deployment: What the program has made in it.
        core_devices: The emulated core devices by name.
        operator: Acts on it all with the operator's credentials.
    """

    def __init__(
        self, directory: Path, cloud: Cloud, deployment: Deployment, core_devices: dict[str, CoreDevice]
    ) -> None:
        """Take over what runs; use `start` or `attach`."""
        self.directory = directory
        self.cloud = cloud
        self.deployment = deployment
        self.core_devices = core_devices
        self.operator = Operator(cloud, deployment.outputs)

    @classmethod
    def start(
        cls,
        directory: Path,
        config: dict[str, Any] | None = None,
        stack: str = STACK,
        progress: Progress = SILENT,
        port: int | None = None,
        *,
        deployer: Deployer,
    ) -> Self:
        """Start the cloud, run the program against it, start the core devices and wait for their first deployment.

        Args:
            directory: The factory's folder, made where missing.
            config: Values over those of the stack's configuration file.
            stack: Whose configuration file the program reads.
            progress: Whom to tell.
            port: Port of the cloud's APIs; any free one where left out.
            deployer: Which engine deploys: `pm_sandbox.deployer.deploy`, our own, which needs no command line, or a
                `PulumiDeployer`.

        Raises:
            RuntimeError: if a part does not come up; what has been started is stopped then.
        """
        with contextlib.ExitStack() as undo:
            cloud = undo.enter_context(_cloud(directory, port, progress))

            progress.step("Running the Pulumi program")
            made = 0

            def on_step(resource: Named) -> None:
                nonlocal made
                made += 1
                progress.advance(made, f"{resource.type.split(':')[-1]} {resource.name}")

            settings = {
                "python": make_interpreter(directory.absolute() / INTERPRETER),
                "data_directory": str(directory.absolute() / DEVICES),
                # The limits of a connection to AWS are AWS's; here years pass in a minute.
                "flow_control": "none",
            }
            deployment = deployer(PROGRAM, stack, cloud, {**settings, **(config or {})}, on_step)
            for line in deployment.summary():
                progress.say(line)

            progress.step("Starting the core devices")
            core_devices = {}
            for site in deployment.outputs["sites"].values():
                for name in site["core_devices"]:
                    device = CoreDevice.start(cloud, directory / DEVICES / name, name, site)
                    undo.callback(device.stop)
                    core_devices[name] = device
                    device.wait_for_deployment(site["deployment_id"])
                    components = device.status()["components"]
                    progress.say(f"{name} runs {len(components)} components: {', '.join(sorted(components))}")
            undo.pop_all()
        return cls(directory, cloud, deployment, core_devices)

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """The factory that runs in the background with this folder.

        Raises:
            FactoryError: if none does.
        """
        state = read_state(directory)
        cloud = Cloud.attach(directory / CLOUD)
        core_devices = {name: CoreDevice.attach(directory / DEVICES / name) for name in state["core_devices"]}
        return cls(directory, cloud, Deployment.load(cloud), core_devices)

    def stop(self) -> None:
        """Stop what this process has started, the devices first so that they can say good-bye."""
        for device in self.core_devices.values():
            device.stop()
        self.cloud.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def check_folder(directory: Path) -> None:
    """Refuse a folder that no factory can have.

    Raises:
        FactoryError: naming the characters that the scripts of components do not take in a path.
    """
    path = directory.absolute()
    if found := "".join(dict.fromkeys(_NOT_IN_A_PATH.findall(str(path)))):
        raise FactoryError(
            f"{path} has {found!r} in its path: allowed for the folder of a factory are letters without accents, "
            "digits, `.`, `_`, `-` and `/`; choose another"
        )


def process_of(directory: Path) -> int:
    """The process of the background factory in this folder, also of one that has just begun to start.

    Raises:
        FactoryError: if none runs there.
    """
    process = holder(directory / LOCK_FILE)
    if process:
        return process
    if process is not None:
        raise FactoryError(f"a process that has not said which it is works in {directory}: try again in a moment")
    if (directory / STATE_FILE).exists():
        raise FactoryError(f"the factory of {directory / STATE_FILE} has ended: see {directory / STARTING_FILE}")
    raise FactoryError(f"no factory runs in {directory}: start one with `pm up`")


def read_state(directory: Path) -> dict[str, Any]:
    """The state file of the background factory in this folder.

    Raises:
        FactoryError: if none runs there, or it cannot be told what it consists of.
    """
    process_of(directory)
    try:
        return read_json(directory / STATE_FILE, "core_devices", advice="`pm down`, then `pm up`")
    except FileNotFoundError as error:
        raise FactoryError(f"the factory in {directory} is still starting: see {directory / STARTING_FILE}") from error
    except DamagedFileError as error:
        raise FactoryError(str(error)) from error


def forget(directory: Path) -> None:
    """Remove what a factory that ran in the background left in this folder: a new one starts with nothing."""
    if (directory / STARTING_FILE).exists():  # else the folder is not one of ours
        for leftover in (CLOUD, DEVICES, PULUMI):
            shutil.rmtree(directory / leftover, ignore_errors=True)
        (directory / STATE_FILE).unlink(missing_ok=True)


def _cloud(directory: Path, port: int | None, progress: Progress) -> Cloud:
    progress.step("Starting the embedded cloud")
    cloud = Cloud.start(directory / CLOUD, port)
    progress.say(f"AWS APIs at {cloud.endpoint}, MQTT over TLS at {cloud.mqtt_host}:{cloud.mqtt_port}")
    return cloud


class _Telling:
    """Progress as JSON lines, for the process that waits for the factory to come up."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)

    def step(self, title: str, total: int | None = None) -> None:
        self._tell(step=title, total=total)

    def advance(self, done: int, note: str = "") -> None:
        self._tell(done=done, note=note)

    def say(self, text: str) -> None:
        self._tell(say=text)

    def end(self, error: str = "") -> None:
        self._tell(error=error) if error else self._tell(ready=True)

    def _tell(self, **event: Any) -> None:
        self._file.write(json.dumps(event) + "\n")


class _Signals:
    """SIGTERM and SIGINT: they interrupt a factory that starts, and end one that runs.

    Attributes:
        told: Set once one that runs is to end.
    """

    def __init__(self) -> None:
        self.told = threading.Event()
        self._is_up = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._arrived)

    def come_up(self) -> None:
        """Note that the factory runs."""
        self._is_up = True

    def _arrived(self, *_: object) -> None:
        if self._is_up or self.told.is_set():
            self.told.set()
            return
        # Once: a second one must not interrupt the cleaning up after the first.
        self.told.set()
        raise KeyboardInterrupt


def main() -> None:
    """Keep a factory, or a cloud alone, running until SIGTERM."""
    parser = argparse.ArgumentParser(prog="pm_sandbox.factory")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--lock", type=int, required=True, help="descriptor of the folder's lock, which is held")
    parser.add_argument("--port", type=int)
    parser.add_argument("--cloud-only", action="store_true", help="nothing deployed, no core devices")
    parser.add_argument("--pulumi", type=Path, help="Pulumi's command, to deploy by its engine instead of our own")
    given = parser.parse_args()
    directory: Path = given.directory
    lock = FolderLock(given.lock)
    lock.name_holder(os.getpid())
    os.set_inheritable(given.lock, False)
    telling = _Telling(directory / STARTING_FILE)
    signals = _Signals()
    try:
        with contextlib.ExitStack() as running:
            state: dict[str, Any] = {"core_devices": []}
            pulumi = running.enter_context(PulumiDeployer(given.pulumi, directory / PULUMI))
            if given.cloud_only:
                cloud = running.enter_context(_cloud(directory, given.port, telling))
                pulumi.serve(cloud, PROGRAM)
                pulumi.initialize(PROGRAM, BY_HAND)
            else:
                deployer = pulumi if given.pulumi else deploy
                factory = running.enter_context(
                    Factory.start(directory, progress=telling, port=given.port, deployer=deployer)
                )
                state["core_devices"] = sorted(factory.core_devices)
            write_json(directory / STATE_FILE, state)
            signals.come_up()
            telling.end()
            signals.told.wait()
    except KeyboardInterrupt:
        telling.end(error="it was stopped while it started")
    except BaseException as error:
        telling.end(error=str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}")
        raise
    finally:
        (directory / STATE_FILE).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
