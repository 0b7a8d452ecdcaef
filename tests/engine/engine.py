"""Pulumi's own engine on a program, with the sandbox's provider: what the tests of this folder drive."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.provider.server import debug_providers

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "only for these tests"


class EngineError(Exception):
    """An operation that failed; the text is the engine's own."""


class Done(NamedTuple):
    """The outcome of an operation.

    Attributes:
        changes: How many resources by kind of change: `create`, `same`, `update`, `delete`, `replace`.
        outputs: The stack's outputs that are not secret.
        events: One for each step: its URN, its kind, and the inputs that differ.
    """

    changes: dict[str, int]
    outputs: dict[str, Any]
    events: list[dict[str, Any]]

    @property
    def changed(self) -> dict[str, list[str]]:
        """The names of the resources that changed, by kind of change."""
        kinds: dict[str, list[str]] = {}
        for event in self.events:
            if event["op"] not in ("same", "read", "refresh"):
                kinds.setdefault(event["op"], []).append(event["urn"].rsplit("::", 1)[-1])
        return {kind: sorted(names) for kind, names in kinds.items()}


def environment(cli: Path, folder: Path, port: int) -> dict[str, str]:
    """The environment in which the engine keeps its state in a folder and asks the provider of the sandbox."""
    return {
        "PATH": f"{cli.parent}:{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DEBUG_PROVIDERS": debug_providers(port),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


class Engine:
    """The engine for one stack of one program, with its state in a folder of its own.

    Args:
        cli: The CLI, see `build_cli.sh`.
        folder: For the state and all else that the engine writes.
        port: Where the provider serves.
        program: The program's directory.
        stack: The stack's name; its file in the program's directory is read where `file` names it.
        file: The name in `Pulumi.{file}.yaml`, or None for no file.
    """

    def __init__(
        self, cli: Path, folder: Path, port: int, program: Path = ROOT, stack: str = "local", file: str | None = None
    ) -> None:
        self.folder = folder
        self.stack = stack
        self._program = program
        self._file = file
        for name in ("state", "work"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._environment = environment(cli, folder, port)

    def start(self, operation: str, config: dict[str, Any] | None = None, **options: Any) -> "subprocess.Popen[str]":
        """Start an operation; `finish` says what came of it."""
        request = {
            "program": str(self._program),
            "stack": self.stack,
            "file": self._file,
            "config": config or {},
            "folder": str(self.folder / "work"),
            "environment": self._environment,
            "operation": operation,
            "options": options,
        }
        with (self.folder / f"{operation}.log").open("w") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.engine.operation"],
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert child.stdin is not None
        child.stdin.write(json.dumps(request))
        child.stdin.close()
        child.stdin = None
        return child

    def finish(self, child: "subprocess.Popen[str]") -> Done:
        """Wait for an operation."""
        text, _ = child.communicate()
        if child.returncode != 0:
            raise EngineError(f"the engine's process ended with {child.returncode}, see {self.folder}")
        answer = json.loads(text)
        if "error" in answer:
            raise EngineError(answer["error"])
        return Done(**answer)

    def run(self, operation: str, config: dict[str, Any] | None = None, **options: Any) -> Done:
        """Do an operation, with values over those of the stack's file.

        Raises:
            EngineError: if it fails.
        """
        return self.finish(self.start(operation, config, **options))

    def state_text(self) -> str:
        """The stack's state as it is on disk."""
        files = list((self.folder / "state" / ".pulumi" / "stacks").rglob(f"{self.stack}.json"))
        return files[0].read_text()
