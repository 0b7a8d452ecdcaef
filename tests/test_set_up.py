"""`make setup` with stand-ins for Python and uv that note how they are called: when it installs, what it makes anew.

Not proved here: that pip and uv install what they are asked for; each set-up does that. What `setup.py` makes of the
Lambda layer is in `tests/wheel`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: An interpreter that says its version, makes an environment of stand-ins, and of all else notes its arguments.
_PYTHON = """#!/bin/sh
case "$1 $2" in
"-c import"*)
    exec {python} -c "import sys; sys.version = '{version} of a test'
sys.version_info = tuple(map(int, '{version}'.split('.')))
exec(sys.argv[1])" "$2" ;;
"-m venv")
    shift 2
    echo "venv $*" >> calls
    for last; do :; done
    if [ "$1" = --clear ]; then rm -rf "$last"; fi
    mkdir -p "$last/bin"
    cp "$0" "$last/bin/python"
    cp uv "$last/bin/uv" ;;
"-m pip")
    if [ "$3" = config ]; then cat "config-$5" 2>/dev/null; exit; fi
    echo "pip $*" >> calls ;;
"setup.py "*)
    echo "layer $*" >> calls
    mkdir -p pm_components/lambda_layer ;;
esac
"""

_UV = """#!/bin/sh
echo "uv $* from=$UV_DEFAULT_INDEX" >> calls
test ! -e fails
"""


class SetUp:
    """A folder with the Makefile, whose path has a space, and what `make setup` calls in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "requirements").mkdir(parents=True)
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "pm_components" / "functions").mkdir(parents=True)
        locks = ("requirements/setup.txt", "requirements/dev.txt", "pm_components/functions/requirements.txt")
        for file in ("pyproject.toml", "setup.py", *locks):
            (folder / file).touch()
        self._program("uv", _UV)
        self.python("3.11.2")

    def python(self, version: str) -> None:
        """Have a Python of this version."""
        self._program("python", _PYTHON.format(python=sys.executable, version=version))

    def _program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def make(self, **environment: str) -> tuple[int, str, list[str]]:
        """Exit code, what was said on standard error, and the calls."""
        calls = self.folder / "calls"
        calls.write_text("")
        path = {"PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["make", "setup", "PYTHON=./python"],
            cwd=self.folder, env={**path, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr, calls.read_text().splitlines()


@pytest.fixture
def set_up(tmp_path: Path) -> SetUp:
    return SetUp(tmp_path / "a checkout")


def test_it_installs_with_hashes_into_its_own_environment_and_once(set_up: SetUp) -> None:
    code, error, calls = set_up.make(VIRTUAL_ENV="/somewhere/else")
    assert code == 0, error
    assert calls[0] == "venv --clear .venv"
    packages = [call for call in calls if "--requirement" in call]
    assert [call.split("requirements/")[1].split(".")[0] for call in packages] == ["setup", "dev"]
    assert all("--require-hashes" in call for call in packages)
    assert all("--python .venv/bin/python" in call for call in calls if call.startswith("uv"))
    assert calls[-1] == "layer setup.py --quiet lambda_layer"
    assert set_up.make() == (0, "", [])


def test_an_interrupted_set_up_is_made_anew_and_a_changed_lock_is_added(set_up: SetUp) -> None:
    (set_up.folder / "fails").touch()
    assert set_up.make()[0] != 0
    assert set_up.make()[2][0] == "venv --clear .venv"
    (set_up.folder / "fails").unlink()
    assert set_up.make()[2][0] == "venv --clear .venv"
    os.utime(set_up.folder / ".venv" / ".done", (0, 0))  # now older than the lock
    code, _, calls = set_up.make()
    assert (code, calls[0]) == (0, "venv .venv")
    assert set_up.make()[2] == []


def test_another_python_is_refused_before_anything_is_made(set_up: SetUp) -> None:
    set_up.python("3.12.1")
    code, error, calls = set_up.make()
    assert code != 0
    assert "Python 3.11 is needed, and ./python is 3.12.1" in error
    assert "make PYTHON=/path/to/python3.11" in error
    assert calls == []
    assert not (set_up.folder / ".venv").exists()


def test_uv_asks_the_index_that_pip_was_given(set_up: SetUp) -> None:
    (set_up.folder / "config-global.index-url").write_text("https://in.pip.conf/simple\n")
    assert set_up.make()[2][-2].endswith("from=https://in.pip.conf/simple")
    for set_, expected in (
        ({"PIP_INDEX_URL": "https://of.pip/simple"}, "https://of.pip/simple"),
        (
            {"PIP_INDEX_URL": "https://of.pip/simple", "UV_DEFAULT_INDEX": "https://of.uv/simple"},
            "https://of.uv/simple",
        ),
    ):
        (set_up.folder / ".venv" / ".done").unlink()
        assert set_up.make(**set_)[2][-2].endswith(f"from={expected}")
