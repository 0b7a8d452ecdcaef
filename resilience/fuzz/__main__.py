"""Tries damaged and hostile input at each boundary of the product, and writes `out/fuzz.json`."""

import argparse
import json
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pm_sandbox.terminal import Terminal, forgive_encodings, marked
from resilience.arguments import positive, positive_seconds
from resilience.fuzz import corpus
from resilience.fuzz.boundaries import BOUNDARIES
from resilience.fuzz.run import Tried, run
from resilience.interruption import interrupt_once
from resilience.tables import new_table

FILE = Path(__file__).resolve().parents[2] / "out" / "fuzz.json"
CASES = 20_000
_NAMES = tuple(boundary.name for boundary in BOUNDARIES)

_EPILOG = """\
boundaries:
{names}

examples:
  python -m resilience.fuzz                      all of them, some minutes on two processors
  python -m resilience.fuzz --only csv --seed 7  one of them, by another seed
  python -m resilience.fuzz --seconds 10         as many cases as that gives

An input may be taken, or refused by the error that the boundary declares. Any other error, an input that takes more
than 10 s of the processor, 1 GiB more memory or the process's life is a failure: its first input for each place is kept
in resilience/fuzz/corpus with the reason, and tried first in each later run. out/fuzz.json is
{{boundaries: {{name: cases}}, failures}}, the number of failures of different places.
The exit code is 1 where something failed.
"""


def main() -> None:
    """Try, print and write."""
    arguments = _parser().parse_args()
    chosen = [boundary for boundary in BOUNDARIES if not arguments.only or boundary.name in arguments.only]
    forgive_encodings()
    console = Terminal()
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # It draws when it is told to: with a thread of its own, no process could be forked.
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        task = progress.add_task("boundaries", total=len(chosen))

        def advance(tried: Tried, is_done: bool) -> None:
            progress.update(task, advance=int(is_done), description=tried.name)
            progress.refresh()

        console.print(f"seed {arguments.seed}")
        try:
            results = run(chosen, arguments.cases, arguments.seconds, arguments.seed, arguments.corpus, advance)
        except KeyboardInterrupt:
            console.print("interrupted: nothing is written")
            sys.exit(130)
    table = new_table("Inputs tried", "Boundary", "Cases", "Failures")
    for tried in sorted(results):
        style = "red" if tried.failures else "green"
        table.add_row(tried.name, f"{tried.cases:,}", marked(f"[{style}]{{}}[/]", len(tried.failures)))
    console.print(table)
    failed = [(tried.name, *failure) for tried in sorted(results) for failure in tried.failures]
    for name, failure, path in failed:
        console.print(marked("[red]{}[/]: {}; kept in {}", name, failure.reason, path))
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    summary = {"boundaries": {tried.name: tried.cases for tried in sorted(results)}, "failures": len(failed)}
    arguments.file.write_text(json.dumps(summary, indent=1) + "\n")
    console.print(f"{sum(tried.cases for tried in results):,} cases; written to {arguments.file}")
    sys.exit(1 if failed else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m resilience.fuzz",
        description=__doc__,
        epilog=_EPILOG.format(names="\n".join(f"  {name}" for name in _NAMES)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=_NAMES, metavar="NAME", help="this one alone; may be repeated"
    )
    parser.add_argument(
        "--cases", type=positive, default=CASES, help=f"at each boundary, fewer at slow ones; {CASES:,} by default"
    )
    parser.add_argument(
        "--seconds", type=positive_seconds, help="for all of them together, beside getting ready; no limit by default"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the cases; 0 by default")
    parser.add_argument("--corpus", type=Path, default=corpus.FOLDER, help="where failing inputs are kept")
    parser.add_argument("--file", type=Path, default=FILE, help="where the figures are written")
    return parser


if __name__ == "__main__":
    interrupt_once()
    main()
