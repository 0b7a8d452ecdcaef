"""Training data: the readings of a directory, as the lake exports them (Parquet) or as a CSV of the original schema."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import Table
from numpy.typing import NDArray

from pm_contracts import csv_readings
from pm_contracts.csv_readings import CsvRefused, RefusedRow
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, MACHINE_MEASUREMENTS

#: Machine readings whose measurements are kept in memory, 680 bytes each; docs/scale.md has what training needs beside.
ROWS_IN_MEMORY = 2_000_000
#: Readings that are read and prepared at once.
BATCH_ROWS = 16_384
_REFUSED_COLUMNS = ("line", "reason", "row")
_READING_COLUMNS = ("device", "sequence", "event_time", "measurements")


class DataRefused(ValueError):
    """Data that cannot be trained on; the text says which file or column, what was found and what is needed."""


@dataclass(frozen=True)
class MachineReadings:
    """Readings of machines that the workshop has looked at, in the order of time."""

    measurements: NDArray[np.float32]  #: readings x 170, NaN where missing, columns as `MACHINE_MEASUREMENTS`
    faulty: NDArray[np.bool_]  #: readings
    machine: NDArray[np.str_]  #: readings; site and device
    event_time: NDArray[np.datetime64]  #: readings, UTC


class Checked(NamedTuple):
    """A file's rows, sorted out."""

    good: pd.DataFrame  #: numbers, NaN where missing
    refused: pd.DataFrame  #: `line` (1 is the file's first), `reason`, `row` (as it was)


class AirQuality(NamedTuple):
    """The readings of air-quality stations."""

    #: device (site and device, where a site is given), sequence, event_time and the measurements, one row a reading or
    #: more: `pm_ml.forecast.features.hourly` chooses.
    readings: Table
    #: Rows of CSV files: `file`, `line` (1 is the file's first), `reason`, `row` (as it was). The lake has none: what
    #: is in it was held to the same limits as a message.
    refused: pd.DataFrame


def air_quality_readings(connection: ibis.BaseBackend, directory: Path) -> AirQuality:
    """The readings of air-quality stations in `directory`.

    Raises:
        DataRefused: if there is no data, or it is not of the schema.
    """
    files = _files(directory)
    if all(file.suffix == ".csv" for file in files):
        checked = {file: read_air_quality(file) for file in files}
        good = pd.concat([each.good for each in checked.values()], ignore_index=True)
        refused = [each.refused.assign(file=str(file)) for file, each in checked.items()]
        return AirQuality(ibis.memtable(good), pd.concat(refused, ignore_index=True)[["file", *_REFUSED_COLUMNS]])
    readings = _parquet(connection, files, AIR_QUALITY_MEASUREMENTS)
    columns = {name: readings.measurements[name].cast("float64") for name in AIR_QUALITY_MEASUREMENTS}
    return AirQuality(
        readings.select("device", "sequence", "event_time", **columns),
        pd.DataFrame(columns=["file", *_REFUSED_COLUMNS]),
    )


def read_air_quality(file: Path) -> Checked:
    """The rows of a CSV file; `pm_contracts.csv_readings` decides what it may hold.

    Returns:
        The good rows have the columns `device`, `sequence`, `event_time` and the measurements, as
        `pm_ml.forecast.features.hourly` takes them.

    Raises:
        DataRefused: if the file is not there, has other columns, or no good row.
    """
    good: list[csv_readings.Row] = []
    refused: list[RefusedRow] = []
    try:
        for row in csv_readings.rows(file):
            if isinstance(row, RefusedRow):
                refused.append(row)
            else:
                good.append(row)
    except CsvRefused as error:
        raise DataRefused(str(error)) from error
    if not good:
        raise DataRefused(
            f"{file} has no good row; the first reason: {refused[0].reason}" if refused else f"{file} has no row"
        )
    columns = {
        "device": file.stem,
        "sequence": [row.sequence for row in good],
        "event_time": pd.to_datetime([row.event_time for row in good]).tz_localize(None).as_unit("us"),
    }
    numbers = np.array([list(row.measurements.values()) for row in good], dtype=np.float64)
    return Checked(
        pd.DataFrame(columns | dict(zip(AIR_QUALITY_MEASUREMENTS, numbers.T, strict=True))), refused_rows(refused)
    )


