"""Pulumi's command line on this machine: where it is, whether it is new enough, and which engine is taken."""

import os
import re
import shutil
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pm_sandbox.surroundings import environment

#: The oldest version that is taken. The Automation API of the pinned SDK asks for 3.1.0 (`_MINIMUM_VERSION`,
#: pulumi/automation/_minimum_version.py) and PULUMI_DEBUG_PROVIDERS for one of 2022; PULUMI_OPTION_CWD, which keeps the
#: commands of a shell off the tracked files, came with 3.208.0 ("All Pulumi CLI flags are now supported as environment
#: variables", Pulumi's blog, 2025-11-21). The tests run one version, that of `tests/engine/build_cli.sh`.
MINIMUM = (3, 208, 0)
_NAME = "pulumi"
_LANGUAGE_HOST = "pulumi-language-python"
_INSTALL = "https://www.pulumi.com/docs/install/"


class EngineError(Exception):
    """The engine that was asked for is not there, or an operation of it failed; the text says which and why."""


class EngineName(StrEnum):
    """The engine that deploys."""

    AUTO = "auto"
    PULUMI = "pulumi"
    OWN = "own"


class Command(NamedTuple):
    """Pulumi's command line.

    Attributes:
        path: The executable.
        version: Its version.
    """

    path: Path
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"Pulumi {_text(self.version)}, {self.path}"


class Choice(NamedTuple):
    """The engine that is taken.

    Attributes:
        command: Pulumi's command line, or None for our own engine.
        reason: Why this one; where Pulumi's cannot be had, with what to do about it.
    """

    command: Command | None
    reason: str

    def __str__(self) -> str:
        return f"{self.command or 'our own, which needs no command line'} ({self.reason.split(': ')[0]})"


def choose(engine: EngineName) -> Choice:
    """Take an engine: `auto` takes Pulumi's where its command line is there and new enough.

    Raises:
        EngineError: if Pulumi's is asked for and cannot be had.
    """
    if engine is EngineName.OWN:
        return Choice(None, "--engine own")
    try:
        command = find()
    except EngineError as error:
        if engine is EngineName.PULUMI:
            raise EngineError(f"--engine pulumi: {error}, or leave the option out") from error
        return Choice(None, str(error))
    return Choice(command, "--engine pulumi" if engine is EngineName.PULUMI else "found on the PATH")


def find() -> Command:
    """The command line on the PATH.

    Raises:
        EngineError: if there is none, if it does not say its version, or if it is too old.
    """
    needed = f"{_text(MINIMUM)} or newer is needed"
    found = shutil.which(_NAME)
    if found is None:
        raise EngineError(f"there is no command {_NAME} on the PATH: {needed}, install it from {_INSTALL}")
    path = Path(found).absolute()
    version = _version(path)
    if version is None:
        raise EngineError(f"{path} does not say its version: {needed}, install it from {_INSTALL}")
    if version < MINIMUM:
        raise EngineError(f"{path} is Pulumi {_text(version)}, too old: {needed}, install it from {_INSTALL}")
    return Command(path, version)


def missing_language_host(command: Command) -> str:
    """The advice if the command finds no language host for Python, which programs by hand need; else empty.

    The command looks beside itself and on the PATH.
    """
    folders = [str(command.path.parent), str(command.path.resolve().parent), os.environ.get("PATH", os.defpath)]
    if shutil.which(_LANGUAGE_HOST, path=os.pathsep.join(folders)):
        return ""
    return (
        f"{_LANGUAGE_HOST} is neither beside {command.path} nor on the PATH: `pulumi preview` and `pulumi up` by hand "
        f"need it, install Pulumi whole from {_INSTALL}"
    )


def neutral_environment() -> dict[str, str]:
    """A process's environment without what the user tells Pulumi: backend, home, stack and options."""
    return {key: value for key, value in environment().items() if not key.startswith("PULUMI_")}


def _version(path: Path) -> tuple[int, ...] | None:
    # The command keeps logs of whatever it does in its home.
    with tempfile.TemporaryDirectory() as home:
        own = {**neutral_environment(), "PULUMI_HOME": home, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        try:
            said = subprocess.run([path, "version"], env=own, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return None
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", said.strip())
    return tuple(map(int, match.groups())) if match else None


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
