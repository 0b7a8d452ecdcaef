"""The stream of readings of a site's devices, in the order of time: from the simulators or from a CSV file.

The CSV has the columns of the original sample, `date` and the measurements of an air-quality station, one row an hour.
A file with other columns is refused as a whole; a bad row is handed to `on_refused` and the others go on.
"""

import csv
import datetime as dt
import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pm_contracts.measurements import (
    AIR_QUALITY,
    AIR_QUALITY_MEASUREMENTS,
    MACHINE,
    MACHINE_MEASUREMENTS,
    AirQualityMeasurements,
    MachineMeasurements,
)
from pm_contracts.messages import AirQualityReading, MachineReading, Reading
from pm_edge.devices.simulator import air_quality, machines

CSV_COLUMNS = ("date", *AIR_QUALITY_MEASUREMENTS)
#: The first hour of the simulated series, and of the real one.
START = dt.datetime.fromtimestamp(air_quality.FIRST_HOUR * 3600, dt.UTC)
DAYS = air_quality.HOURS // 24
END = START + dt.timedelta(days=DAYS)

#: Called with the line number (1 is the header), the row as text, and the reason.
OnRefused = Callable[[int, str, str], None]


class SourceError(ValueError):
    """A source that cannot give readings at all; the text names the file, what was found and what is allowed."""


def readings(
    site: str,
    devices: dict[str, str],
    *,
    data: Path | None = None,
    start: dt.datetime = START,
    end: dt.datetime = END,
    seed: int = 0,
    verdicts: bool = False,
    on_refused: OnRefused | None = None,
) -> Iterator[Reading]:
    """The readings of a site's devices with `start` <= event time < `end`, in the order of time.

    Args:
        site: the site's name.
        devices: the type of each device by its name.
        data: a CSV file for the site's one air-quality station; None for the simulator.
        start: first event time, UTC.
        end: event time to stop before, UTC.
        seed: of the simulators.
        verdicts: whether machine readings carry the workshop's verdict, which is known for the past only.
        on_refused: called for each row of the CSV that is no reading; without it such a row raises.

    Returns:
        An iterator; a sequence number counts a device's readings from the start of its series, whatever `start` is.

    Raises:
        SourceError: for a CSV that cannot be read, has other columns, or must serve several stations.
    """
    streams: list[Iterator[Reading]] = []
    stations = [name for name, device_type in devices.items() if device_type == AIR_QUALITY]
    if data is not None and len(stations) > 1:
        raise SourceError(f"{data}: one file for the stations {', '.join(stations)}: a CSV serves exactly one station")
    for name, device_type in devices.items():
        if device_type == AIR_QUALITY:
            if data is None:
                streams.append(_simulated_air_quality(site, name, start, end, seed))
            else:
                _check_header(data)
                streams.append(_recorded_air_quality(site, name, data, start, end, on_refused))
        elif device_type == MACHINE:
            streams.append(_simulated_machine(site, name, start, end, seed, verdicts))
        else:
            raise SourceError(f"device {name}: type {device_type!r}: allowed are {AIR_QUALITY}, {MACHINE}")
    return heapq.merge(*streams, key=lambda reading: reading.event_time)


def _simulated_air_quality(
    site: str, device: str, start: dt.datetime, end: dt.datetime, seed: int
) -> Iterator[AirQualityReading]:
    series = air_quality.simulate(seed)
    rows = zip(*(series[name].tolist() for name in AIR_QUALITY_MEASUREMENTS), strict=True)
    for sequence, row in enumerate(rows):
        event_time = START + dt.timedelta(hours=sequence)
        if start <= event_time < end:
            yield AirQualityReading(
                site=site,
                device=device,
                sequence=sequence,
                event_time=event_time,
                measurements=AirQualityMeasurements(**dict(zip(AIR_QUALITY_MEASUREMENTS, row, strict=True))),
            )


def _simulated_machine(
    site: str, device: str, start: dt.datetime, end: dt.datetime, seed: int, verdicts: bool
) -> Iterator[MachineReading]:
    history = machines.simulate(device, DAYS, seed)
    for day in range(DAYS):
        event_time = START + dt.timedelta(days=day)
        if start <= event_time < end:
            row = zip(MACHINE_MEASUREMENTS, history.measurements[day].tolist(), strict=True)
            yield MachineReading(
                site=site,
                device=device,
                sequence=day,
                event_time=event_time,
                # A missing value is NaN here, and the only number that differs from itself.
                measurements=MachineMeasurements(**{name: value for name, value in row if value == value}),
                faulty=bool(history.faulty[day]) if verdicts else None,
            )


def _check_header(path: Path) -> None:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error
    missing = [column for column in CSV_COLUMNS if column not in header]
    extra = [column for column in header if column not in CSV_COLUMNS]
    repeated = sorted({column for column in header if header.count(column) > 1})
    problems = {"missing column": missing, "unknown column": extra, "repeated column": repeated}
    found = [f"{what} {', '.join(map(repr, columns))}" for what, columns in problems.items() if columns]
    if found:
        raise SourceError(f"{path}: {'; '.join(found)}; the columns must be {','.join(CSV_COLUMNS)}")


def _recorded_air_quality(
    site: str, device: str, path: Path, start: dt.datetime, end: dt.datetime, on_refused: OnRefused | None
) -> Iterator[AirQualityReading]:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for sequence, row in enumerate(csv.DictReader(file, restval=None, restkey="")):
            try:
                reading = _recorded_reading(site, device, sequence, row)
            except ValueError as error:
                text = ",".join(str(value) for value in row.values())
                if on_refused is None:
                    raise SourceError(f"{path}:{sequence + 2}: {error}") from error
                on_refused(sequence + 2, text, str(error))
                continue
            if start <= reading.event_time < end:
                yield reading


def _recorded_reading(site: str, device: str, sequence: int, row: dict[str, Any]) -> AirQualityReading:
    if "" in row or None in row.values():
        raise ValueError(f"{'more' if '' in row else 'fewer'} than the {len(CSV_COLUMNS)} columns of the header")
    try:
        event_time = dt.datetime.fromisoformat(row["date"])
    except ValueError as error:
        raise ValueError(f"date: {row['date']!r} is no ISO 8601 time") from error
    measurements = {}
    for name in AIR_QUALITY_MEASUREMENTS:
        text = row[name].strip()
        try:
            measurements[name] = None if text in ("", "NA", "na") else float(text)
        except ValueError as error:
            raise ValueError(f"{name}: {text!r} is no number") from error
    fields = {
        "device_type": AIR_QUALITY,
        "site": site,
        "device": device,
        "sequence": sequence,
        # The file says no zone; the data set's hours are taken as UTC throughout.
        "event_time": event_time if event_time.tzinfo else event_time.replace(tzinfo=dt.UTC),
        "measurements": measurements,
    }
    return msgspec.convert(fields, AirQualityReading)
