"""A figure: what we reach against a reference, and how far below it we may come."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

#: Limits that no change of ours can reach, by the figure's name, with the reason (docs/performance.md, "What is in the
#: way"): such a figure is measured, written and shown as below its limit, and fails no run.
_CLIENTS = "numpy and the AWS client alone, which both sides have, are more than a fifth of the reference"
OUT_OF_REACH = {
    "pipeline_rate": "a reading becomes three messages over TLS, and all processes share the machine's processors",
    "cold_start_fault": _CLIENTS,
    "peak_memory_fault": _CLIENTS,
    "install_size_fault": _CLIENTS,
}


@dataclass(frozen=True)
class Figure:
    """One row of `out/bench.json`.

    Attributes:
        name: What is measured.
        unit: The unit of `ours` and `reference`.
        ours: Our value, the median of the runs.
        reference: The value that it is held against, measured in the same run; None if it cannot be had here, and
            the unit says why.
        ratio: How much better ours is; above 1 is better. None without a reference.
        limit: The ratio that must be reached.
        runs: How many times it was measured.
    """

    name: str
    unit: str
    ours: float
    reference: float | None
    ratio: float | None
    limit: float
    runs: int

    @property
    def reached(self) -> bool:
        """True if the ratio is at its limit or better, or if there is none."""
        return self.ratio is None or self.ratio >= self.limit


def less_is_better(name: str, unit: str, ours: Sequence[float], reference: Sequence[float], limit: float) -> Figure:
    """A figure of costs: times, counts, bytes. The ratio is that of the medians, reference by ours.

    Args:
        name: What is measured.
        unit: Its unit.
        ours: A value of each run.
        reference: A value of each run.
        limit: The ratio that must be reached.
    """
    mine, other = statistics.median(ours), statistics.median(reference)
    return Figure(name, unit, mine, other, other / mine, limit, len(ours))


def more_is_better(name: str, unit: str, ours: Sequence[float], reference: Sequence[float], limit: float) -> Figure:
    """A figure of what is had: rates. The ratio is that of the medians, ours by reference; see `less_is_better`."""
    mine, other = statistics.median(ours), statistics.median(reference)
    return Figure(name, unit, mine, other, mine / other, limit, len(ours))


def without_reference(name: str, unit: str, ours: Sequence[float], limit: float, reason: str) -> Figure:
    """A figure whose reference cannot be had on this machine, for `reason`."""
    return Figure(name, f"{unit} (no reference: {reason})", statistics.median(ours), None, None, limit, len(ours))


def written(figures: Sequence[Figure], file: Path) -> Path:
    """Write the figures as a JSON list; returns the file. Figures of other names that are there stay."""
    kept = []
    if file.exists():
        names = {figure.name for figure in figures}
        kept = [row for row in json.loads(file.read_text()) if row["name"] not in names]
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = sorted([*kept, *(asdict(figure) for figure in figures)], key=lambda row: str(row["name"]))
    file.write_text(json.dumps(rows, indent=1) + "\n")
    return file
