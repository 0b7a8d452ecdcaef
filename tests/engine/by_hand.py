"""The `pulumi` command as a user types it, on a program that a language host runs."""

import os
import subprocess
from pathlib import Path

import yaml

from tests.engine.engine import ROOT, EngineError, environment


def python_project(program: Path, folder: Path, stack: str, virtualenv: Path = ROOT / ".venv") -> Path:
    """Make a project's folder for a program in Python.

    Args:
        program: The program's directory, which nothing is written to.
        folder: The folder to make.
        stack: The stack whose file is copied, where the program has one.
        virtualenv: The virtual environment that it runs in.
    """
    folder.mkdir(parents=True)
    project = yaml.safe_load((program / "Pulumi.yaml").read_text())
    options = {"toolchain": "pip", "virtualenv": str(virtualenv)}
    project |= {"main": str(program), "runtime": {"name": "python", "options": options}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    of_stack = program / f"Pulumi.{stack}.yaml"
    if of_stack.exists():
        (folder / of_stack.name).write_text(of_stack.read_text())
    return folder


class ByHand:
    """The command on a new stack.

    Args:
        cli: The CLI, see `build_cli.sh`.
        folder: For the state and the command's own files.
        port: Where the provider serves.
        project: The project's folder; the command writes to the stack's file in it.
        stack: The stack's name.
    """

    def __init__(self, cli: Path, folder: Path, port: int, project: Path, stack: str) -> None:
        self._project = project
        # The last shows the option `--event-log`.
        self._environment = {**os.environ, **environment(cli, folder, port), "PULUMI_DEBUG_COMMANDS": "true"}
        (folder / "state").mkdir(parents=True)
        self.run("stack", "init", stack)

    def run(self, *arguments: str) -> str:
        """The output of `pulumi ARGUMENTS`.

        Raises:
            EngineError: if it fails; the text is all that it printed, warnings and errors last.
        """
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self._project,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise EngineError(done.stdout + done.stderr)
        return done.stdout
