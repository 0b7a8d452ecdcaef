"""Readers of the fault data "APS Failure at Scania Trucks" (UCI 421), as UCI publishes it and without a header.

UCI's file begins with a preamble (the licence), then a header `class,aa_000,...`, then rows whose first column is
`neg` or `pos` and whose missing values are `na`. The form that training services like has no header, and 0 or 1 for the
class.
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from pm_contracts.measurements import MACHINE_MEASUREMENTS, MachineMeasurements
from pm_ml.data import DataRefused
from pm_ml.faults.protocol import LabelledReadings
from pm_ml.validation import check_numbers, limits_of

CLASSES = {"neg": False, "pos": True, "0": False, "1": True, "0.0": False, "1.0": True}
COLUMNS = ("class", *MACHINE_MEASUREMENTS)
#: The preamble has 20 lines; a header further down than this is none.
LONGEST_PREAMBLE = 100


def read(file: Path) -> tuple[LabelledReadings, pd.DataFrame]:
    """The readings of a file, each of a truck of its own, and the rows refused, with line and reason.

    Raises:
        DataRefused: if the file is not there, of neither form, or has no good row.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"{file}: {error}") from error
    start = _first_row(file, lines)
    try:
        text = pd.read_csv(io.StringIO("".join(lines[start:])), header=None, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise DataRefused(f"{file}: {error}") from error
    if text.shape[1] != len(COLUMNS):
        raise DataRefused(
            f"{file} has {text.shape[1]} columns; needed are {len(COLUMNS)}: the class and 170 measurements"
        )
    text.columns = list(COLUMNS)
    checked = check_numbers(text[list(MACHINE_MEASUREMENTS)], limits_of(MachineMeasurements), first_line=start + 1)
    faulty = text["class"].str.strip().map(CLASSES)
    unknown = faulty.isna() & faulty.index.isin(checked.good.index)
    refused = pd.concat(
        [
            checked.refused,
            pd.DataFrame(
                {
                    "line": np.flatnonzero(unknown) + start + 1,
                    "reason": [f"class: {each!r} is none of {', '.join(CLASSES)}" for each in text["class"][unknown]],
                    "row": [",".join(row) for row in text[unknown].itertuples(index=False)],
                }
            ),
        ],
        ignore_index=True,
    ).sort_values("line", ignore_index=True)
    good = checked.good[~unknown[checked.good.index]]
    if good.empty:
        raise DataRefused(f"{file} has no good row; the first reason: {refused['reason'].iloc[0]}")
    readings = LabelledReadings(
        measurements=good[list(MACHINE_MEASUREMENTS)].to_numpy(dtype=np.float32),
        faulty=faulty[good.index].to_numpy(dtype=bool),
        machine=np.array([f"{file.stem}-{line + start + 1}" for line in good.index]),
        number=np.zeros(len(good), dtype=np.int64),
    )
    return readings, refused


def together(parts: list[LabelledReadings]) -> LabelledReadings:
    """Readings of several files as one; UCI's training and test file are split anew by the protocol."""
    return LabelledReadings(
        measurements=np.concatenate([part.measurements for part in parts]),
        faulty=np.concatenate([part.faulty for part in parts]),
        machine=np.concatenate([part.machine for part in parts]),
        number=np.concatenate([part.number for part in parts]),
    )


def _first_row(file: Path, lines: list[str]) -> int:
    """The index of the first line with a reading."""
    for number, line in enumerate(lines[:LONGEST_PREAMBLE]):
        cells = [cell.strip() for cell in line.split(",")]
        if cells[0] == "class":
            if tuple(cells) != COLUMNS:
                odd = [cell for cell, name in zip(cells, COLUMNS, strict=False) if cell != name][:3]
                raise DataRefused(f"{file}, line {number + 1}: {len(cells)} columns, unexpected are {odd}")
            return number + 1
        if cells[0] in CLASSES and len(cells) == len(COLUMNS):
            return number
    raise DataRefused(f"{file}: no line begins with 'class,aa_000' or with one of {', '.join(CLASSES)}")
