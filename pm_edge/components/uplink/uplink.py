"""The uplink at work: one thread takes from the local bus, keeps, sends and notes what was acknowledged.

What is safe when:

- The bus's copy of a message goes when `arrived` returns: from then on the journal has it, and a kill at any point
  loses nothing. A dead letter has the time of arrival, and so the same identity when it is refused once more.
- The outbox has it a batch later, on the disk: from then on a power cut loses nothing, and the journal lets go of it.
  What is refused and not told yet is counted on the disk by then, in `dead-letters.sqlite`.
- The outbox lets go of it after the cloud has acknowledged it. That is noted in batches, and not waited for: whoever is
  killed in between sends it again.

A status is not stored: the next one says more. Of each component the latest goes up while there is a connection.

That thread waits for nobody but the disk, and where it stands still all the same, the process ends and is started anew.
"""

import datetime as dt
import functools
import logging
import math
import threading
import time
from collections.abc import Callable

from pm_contracts import budgets, topics
from pm_contracts.event_times import PatientClock
from pm_contracts.messages import MAXIMUM_MESSAGE_BYTES, DeadLetter, Message, Status, encode
from pm_edge.components.uplink.admission import Admission, Priority, Route
from pm_edge.components.uplink.cloud import Cloud
from pm_edge.components.uplink.commands import Commands
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.inbox import BATCH, Inbox
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.pace import Paces
from pm_edge.components.uplink.refusals import Refusals
from pm_edge.components.uplink.sender import Answer, Sender
from pm_edge.components.uplink.statuses import Statuses
from pm_edge.components.uplink.store import Outgoing
from pm_edge.runtime.component import Component
from pm_edge.runtime.dead_letters import MAXIMUM_BYTES, dead_letter
from pm_edge.runtime.journal import Entry, Journal
from pm_edge.runtime.watchdog import Watchdog

_log = logging.getLogger(__name__)

#: Seconds in which messages gather for one transaction: it bounds the commits on the disk, and adds to the delay.
GATHER_SECONDS = 0.02
#: Seconds without a step of the thread after which the process ends: a worn card may take a minute for one `fsync`.
STALL_SECONDS = 180
#: Seconds that a delivery may go without a note of it while nothing arrives.
_NOTE_SECONDS = 0.2
_STATUS_END = f"/{topics.STATUS}"
_END_SECONDS = 10.0
#: Seconds between two looks at the files of the device's identity.
_IDENTITY_SECONDS = 1.0
_REFUSED = "refused"


class _Kept:
    """The outcome of a batch: what goes to the cloud, and what is kept on the device."""

    def __init__(self) -> None:
        self.outgoing: list[Outgoing] = []
        self.letters: list[DeadLetter] = []


