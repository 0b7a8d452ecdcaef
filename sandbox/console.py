"""Progress for people: a line a step, a bar where its length is known, in the terminal."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


class ConsoleProgress:
    """Shows steps in the terminal, and keeps a finished step as one line with its seconds."""

    def __init__(self, console: Console) -> None:
        """Write to a console."""
        self._console = console
        self._bar = Bar(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("[dim]{task.fields[note]}"), console=console, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._title = ""
        self._began = 0.0

    def step(self, title: str, total: int | None = None) -> None:
        """A step begins; the one before it has ended."""
        self._end()
        self._title, self._began = title, time.monotonic()
        self._task = self._bar.add_task(title, total=total, note="")

    def advance(self, done: int, note: str = "") -> None:
        """So much of the step is done."""
        if self._task is not None:
            self._bar.update(self._task, completed=done, note=note[:60])

    def say(self, text: str) -> None:
        """One line worth keeping."""
        self._console.print(f"      {text}", style="dim", highlight=False)

    def _end(self, mark: str = "[green]✓") -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._console.print(
                f"  {mark}[/] {self._title} [dim]{time.monotonic() - self._began:.1f} s", highlight=False
            )
            self._task = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end("[green]✓" if kind is None else "[red]✗")
        self._bar.stop()
