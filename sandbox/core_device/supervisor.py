"""Runs components as processes: lifecycle steps, restart with back-off, logs, and an end for all that was started."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sandbox.core_device.component_log import ComponentLog
from sandbox.core_device.recipes import Step
from sandbox.core_device.resources import ResourceMeter
from sandbox.core_device.sudo import passed_on

#: A component that fails this often in a row is broken; "Lifecycle", component recipe reference.
FAILURES_UNTIL_BROKEN = 3
#: Seconds without an end after which a component counts as up, for the deployment that has started it.
SETTLED_AFTER = 2.0
#: Seconds of running after which a component's earlier failures are past. A nucleus wants an hour between two failures
#: (`errorResetTime` in its class `Lifecycle`); here days pass in seconds.
FORGIVEN_AFTER = 10.0
#: Seconds before the first restart; doubled with each failure in a row.
_BACK_OFF = 0.5
#: Seconds that a component has to end by itself after SIGTERM.
_STOP_LIMIT = 10.0
_LOOK_AGAIN = 0.02

log = logging.getLogger("supervisor")


class State(StrEnum):
    """The state of a component, in the words of `ListInstalledComponents` where it has one for it."""

    NEW = "NEW"
    INSTALLED = "INSTALLED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    ERRORED = "ERRORED"
    BROKEN = "BROKEN"
    STOPPING = "STOPPING"


@dataclass(frozen=True)
class Program:
    """One component ready to run: its steps without variables, and the folder to run them in."""

    name: str
    version: str
    steps: Mapping[str, Step]
    work: Path


class _StepError(RuntimeError):
    """A lifecycle step that failed; the text says which and how."""


class _Component:
    """One component and its life: install, then startup or run, then restart or rest."""

    def __init__(self, program: Program, supervisor: "Supervisor") -> None:
        self.program = program
        self.state = State.NEW
        self.pid: int | None = None
        self.restarts = 0
        self.problem = ""
        self._failures = 0
        self._log = ComponentLog(supervisor.log_directory / f"{program.name}.log")
        self._supervisor = supervisor
        self._since = time.monotonic()
        self._stopping = False
        self._life = asyncio.get_running_loop().create_task(self._live())

    @property
    def is_ready(self) -> bool:
        """Whether what depends on it may start."""
        return self.state in (State.RUNNING, State.FINISHED)

    @property
    def failures(self) -> int:
        """Failures in a row, up to now."""
        is_past = self.state is State.RUNNING and time.monotonic() - self._since >= FORGIVEN_AFTER
        return 0 if is_past else self._failures

    @property
    def settles_in(self) -> float | None:
        """Seconds until it counts as up if nothing happens; None where only a change of state can tell."""
        if self.state in (State.FINISHED, State.BROKEN):
            return 0.0
        if self.state is not State.RUNNING:
            return None
        if "run" not in self.program.steps:
            return 0.0
        return max(0.0, self._since + SETTLED_AFTER - time.monotonic())

    async def stop(self) -> None:
        """Run its shutdown step, end its processes, and return when they are gone."""
        self._stopping = True
        await self._enter(State.STOPPING)
        if "shutdown" in self.program.steps:
            try:
                await self._run("shutdown")
            except _StepError as error:
                log.warning("%s: %s", self.program.name, error)
        if self.pid is None:
            self._life.cancel()
        else:
            await self._end_group(self.pid, _STOP_LIMIT)
        await asyncio.wait([self._life])
        self._log.close()

    async def _live(self) -> None:
        while not self._stopping:
            try:
                await self._live_once()
                return
            except _StepError as error:
                if self._stopping:
                    return
                self._failures = self.failures + 1
                last_line = self._log.last_line()
                self.problem = f"{error}; " + (f"its last line: {last_line}" if last_line else "it wrote nothing")
                log.warning("%s %s: %s", self.program.name, self.program.version, self.problem)
            if self._failures >= FAILURES_UNTIL_BROKEN:
                log.error("%s is broken: it stays down until the next deployment", self.program.name)
                await self._enter(State.BROKEN)
                return
            await self._enter(State.ERRORED)
            await asyncio.sleep(_BACK_OFF * 2 ** (self._failures - 1))
            self.restarts += 1

    async def _live_once(self) -> None:
        steps = self.program.steps
        if "install" in steps:
            await self._run("install")
        await self._enter(State.INSTALLED)
        if "startup" in steps:
            await self._enter(State.STARTING)
            await self._run("startup")
            await self._enter(State.RUNNING)
        elif "run" in steps:
            await self._enter(State.STARTING)
            await self._run("run", lambda: self._enter(State.RUNNING))
            await self._enter(State.FINISHED)
        else:
            await self._enter(State.FINISHED)

    async def _run(self, name: str, started: Callable[[], Awaitable[None]] | None = None) -> None:
        """Run a step to its end.

        Raises:
            _StepError: where it takes too long, or ends with anything but 0.
        """
        step = self.program.steps[name]
        program = self.program
        program.work.mkdir(parents=True, exist_ok=True)
        self._log.write(f"--- {program.name} {program.version}: {name}\n".encode())
        output = self._log.open_pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                step.script,
                cwd=program.work,
                env=passed_on({**self._supervisor.environment, **step.environment}),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._supervisor.note_started(process.pid)
        if name != "shutdown":
            self.pid = process.pid
        try:
            if started is not None:
                await started()
            code = await asyncio.wait_for(process.wait(), step.timeout)
        except TimeoutError:
            raise _StepError(f"{name} took longer than its {step.timeout:.0f} s") from None
        finally:
            # `startup` leaves its processes running in its group until `stop`, which ends them; any other step that has
            # ended by itself takes with it what it has started.
            if not self._stopping and (name != "startup" or process.returncode != 0):
                await self._end_group(process.pid, 0.0)
        if code:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise _StepError(f"{name} {how}")

    async def _end_group(self, group: int, grace: float) -> None:
        """End a process group: SIGTERM, and SIGKILL after `grace` seconds for what is left of it."""
        number: int = signal.SIGTERM if grace else signal.SIGKILL
        deadline = time.monotonic() + grace
        while _signal_group(group, number):
            number = 0
            await asyncio.sleep(_LOOK_AGAIN)
            if grace and time.monotonic() > deadline:
                log.warning("%s does not end by itself; it is killed", self.program.name)
                number, grace = signal.SIGKILL, 0.0
        self._supervisor.note_ended(group)
        if self.pid == group:
            self.pid = None

    async def _enter(self, state: State) -> None:
        if self._stopping and state is not State.STOPPING:
            return
        self.state = state
        self._since = time.monotonic()
        await self._supervisor.tell_change()


class Supervisor:
    """The components of a device.

    Attributes:
        environment: What each process gets, and nothing else of ours but its recipe's own.
        log_directory: One log a component.
    """

    def __init__(self, environment: Mapping[str, str], log_directory: Path) -> None:
        self.environment = dict(environment)
        self.log_directory = log_directory
        log_directory.mkdir(parents=True, exist_ok=True)
        self._components: dict[str, _Component] = {}
        self._changed = asyncio.Condition()
        self._meter = ResourceMeter()
        self._watchdog: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """Start the process that cleans up after us should we not be able to."""
        self._watchdog = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sandbox.core_device.watchdog",
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def close(self) -> None:
        """Stop all components, those that were started last first."""
        await self.stop(list(reversed(self._components)))
        if self._watchdog is not None:
            assert self._watchdog.stdin is not None  # noqa: S101 - we asked for the pipe
            self._watchdog.stdin.close()
            await self._watchdog.wait()

    @property
    def programs(self) -> dict[str, Program]:
        """What is installed, by name."""
        return {name: component.program for name, component in self._components.items()}

    def problem(self, name: str) -> str | None:
        """Why a component is broken; None where it is not."""
        component = self._components[name]
        return component.problem if component.state is State.BROKEN else None

    async def status(self) -> dict[str, dict[str, Any]]:
        """By component: version, state, process id, restarts, failures in a row, latest problem, and what it uses."""
        leaders = {name: component.pid for name, component in self._components.items()}
        used = await asyncio.to_thread(self._meter.measure, leaders)
        return {
            name: {
                "version": component.program.version,
                "state": str(component.state),
                "pid": component.pid,
                "restarts": component.restarts,
                "failures": component.failures,
                "problem": component.problem,
                **used[name],
            }
            for name, component in list(self._components.items())
            if name in used
        }

    async def start(self, program: Program, after: Iterable[str] = ()) -> None:
        """Start a component once those it comes after are up; returns then, without waiting for it to come up itself.

        Raises:
            RuntimeError: where one of those is broken.
        """
        wanted = list(after)
        async with self._changed:
            await self._changed.wait_for(
                lambda: all(
                    (other := self._components.get(name)) is not None
                    and (other.is_ready or other.state is State.BROKEN)
                    for name in wanted
                )
            )
        for name in wanted:
            if (problem := self.problem(name)) is not None:
                raise RuntimeError(f"{program.name} needs {name}, which is broken: {problem}")
        self._components[program.name] = _Component(program, self)
        await self.tell_change()

    async def stop(self, names: Iterable[str]) -> None:
        """Stop components, one after the other in the order given, and forget them."""
        for name in names:
            component = self._components.get(name)
            if component is not None:
                await component.stop()
                del self._components[name]

    async def settled(self, names: Iterable[str]) -> None:
        """Return when each of the components is up, at rest, or broken."""
        wanted = list(names)
        while True:
            async with self._changed:
                waits = [self._components[name].settles_in for name in wanted if name in self._components]
                if all(wait == 0 for wait in waits) and len(waits) == len(wanted):
                    return
                known = [wait for wait in waits if wait]
                try:
                    await asyncio.wait_for(self._changed.wait(), min(known, default=None))
                except TimeoutError:
                    continue

    async def tell_change(self) -> None:
        """Wake up those who wait for a change of state."""
        async with self._changed:
            self._changed.notify_all()

    def note_started(self, group: int) -> None:
        """Put a process group under the watchdog's care."""
        self._tell_watchdog(f"+{group}\n")

    def note_ended(self, group: int) -> None:
        """Take a process group, which has ended, out of the watchdog's care."""
        self._tell_watchdog(f"-{group}\n")

    def _tell_watchdog(self, line: str) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.write(line.encode())


def _signal_group(group: int, number: int) -> bool:
    """Whether there was anyone to signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
