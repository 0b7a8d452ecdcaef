"""Supervision of components: real processes under the supervisor itself, without cloud and deployments.

That a nucleus asks the supervisor for the right things is in `test_deployments.py`.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.core_device import component_log
from sandbox.core_device import supervisor as supervisor_module
from sandbox.core_device.component_log import ComponentLog, read_log
from sandbox.core_device.recipes import Step
from sandbox.core_device.supervisor import Program, Supervisor

LIMIT = 120.0


def program(folder: Path, name: str, **scripts: str) -> Program:
    steps = {step: Step(script, {}, None) for step, script in scripts.items()}
    return Program(name, "1.0.0", steps, folder / "work" / name)


def supervised(folder: Path, body: Callable[[Supervisor], Awaitable[None]]) -> None:
    """Run `body` with a supervisor, and stop all that it has started."""

    async def run() -> None:
        supervisor = Supervisor({"PATH": os.environ["PATH"]}, folder / "logs")
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


def test_a_component_that_fails_is_restarted_later_each_time_and_given_up_in_the_end(tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Failing", run="date +%s.%N; echo out of paper >&2; exit 9"))
        await supervisor.settled(["Failing"])
        status = (await supervisor.status())["Failing"]
        assert (status["state"], status["restarts"], status["pid"]) == ("BROKEN", 2, None)
        assert status["problem"] == "run ended with exit code 9; its last line: out of paper"

    supervised(tmp_path, body)
    first, second, third = times(read_log(tmp_path / "logs" / "Failing.log"))
    assert second - first >= 0.5
    assert third - second >= 1.0


def test_failures_are_past_when_a_component_has_run_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None at all: how long a process has run by the supervisor's watch depends on how busy the machine is.
    monkeypatch.setattr(supervisor_module, "FORGIVEN_AFTER", 0.0)
    monkeypatch.setattr(supervisor_module, "_BACK_OFF", 0.01)

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Mortal", run="exit 1"))

        async def has_failed_more_often_than_a_broken_one() -> bool:
            status = (await supervisor.status())["Mortal"]
            assert status["failures"] <= 1
            return bool(status["restarts"] >= supervisor_module.FAILURES_UNTIL_BROKEN)

        await eventually(has_failed_more_often_than_a_broken_one)
        # An install step that fails is no component that has run.
        await supervisor.start(program(tmp_path, "Stillborn", install="exit 1"))
        await supervisor.settled(["Stillborn"])
        assert supervisor.problem("Stillborn") == "install ended with exit code 1; it wrote nothing"

    supervised(tmp_path, body)


def test_a_component_starts_when_what_it_depends_on_is_up_and_not_before(tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        starts = [
            supervisor.start(program(tmp_path, "Last", run="date +%s.%N; exec sleep 1000"), ["Middle"]),
            supervisor.start(program(tmp_path, "Middle", install="sleep 0.3; date +%s.%N"), ["First"]),
            supervisor.start(program(tmp_path, "First", startup="sleep 0.3; date +%s.%N")),
        ]
        await asyncio.gather(*starts)
        await supervisor.settled(["First", "Middle", "Last"])

    supervised(tmp_path, body)
    order = [times(read_log(tmp_path / "logs" / f"{name}.log"))[0] for name in ("First", "Middle", "Last")]
    assert order == sorted(order)


def test_what_depends_on_a_broken_component_is_not_started(tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(program(tmp_path, "Base", install="exit 1"))
        with pytest.raises(RuntimeError, match="Top needs Base, which is broken: install ended with exit code 1"):
            await supervisor.start(program(tmp_path, "Top", run="touch started; exec sleep 1000"), ["Base"])

    supervised(tmp_path, body)
    assert not (tmp_path / "work" / "Top").exists()


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
        await supervisor.settled(["Chatty"])

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
