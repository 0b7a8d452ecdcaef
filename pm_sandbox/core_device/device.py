"""The emulated core device as a child process: start it, attach to it, ask it, cut its uplink, stop it."""

import select
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pm_sandbox.core_device.component_log import read_log
from pm_sandbox.core_device.control import ControlError, call
from pm_sandbox.core_device.plug_ins import RunningNucleus
from pm_sandbox.state_files import DamagedFileError, read_json, write_json
from pm_sandbox.surroundings import environment, python

if TYPE_CHECKING:
    from pm_sandbox.cloud import Cloud

SETTINGS_FILE = "settings.json"
STATE_FILE = "device.json"
#: Seconds; it takes about one on an idle machine.
_START_LIMIT = 60.0
#: Seconds: components have ten to end by themselves.
_STOP_LIMIT = 30.0


class CoreDeviceError(RuntimeError):
    """The core device did not start, is not there or does not answer, or a deployment failed; the text says why."""


class CoreDevice:
    """A running emulated core device.

    Its folder holds the identity, the models and all else of the components' data (so it must be
    `{data_directory}/{thing name}` of the deployed configuration), the nucleus's own files, and the logs.

    Attributes:
        directory: Its folder.
        thing_name: Who it is.
    """

    def __init__(self, directory: Path, state: Mapping[str, Any], process: "subprocess.Popen[str] | None") -> None:
        """Take over a running device; use `start` or `attach`."""
        self.directory = directory
        self.thing_name: str = _read(directory / SETTINGS_FILE, "thing_name")["thing_name"]
        self._state = state
        self._process = process

    @classmethod
    def start(
        cls,
        cloud: "Cloud",
        directory: Path,
        thing_name: str,
        site_output: Mapping[str, Any],
        nucleus: RunningNucleus | None = None,
    ) -> Self:
        """Start a device, and return when it is ready for deployments.

        It is enrolled first where its folder holds no identity, and resumes what was deployed there before.

        Args:
            cloud: Its cloud, which runs.
            directory: Its folder, made where missing.
            thing_name: The thing that it is, which exists.
            site_output: The stack's output `sites[...]` of its site: `device_policy`, `serving_policy` (may be missing
                or empty), `token_exchange_role_arn`, and `nucleus` where it is there, are used.
            nucleus: The nucleus that it runs at first, whose rules hold; by default the one that its site states.

        Raises:
            CoreDeviceError: if one runs in that folder already, or it does not come up; with the log's end.
        """
        directory = directory.absolute()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            cls.attach(directory)
        except CoreDeviceError:
            pass
        else:
            raise CoreDeviceError(f"a core device runs in {directory} already: stop it, or use another folder")
        (directory / STATE_FILE).unlink(missing_ok=True)
        settings = {
            "thing_name": thing_name,
            "nucleus": (nucleus or RunningNucleus(**site_output.get("nucleus", {})))._asdict(),
            "cloud_directory": str(cloud.directory),
            "policies": [name for name in (site_output["device_policy"], site_output.get("serving_policy")) if name],
            "token_exchange_role_arn": site_output["token_exchange_role_arn"],
        }
        write_json(directory / SETTINGS_FILE, settings)
        log_file = directory / "device.log"
        with log_file.open("ab") as output:
            process = subprocess.Popen(
                python("pm_sandbox.core_device", str(directory)),
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                # A group of its own: Ctrl-C in the terminal reaches us, and we stop it in order.
                start_new_session=True,
            )
        assert process.stdout is not None  # noqa: S101 - we asked for the pipe
        is_ready = False
        try:
            readable, _, _ = select.select([process.stdout], [], [], _START_LIMIT)
            is_ready = bool(readable) and process.stdout.readline() == "ready\n"
        finally:
            if not is_ready:
                process.kill()
                process.wait()
        if not is_ready:
            end = "\n".join(log_file.read_text(errors="replace").splitlines()[-15:])
            raise CoreDeviceError(f"the core device {thing_name} did not start; the end of {log_file}:\n{end}")
        return cls(directory, _read(directory / STATE_FILE, "control"), process)

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """The device that another process has started in `directory`.

        Raises:
            CoreDeviceError: if none runs there.
        """
        directory = directory.absolute()
        device = cls(directory, _read(directory / STATE_FILE, "control"), None)
        device.status()
        return device

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop its components, then the device: all that it started is gone when this returns. No-op after `attach`."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101 - we asked for the pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.close()
        try:
            process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            # Its watchdog and the end of its pipes take down what it has started.
            process.kill()
            process.wait()
        process.stdout.close()

    def cut_uplink(self) -> None:
        """Pull the plug: its connections to the cloud break, and new ones are refused."""
        self._call("cut_uplink")

    def restore_uplink(self) -> None:
        """Put the plug back."""
        self._call("restore_uplink")

    def status(self) -> dict[str, Any]:
        """The device's status.

        Returns:
            `thing_name`, `nucleus` (its `kind` and `version`), `pid`, `broker_port`, `broker_pid`, `broker_restarts`
            and `broker_counts` (of the local bus: messages `dropped`, subscribers `forgotten`, `bytes` that wait; empty
            before the first count), `device_port` (where the plant's devices discover through this uplink),
            `client_devices` (`port`, `connected`, `carried`, `dropped`, and the counters of `admission` and `shadows`;
            empty if none are served), `uplink` (`up` or `cut`), `connected` (whether the nucleus is, to the cloud),
            `not_run` (name -> reason), `components` (name -> `version`, `state`, `pid`, `restarts`, `failures` in a
            row, `problem`, `cpu_percent`, `cpu_seconds`, `memory_bytes`) and `deployments` (oldest first, each with
            `deployment_id`, `name`, `target`, `status`, `code`, `detail`, and `cause`, which the cloud does not
            hear).
        """
        status: dict[str, Any] = self._call("status")
        return status

    def wait_for_deployment(self, deployment_id: str, timeout: float = 60.0) -> dict[str, str]:
        """Wait until the device has carried out a deployment.

        Args:
            deployment_id: Which one.
            timeout: Seconds.

        Returns:
            How it went, as an entry of `status()["deployments"]`.

        Raises:
            CoreDeviceError: if it failed, or takes longer.
        """
        arguments = {"deployment_id": deployment_id, "timeout": timeout}
        result: dict[str, str] = self._call("wait_for_deployment", arguments, timeout + 10.0)
        if result["status"] != "SUCCEEDED":
            raise CoreDeviceError(
                f"{self.thing_name}: deployment {result['name']} failed ({result['code']}): {result['detail']}"
                + (f" ({result['cause']})" if result["cause"] else "")
            )
        return result

    def logs(self, component: str) -> str:
        """A component's output so far.

        Raises:
            CoreDeviceError: if there is no such component; the text names those there are.
        """
        folder = self.directory / "logs"
        path = folder / f"{component}.log"
        if not path.exists():
            known = ", ".join(sorted(each.stem for each in folder.glob("*.log"))) or "none yet"
            raise CoreDeviceError(f"{self.thing_name} has no log of {component!r}; there are {known}")
        return read_log(path)

    def _call(self, command: str, arguments: Mapping[str, Any] | None = None, timeout: float = 30.0) -> Any:
        try:
            return call(self._state["control"], command, arguments, timeout)
        except ControlError as error:
            raise CoreDeviceError(f"{self.thing_name}: {error}; see {self.directory / 'device.log'}") from error


def _read(file: Path, key: str) -> dict[str, Any]:
    """The JSON object of a core device's file, with a key."""
    try:
        return read_json(file, key, advice="stop the core device, and start it anew")
    except FileNotFoundError as error:
        raise CoreDeviceError(f"no core device runs in {file.parent}: {file} is not there") from error
    except DamagedFileError as error:
        raise CoreDeviceError(str(error)) from error
