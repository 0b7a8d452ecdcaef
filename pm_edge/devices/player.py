"""Plays a site's readings onto the local bus when a command asks for it, one command after the other."""

import contextlib
import datetime as dt
import logging
import queue
import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from pm_contracts import topics
from pm_contracts.csv_readings import time_of
from pm_contracts.messages import Command, Refused, decode, encode
from pm_edge.devices.simulator import sources
from pm_edge.runtime.bus import BusError
from pm_edge.runtime.component import Component, main
from pm_edge.runtime.settings import Settings

_log = logging.getLogger(__name__)

#: Folder of the files that a command may have played, in the component's data directory. Whoever may send a command is
#: not to see, or to wait for, anything else that the device has.
RECORDINGS = "recordings"
#: Characters of a file's name, which Linux bounds by bytes.
_LONGEST_NAME = 255
#: Commands that wait while one is played.
WAITING_COMMANDS = 32
#: Commands that are recognised when they are delivered again.
_REMEMBERED = 100
_FLUSH_SECONDS = 60.0
_END_SECONDS = 3.0


class Play(NamedTuple):
    """A command's request to play readings."""

    data: str
    start: dt.datetime
    end: dt.datetime
    per_second: float
    seed: int

    @classmethod
    def of(cls, parameters: dict[str, str | int | float | bool | None]) -> "Play":
        """The parameters of a `replay` or `simulate` command.

        Args:
            parameters: `data`, name of a CSV file in the folder `RECORDINGS`, empty for the simulator; `start` and
                `end`, ISO 8601, UTC where no zone is given, the end not included; `per_second`, readings a second, 0
                for as fast as the bus takes them; `seed` of the simulator. What is left out has the simulator's
                default.

        Raises:
            Refused: for an unknown parameter or a wrong value; the text says which, and what is allowed.
        """
        unknown = sorted(set(parameters) - set(cls._fields))
        if unknown:
            raise Refused(f"parameter {', '.join(unknown)}: allowed are {', '.join(cls._fields)}")
        data = parameters.get("data") or ""
        if not isinstance(data, str) or not _is_name(data):
            raise Refused(
                f"parameter data is {data!r:.300}: allowed is the name of a file in the folder {RECORDINGS}, or nothing"
            )
        start = _time(parameters, "start", sources.START)
        end = _time(parameters, "end", sources.END)
        if start >= end:
            raise Refused(f"parameters start {start.isoformat()} and end {end.isoformat()}: the end must be later")
        seed = parameters.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise Refused(f"parameter seed is {seed!r}: allowed are whole numbers from 0")
        per_second = parameters.get("per_second", 0)
        if not isinstance(per_second, int | float) or isinstance(per_second, bool) or not 0 <= per_second <= 1e6:
            raise Refused(f"parameter per_second is {per_second!r}: allowed are 0 (no limit) to 1,000,000")
        return cls(data, start, end, float(per_second), seed)


