"""Pulumi's own engine on a program, with the sandbox's provider: what the tests of this folder drive."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pm_sandbox.engine import operations, workspace
from pm_sandbox.engine.command import EngineError
from pm_sandbox.engine.operation import operate
from pm_sandbox.engine.operations import Done

__all__ = ["ROOT", "Done", "Engine", "EngineError", "environment"]

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "only for these tests"
#: Operations are children of one process that has imported the SDKs already, which takes several seconds.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["pm_sandbox.engine.operation", "pm_components.greengrass_site.component"])


def environment(cli: Path, folder: Path, port: int) -> dict[str, str]:
    """The variables by which a test calls the command itself."""
    return {
        **workspace.variables(folder, port),
        "PATH": f"{cli.parent}:{os.environ['PATH']}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    }


class Engine(operations.Engine):
    """The engine as the sandbox drives it, for this project's own program unless another is named.

    Args:
        warm: Whether operations find the SDKs imported, as they do for no user.
    """

    def __init__(
        self,
        cli: Path,
        folder: Path,
        port: int,
        program: Path = ROOT,
        stack: str = "local",
        file: str | None = None,
        *,
        warm: bool = True,
    ) -> None:
        super().__init__(cli, folder, port, program, stack, file)
        self._warm = warm

    def deployment(self) -> dict[str, Any]:
        """The stack's state as `pulumi stack export` gives it; secrets are encrypted."""
        state: dict[str, Any] = json.loads(self.state_text())["checkpoint"]["latest"]
        return state

    def state_text(self) -> str:
        """The stack's state as it is on disk."""
        (file,) = (self.workspace.state / ".pulumi" / "stacks").rglob(f"{self.stack}.json")
        return file.read_text()

    def _started(self, request: dict[str, Any], environment: dict[str, str], log: Path) -> operations.Started:
        return _Forked(request, environment, log) if self._warm else super()._started(request, environment, log)


class _Forked:
    def __init__(self, request: dict[str, Any], environment: dict[str, str], log: Path) -> None:
        self._answers, sender = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(target=_operate, args=(request, environment, log, sender))
        self._process.start()
        sender.close()

    def messages(self) -> Iterator[dict[str, Any]]:
        while True:
            try:
                yield self._answers.recv()
            except EOFError:
                break
        self._process.join()

    def kill(self) -> None:
        assert self._process.pid is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()


def _operate(request: dict[str, Any], environment: dict[str, str], log: Path, answers: Connection) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    with log.open("w") as said:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(said.fileno(), stream.fileno())
    operate(request, answers.send)
