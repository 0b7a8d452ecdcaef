"""A folder has one factory, `pm down` ends none but it, and what is wrong with a folder is said before anything starts.

Not proved here: a lock on a network file system.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pm_cli.main import app
from pm_sandbox.demo import story
from pm_sandbox.factory import LOCK_FILE, STATE_FILE
from pm_sandbox.folder_lock import FolderLock, FolderTakenError, holder

RUNNER = CliRunner(env={"COLUMNS": "240"})
_HOLD = "import sys; from pathlib import Path; from pm_sandbox.folder_lock import FolderLock; \
lock = FolderLock.take(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is none of ours."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def held(file: Path) -> "subprocess.Popen[str]":
    """Another process, which holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_down_leaves_an_unrelated_process_alone_whose_number_stands_in_a_stale_file(
    tmp_path: Path, stranger: "subprocess.Popen[bytes]"
) -> None:
    (tmp_path / STATE_FILE).write_text(json.dumps({"pid": stranger.pid, "core_devices": []}))
    (tmp_path / LOCK_FILE).write_text(str(stranger.pid))
    told = RUNNER.invoke(app, ["down", "--directory", str(tmp_path)])
    assert told.exit_code == 2
    assert "has ended: see" in told.stderr
    assert stranger.poll() is None


def test_down_ends_who_holds_the_lock_also_with_a_damaged_state_file(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text('{"core_de')
    with held(tmp_path / LOCK_FILE) as process:
        told = RUNNER.invoke(app, ["status", "--directory", str(tmp_path)])
        assert told.exit_code == 2
        assert told.stderr.count("\n") == 1
        assert f"{tmp_path / STATE_FILE} is damaged" in told.stderr
        assert "`pm down`, then `pm up`" in told.stderr
        # A child of this test stays a zombie until it is waited for: `pm down` waits for one that is not.
        os.kill(process.pid, 0)
        assert holder(tmp_path / LOCK_FILE) == process.pid
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert holder(tmp_path / LOCK_FILE) is None


@pytest.mark.parametrize(
    ("command", "file", "said"),
    [
        (["up", "--directory"], LOCK_FILE, "already: `pm status` shows it"),
        (["demo", "--out"], story.LOCK_FILE, "already: wait for its end, or use another folder by --out"),
    ],
)
def test_a_second_one_in_a_folder_is_refused_and_touches_nothing(
    command: list[str], file: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "demo").mkdir()
    with held(tmp_path / file) as first:
        told = RUNNER.invoke(app, [*command, str(tmp_path)])
        first.kill()
    assert told.exit_code == 2, told.output
    assert said in told.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"demo", file}


@pytest.mark.parametrize("name", ["my factory", "Fabrik-Süd", "me@home", "a$b"])
@pytest.mark.parametrize("command", [["up", "--directory"], ["demo", "--out"]])
def test_a_folder_that_no_factory_can_have_is_refused_at_once(command: list[str], name: str, tmp_path: Path) -> None:
    told = RUNNER.invoke(app, [*command, str(tmp_path / name)])
    assert told.exit_code == 2
    assert told.stdout == ""
    assert "in its path: allowed for the folder of a factory are letters" in told.stderr
    assert not (tmp_path / name).exists()


def test_a_lock_that_is_given_on_is_held_until_the_last_has_let_go(tmp_path: Path) -> None:
    file = tmp_path / LOCK_FILE
    lock = FolderLock.take(file)
    with subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()]) as child:
        lock.name_holder(child.pid)
        lock.release()
        assert holder(file) == child.pid
        with pytest.raises(FolderTakenError, match=f"process {child.pid} works in"):
            FolderLock.take(file)
        child.kill()
    with FolderLock.take(file):
        assert holder(file) == os.getpid()
