"""Progress as the work reports it, whoever shows it: a step begins, advances, says something, ends."""

from typing import Protocol


class Progress(Protocol):
    """The reporter of long work's progress; `SILENT` for nobody."""

    def step(self, title: str, total: int | None = None) -> None:
        """A step begins; the one before it has ended. `total` where its length is known."""

    def advance(self, done: int, note: str = "") -> None:
        """So much of the step is done."""

    def say(self, text: str) -> None:
        """One line worth keeping."""


class _Silent:
    def step(self, title: str, total: int | None = None) -> None:
        """Nobody watches."""

    def advance(self, done: int, note: str = "") -> None:
        """Nobody watches."""

    def say(self, text: str) -> None:
        """Nobody watches."""


SILENT: Progress = _Silent()
