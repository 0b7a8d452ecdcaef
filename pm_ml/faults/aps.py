"""Readers of the fault data "APS Failure at Scania Trucks" (UCI 421), as UCI publishes it and without a header.

UCI's file begins with a preamble (the licence), then a header `class,aa_000,...`, then rows whose first column is
`neg` or `pos` and whose missing values are `na`. The form that training services like has no header, and 0 or 1 for the
class. The rules for a cell are those of `pm_contracts.csv_readings`.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pm_contracts.csv_readings import RefusedRow, numbers_of, row_of
from pm_contracts.measurements import MACHINE_MEASUREMENTS, MachineMeasurements, limits_of
from pm_ml.data import DataRefused, refused_rows
from pm_ml.faults.protocol import LabelledReadings

CLASSES = {"neg": False, "pos": True, "0": False, "1": True, "0.0": False, "1.0": True}
COLUMNS = ("class", *MACHINE_MEASUREMENTS)
#: The preamble has 20 lines; a header further down than this is none.
LONGEST_PREAMBLE = 100
_LIMITS = limits_of(MachineMeasurements)


def read(file: Path) -> tuple[LabelledReadings, pd.DataFrame]:
    """The readings of a file, each of a truck of its own, and the rows refused, with line and reason.

    Raises:
        DataRefused: if the file is not there, of neither form, or has no good row.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"{file}: {error}") from error
    measurements: list[NDArray[np.float32]] = []
    faulty: list[bool] = []
    machines: list[str] = []
    refused: list[RefusedRow] = []
    start = _first_row(file, lines)
    for number, line in enumerate(lines[start:], start=start + 1):
        if not line.strip():
            continue
        try:
            row = row_of(line, COLUMNS)
            values = list(numbers_of(row, _LIMITS).values())
            verdict = CLASSES.get(row["class"].strip())
            if verdict is None:
                raise ValueError(f"class: {row['class']!r} is none of {', '.join(CLASSES)}")
        except ValueError as error:
            refused.append(RefusedRow(number, line, str(error)))
            continue
        measurements.append(np.array(values, dtype=np.float32))
        faulty.append(verdict)
        machines.append(f"{file.stem}-{number}")
    if not machines:
        raise DataRefused(
            f"{file} has no good row; the first reason: {refused[0].reason}" if refused else f"{file} has no row"
        )
    readings = LabelledReadings(
        measurements=np.stack(measurements),
        faulty=np.array(faulty),
        machine=np.array(machines),
        number=np.zeros(len(machines), dtype=np.int64),
    )
    return readings, refused_rows(refused)


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
