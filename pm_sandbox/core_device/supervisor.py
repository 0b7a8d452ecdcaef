"""Runs components as processes: lifecycle steps, restarts, logs, and an end for all that was started."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pm_components.greengrass_site.nuclei import NucleusKind
from pm_sandbox.core_device.component_log import ComponentLog
from pm_sandbox.core_device.recipes import Step
from pm_sandbox.core_device.resources import ResourceMeter
from pm_sandbox.core_device.state_report import NOTIFY_VARIABLE, StateReport
from pm_sandbox.core_device.sudo import passed_on
from pm_sandbox.surroundings import python

#: A component that fails this often in one state is broken: `MAXIMUM_CONTINUAL_ERROR` of a classic nucleus's class
#: `Lifecycle`, and `StartLimitBurst` of the units that nucleus lite writes.
FAILURES_UNTIL_BROKEN = 3
#: Seconds of running after which a component's earlier failures are past. Both nuclei want an hour (`errorResetTime`,
#: `StartLimitInterval`); here days pass in seconds.
FORGIVEN_AFTER = 10.0
#: Seconds before a restart: `RestartSec` of nucleus lite; a classic one does not wait.
RESTART_PAUSES: Mapping[NucleusKind, float] = {NucleusKind.CLASSIC: 0.0, NucleusKind.LITE: 1.0}
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

    def __init__(
        self, program: Program, may_start: Callable[[], bool], is_installed: bool, supervisor: "Supervisor"
    ) -> None:
        self.program = program
        self.state = State.INSTALLED if is_installed else State.NEW
        self.is_installed = is_installed
        self.pid: int | None = None
        self.restarts = 0
        self.problem = ""
        #: Failures by the state that each one has ended; to leave a state in another way makes its failures past.
        self._failures: Counter[State] = Counter()
        self._log = ComponentLog(supervisor.log_directory / f"{program.name}.log")
        self._may_start = may_start
        self._supervisor = supervisor
        self._since = time.monotonic()
        self._stopping = False
        self._says_running = asyncio.Event()
        self._state_report = StateReport(self._says_running.set)
        self._life = asyncio.get_running_loop().create_task(self._live())

    @property
    def failures(self) -> int:
        """Failures in a row, up to now."""
        is_past = self.state is State.RUNNING and time.monotonic() - self._since >= FORGIVEN_AFTER
        return 0 if is_past else max(self._failures.values(), default=0)

    async def stop(self) -> None:
        """Run its shutdown step, end its processes, and return when they are gone."""
        self._stopping = True
        await self._enter(State.STOPPING)
        await self._shut_down()
        if self.pid is None:
            self._life.cancel()
        else:
            await self._end_group(self.pid, _STOP_LIMIT)
        await asyncio.wait([self._life])
        self._state_report.close()
        self._log.close()

    @property
    def is_held(self) -> bool:
        """True if it is installed and waits for others."""
        return self.state is State.INSTALLED and not self._may_start()

    async def _live(self) -> None:
        while not self._stopping:
            try:
                if self.state is State.NEW:
                    await self._install()
                await self._supervisor.until(self._may_start)
                await self._start()
                return
            except _StepError as error:
                if self._stopping or not await self._goes_on_after(error):
                    return

    async def _goes_on_after(self, error: _StepError) -> bool:
        """Note a failure; whether the component is to be started once more."""
        failed_in = self.state
        if failed_in is State.RUNNING and self.failures == 0:
            self._failures.clear()
        self._failures[failed_in] += 1
        last_line = self._log.last_line()
        self.problem = f"{error}; " + (f"its last line: {last_line}" if last_line else "it wrote nothing")
        log.warning("%s %s: %s", self.program.name, self.program.version, self.problem)
        if self._failures[failed_in] >= FAILURES_UNTIL_BROKEN:
            log.error("%s is broken: it stays down until the next deployment", self.program.name)
            await self._enter(State.BROKEN)
            return False
        await self._enter(State.ERRORED)
        if failed_in is not State.NEW:
            await self._shut_down()
        await asyncio.sleep(RESTART_PAUSES[self._supervisor.kind])
        # A component that was installed is not installed once more.
        await self._enter(State.NEW if failed_in is State.NEW else State.INSTALLED)
        self.restarts += 1
        return True

    async def _install(self) -> None:
        if "install" in self.program.steps:
            await self._run("install")
        self.is_installed = True
        await self._enter(State.INSTALLED)

    async def _start(self) -> None:
        """Run what keeps the component up, to its end."""
        await self._enter(State.STARTING)
        if "startup" in self.program.steps:
            await self._run("startup")
        elif "run" in self.program.steps:
            await self._run("run")
            await self._enter(State.FINISHED)
        else:
            await self._enter(State.FINISHED)

    async def _shut_down(self) -> None:
        if "shutdown" in self.program.steps:
            try:
                await self._run("shutdown")
            except _StepError as error:
                log.warning("%s: %s", self.program.name, error)

    async def _run(self, name: str) -> None:
        """Run a step to its end.

        `run` makes the component RUNNING as soon as its process is there. `startup` does when the component says so or
        the step has ended with 0, and only until then does its time limit hold.

        Raises:
            _StepError: if it takes too long, or ends with anything but 0.
        """
        step = self.program.steps[name]
        process = await self._spawn(name, step)
        if name != "shutdown":
            self.pid = process.pid
        try:
            if name == "run":
                await self._enter(State.RUNNING)
            code = await self._ended_or_up(process, step) if name == "startup" else await _ended(process, step.timeout)
            if name == "startup" and code in (None, 0):
                await self._enter(State.RUNNING)
                # What a startup step does after that goes unnoticed, unless it fails.
                code = await process.wait()
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

    async def _spawn(self, name: str, step: Step) -> asyncio.subprocess.Process:
        program, supervisor = self.program, self._supervisor
        program.work.mkdir(parents=True, exist_ok=True)
        self._log.write(f"--- {program.name} {program.version}: {name}\n".encode())
        self._says_running.clear()
        environment = {**supervisor.environment, **step.environment, NOTIFY_VARIABLE: self._state_report.address}
        output = self._log.open_pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                step.script,
                cwd=program.work,
                env=passed_on(environment) if supervisor.kind is NucleusKind.CLASSIC else environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)
        supervisor.note_started(process.pid)
        return process

    async def _ended_or_up(self, process: asyncio.subprocess.Process, step: Step) -> int | None:
        """The exit code of a startup step; None if it says before its end that the component runs.

        Raises:
            TimeoutError: if it does neither in time.
        """
        ends = asyncio.ensure_future(process.wait())
        says = asyncio.ensure_future(self._says_running.wait())
        done, others = await asyncio.wait((ends, says), timeout=step.timeout, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        if not done:
            raise TimeoutError
        return ends.result() if ends in done else None

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
        if state not in (State.ERRORED, State.BROKEN):
            self._failures.pop(self.state, None)
        self.state = state
        self._since = time.monotonic()
        await self._supervisor.tell_change()


class Supervisor:
    """The components of a device.

    Attributes:
        environment: What each process gets, and nothing else of ours but its recipe's own.
        log_directory: One log a component.
        kind: The nucleus whose rules hold.
    """

    def __init__(self, environment: Mapping[str, str], log_directory: Path, kind: NucleusKind) -> None:
        self.environment = dict(environment)
        self.log_directory = log_directory
        self.kind = kind
        log_directory.mkdir(parents=True, exist_ok=True)
        self._components: dict[str, _Component] = {}
        self._changed = asyncio.Condition()
        self._meter = ResourceMeter()
        self._watchdog: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """Start the process that cleans up after us should we not be able to."""
        self._watchdog = await asyncio.create_subprocess_exec(
            *python("pm_sandbox.core_device.watchdog"),
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
        """The installed programs, by name."""
        return {name: component.program for name, component in self._components.items()}

    def state(self, name: str) -> State | None:
        """The state of a component; None if there is no such one."""
        component = self._components.get(name)
        return component.state if component is not None else None

    def is_installed(self, name: str) -> bool:
        """Return whether a component is there and its install step, if it has one, is done."""
        return name in self._components and self._components[name].is_installed

    def is_held(self, name: str) -> bool:
        """Return whether a component is installed and waits for others."""
        return self._components[name].is_held

    def problem(self, name: str) -> str | None:
        """The reason that a component is broken; None if it is not."""
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

    async def start(
        self, program: Program, may_start: Callable[[], bool] = lambda: True, is_installed: bool = False
    ) -> None:
        """Begin with a component; returns at once.

        Args:
            program: The component.
            may_start: Whether it may go on from its install step; asked at each change of a component's state.
            is_installed: Whether the install step is left out.
        """
        self._components[program.name] = _Component(program, may_start, is_installed, self)
        await self.tell_change()

    async def stop(self, names: Iterable[str]) -> None:
        """Stop components, one after the other in the order given, and forget them."""
        for name in names:
            component = self._components.get(name)
            if component is not None:
                await component.stop()
                del self._components[name]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; it is asked at each change of a component's state."""
        async with self._changed:
            await self._changed.wait_for(condition)

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


async def _ended(process: asyncio.subprocess.Process, seconds: float | None) -> int:
    return await asyncio.wait_for(process.wait(), seconds)


def _signal_group(group: int, number: int) -> bool:
    """Signal a process group; False if it is gone."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
