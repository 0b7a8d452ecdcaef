"""Operations of Pulumi's engine on one stack of one program, with the sandbox's provider."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pm_sandbox.engine.command import EngineError, neutral_environment
from pm_sandbox.engine.workspace import Workspace
from pm_sandbox.surroundings import python


class Event(NamedTuple):
    """The engine comes to a resource: its URN, the kind of step, and the inputs that differ."""

    urn: str
    op: str
    keys: list[str]

    @property
    def type(self) -> str:
        """Pulumi's type token."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return self.urn.rsplit("::", 1)[-1]


class Done(NamedTuple):
    """The outcome of an operation.

    Attributes:
        changes: How many resources by kind of change: `create`, `same`, `update`, `delete`, `replace`.
        outputs: The stack's outputs that are not secret.
        events: What the engine did, in its order.
    """

    changes: dict[str, int]
    outputs: dict[str, Any]
    events: list[Event]

    @property
    def steps(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """The changes in their order: the kind, the resource's name, and its inputs that differ."""
        unchanged = ("same", "read", "refresh")
        return [(event.op, event.name, tuple(event.keys)) for event in self.events if event.op not in unchanged]

    @property
    def changed(self) -> dict[str, list[str]]:
        """The names of the resources that changed, by kind of change."""
        kinds: dict[str, list[str]] = {}
        for kind, name, _ in self.steps:
            kinds.setdefault(kind, []).append(name)
        return {kind: sorted(names) for kind, names in kinds.items()}


class Started(Protocol):
    """An operation under way, in a session of its own."""

    def messages(self) -> Iterator[dict[str, Any]]:
        """The messages until it has ended, see `operate`."""

    def kill(self) -> None:
        """End it with all that it has started, without a chance to tidy up."""


class _Child:
    def __init__(self, request: dict[str, Any], environment: dict[str, str], log: Path) -> None:
        with log.open("w") as said:
            self._process = subprocess.Popen(
                python("pm_sandbox.engine"),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                # A session of its own: Ctrl-C in the terminal reaches us, and we end it.
                start_new_session=True,
            )
        assert self._process.stdin is not None  # noqa: S101 - we asked for the pipe
        self._process.stdin.write(json.dumps(request))
        self._process.stdin.close()

    def messages(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None  # noqa: S101 - we asked for the pipe
        with self._process.stdout:
            yield from map(json.loads, self._process.stdout)
        self._process.wait()

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Engine:
    """The engine for one stack of one program, with its state in a folder of its own.

    Args:
        cli: Pulumi's command line.
        folder: For the state and all else that the engine writes.
        port: Where the provider serves.
        program: The program's directory.
        stack: The stack's name.
        file: The name in `Pulumi.{file}.yaml` of the program's directory, or None for no file.
        checkpoints: Whether the state is written after each step, and not at the end alone. It is written whole, so
            that the time grows with the square of the resources. Without, an update that is killed leaves no state of
            what it has made (`unsafeServiceLoop`, pkg/backend/snapshot.go of github.com/pulumi/pulumi).
    """

    def __init__(
        self,
        cli: Path,
        folder: Path,
        port: int,
        program: Path,
        stack: str,
        file: str | None,
        *,
        checkpoints: bool = True,
    ) -> None:
        self.folder = folder
        self.stack = stack
        self.workspace = Workspace(folder, program)
        self._cli = cli
        self._program = program.absolute()
        self._file = file
        path = f"{cli.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._environment = {**self.workspace.environment(port), "PATH": path}
        if not checkpoints:
            self._environment["PULUMI_SKIP_CHECKPOINTS"] = "true"

    def start(self, operation: str, config: dict[str, Any] | None = None, **options: Any) -> Started:
        """Start an operation; `finish` says what came of it."""
        self.workspace.write_stack(self.stack, self._file, config)
        request = {
            "program": str(self._program),
            "project": str(self.workspace.project),
            "stack": self.stack,
            "environment": self._environment,
            "operation": operation,
            "options": options,
        }
        return self._started(request, {**neutral_environment(), **self._environment}, self.log(operation))

    def finish(self, started: Started, on_event: Callable[[Event], None] | None = None) -> Done:
        """Wait for an operation.

        Raises:
            EngineError: if it failed.
        """
        events: list[Event] = []
        last: dict[str, Any] = {}
        try:
            for last in started.messages():
                if "event" in last:
                    events.append(Event(**last["event"]))
                    if on_event is not None:
                        on_event(events[-1])
        except BaseException:
            # Ctrl-C above all: the engine must not go on in a cloud that is about to be stopped.
            started.kill()
            raise
        if "error" in last:
            raise EngineError(last["error"])
        if "done" not in last:
            raise EngineError(f"the engine's process has ended without an answer, see {self.folder}")
        return Done(**last["done"], events=events)

    def run(self, operation: str, config: dict[str, Any] | None = None, **options: Any) -> Done:
        """Do an operation, with values over those of the stack's file.

        Raises:
            EngineError: if it fails.
        """
        return self.finish(self.start(operation, config, **options))

    def log(self, operation: str) -> Path:
        """The file with what program and engine said."""
        return self.folder / f"{operation}.log"

    def initialize(self) -> None:
        """Have the stack there, with nothing in it.

        Raises:
            EngineError: if the command fails, as where the stack is there.
        """
        self._command("stack", "init")

    def exported(self) -> dict[str, Any]:
        """The stack's state as `pulumi stack export` writes it, secrets encrypted.

        Raises:
            EngineError: if the command fails.
        """
        exported: dict[str, Any] = json.loads(self._command("stack", "export"))
        return exported

    def _started(self, request: dict[str, Any], environment: dict[str, str], log: Path) -> Started:
        return _Child(request, environment, log)

    def _command(self, *words: str) -> str:
        command = [str(self._cli), *words, "--stack", self.stack, "--cwd", str(self.workspace.project)]
        done = subprocess.run(
            [*command, "--non-interactive"],
            env={**neutral_environment(), **self._environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EngineError(f"`{' '.join(command)}` failed: {' '.join(done.stderr.split())}")
        return done.stdout
