"""Training data: the readings of a directory, as the lake exports them (Parquet) or as a CSV of the original schema."""

from dataclasses import dataclass
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from ibis.expr.types import Table
from numpy.typing import NDArray

from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, MACHINE_MEASUREMENTS

#: The columns of the CSV: those of the UCI "Beijing PM2.5 Data" set in the form that the original sample used.
CSV_COLUMNS = ("date", *AIR_QUALITY_MEASUREMENTS)
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


def machine_readings(connection: ibis.BaseBackend, directory: Path) -> MachineReadings:
    """The readings of machines in `directory`, each once, those without a verdict left out.

    Raises:
        DataRefused: where there is no data, or it is not of the schema.
    """
    readings = _parquet(connection, _files(directory), MACHINE_MEASUREMENTS)
    if "faulty" not in readings.columns:
        raise DataRefused(f"{directory}: column 'faulty' is missing; found are {', '.join(readings.columns)}")
    first = ibis.window(group_by=["device", "sequence", "event_time"], order_by="event_time")
    once = readings.mutate(copy=ibis.row_number().over(first)).filter(ibis._.copy == 0, ibis._.faulty.notnull())
    chosen = once.order_by("event_time", "device").select(
        "device",
        "event_time",
        "faulty",
        **{name: once.measurements[name].cast("float32") for name in MACHINE_MEASUREMENTS},
    )
    found = connection.to_pyarrow(chosen).to_pandas()
    return MachineReadings(
        measurements=found[list(MACHINE_MEASUREMENTS)].to_numpy(dtype=np.float32, na_value=np.nan),
        faulty=found["faulty"].to_numpy(dtype=bool),
        machine=found["device"].to_numpy(dtype=str),
        event_time=found["event_time"].to_numpy(),
    )


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
