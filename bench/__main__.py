"""Measures the project's figures, each against a reference in the same run, and writes `out/bench.json`."""

import argparse
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.edge_timing import SINGLE_THREAD, Advance
from bench.figure import OUT_OF_REACH, Figure, written
from pm_sandbox.terminal import Terminal, forgive_encodings, marked

FILE = Path(__file__).resolve().parent.parent / "out" / "bench.json"


class Measure(NamedTuple):
    """A group of figures that are measured in one go.

    Attributes:
        names: What `--only` takes; each is the name of a row, or the beginning of several.
        says: What it is, and against what, in a line.
        figures: Called with the names that are wanted, the runs (None for its own default) and whom to tell.
    """

    names: tuple[str, ...]
    says: str
    figures: Callable[[Sequence[str], int | None, Advance], Iterator[Figure]]


# Imported when they are measured: their libraries take seconds to import, and read the environment then.


def _sites(_: Sequence[str], runs: int | None, __: Advance) -> Iterator[Figure]:
    from bench import sites

    return sites.figures(runs or sites.RUNS)


def _engines(_: Sequence[str], runs: int | None, __: Advance) -> Iterator[Figure]:
    from bench import engines

    return engines.figures(runs or engines.RUNS)


def _forecast_model(_: Sequence[str], runs: int | None, advance: Advance) -> Iterator[Figure]:
    from bench import edge_answers

    return edge_answers.forecast_model_figure(runs or edge_answers.ROUNDS, advance)


def _forecast_features(_: Sequence[str], runs: int | None, advance: Advance) -> Iterator[Figure]:
    from bench import edge_answers

    return edge_answers.forecast_features_figure(runs or edge_answers.ROUNDS, advance)


def _fault_score(_: Sequence[str], runs: int | None, advance: Advance) -> Iterator[Figure]:
    from bench import edge_answers

    return edge_answers.fault_score_figure(runs or edge_answers.ROUNDS, advance)


def _footprint(names: Sequence[str], runs: int | None, advance: Advance) -> Iterator[Figure]:
    from bench import edge_footprint

    return edge_footprint.figures(names, runs or edge_footprint.ROUNDS, advance)


def _pipeline(_: Sequence[str], runs: int | None, advance: Advance) -> Iterator[Figure]:
    from bench import edge_rates

    return edge_rates.pipeline_figures(runs or edge_rates.RUNS, advance=advance)


def _catch_up(_: Sequence[str], runs: int | None, advance: Advance) -> Iterator[Figure]:
    from bench import edge_rates

    return edge_rates.catch_up_figures(runs or edge_rates.RUNS, advance=advance)


MEASURES = (
    Measure(("sites",), "the program with 10 and 100 sites, against as many programs of one", _sites),
    Measure(("engines",), "an update of 1, 10 and 100 sites by our engine, against Pulumi's", _engines),
    Measure(("forecast_model",), "a row to a forecast, against pandas, MinMaxScaler, keras.predict", _forecast_model),
    Measure(("forecast_features",), "a reading to a forecast, against pandas features and DMatrix", _forecast_features),
    Measure(("fault_score",), "170 values to a probability, against DMatrix and Booster.predict", _fault_score),
    Measure(
        ("cold_start", "peak_memory", "install_size"),
        "of a component, against the same with Keras, and (_fault) with XGBoost",
        _footprint,
    ),
    Measure(
        ("pipeline_rate",), "readings/s through all components, against the broker's rate to one client", _pipeline
    ),
    Measure(("catch_up",), "readings/s after an outage, against the same, and (_bridge) mosquitto's bridge", _catch_up),
)
NAMES = tuple(name for measure in MEASURES for name in measure.names)

_EPILOG = """\
what there is to measure:
{measures}

examples:
  python -m bench                          all of it (10 minutes on two processors)
  python -m bench --only fault_score       one row; the others in the file stay as they are
  python -m bench --skip sites             all the others
  python -m bench --only catch_up --runs 1 quicker, and less sure

A row of out/bench.json is {{name, unit, ours, reference, ratio, limit, runs}}: medians of the runs, and a ratio above 1
means better than the reference. The first run trains the models that are measured, into out/bench (about a minute).
catch_up_bridge needs mosquitto (apt-get install mosquitto), engines the command pulumi or Go to build it; without them
the rows say so and have no ratio.
The exit code is 1 where a figure stays below its limit, but for limits that are out of reach, or could not be measured.
"""


def main() -> None:
    """Measure, print and write."""
    parser = _parser()
    arguments = parser.parse_args()
    wanted = [name for name in [*arguments.names, *arguments.only] or NAMES if name not in arguments.skip]
    os.environ.update(SINGLE_THREAD)
    logging.basicConfig(level=logging.ERROR)
    forgive_encodings()
    console = Terminal()
    figures: list[Figure] = []
    failed = False
    columns = (TextColumn("{task.description:<18}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for measure in MEASURES:
            names = [name for name in measure.names if name in wanted]
            if not names:
                continue
            task = progress.add_task(measure.names[0], total=1.0)
            try:
                for figure in measure.figures(names, arguments.runs, functools.partial(_advance, progress, task)):
                    figures.append(figure)
                    written([figure], arguments.file)
            except Exception as error:  # whatever it is, the other figures are still to be had
                failed = True
                said = f"{measure.names[0]} could not be measured: {type(error).__name__}: {error}"
                console.print(marked("[red]{}[/]", said))
            progress.update(task, completed=1.0)
    console.print(_table(figures))
    below = [figure.name for figure in figures if not figure.reached]
    for name in below:
        if name in OUT_OF_REACH:
            console.print(marked("[yellow]{} is below a limit that is out of reach[/]: {}", name, OUT_OF_REACH[name]))
    console.print(f"written to {arguments.file}")
    sys.exit(1 if failed or set(below) - set(OUT_OF_REACH) else 0)


def _advance(progress: Progress, task: TaskID, done: float) -> None:
    progress.update(task, completed=done)


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, NAMES))
    lines = [
        f"  {name:<{width}}  {measure.says if name == measure.names[0] else 'likewise'}"
        for measure in MEASURES
        for name in measure.names
    ]
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=_EPILOG.format(measures="\n".join(lines)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, []], metavar="NAME", help="what to measure; all by default"
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=NAMES, metavar="NAME", help="the same; may be repeated"
    )
    parser.add_argument(
        "--skip", action="append", default=[], choices=NAMES, metavar="NAME", help="not this one; may be repeated"
    )
    parser.add_argument("--runs", type=_positive, help="how often each is measured, instead of its own number")
    parser.add_argument("--file", type=Path, default=FILE, help="where the figures are written")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: it must be a whole number from 1 on")
    return int(text)


def _table(figures: list[Figure]) -> Table:
    table = Table(
        title="Figures: ratio above 1 is better than the reference",
        box=box.SIMPLE_HEAD,
        padding=0,
        collapse_padding=True,
    )
    for column in ("Name", "Unit", "Ours", "Reference", "Ratio", "At least", "Runs"):
        table.add_column(column, no_wrap=True, justify="left" if column in ("Name", "Unit") else "right")
    for figure in figures:
        style = "green" if figure.reached else "red"
        values = (
            _short(figure.ours),
            "-" if figure.reference is None else _short(figure.reference),
            "-" if figure.ratio is None else marked(f"[{style}]{figure.ratio:.3g}[/]"),
            f"{figure.limit:g}",
        )
        table.add_row(figure.name, figure.unit, *values, str(figure.runs))
    return table


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    main()
