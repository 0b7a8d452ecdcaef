"""Supervision of components: real processes under the supervisor itself, without cloud and deployments.

That a nucleus asks the supervisor for the right things is in `test_deployments.py`.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pm_components.greengrass_site.nuclei import NucleusKind
from pm_sandbox.core_device import component_log
from pm_sandbox.core_device import supervisor as supervisor_module
from pm_sandbox.core_device.component_log import ComponentLog, read_log
from pm_sandbox.core_device.recipes import Step
from pm_sandbox.core_device.supervisor import Program, State, Supervisor

LIMIT = 120.0


def program(folder: Path, name: str, **scripts: str) -> Program:
    steps = {step: Step(script, {}, None) for step, script in scripts.items()}
    return Program(name, "1.0.0", steps, folder / "work" / name)


def supervised(
    folder: Path, body: Callable[[Supervisor], Awaitable[None]], kind: NucleusKind = NucleusKind.CLASSIC
) -> None:
    """Run `body` with a supervisor, and stop all that it has started."""

    async def run() -> None:
        supervisor = Supervisor({"PATH": os.environ["PATH"]}, folder / "logs", kind)
        await supervisor.open()
        try:
            async with asyncio.timeout(LIMIT):
                await body(supervisor)
        finally:
            await supervisor.close()

    asyncio.run(run())


async def eventually(check: Callable[[], Awaitable[Any]]) -> Any:
    while not (found := await check()):
        await asyncio.sleep(0.02)
    return found


def times(text: str) -> list[float]:
    """The times that components wrote with `date +%s.%N`, and nothing else of the log."""
    return [float(line) for line in text.splitlines() if re.fullmatch(r"\d+\.\d+", line)]


@pytest.mark.parametrize("kind", NucleusKind)
def test_a_component_that_fails_three_times_in_a_row_is_given_up(tmp_path: Path, kind: NucleusKind) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Failing", run="date +%s.%N; echo out of paper >&2; exit 9"))
        await supervisor.until(lambda: supervisor.state("Failing") is State.BROKEN)
        status = (await supervisor.status())["Failing"]
        assert (status["state"], status["restarts"], status["pid"]) == ("BROKEN", 2, None)
        assert status["problem"] == "run ended with exit code 9; its last line: out of paper"

    supervised(tmp_path, body, kind)
    first, second, third = times(read_log(tmp_path / "logs" / "Failing.log"))
    # A classic nucleus does not wait; systemd does, for the `RestartSec` of lite's units.
    assert min(second - first, third - second) >= supervisor_module.RESTART_PAUSES[kind]


def test_a_startup_step_is_up_when_the_component_says_so_and_a_failure_after_that_is_one_of_running(
    tmp_path: Path,
) -> None:
    script = 'sleep 0.2; python3 -c "$READY"; echo said; read -r _ < go; exit 7'
    ready = (
        "import os, socket;"
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1',"
        " os.environ['NOTIFY_SOCKET'].replace('@', chr(0)))"
    )
    go = tmp_path / "work" / "Slow" / "go"
    go.parent.mkdir(parents=True)
    os.mkfifo(go)
    slow = program(tmp_path, "Slow", startup=script)
    slow = replace(slow, steps={"startup": replace(slow.steps["startup"], environment={"READY": ready})})

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(slow)
        seen = set()

        def is_up() -> bool:
            seen.add(supervisor.state("Slow"))
            return supervisor.state("Slow") is State.RUNNING

        for failures in range(supervisor_module.FAILURES_UNTIL_BROKEN):

            async def has_failed(failures: int = failures) -> bool:
                return is_up() and (await supervisor.status())["Slow"]["failures"] == failures

            await eventually(has_failed)
            await asyncio.to_thread(go.write_text, "\n")
        await supervisor.until(lambda: supervisor.state("Slow") is State.BROKEN)
        assert {State.STARTING, State.RUNNING} <= seen
        assert supervisor.problem("Slow") == "startup ended with exit code 7; its last line: said"

    supervised(tmp_path, body)


def test_a_startup_step_that_says_nothing_in_time_has_failed(tmp_path: Path) -> None:
    silent = program(tmp_path, "Silent", startup="exec sleep 1000")
    silent = replace(silent, steps={"startup": replace(silent.steps["startup"], timeout=0.05)})

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(silent)
        await supervisor.until(lambda: supervisor.state("Silent") is State.BROKEN)
        assert supervisor.problem("Silent") == "startup took longer than its 0 s; it wrote nothing"

    supervised(tmp_path, body)


def test_an_end_with_0_goes_unnoticed_after_a_startup_and_finishes_a_run(tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Quiet", startup="exit 0"))
        await supervisor.start(program(tmp_path, "Done", run="exit 0"))
        await supervisor.until(lambda: supervisor.state("Done") is State.FINISHED)
        await supervisor.until(lambda: supervisor.state("Quiet") is State.RUNNING)

    supervised(tmp_path, body)


def test_failures_are_past_when_a_component_has_run_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None at all: how long a process has run by the supervisor's watch depends on how busy the machine is.
    monkeypatch.setattr(supervisor_module, "FORGIVEN_AFTER", 0.0)

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Mortal", run="exit 1"))

        async def has_failed_more_often_than_a_broken_one() -> bool:
            status = (await supervisor.status())["Mortal"]
            assert status["failures"] <= 1
            return bool(status["restarts"] >= supervisor_module.FAILURES_UNTIL_BROKEN)

        await eventually(has_failed_more_often_than_a_broken_one)
        # An install step that fails is no component that has run.
        await supervisor.start(program(tmp_path, "Stillborn", install="exit 1"))
        await supervisor.until(lambda: supervisor.state("Stillborn") is State.BROKEN)
        assert supervisor.problem("Stillborn") == "install ended with exit code 1; it wrote nothing"

    supervised(tmp_path, body)


def test_a_component_is_installed_at_once_and_started_when_it_may_be(tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        def is_first_up() -> bool:
            return supervisor.state("First") is State.RUNNING

        await supervisor.start(program(tmp_path, "Last", install="date +%s.%N", run="date +%s.%N"), is_first_up)
        await supervisor.until(lambda: supervisor.state("Last") is State.INSTALLED)
        assert supervisor.is_held("Last")
        await supervisor.start(program(tmp_path, "First", startup="date +%s.%N"))
        await supervisor.until(lambda: supervisor.state("Last") is State.FINISHED)

    supervised(tmp_path, body)
    [first] = times(read_log(tmp_path / "logs" / "First.log"))
    installed, started = times(read_log(tmp_path / "logs" / "Last.log"))
    assert installed < first < started


def test_a_component_that_does_not_end_by_itself_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "_STOP_LIMIT", 0.3)

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Deaf", run="trap '' TERM; echo up; while :; do sleep 0.1; done"))

        async def is_up() -> bool:
            return "up" in read_log(tmp_path / "logs" / "Deaf.log").split("\n")

        await eventually(is_up)
        process = (await supervisor.status())["Deaf"]["pid"]
        await supervisor.stop(["Deaf"])
        with pytest.raises(ProcessLookupError):
            os.killpg(process, 0)

    supervised(tmp_path, body)


def test_what_a_component_uses_is_measured_with_all_its_processes(tmp_path: Path) -> None:
    burn = "import time\nkept = bytearray(60_000_000)\nwhile True: sum(range(1000))"
    (tmp_path / "burn.py").write_text(burn)

    async def body(supervisor: Supervisor) -> None:
        # In a process of its own below the shell, as many components have.
        await supervisor.start(program(tmp_path, "Busy", run=f"{sys.executable} {tmp_path / 'burn.py'} & wait"))
        await supervisor.start(program(tmp_path, "Idle", run="exec sleep 1000"))
        await supervisor.start(program(tmp_path, "Done", install="true"))

        async def has_worked() -> Any:
            status = await supervisor.status()
            busy = status["Busy"]
            return (
                busy["cpu_seconds"] > 0.3
                and busy["memory_bytes"] > 60_000_000
                and busy["cpu_percent"] > max(5, status["Idle"]["cpu_percent"])
                and status
            )

        status = await eventually(has_worked)
        assert 0 < status["Idle"]["memory_bytes"] < 20_000_000
        assert (status["Done"]["cpu_seconds"], status["Done"]["memory_bytes"]) == (0, 0)
        os.killpg(status["Busy"]["pid"], signal.SIGKILL)

    supervised(tmp_path, body)


def test_a_log_is_bounded_and_holds_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component_log, "FILE_BYTES", 10_000)
    monkeypatch.setattr(component_log, "FILES", 3)

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Chatty", install="seq 100000 130000"))
        await supervisor.until(lambda: supervisor.state("Chatty") is State.FINISHED)

    supervised(tmp_path, body)
    files = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert files == ["Chatty.log", "Chatty.log.1", "Chatty.log.2"]
    # One write may go over by what a pipe gives at once.
    assert sum(path.stat().st_size for path in (tmp_path / "logs").iterdir()) < 3 * (10_000 + 65_536)
    lines = read_log(tmp_path / "logs" / "Chatty.log").splitlines()
    assert lines[-1] == "130000"
    assert [int(line) for line in lines[1:]] == list(range(130_002 - len(lines), 130_001))


def test_a_log_goes_on_after_a_restart_and_a_full_disk_does_not_stop_a_component(tmp_path: Path) -> None:
    path = tmp_path / "Thing.log"

    async def run() -> None:
        log = ComponentLog(path)
        log.write(b"one\n")
        log = ComponentLog(path)
        log.write(b"two\n")
        assert read_log(path) == "one\ntwo\n"
        full = ComponentLog(tmp_path / "Full.log")
        # The kernel's own answer of a disk without room.
        (tmp_path / "Full.log").symlink_to("/dev/full")
        pipe = full.open_pipe()
        os.write(pipe, b"lost\n")
        full.drain()
        os.close(pipe)
        full.close()

    asyncio.run(run())
