"""The frame of every component's main: its bus, its counters, its status and its end."""

import datetime as dt
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from pm_contracts import topics
from pm_contracts.logs import log_to
from pm_contracts.messages import Message, Status, encode
from pm_edge.runtime import last_end
from pm_edge.runtime.bus import Bus, BusError, TooLargeError
from pm_edge.runtime.connect import connect
from pm_edge.runtime.dead_letters import MAXIMUM_BYTES, dead_letter
from pm_edge.runtime.settings import Settings
from pm_edge.runtime.signals import on_end

#: Seconds between two statuses while nothing changes.
STATUS_SECONDS = 2.0
_FLUSH_SECONDS = 3.0

_log = logging.getLogger(__name__)


class ComponentError(RuntimeError):
    """A component cannot go on; the text says why."""


class Counters:
    """A component's counters since its start, by name; safe to use from several threads."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, name: str, amount: int = 1) -> None:
        """Count `amount` more of `name`."""
        with self._lock:
            self._values[name] = self._values.get(name, 0) + amount

    def set(self, name: str, value: int) -> None:
        """Note what `name` stands at."""
        with self._lock:
            self._values[name] = value

    def snapshot(self) -> dict[str, int]:
        """All counters as they are now."""
        with self._lock:
            return dict(self._values)


class Component:
    """A component at work on the bus.

    Attributes:
        name: Its Greengrass name.
        settings: Where it works.
        bus: Its connection to the local bus.
        counters: What it counts; they go out with its status.
        stopping: Set when it has been asked to end.
        begins_anew: Whether it ends in order to begin anew, since the site has other devices by now.
    """

    def __init__(self, name: str, settings: Settings, bus: Bus, state: str = "running") -> None:
        """A component that reports itself as in `state`, one of the contract's states, until told otherwise."""
        self.name = name
        self.settings = settings
        self.bus = bus
        self.counters = Counters()
        self.stopping = threading.Event()
        self._state = state
        self._failure = ""
        self._trouble = self._last_words = ""
        self._last_end = last_end.told(settings.data_directory, name)
        self._is_ready = False
        self.begins_anew = False
        self._report = threading.Event()
        self._topic = topics.site_topic(settings.site, topics.STATUS)

    @property
    def state(self) -> str:
        """The state that it reports."""
        return self._state

    def enter(self, state: str) -> None:
        """Report itself as in `state` from now on; a change is reported at once."""
        if state != self._state:
            self._state = state
            self._report.set()

    def trouble(self, reason: str) -> None:
        """Say in the status from now on what is wrong; empty where all is well again."""
        if reason != self._trouble:
            self._trouble = reason
            self._report.set()

    def stop(self) -> None:
        """Ask `run` to end."""
        self.begins_anew = False
        self.stopping.set()
        self._report.set()

    def fail(self, reason: str) -> None:
        """Ask `run` to end with a `ComponentError`: the process then ends with status 1, and is started anew."""
        self._failure = self._failure or reason
        self.stop()

    def publish(self, topic: str, message: Message) -> bool:
        """Publish a message of the contract on the local bus; a dead letter in place of one that the bus cannot carry.

        Returns:
            Whether the message itself was published.

        Raises:
            BusError: if the bus is closed, or has refused an earlier message.
        """
        payload = encode(message)
        try:
            self.bus.publish(topic, payload)
        except TooLargeError as error:
            self.counters.count("too_large")
            _log.error("not published: %s", error)
            self.publish_dead_letter(topic, payload, str(error))
            return False
        return True

    def publish_dead_letter(self, topic: str, payload: bytes, reason: str) -> None:
        """Publish the dead letter of `payload`, which was refused on `topic`, cut to what the bus carries.

        Raises:
            BusError: if the bus is closed, or has refused an earlier message.
        """
        site = self.settings.site
        its_topic = topics.site_topic(site, topics.DEAD_LETTER)
        largest = min(self.bus.largest_payload(its_topic), MAXIMUM_BYTES)
        letter = dead_letter(site, self.name, topic, payload, reason, maximum_bytes=largest)
        self.bus.publish(its_topic, encode(letter))

    def ready(self) -> None:
        """Tell the nucleus, once, that the component works, so that its deployment has succeeded.

        That is when nothing of the deployment can be wrong any more: it has its bus and its settings, and answers. It
        never waits for the uplink, or for anything else that may be away for long.

        Raises:
            BusError: if the nucleus cannot be told.
        """
        if not self._is_ready:
            self.bus.ready()
            self._is_ready = True

    def run(self, finish: Callable[[], None], each_status: Callable[[], None] | None = None) -> None:
        """Be ready, and report the status until stopped; then stop receiving, finish, report once more, close the bus.

        Args:
            finish: ends the component's own work; it may publish still.
            each_status: called before each report, to bring the counters up to date.

        Raises:
            BusError: if the bus is lost for good.
            ComponentError: if the component has failed.
        """
        try:
            self.ready()
            while not self.stopping.is_set():
                self._report.clear()
                self._publish_status(each_status)
                self._report.wait(STATUS_SECONDS)
                if not self.stopping.is_set() and self.settings.devices_have_changed():
                    self.stop()
                    self.begins_anew = True
        finally:
            self.bus.stop_receiving()
            finish()
        if self._failure:
            raise ComponentError(self._failure)
        self._state = "stopping"
        try:
            self._publish_status(each_status)
        except BusError as error:
            _log.warning("the last status was not published: %s", error)
        if not self.bus.flush(_FLUSH_SECONDS):
            _log.warning("the local bus did not acknowledge all messages before the end")
        self.bus.close()

    def end_at_once(self, reason: str) -> NoReturn:
        """End the process with status 1, from any thread and whatever the others wait for: it is started anew.

        That is as a kill is: what is not safe by then is lost.
        """
        # A disk or a standard output that takes nothing may hold up whoever says something.
        teller = threading.Thread(target=self._tell_end_at_once, args=(reason,), name="last-words", daemon=True)
        teller.start()
        teller.join(2 * _FLUSH_SECONDS)
        os._exit(1)

    def _tell_end_at_once(self, reason: str) -> None:
        _log.critical("%s ends at once: %s", self.name, reason)
        _note_end(self.name, self.settings, self, reason)
        sys.stdout.flush()

    def tell_end(self, reason: str) -> None:
        """Publish a last status that says why the component ends, as far as its bus lets it within some seconds."""
        self._last_words = reason
        # A bus that is away may hold a publisher for as long as it is.
        teller = threading.Thread(target=self._tell_end, name="last-status", daemon=True)
        teller.start()
        teller.join(_FLUSH_SECONDS)

    def _tell_end(self) -> None:
        try:
            # Not as the others, which may be lost: there is no next one to make up for it.
            self.bus.publish(self._topic, encode(self._status()))
            self.bus.flush(_FLUSH_SECONDS)
        except (BusError, TooLargeError) as error:
            _log.warning("nobody hears why %s ends: %s", self.name, error)

    def _publish_status(self, each_status: Callable[[], None] | None) -> None:
        if each_status is not None:
            each_status()
        if self.bus.dropped:
            self.counters.set("bus_dropped", self.bus.dropped)
        # A status must not wait for a subscriber that is away, which may be this component itself.
        try:
            self.bus.publish_at_most_once(self._topic, encode(self._status()))
        except TooLargeError as error:
            self.counters.count("too_large")
            _log.error("not published: %s", error)

    def _status(self) -> Status:
        return Status(
            site=self.settings.site,
            component=self.name,
            reported_at=dt.datetime.now(dt.UTC),
            state="stopping" if self._last_words else self._state,
            counters=self.counters.snapshot(),
            reason=(self._last_words or self._trouble or self._last_end)[: last_end.MAXIMUM_REASON],
        )


