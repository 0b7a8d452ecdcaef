"""The wheel as a user gets it: built from this checkout's files, and installed into environments of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def build(folder: Path) -> Path:
    """Build the wheel from a copy of what git has or would take, without what `make` left here."""
    source = folder / "source"
    for name in tracked(".", ":!tests"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), "."], cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def tracked(*paths: str) -> list[str]:
    """The files of the checkout that git has or would take."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths], cwd=ROOT)
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def clean(wheel: Path, folder: Path, python: str = sys.executable, more: Sequence[str] = ()) -> Path:
    """Install the wheel with what it declares, in the locked releases, and give the interpreter."""
    interpreter = _environment(folder, python)
    locked = ["--constraint", str(ROOT / "requirements" / "dev.txt")]
    _run([str(BIN / "uv"), "pip", "install", "--quiet", "--python", str(interpreter), *locked, str(wheel), *more])
    return interpreter


def with_every_extra(wheel: Path, folder: Path) -> Path:
    """Install the wheel beside links to the checkout's packages, without the checkout, and give the interpreter."""
    interpreter = _environment(folder, sys.executable)
    _run([str(BIN / "uv"), "pip", "install", "--quiet", "--python", str(interpreter), "--no-deps", str(wheel)])
    (packages,) = folder.glob("lib/python*/site-packages")
    (ours,) = BIN.parent.glob("lib/python*/site-packages")
    for entry in ours.iterdir():
        if (
            not entry.name.startswith(("__editable__", "predictive_maintenance"))
            and not (packages / entry.name).exists()
        ):
            (packages / entry.name).symlink_to(entry)
    return interpreter


def python_of(version: str) -> str | None:
    """The path of an interpreter of this version, on the PATH or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python{version}"))]
    for path in filter(None, found):
        # A shim of pyenv may stand for a version that is not chosen.
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def _environment(folder: Path, python: str) -> Path:
    _run([str(BIN / "uv"), "venv", "--quiet", "--python", python, str(folder)])
    return folder / "bin" / "python"


def _run(command: list[str], cwd: Path | None = None) -> str:
    # uv reads none of pip's settings; see the Makefile.
    index = os.environ.get("PIP_INDEX_URL") or _of_pip("index-url")
    environment = {"UV_DEFAULT_INDEX": index} if index else {}
    ran = subprocess.run(
        command, cwd=cwd, env={**environment, **os.environ}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def _of_pip(setting: str) -> str:
    asked = [sys.executable, "-m", "pip", "config", "get", f"global.{setting}"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
