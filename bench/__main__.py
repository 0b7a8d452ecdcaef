"""Measures: `python -m bench` all of it, `python -m bench sites` one module. Writes `out/bench.json`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import sites
from bench.figure import Figure, written

#: What can be measured: the module's `figures()` yields one row after the other.
MODULES = {"sites": sites}
FILE = Path(__file__).resolve().parent.parent / "out" / "bench.json"


def main() -> None:
    """Measure, print and write; the exit code is 1 where a figure stays below its limit."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the project's figures.")
    parser.add_argument("names", nargs="*", choices=[*MODULES], help="what to measure; all by default")
    parser.add_argument("--file", type=Path, default=FILE, help="where the figures are written")
    arguments = parser.parse_args()
    console = Console()
    figures: list[Figure] = []
    with console.status("") as status:
        for name in arguments.names or MODULES:
            status.update(f"measuring {name}")
            figures += MODULES[name].figures()
    console.print(_table(figures))
    console.print(f"written to {written(figures, arguments.file)}")
    sys.exit(0 if all(figure.reached for figure in figures) else 1)


def _table(figures: list[Figure]) -> Table:
    table = Table(title="Figures: ratio above 1 is better than the reference")
    for column in ("Name", "Unit", "Ours", "Reference", "Ratio", "At least", "Runs"):
        table.add_column(column, overflow="fold", justify="left" if column in ("Name", "Unit") else "right")
    for figure in figures:
        style = "green" if figure.reached else "red"
        values = (
            f"{figure.ours:.4g}",
            f"{figure.reference:.4g}",
            f"[{style}]{figure.ratio:.3g}[/]",
            f"{figure.limit:g}",
        )
        table.add_row(figure.name, figure.unit, *values, str(figure.runs))
    return table


if __name__ == "__main__":
    main()