def refused_rows(rows: list[RefusedRow]) -> pd.DataFrame:
    """Refused rows as a table: `line`, `reason`, `row`."""
    return pd.DataFrame([(row.line, row.reason, row.text) for row in rows], columns=list(_REFUSED_COLUMNS))


def machine_readings(
    connection: ibis.BaseBackend, directory: Path, scratch: Path | None = None, rows_in_memory: int = ROWS_IN_MEMORY
) -> MachineReadings:
    """The readings of machines in `directory`, each once, those without a verdict left out.

    The measurements are read in batches, straight to their places, so that there are never two copies of them.

    Args:
        connection: to DuckDB.
        directory: of Parquet files.
        scratch: folder for what is kept out of memory; None: all is kept in memory.
        rows_in_memory: where there are more readings, the measurements are a file of `scratch` (`numpy.memmap`).

    Raises:
        DataRefused: if there is no data, or it is not of the schema.
    """
    files = _files(directory)
    readings = _parquet(connection, files, MACHINE_MEASUREMENTS)
    if "faulty" not in readings.columns:
        raise DataRefused(f"{directory}: column 'faulty' is missing; found are {', '.join(readings.columns)}")
    # DuckDB keeps the order of files and rows (its `preserve_insertion_order`), so a row's number is its place there.
    narrow = connection.to_pyarrow(readings.select("device", "sequence", "event_time", "faulty")).to_pandas()
    known = narrow[narrow["faulty"].notna()].drop_duplicates(["device", "sequence", "event_time"])
    known = known.sort_values(["event_time", "device"], kind="stable")
    place = np.full(len(narrow), -1, dtype=np.int64)
    place[known.index.to_numpy()] = np.arange(len(known))
    return MachineReadings(
        measurements=_measurements(files, place, scratch if len(known) > rows_in_memory else None),
        faulty=known["faulty"].to_numpy(dtype=bool),
        machine=known["device"].to_numpy(dtype=str),
        event_time=known["event_time"].to_numpy(),
    )


def _measurements(files: list[Path], place: NDArray[np.int64], scratch: Path | None) -> NDArray[np.float32]:
    """The measurements of the files' rows at their places; a row without a place (-1) is passed over."""
    shape = (int(np.count_nonzero(place >= 0)), len(MACHINE_MEASUREMENTS))
    found: NDArray[np.float32]
    if scratch is None:
        found = np.empty(shape, dtype=np.float32)
    else:
        found = np.memmap(scratch / "measurements.float32", dtype=np.float32, mode="w+", shape=shape)
    row = 0
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=["measurements"]):
            structure = batch.column(0)
            columns = dict(zip((field.name for field in structure.type), structure.flatten(), strict=True))
            at = place[row : row + len(batch)]
            kept = at >= 0
            for number, name in enumerate(MACHINE_MEASUREMENTS):
                found[at[kept], number] = columns[name].to_numpy(zero_copy_only=False)[kept]
            row += len(batch)
    return found


def _files(directory: Path) -> list[Path]:
    if directory.is_file():
        return [directory]
    # Athena's UNLOAD gives its files no suffix, so whatever is not hidden is taken for data.
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not path.name.startswith((".", "_")))
    if not files:
        raise DataRefused(f"{directory} has no file; needed are Parquet files of readings or CSV files")
    return files


def _parquet(connection: ibis.BaseBackend, files: list[Path], measurements: tuple[str, ...]) -> Table:
    for file in files:
        try:
            pq.read_metadata(file)
        except (pa.ArrowException, OSError) as error:
            raise DataRefused(f"{file} is no whole Parquet file: {error}") from error
    readings: Table = connection.read_parquet([str(file) for file in files])
    missing = [name for name in _READING_COLUMNS if name not in readings.columns]
    if missing:
        raise DataRefused(f"{files[0]}: columns {missing} are missing; found are {', '.join(readings.columns)}")
    structure = readings.measurements.type()
    absent = [name for name in measurements if not structure.is_struct() or name not in structure.names]
    if absent:
        raise DataRefused(f"{files[0]}: measurements {absent} are missing; found is {structure}")
    if "site" in readings.columns:  # devices are named within their site
        readings = readings.mutate(device=readings.site.concat("/", readings.device))
    return readings.mutate(event_time=readings.event_time.cast("timestamp"))
