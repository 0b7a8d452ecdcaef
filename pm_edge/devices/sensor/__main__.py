"""One sensor: finds its core device, publishes its readings there and reports how it is doing in its shadow."""

import argparse
import datetime as dt
import logging
import re
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from pm_contracts import topics
from pm_contracts.csv_readings import time_of
from pm_contracts.messages import Reading, encode
from pm_edge.devices.sensor.discovery import Discovery, DiscoveryError
from pm_edge.devices.sensor.link import Link
from pm_edge.devices.simulator import sources
from pm_edge.runtime.component import configure_log
from pm_edge.runtime.settings import Settings, argument_parser, settings_of
from pm_edge.runtime.signals import on_end
from pm_edge.runtime.state_file import StateFile

_log = logging.getLogger(__name__)

#: Seconds between two reports in the shadow, and between two notes of what was taken.
REPORT_SECONDS = 5.0
_END_SECONDS = 3.0


class Sensor:
    """A sensor at work."""

    def __init__(self, settings: Settings, per_second: float, link: Link, progress: StateFile) -> None:
        """Publish over `link` at most `per_second` (0: no limit); `progress` remembers what was taken."""
        self._site = settings.site
        [(self._device, self._type)] = settings.devices.items()
        self._per_second = per_second
        self._link = link
        self._progress = progress
        self._taken = _sequence(progress)
        self._published = 0
        self._refused = 0
        self._last_event_time = ""
        self._saved_at = 0.0
        self.stopping = threading.Event()

    def taken(self, sequence: int) -> None:
        """Note that the core device has a reading."""
        self._taken = max(self._taken, sequence)
        self._published += 1

    def refuse(self, line: int, row: str, reason: str) -> None:
        """Count and log a row of the file that is no reading."""
        self._refused += 1
        _log.warning("line %d is refused, %s: %s", line, reason, row)

    def stop(self) -> None:
        """Ask `run` to end."""
        self.stopping.set()
        self._link.close()

    def run(self, readings: Iterable[Reading]) -> None:
        """Publish readings at their pace, from the first that was not taken on, until the end or a stop."""
        topic = topics.device_topic(self._site, self._device, topics.READING)
        first = self._taken + 1
        began, count = time.monotonic(), 0
        for reading in readings:
            if reading.sequence < first:
                continue
            if self._per_second:
                self._wait_until(began + count / self._per_second)
            if self.stopping.is_set() or not self._link.publish(reading.sequence, topic, encode(reading)):
                break
            count += 1
            self._last_event_time = reading.event_time.isoformat()
            self._report("running")
        while not self._link.flush(REPORT_SECONDS) and not self.stopping.is_set():
            self._report("running")
        if not self._link.finish(_END_SECONDS):
            _log.warning("the core device has not taken all readings; the rest is sent at the next start")
        self._saved_at = 0.0
        self._report("idle")
        _log.info(
            "%d readings taken, %d connections, %d times no acknowledgement",
            self._published,
            self._link.connections,
            self._link.unacknowledged,
        )

    def _wait_until(self, due: float) -> None:
        while (ahead := due - time.monotonic()) > 0 and not self.stopping.wait(min(ahead, REPORT_SECONDS)):
            self._report("running")

    def _report(self, state: str) -> None:
        if time.monotonic() - self._saved_at < REPORT_SECONDS:
            return
        self._saved_at = time.monotonic()
        self._progress.save({"sequence": self._taken})
        self._link.report(
            {
                "state": state,
                "device_type": self._type,
                "published": self._published,
                "refused": self._refused,
                "unacknowledged": self._link.unacknowledged,
                "last_sequence": self._taken,
                "last_event_time": self._last_event_time,
            }
        )


def _sequence(progress: StateFile) -> int:
    """The last reading that was taken, as it was saved; -1 if there is none, or what is there is no number."""
    sequence = progress.load().get("sequence", -1)
    if isinstance(sequence, int):
        return sequence
    progress.put_aside(f"its sequence is {sequence!r:.100}")
    return -1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sensor until its readings end, or SIGTERM; the process's exit status."""
    parsed = _arguments(arguments)
    configure_log()
    settings = settings_of(parsed)
    directory = settings.data_directory
    thing = parsed.thing or f"{settings.site}_{next(iter(settings.devices))}"
    host, port = parsed.endpoint
    try:
        discovery = Discovery(host, port, directory / "identity", thing, directory / "discovery.json")
        link = Link(discovery, directory / "identity", thing, lambda sequence: sensor.taken(sequence))
        sensor = Sensor(settings, parsed.per_second, link, StateFile(directory / "sensor.json"))
        on_end(sensor.stop)
        link.start()
        sensor.run(
            sources.readings(
                settings.site,
                settings.devices,
                data=parsed.data,
                start=parsed.start,
                end=parsed.end,
                seed=parsed.seed,
                on_refused=sensor.refuse,
            )
        )
        link.stop()
    except (DiscoveryError, sources.SourceError, OSError) as error:
        _log.error("the sensor ends: %s", error)
        return 1
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argument_parser("pm_edge.devices.sensor", __doc__ or "")
    parser.add_argument("--thing", default="", help="its thing; SITE_DEVICE where left out")
    parser.add_argument("--endpoint", required=True, type=_endpoint, help="HOST or HOST:PORT of Greengrass discovery")
    parser.add_argument("--per-second", type=float, default=1.0, help="readings a second; 0: as fast as they are taken")
    parser.add_argument("--data", type=Path, help="CSV of hourly air quality; the simulator where left out")
    parser.add_argument("--start", type=_time, default=sources.START, help="first event time, ISO 8601, UTC")
    parser.add_argument("--end", type=_time, default=sources.END, help="event time to stop before")
    parser.add_argument("--seed", type=int, default=0, help="of the simulator")
    parsed = parser.parse_args(arguments)
    named = len(parsed.devices or ())
    if named != 1:
        parser.error(f"--devices: a sensor is one device, and {named} are named")
    return parsed


def _endpoint(text: str) -> tuple[str, int]:
    matched = re.fullmatch(r"(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?", text)
    if not matched:
        raise argparse.ArgumentTypeError(f"{text!r} is neither HOST nor HOST:PORT")
    return matched["host"], int(matched["port"] or 8443)


def _time(text: str) -> dt.datetime:
    try:
        return time_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
