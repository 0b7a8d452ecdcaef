"""A `pulumi` command of the tests: says a version, and notes each time that it is run."""

from pathlib import Path


class Stub:
    """A command in a folder of its own, to be put on the PATH.

    Attributes:
        folder: The folder.
        path: The command.
    """

    def __init__(self, folder: Path, says: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path = folder, folder / "pulumi"
        self._runs = folder / "runs"
        self.path.write_text(f'#!/bin/sh\necho "$*" >> "{self._runs}"\n{says}\n')
        self.path.chmod(0o755)

    @property
    def runs(self) -> list[str]:
        """The arguments of each run."""
        return self._runs.read_text().splitlines() if self._runs.exists() else []
