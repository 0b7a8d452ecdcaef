"""The `pulumi` command as a user types it, on a program that a language host runs."""

import os
import subprocess
from pathlib import Path

import yaml

from tests.engine.engine import ROOT, EngineError, environment


class ByHand:
    """The command in a folder of its own: it writes to a stack's file, and the checkout stays clean.

    Args:
        cli: The CLI, see `build_cli.sh`.
        folder: For the project's file and all that the command writes.
        port: Where the provider serves.
        program: The directory of a program in Python; it runs in the checkout's virtual environment.
        stack: The stack's name; its file in the program's directory is copied where there is one.
    """

    def __init__(self, cli: Path, folder: Path, port: int, program: Path, stack: str) -> None:
        self._folder = folder / "project"
        # The second shows the option `--event-log`.
        self._environment = {**os.environ, **environment(cli, folder, port), "PULUMI_DEBUG_COMMANDS": "true"}
        for name in ("state", "project"):
            (folder / name).mkdir(parents=True)
        project = yaml.safe_load((program / "Pulumi.yaml").read_text())
        options = {"toolchain": "pip", "virtualenv": str(ROOT / ".venv")}
        project |= {"main": str(program), "runtime": {"name": "python", "options": options}}
        (self._folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        of_stack = program / f"Pulumi.{stack}.yaml"
        if of_stack.exists():
            (self._folder / of_stack.name).write_text(of_stack.read_text())
        self.run("stack", "init", stack)

    def run(self, *arguments: str) -> str:
        """The output of `pulumi ARGUMENTS`.

        Raises:
            EngineError: if it fails; the text is all that it printed.
        """
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise EngineError(done.stdout)
        return done.stdout