def main(name: str, settings: Settings, run: Callable[[Component], None], state: str = "running") -> int:
    """Run a component in this process until SIGTERM or SIGINT.

    Where the site's list of devices changes, the program begins anew in the same process, so that its nucleus neither
    restarts it nor counts a failure. A signal ends the process as that signal, not with 0: a classic nucleus does not
    notice that a component has ended with 0, and would take one that somebody else has stopped for running for ever.

    Args:
        name: Greengrass name of the component.
        settings: where it works.
        run: its work; ends when `Component.run` does.
        state: what it reports itself as at first.

    Returns:
        The process's exit status, 1, with the reason in the log, for each end that nobody has asked for.
    """
    configure_log()
    component: Component | None = None
    try:
        component = Component(name, settings, connect(settings.site, name), state)
        end = on_end(component.stop)
        run(component)
        reason, begins_anew = "", component.begins_anew
    except (BusError, ComponentError) as error:
        reason = str(error)
    except Exception as error:
        _note_end(name, settings, component, f"{type(error).__name__}: {error}")
        raise
    if not reason:
        end()
        if begins_anew:
            _log.info("%s begins anew: the site has other devices", name)
            sys.stdout.flush()
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - what was started, started again
        reason = "nobody has asked it to"
    _log.error("%s ends: %s", name, reason)
    _note_end(name, settings, component, reason)
    return 1


def _note_end(name: str, settings: Settings, component: Component | None, reason: str) -> None:
    last_end.note(settings.data_directory, name, reason)
    if component is not None:
        component.tell_end(reason)


def configure_log() -> None:
    """Log to standard output, which the nucleus keeps: time in UTC, level, module, text."""
    logging.Formatter.converter = time.gmtime
    log_to(sys.stdout, "%(asctime)sZ %(levelname)s %(name)s: %(message)s")