class Uplink:
    """The link between a site's local bus and the cloud."""

    def __init__(
        self,
        component: Component,
        admission: Admission,
        outbox: Outbox,
        dead_letters: DeadLetterStore,
        journal: Journal,
    ) -> None:
        """An uplink of `component`, which has the local bus; `start` puts it to work on what the journal holds, too."""
        self._component = component
        self._counters = component.counters
        self._letter = functools.partial(dead_letter, component.settings.site, component.name)
        self._admission = admission
        self._clock = PatientClock()
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._cloud: Cloud | None = None
        self._journal = journal
        self._wake = threading.Event()
        self._inbox = Inbox(journal, self._wake)
        self._commands = Commands(component, admission, self._refuse_at_once)
        self._statuses = Statuses()
        self._paces = Paces(component.settings.devices)
        self._refusals = Refusals(admission.knows, dead_letters.sums())
        self._write_at = math.inf
        self._up = False
        self._look_at_identity_at = 0.0
        self._down_since: float | None = None
        self._sender = Sender(outbox, self._counters, self._reject, self._wake)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self._watchdog = Watchdog(self._thread, STALL_SECONDS, component.end_at_once)
        for name in (
            _REFUSED,
            "published",
            "rejected",
            "denied",
            "unacknowledged",
            "outages",
            "buffered",
            "damaged_files",
            "summed_up",
            "cut",
            "beyond_pace",
        ):
            self._counters.set(name, 0)
        self._counters.set("recovered", len(self._inbox))
        self._counters.set("journal_damaged", len(journal.damaged))
        if len(self._inbox):
            _log.warning("%d messages of an earlier run were not in the outbox yet", len(self._inbox))

    # Called by the local bus and the connection, on their threads.

    def arrived(self, topic: str, payload: bytes) -> None:
        """Take a message from the local bus; waits while so much waits for the disk that there is no room."""
        if len(payload) > MAXIMUM_MESSAGE_BYTES:
            self._refuse_at_once(
                topic, payload, f"{len(payload)} bytes, and at most {MAXIMUM_MESSAGE_BYTES} are allowed"
            )
        else:
            self._inbox.put(topic, payload, is_kept=not topic.endswith(_STATUS_END))
        self._inbox.wait_for_room(self._thread.is_alive)

    def commanded(self, topic: str, payload: bytes) -> None:
        """Take a command from the cloud."""
        self._commands.put(topic, payload)

    def up(self) -> None:
        """Note that there is a connection to the cloud."""
        if self._down_since is not None:
            seconds = time.monotonic() - self._down_since
            _log.info("uplink is back after %.1f s; %d messages wait", seconds, self._outbox.depth)
        else:
            _log.info("uplink is there; %d messages wait", self._outbox.depth)
        self._down_since = None
        self._up = True
        self._component.enter("running")
        self._wake.set()

    def down(self, reason: str) -> None:
        """Note that there is none."""
        if self._ending.is_set():
            return
        if self._down_since is None:
            _log.warning("no uplink: %s; messages wait in the outbox", reason)
            self._down_since = time.monotonic()
            self._counters.count("outages")
        self._up = False
        self._component.enter("offline")
        self._wake.set()

    # The life of it.

    def start(self, cloud: Cloud, window: int, window_bytes: int = budgets.CONNECTION_BYTES_PER_SECOND) -> None:
        """Begin to work, with at most `window` messages under way to `cloud`, and no more once they have such bytes."""
        self._cloud = cloud
        self._sender.use(cloud, window, window_bytes)
        self._wake.set()
        self._thread.start()
        self._commands.start()
        self._watchdog.start()
        cloud.start()

    def finish(self) -> None:
        """Keep what has come so far, and end; what has not been acknowledged waits in the outbox for the next start."""
        self._watchdog.stop()
        self._commands.end()
        self._ending.set()
        self._wake.set()
        self._thread.join(_END_SECONDS)
        if self._cloud is not None:
            self._cloud.stop()
        if self._thread.is_alive():
            _log.error("the uplink's thread has not ended; the next start takes up what the journal has")
            return
        self._sender.take_answers()
        self._write([])
        self._outbox.close()
        self._dead_letters.close()
        self._journal.close()

    def update_counters(self) -> None:
        """Bring the counters up to date."""
        for name, value in self._outbox.counters.items():
            self._counters.set(name, value)
        self._counters.set("buffered", self._outbox.depth)
        self._counters.set("journal_missed", self._journal.missed)
        self._counters.set("commands_waiting", len(self._commands))
        trouble = [self._paces.trouble(time.monotonic())]
        if len(self._commands) >= budgets.COMMANDS:
            trouble.append(f"the local bus takes no commands: {len(self._commands)} wait")
        self._component.trouble("; ".join(filter(None, trouble)))

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._wake.wait(min(max(self._write_at - time.monotonic(), 0.0), _IDENTITY_SECONDS))
                self._wake.clear()
                self._step()
            while len(self._inbox):
                self._keep()
        except Exception:
            _log.exception("the uplink cannot go on")
            self._component.fail("the uplink's thread has ended")

    def _step(self) -> None:
        assert self._cloud is not None  # noqa: S101 - set before the thread starts
        self._watchdog.beat()
        now = time.monotonic()
        if now >= self._look_at_identity_at:
            self._look_at_identity_at = now + _IDENTITY_SECONDS
            self._cloud.take_up_identity()
        self._sender.take_answers()
        if self._sender.must_put_back():
            self._write([])
            self._sender.put_back(now)
        self._plan_write(now)
        if now >= self._write_at:
            self._keep()
            self._plan_write(now)
        if self._up and now >= self._sender.send_at:
            self._sender.send()
            for topic, payload in self._statuses.due(now):
                self._cloud.publish_at_most_once(topic, payload)
        self._put_damaged_aside()
        self._tell_sums(now)

    def _plan_write(self, now: float) -> None:
        """Schedule the next write to disk: soon for arrivals, a little later for deliveries alone."""
        if self._inbox.has_batch or len(self._sender.delivered) >= BATCH:
            self._write_at = now
        elif len(self._inbox):
            self._write_at = min(self._write_at, now + GATHER_SECONDS)
        # What waits in memory for the disk moves with a write, also on a quiet floor.
        elif self._sender.delivered or self._outbox.counters["in_memory"]:
            self._write_at = min(self._write_at, now + _NOTE_SECONDS)

    def _keep(self) -> None:
        """Move what has come from the local bus from the journal to the outbox, a batch of it."""
        begun = self._inbox.begin_batch()
        kept = _Kept()
        for entry in self._inbox.take():
            self._judge(entry, kept)
        self._keep_letters(kept)
        self._write(kept.outgoing)
        self._inbox.end_batch(begun)

    def _judge(self, entry: Entry, kept: _Kept) -> None:
        """Judge what has come from the local bus."""
        now = time.monotonic()
        _, seconds, topic, payload = entry
        arrived_at = dt.datetime.fromtimestamp(seconds, dt.UTC)
        try:
            message, route = self._admission.check(topic, payload)
            self._clock.require_past(message, arrived_at)
            encoded = encode(message)
            if isinstance(message, Status):
                self._statuses.put(message.component, topic, encoded, now)
        except ValueError as error:
            self._counters.count(_REFUSED)
            self._tell_of(topic, payload, str(error), kept, arrived_at)
            return
        if route.priority is None:
            return
        if isinstance(message, DeadLetter):
            letter = message
            if letter.component == self._component.name and len(encoded) <= budgets.SAMPLE_BYTES:
                # Our own, of what was not taken in.
                self._counters.count(_REFUSED)
                self._tell(letter.topic, len(payload), letter.reason, letter.refused_at, lambda _: letter, kept)
                return
            kept.letters.append(letter)
        priority = self._priority(message, route, len(encoded), now)
        kept.outgoing.append(Outgoing(message.message_id, priority, topic, encoded))

    def _priority(self, message: Message, route: Route, size: int, now: float) -> Priority:
        """The priority of a message: that of its channel, as far as its device keeps to its pace."""
        assert route.priority is not None  # noqa: S101 - what has none is not stored
        if route.priority in (Priority.LATER, Priority.DEAD_LETTER):
            return route.priority
        device = getattr(message, "device", "")
        if self._paces.is_within(device, route.priority.name, size, now):
            return route.priority
        self._counters.count("beyond_pace")
        return Priority.LATER

    def _write(self, outgoing: list[Outgoing]) -> None:
        self._outbox.write(outgoing, self._sender.delivered)
        self._sender.delivered.clear()
        self._write_at = math.inf

    def _put_damaged_aside(self) -> None:
        """Make dead letters of what is damaged in the outbox, and in the journal, and of files put aside."""
        kept = _Kept()
        damaged = self._outbox.take_damaged()
        for row in damaged:
            self._tell_of(row.topic, row.payload, row.reason, kept)
        for span in self._journal.damaged:
            self._tell_of(f"journal/{span.name}", span.content, f"{len(span.content)} bytes are no message", kept)
        self._journal.damaged.clear()
        for files in (self._outbox.put_aside, self._dead_letters.put_aside):
            for name, kept_as, reason in files:
                self._counters.count("damaged_files")
                self._tell_of(name, b"", f"{name} is damaged and kept as {kept_as}: {reason}", kept)
            files.clear()
        if damaged or kept.letters:
            self._keep_letters(kept)
            self._outbox.write(kept.outgoing, [row.key for row in damaged])
            self._wake.set()

    def _tell_sums(self, now: float) -> None:
        """Make dead letters of what was refused again and again, once the period is over."""
        sums = self._refusals.due(now)
        if not sums:
            return
        letters = [each.letter() for each in sums]
        for letter in letters:
            _log.warning("refused, on %s: %s", letter.topic, letter.reason)
        # Counted on the disk until the outbox has it; the same dead letter where a kill comes between.
        self._outbox.write([_outgoing(letter) for letter in letters])
        self._dead_letters.keep(letters, told=sums)
        self._wake.set()

    def _reject(self, answers: list[Answer]) -> None:
        """Keep what the cloud does not take on the device alone, as far as the pace of the device lets it."""
        self._counters.count("rejected", len(answers))
        now, kept = time.monotonic(), _Kept()
        for taken, _, problem in answers:
            device = self._admission.device_of(taken.topic)
            if self._paces.is_within(device, "rejected", len(taken.payload), now):
                reason = f"the cloud does not take it: {problem}"
                _log.warning("refused, on %s: %s", taken.topic, reason)
                kept.letters.append(self._letter(taken.topic, taken.payload, reason))
            else:
                self._counters.count("cut")
        self._keep_letters(kept)

    def _refuse_at_once(self, topic: str, payload: bytes, reason: str) -> None:
        """Refuse what is not taken in, on any thread: a sample of it waits to be told, as far as there is room."""
        if self._inbox.is_full:
            self._counters.count(_REFUSED)
            self._counters.count("cut")
            return
        letter = self._letter(topic, payload, reason, maximum_bytes=budgets.SAMPLE_BYTES)
        self._inbox.put(topics.site_topic(letter.site, topics.DEAD_LETTER), encode(letter), is_kept=True)

    def _tell(
        self,
        topic: str,
        size: int,
        reason: str,
        refused_at: dt.datetime,
        make_letter: Callable[[int], DeadLetter],
        kept: _Kept,
    ) -> None:
        """Tell of a refusal: by a dead letter of its own, or in the sum of its topic.

        The device keeps each for itself, as far as its sender keeps to its pace.

        Args:
            topic: of what was refused.
            size: bytes of it.
            reason: for which.
            refused_at: UTC.
            make_letter: makes the dead letter, of so many bytes at most.
            kept: takes it.
        """
        now = time.monotonic()
        is_apart = self._refusals.is_told_apart(topic, reason, now)
        is_within = self._paces.is_within(self._admission.device_of(topic), _REFUSED, size, now)
        if is_apart or is_within:
            letter = make_letter(MAXIMUM_BYTES)
            kept.letters.append(letter)
            if is_apart:
                _log.warning("refused, on %s: %s", topic, reason)
                kept.outgoing.append(_outgoing(letter))
        else:
            self._counters.count("cut")
        if not is_apart:
            self._counters.count("summed_up")
            self._refusals.sum_up(topic, refused_at, lambda: make_letter(budgets.SAMPLE_BYTES))

    def _tell_of(
        self, topic: str, payload: bytes, reason: str, kept: _Kept, refused_at: dt.datetime | None = None
    ) -> None:
        moment = refused_at or dt.datetime.now(dt.UTC)

        def make_letter(maximum_bytes: int) -> DeadLetter:
            return self._letter(topic, payload, reason, moment, maximum_bytes)

        self._tell(topic, len(payload), reason, moment, make_letter, kept)

    def _keep_letters(self, kept: _Kept) -> None:
        sums = list(self._refusals.changed.values())
        self._refusals.changed.clear()
        if kept.letters or sums:
            self._dead_letters.keep(kept.letters, sums)


def _outgoing(letter: DeadLetter) -> Outgoing:
    topic = topics.site_topic(letter.site, topics.DEAD_LETTER)
    return Outgoing(letter.message_id, Priority.DEAD_LETTER, topic, encode(letter))
