"""Hurts a running factory by a seed while its sensors report, counts what came of it, and writes `out/drill.json`."""

import argparse
import json
import logging
import secrets
import sys
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from pm_sandbox.factory import FactoryError, check_folder
from pm_sandbox.folder_lock import FolderLock, FolderTakenError
from pm_sandbox.terminal import Terminal, forgive_encodings, marked
from resilience.arguments import positive_seconds
from resilience.drill.faults import FAULTS, STARVED_SECONDS
from resilience.drill.run import run
from resilience.drill.verdict import Result
from resilience.interruption import interrupt_once
from resilience.tables import new_table

OUT = Path(__file__).resolve().parents[2] / "out"
SECONDS = 300.0
_MEBIBYTE = 1024 * 1024

_EPILOG = """\
kinds of faults:
{kinds}

examples:
  python -m resilience.drill                     five minutes, by a seed that is printed
  python -m resilience.drill --seconds 20        each kind once, with little time
  python -m resilience.drill --only outage       one of them, again and again
  python -m resilience.drill --seed 7            the same order and details again

Sensors report all the time, each over its own connection to the core device. At the end all is mended and drained, and
counted in the lake: readings sent, lost (not there), doubled (there as more than one reading; what went out twice has
one message_id and is one), forged (messages taken as somebody else's), starved (not in the cloud within {starved:.0f} s
while a broken device talked), and each process's peak memory against its budget. out/drill.json is {{seconds, readings,
lost, doubled, forged, starved, faults: {{kind: count}}, peak_bytes: {{process: bytes}}, budgets: {{process: bytes}}}}.
The exit code is 1 where a promise is broken, 2 where the drill cannot begin.
"""


class _Shown:
    """The drill's progress in a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def step(self, title: str, total: int | None = None) -> None:
        self._end()
        self._task = self._progress.add_task(title, total=total, note="")

    def advance(self, done: int, note: str = "") -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, note=note)

    def say(self, text: str) -> None:
        self._progress.console.print(text)

    def _end(self) -> None:
        if self._task is not None:
            task = next(each for each in self._progress.tasks if each.id == self._task)
            self._progress.update(self._task, total=task.total or 1, completed=task.total or 1, note="")


def main() -> None:
    """Attack, print and write."""
    arguments = _parser().parse_args()
    forgive_encodings()
    logging.basicConfig(level=logging.CRITICAL)
    console = Terminal()
    chosen = [fault for fault in FAULTS if not arguments.only or fault.kind in arguments.only]
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    columns = (TextColumn("{task.description:<28}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    try:
        check_folder(arguments.work)
        with FolderLock.take(arguments.work / "drill.lock"):
            console.print(f"seed {seed}")
            with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
                result = run(arguments.seconds, seed, arguments.work, _Shown(progress), chosen)
    except KeyboardInterrupt:
        console.print("interrupted: everything is stopped, and nothing is written")
        sys.exit(130)
    except (FactoryError, FolderTakenError) as error:
        console.print(marked("[red]{}[/]", error))
        sys.exit(2)
    _print(console, result)
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(json.dumps(result._asdict(), indent=1) + "\n")
    console.print(f"written to {arguments.file}; seed {seed}")
    sys.exit(1 if result.broken else 0)


def _print(console: Terminal, result: Result) -> None:
    faults = new_table("Faults injected", "Kind", "Times")
    for kind, count in result.faults.items():
        faults.add_row(kind, str(count))
    memory = new_table("Memory", "Process", "Peak MiB", "Budget MiB")
    for process, peak in result.peak_bytes.items():
        style = "red" if peak > result.budgets[process] else "green"
        shown = marked(f"[{style}]{{}}[/]", f"{peak / _MEBIBYTE:.0f}")
        memory.add_row(process, shown, f"{result.budgets[process] / _MEBIBYTE:.0f}")
    counts = new_table(f"In {result.seconds:.0f} s", "Readings", "Number")
    counts.add_row("sent", f"{result.readings:,}")
    for name in ("lost", "doubled", "forged", "starved"):
        number = getattr(result, name)
        counts.add_row(name, marked(f"[{'red' if number else 'green'}]{{}}[/]", f"{number:,}"))
    for table in (faults, memory, counts):
        console.print(table)
    for line in result.broken:
        console.print(marked("[red]broken[/]: {}", line))


def _parser() -> argparse.ArgumentParser:
    width = max(len(fault.kind) for fault in FAULTS)
    parser = argparse.ArgumentParser(
        prog="python -m resilience.drill",
        description=__doc__,
        epilog=_EPILOG.format(
            kinds="\n".join(f"  {fault.kind:<{width}}  {fault.says}" for fault in FAULTS), starved=STARVED_SECONDS
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=positive_seconds, default=SECONDS, help=f"of the attack; {SECONDS:.0f} by default"
    )
    parser.add_argument("--seed", type=int, help="of the faults' order and details; another each time by default")
    kinds = [fault.kind for fault in FAULTS]
    parser.add_argument(
        "--only", action="append", default=[], choices=kinds, metavar="KIND", help="this one alone; may be repeated"
    )
    parser.add_argument("--work", type=Path, default=OUT / "drill", help="folder of the factory, with its logs")
    parser.add_argument("--file", type=Path, default=OUT / "drill.json", help="where the result is written")
    return parser


if __name__ == "__main__":
    interrupt_once()
    main()
