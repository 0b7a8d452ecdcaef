"""The folder that Pulumi's engine works in: state, home, passphrase and project files, none of them the user's."""

import secrets
import shlex
import sys
from pathlib import Path
from typing import Any

import yaml

from pm_sandbox.deployer.project import full_key, read_project, read_yaml
from pm_sandbox.provider.server import debug_providers
from pm_sandbox.state_files import write_private

#: A stack's settings for keeping secrets: by the passphrase here, and not by the user's own.
_KEEPING = ("encryptionsalt", "encryptedkey", "secretsprovider")
_BYTES = 32
#: The folder of the engine's backend.
_STATE = "state"


def variables(folder: Path, port: int) -> dict[str, str]:
    """The variables by which the command line keeps to a folder, and asks the provider at the port and no plug-in."""
    return {
        "PULUMI_BACKEND_URL": f"file://{folder / _STATE}",
        "PULUMI_DEBUG_PROVIDERS": debug_providers(port),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


class Workspace:
    """A folder with all that Pulumi's command line reads and writes, for one program.

    The project files in it are copies: the command line keeps the salt of a stack's secrets in the stack's file, and
    those of the program are under version control. Secrets are encrypted by a passphrase that is made here, since an
    empty one would keep nothing from whoever reads the state.

    Attributes:
        folder: The folder.
        state: The engine's backend.
        project: `Pulumi.yaml`, which names the program's folder, and the stacks' files.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        """Lay the folder out where that has not been done.

        Raises:
            DeploymentError: if the program has no readable `Pulumi.yaml`.
        """
        self.folder = folder.absolute()
        self.state = self.folder / _STATE
        self.project = self.folder / "project"
        self._program = program.absolute()
        self._passphrase = self.folder / "passphrase"
        for path in (self.state, self.project):
            path.mkdir(parents=True, exist_ok=True)
        if not self._passphrase.exists():
            write_private(self._passphrase, secrets.token_hex(_BYTES).encode())
        self._write_project()

    def write_stack(self, stack: str, file: str | None, config: dict[str, Any] | None = None) -> None:
        """Write a stack's file: what the program's `Pulumi.{file}.yaml` says, and values over it.

        Args:
            stack: The stack's name.
            file: The name in `Pulumi.{file}.yaml`, or None if the values are all that the stack sets.
            config: Values by key; a key without `namespace:` is the project's own.

        Raises:
            DeploymentError: if there is no such file, or a value is missing or encrypted.
        """
        project = read_project(self._program, file or stack, config or {}, stack_file=file is not None)
        said = read_yaml(self._program / f"Pulumi.{file}.yaml") if file is not None else {}
        given = {**(said.get("config") or {}), **(config or {})}
        self._write(stack, said, {full_key(key, project.name): value for key, value in given.items()})

    def write_stacks(self, config: dict[str, Any]) -> None:
        """Write the files of all the program's stacks, with values over theirs."""
        for path in sorted(self._program.glob("Pulumi.*.yaml")):
            said = read_yaml(path)
            self._write(path.name.split(".")[1], said, {**(said.get("config") or {}), **config})

    def environment(self, port: int) -> dict[str, str]:
        """The variables by which the command line works in this folder and asks the provider at the port."""
        return {**variables(self.folder, port), "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase)}

    def shell_lines(self, port: int) -> list[str]:
        """The lines by which a shell's commands do the same, wherever they are typed."""
        variables = {**self.environment(port), "PULUMI_OPTION_CWD": str(self.project)}
        return [
            # The passphrase itself goes before its file, and the other would name a stack of the user's.
            "unset PULUMI_CONFIG_PASSPHRASE PULUMI_STACK",
            *(f"export {key}={shlex.quote(value)}" for key, value in sorted(variables.items())),
        ]

    def _write(self, stack: str, said: dict[str, Any], config: dict[str, Any]) -> None:
        own = self.project / f"Pulumi.{stack}.yaml"
        salt = {key: value for key, value in read_yaml(own).items() if key in _KEEPING} if own.exists() else {}
        kept = {key: value for key, value in said.items() if key not in _KEEPING}
        own.write_text(yaml.safe_dump({**kept, "config": config, **salt}, sort_keys=False))

    def _write_project(self) -> None:
        project = read_yaml(self._program / "Pulumi.yaml")
        runtime = project.get("runtime")
        if isinstance(runtime, dict) and "virtualenv" in (options := runtime.get("options") or {}):
            environment = self._program / options["virtualenv"]
            # That of an installed program is the one that it is installed in.
            own = str(environment if environment.exists() else sys.prefix)
            runtime = {**runtime, "options": {**options, "virtualenv": own}}
        content = {**project, "runtime": runtime, "main": str(self._program)}
        (self.project / "Pulumi.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