class Player:
    """Plays what commands ask for; the bus's acknowledgements pace it, so that no part of the floor is flooded."""

    def __init__(self, component: Component, command: str, channel: str, *, verdicts: bool) -> None:
        """A player for one command.

        Args:
            component: what it is the work of.
            command: name of the command that it obeys.
            channel: the channel of the devices that it publishes on.
            verdicts: whether machine readings carry the workshop's verdict, as the past does.
        """
        self._component = component
        self._command = command
        self._channel = channel
        self._verdicts = verdicts
        self._commands: queue.Queue[Command | None] = queue.Queue(WAITING_COMMANDS)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name=command, daemon=True)
        for name in ("published", "refused", "repeated", "commands", "finished"):
            component.counters.set(name, 0)

    def start(self) -> None:
        """Listen for the command."""
        self._thread.start()
        topic = topics.command_topic(self._component.settings.site, self._command)
        self._component.bus.subscribe(topic, self.arrived)

    def finish(self) -> None:
        """Stop playing, in the middle where it plays, and end."""
        with contextlib.suppress(queue.Full):  # then it does not wait for one
            self._commands.put_nowait(None)
        self._thread.join(_END_SECONDS)

    def arrived(self, topic: str, payload: bytes) -> None:
        """Take a command; it is played after those before it."""
        try:
            command = decode(payload, Command)
            if topics.command_topic(command.site, command.name) != topic:
                raise Refused(f"a command {command.name!r} of {command.site!r} came on {topic}")
        except Refused as error:
            self._refuse(topic, payload, str(error))
            return
        if command.message_id in self._seen:
            self._component.counters.count("repeated")
            return
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._refuse(topic, payload, f"{WAITING_COMMANDS} commands wait, and no more are allowed")
            return
        self._component.counters.count("commands")
        self._seen[command.message_id] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _run(self) -> None:
        while (command := self._commands.get()) is not None and not self._component.stopping.is_set():
            topic = topics.command_topic(command.site, command.name)
            self._component.enter("running")
            try:
                self._play(Play.of(command.parameters))
            except (Refused, sources.SourceError) as error:
                self._refuse(topic, encode(command), str(error))
            except BusError as error:
                self._component.fail(str(error))
                return
            except Exception as error:
                _log.exception("%s ended early", command.name)
                self._refuse(topic, encode(command), f"it ended early: {error!r}")
            self._component.counters.count("finished")
            self._component.enter("idle")

    def _play(self, play: Play) -> None:
        component = self._component
        settings, bus, stopping = component.settings, component.bus, component.stopping
        source = play.data or "the simulator"
        _log.info("playing %s from %s to %s", source, play.start.isoformat(), play.end.isoformat())
        topic = {name: topics.device_topic(settings.site, name, self._channel) for name in settings.devices}

        def refuse_row(line: int, row: str, reason: str) -> None:
            self._refuse(f"{source}:{line}"[:256], row.encode(), reason)

        readings = sources.readings(
            settings.site,
            settings.devices,
            data=settings.data_directory / RECORDINGS / play.data if play.data else None,
            start=play.start,
            end=play.end,
            seed=play.seed,
            verdicts=self._verdicts,
            on_refused=refuse_row,
            follow_links=False,
        )
        began = time.monotonic()
        count = 0
        for reading in readings:
            if stopping.is_set():
                _log.warning("stopped after %d readings", count)
                return
            if play.per_second:
                ahead = began + count / play.per_second - time.monotonic()
                if ahead > 0 and stopping.wait(ahead):
                    continue
            if component.publish(topic[reading.device], reading):
                component.counters.count("published")
            count += 1
        if not bus.flush(_FLUSH_SECONDS):
            raise BusError(f"the local bus did not acknowledge all readings within {_FLUSH_SECONDS:.0f} s")
        _log.info("played %d readings in %.1f s", count, time.monotonic() - began)

    def _refuse(self, topic: str, payload: bytes, reason: str) -> None:
        self._component.counters.count("refused")
        _log.warning("refused, %s: %s", topic, reason)
        self._component.publish_dead_letter(topic, payload, reason)


def run_player(name: str, settings: Settings, command: str, channel: str, *, verdicts: bool) -> int:
    """Run a component that plays what one command asks for; the process's exit status.

    Args:
        name: Greengrass name of the component.
        settings: where it works.
        command: name of the command that it obeys.
        channel: the channel of the devices that it publishes on.
        verdicts: whether machine readings carry the workshop's verdict.
    """

    def work(component: Component) -> None:
        player = Player(component, command, channel, verdicts=verdicts)
        player.start()
        component.run(player.finish)

    return main(name, settings, work, state="idle")


def _is_name(text: str) -> bool:
    """True if `text` is empty, or names a file and no other folder."""
    return text not in (".", "..") and "/" not in text and text.isprintable() and len(text) <= _LONGEST_NAME


def _time(parameters: dict[str, str | int | float | bool | None], name: str, default: dt.datetime) -> dt.datetime:
    value = parameters.get(name)
    if value is None:
        return default
    try:
        return time_of(str(value))
    except ValueError as error:
        raise Refused(f"parameter {name} is {value!r}: allowed is an ISO 8601 date or time") from error
