"""The demo's data: its source, and the spans that are history and live."""

import datetime as dt
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pm_contracts.measurements import MACHINE
from pm_edge.devices.player import RECORDINGS
from pm_edge.devices.simulator import machines, sources
from pm_edge.runtime.files import write_atomically

#: The last fifth of the series is live; of a five-year series the last year.
LIVE_SHARE = 5
#: Years pass in minutes here: as many alerts in ten minutes are no storm.
_MAIL_LIMIT = 1000


@dataclass(frozen=True)
class Plan:
    """The demo's input.

    Attributes:
        data: CSV of the air-quality station; None for the simulator.
        start: First event time of the history, UTC.
        live_start: First event time of the live stream; the history ends before it.
        end: The live stream ends before it.
        cut_messages: The uplink stays cut until so many messages wait in the outbox.
        config: Values over those of the stack's configuration file.
        live_per_second: Readings a second in the live stream: an hour in about a millisecond, and slow enough that the
            uplink keeps up, so that what waits in the outbox while it is cut is what the cut has held back.
        seed: Of the simulators.
    """

    data: Path | None = None
    start: dt.datetime = sources.START
    live_start: dt.datetime = sources.END - (sources.END - sources.START) / LIVE_SHARE
    end: dt.datetime = sources.END
    cut_messages: int = 5000
    live_per_second: int = 800
    config: dict[str, Any] = field(default_factory=lambda: {"alarms": {"mail_limit": _MAIL_LIMIT}})
    seed: int = 0

    @classmethod
    def of(cls, data: Path | None) -> "Plan":
        """The plan for a CSV file, or for the simulator.

        Raises:
            SourceError: if the file cannot be read, has other columns, or holds no reading.
        """
        if data is None:
            return cls()
        refused: list[str] = []

        def on_refused(line: int, _row: str, reason: str) -> None:
            if not refused:
                refused.append(f"; line {line} is refused: {reason}")

        stream = sources.readings("plan", {"station": "air_quality"}, data=data, on_refused=on_refused)
        first = next(stream, None)
        last = deque(stream, maxlen=1)
        if first is None or not last:
            raise sources.SourceError(
                f"{data}: holds no two good readings from {sources.START:%Y-%m-%d} to before {sources.END:%Y-%m-%d}"
                + "".join(refused)
            )
        start, end = first.event_time, last[0].event_time + dt.timedelta(hours=1)
        return cls(data=data.absolute(), start=start, live_start=end - (end - start) / LIVE_SHARE, end=end)

    def expected(self, site: str, devices: dict[str, str], *, live: bool) -> dict[str, int]:
        """The number of readings that each of the lake's tables must get, counted at the source."""
        start, end = (self.live_start, self.end) if live else (self.start, self.live_start)
        counts: dict[str, int] = {}
        for reading in sources.readings(
            site, devices, data=self.data, start=start, end=end, seed=self.seed, on_refused=lambda *_: None
        ):
            counts[reading.kind] = counts.get(reading.kind, 0) + 1
        return counts

    def hand_over(self, device_directory: Path) -> None:
        """Put the data where the components of a core device take a command's file from.

        Args:
            device_directory: the core device's folder.

        Raises:
            OSError: if it cannot be copied.
        """
        if self.data is not None:
            write_atomically(device_directory / RECORDINGS / self.data.name, self.data.read_bytes())

    def command_parameters(self, *, live: bool) -> dict[str, Any]:
        """The parameters of the `replay` (history) or `simulate` (live) command, once the data is handed over."""
        start, end = (self.live_start, self.end) if live else (self.start, self.live_start)
        return {
            "data": self.data.name if self.data else "",
            "start": start.isoformat(),
            "end": end.isoformat(),
            "seed": self.seed,
            "per_second": self.live_per_second if live else 0,
        }

    def injected_faults(self, devices: dict[str, str]) -> dict[str, list[tuple[dt.datetime, dt.datetime, str]]]:
        """The faults that the live stream carries: by machine, onset, failure and subsystem."""
        found: dict[str, list[tuple[dt.datetime, dt.datetime, str]]] = {}
        for name, device_type in devices.items():
            if device_type != MACHINE:
                continue
            for fault in machines.simulate(name, sources.DAYS, self.seed).faults:
                day = [sources.START + dt.timedelta(days=d) for d in (fault.first_faulty_day, fault.failure_day)]
                if day[1] > self.live_start and day[0] < self.end:
                    onset = sources.START + dt.timedelta(days=fault.onset_day)
                    found.setdefault(name, []).append((onset, day[1], fault.subsystem))
        return found
