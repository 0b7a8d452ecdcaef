"""Training data: the readings of a directory, as the lake exports them (Parquet) or as a CSV of the original schema."""

from dataclasses import dataclass
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from ibis.expr.types import Table
from numpy.typing import NDArray

from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, MACHINE_MEASUREMENTS

#: The columns of the CSV: those of the UCI "Beijing PM2.5 Data" set in the form that the original sample used.
CSV_COLUMNS = ("date", *AIR_QUALITY_MEASUREMENTS)
#: Machine readings whose measurements are kept in memory, 680 bytes each; docs/scale.md has what training needs beside.
ROWS_IN_MEMORY = 2_000_000
#: Readings that are read and prepared at once.
BATCH_ROWS = 16_384
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


def air_quality_readings(connection: ibis.BaseBackend, directory: Path) -> Table:
    """The readings of air-quality stations in `directory`.

    Returns:
        device (site and device, where a site is given), sequence, event_time and the measurements, one row a reading or
        more: `ml.features.hourly` chooses.

    Raises:
        DataRefused: where there is no data, or it is not of the schema.
    """
    files = _files(directory)
    if all(file.suffix == ".csv" for file in files):
        return ibis.memtable(pd.concat([_read_csv(file) for file in files], ignore_index=True))
    readings = _parquet(connection, files, AIR_QUALITY_MEASUREMENTS)
    return readings.select(
        "device",
        "sequence",
        "event_time",
        **{name: readings.measurements[name].cast("float64") for name in AIR_QUALITY_MEASUREMENTS},
    )


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
        DataRefused: where there is no data, or it is not of the schema.
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
        with file.open("rb") as opened:
            magic = opened.read(4)
        if magic != b"PAR1":
            raise DataRefused(f"{file} is no Parquet file: it begins with {magic!r}")
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


def _read_csv(file: Path) -> pd.DataFrame:
    found = tuple(pd.read_csv(file, nrows=0).columns)
    missing, extra = sorted(set(CSV_COLUMNS) - set(found)), sorted(set(found) - set(CSV_COLUMNS))
    if missing or extra:
        raise DataRefused(f"{file}: missing columns {missing}, unknown columns {extra}; needed are {CSV_COLUMNS}")
    try:
        frame = pd.read_csv(file, parse_dates=["date"], dtype=dict.fromkeys(AIR_QUALITY_MEASUREMENTS, "float64"))
    except ValueError as error:
        raise DataRefused(f"{file}: {error}") from error
    frame = frame.rename(columns={"date": "event_time"})
    return frame.assign(device=file.stem, sequence=range(len(frame)))
