"""The stream of readings of a site's devices, in the order of time: from the simulators or from a CSV file.

What a CSV file may hold is decided by `pm_contracts.csv_readings`. A row that is no reading is handed to `on_refused`,
and the others go on.
"""

import datetime as dt
import heapq
from collections.abc import Callable, Iterator
from pathlib import Path

from pm_contracts import csv_readings
from pm_contracts.csv_readings import CsvRefused, RefusedRow
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
    follow_links: bool = True,
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
        follow_links: whether `data` may be a symbolic link.

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
                streams.append(_recorded_air_quality(site, name, _rows(data, on_refused, follow_links), start, end))
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


def _rows(path: Path, on_refused: OnRefused | None, follow_links: bool) -> Iterator[csv_readings.Row]:
    try:
        rows = csv_readings.rows(path, follow_links=follow_links)
    except CsvRefused as error:
        raise SourceError(str(error)) from error
    return _good(path, rows, on_refused)


def _good(
    path: Path, rows: Iterator[csv_readings.Row | RefusedRow], on_refused: OnRefused | None
) -> Iterator[csv_readings.Row]:
    for row in rows:
        if not isinstance(row, RefusedRow):
            yield row
        elif on_refused is None:
            raise SourceError(f"{path}:{row.line}: {row.reason}")
        else:
            on_refused(*row)


def _recorded_air_quality(
    site: str, device: str, rows: Iterator[csv_readings.Row], start: dt.datetime, end: dt.datetime
) -> Iterator[AirQualityReading]:
    for row in rows:
        if start <= row.event_time < end:
            yield AirQualityReading(
                site=site,
                device=device,
                sequence=row.sequence,
                event_time=row.event_time,
                measurements=AirQualityMeasurements(**row.measurements),
            )
