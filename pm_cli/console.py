"""The terminal output of `pm`: results, progress a line a step, and errors in one line."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn, Self

import typer
from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.status import Status
from rich.text import Text

from pm_sandbox.terminal import Terminal, marked, printable

#: For results.
console = Terminal()
_errors = Terminal(stderr=True)
#: Exit codes: what was asked cannot be done as it was asked, as for a wrong option; and the work itself failed.
REFUSED, FAILED = 2, 1
_BAR_WIDTH = 16
#: Spinner, bar, time and the spaces between the columns.
_COLUMNS_WIDTH = 2 + _BAR_WIDTH + 8 + 4


def fail(text: str, code: int = REFUSED) -> NoReturn:
    """Say on stderr what is wrong, in one line, and end the command.

    Raises:
        typer.Exit: always.
    """
    _errors.print(marked("[red]error:[/] {}", text), highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def waiting(text: str) -> Status:
    """A context in which the terminal shows that something of unknown length goes on; results stay clean of it."""
    return _errors.status(text)


class _Step(Bar):
    """The bar of the current step, with what it has said below."""

    def __init__(self, *columns: ProgressColumn, to: Terminal) -> None:
        self.said: list[RenderableType] = []
        super().__init__(*columns, console=to, transient=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield from self.said


class ConsoleProgress:
    """Shows steps in the terminal, and keeps a finished step as one line with its seconds and what it said below."""

    def __init__(self, to: Terminal = console) -> None:
        """Write to a console."""
        self._console = to
        self._bar = _Step(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("[green]{task.fields[count]}"), TimeElapsedColumn(), TextColumn("[dim]{task.fields[note]}"),
            to=to,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._title, self._total, self._note = "", 0, ""
        self._began = 0.0

    def step(self, title: str, total: int | None = None) -> None:
        """A step begins; the one before it has ended."""
        self._end()
        self._title, self._total, self._note, self._began = title, total or 0, "", time.monotonic()
        self._task = self._bar.add_task(escape(title), total=total, count="", note="")

    def advance(self, done: int, note: str = "") -> None:
        """So much of the step is done."""
        if self._task is not None:
            self._note = note or self._note
            count = f"{done:,}/{self._total:,}" if self._total else ""
            # A narrow terminal shows the title and the count, and does without the note.
            room = max(0, self._console.width - _COLUMNS_WIDTH - len(self._title) - len(count))
            self._bar.update(self._task, completed=done, count=count, note=escape(self._note[:room]))

    def say(self, text: str) -> None:
        """One line worth keeping."""
        self._bar.said.append(Padding(Text(printable(text), style="dim"), (0, 0, 0, 6), expand=False))

    def _end(self, *, failed: bool = False) -> None:
        # Taken first: a Ctrl-C that arrives while this prints ends the step only once.
        task, self._task = self._task, None
        if task is None:
            return
        self._bar.remove_task(task)
        said, self._bar.said = self._bar.said, []
        colour = "red" if failed else "green"
        mark = self._console.mark("✗", "x") if failed else self._console.mark("✓", "+")
        seconds = f"{time.monotonic() - self._began:.1f}"
        self._console.print(
            marked(f"  [{colour}]{{}}[/] {{}} [dim]{{}} s[/]", mark, self._title, seconds), highlight=False
        )
        for each in said:
            self._console.print(each)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(failed=kind is not None)
        self._bar.stop()
