"""The uplink at work: one thread takes from the local bus, keeps, sends and notes what was acknowledged.

What is safe when:

- The bus's copy of a message goes when `arrived` returns: from then on the journal has it, and a kill at any point
  loses nothing. A dead letter has the time of arrival, and so the same identity when it is refused once more.
- The outbox has it a batch later, on the disk: from then on a power cut loses nothing, and the journal lets go of it.
- The outbox lets go of it after the cloud has acknowledged it. That is noted in batches, and not waited for: whoever is
  killed in between sends it again.

A status is not stored: the next one says more. Of each component the latest goes up while there is a connection.
"""

import datetime as dt
import logging
import math
import threading
import time
from collections import deque

from pm_contracts import topics
from pm_contracts.messages import Command, DeadLetter, Refused, Status, encode
from pm_edge.components.uplink.admission import Admission, Priority
from pm_edge.components.uplink.cloud import Cloud
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.sender import Answer, Sender
from pm_edge.components.uplink.store import Outgoing
from pm_edge.runtime.component import Component
from pm_edge.runtime.dead_letters import dead_letter
from pm_edge.runtime.journal import Entry, Journal

_log = logging.getLogger(__name__)

#: Seconds in which messages gather for one transaction: it bounds the commits on the disk, and adds to the delay.
GATHER_SECONDS = 0.02
#: Messages from the local bus that wait for the disk; past it the bus is held back.
INBOX = 4_000
#: Messages, and notes of deliveries, of one transaction.
_BATCH = 1_000
#: Seconds that a delivery may go without a note of it while nothing arrives.
_NOTE_SECONDS = 0.2
_STATUS_END = f"/{topics.STATUS}"
_ROOM_SECONDS = 0.5
_END_SECONDS = 10.0
#: Seconds between two looks at the files of the device's identity.
_IDENTITY_SECONDS = 1.0


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
        self._admission = admission
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._cloud: Cloud | None = None
        self._journal = journal
        self._taking = threading.Lock()
        self._inbox: deque[Entry] = deque(journal.recovered())
        self._commands: deque[tuple[str, bytes]] = deque()
        self._statuses: dict[str, tuple[str, bytes]] = {}
        self._write_at = math.inf
        self._up = False
        self._look_at_identity_at = 0.0
        self._down_since: float | None = None
        self._wake = threading.Event()
        self._sender = Sender(outbox, self._counters, self._reject, self._wake)
        self._room = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        for name in (
            "refused",
            "published",
            "rejected",
            "denied",
            "unacknowledged",
            "outages",
            "buffered",
            "damaged_files",
        ):
            self._counters.set(name, 0)
        self._counters.set("recovered", len(self._inbox))
        self._counters.set("journal_damaged", len(journal.damaged))
        if self._inbox:
            _log.warning("%d messages of an earlier run were not in the outbox yet", len(self._inbox))

    # Called by the local bus and the connection, on their threads.

    def arrived(self, topic: str, payload: bytes) -> None:
        """Take a message from the local bus; waits while `INBOX` messages wait for the disk."""
        now = time.time()
        with self._taking:
            journal = self._journal
            generation = journal.generation if topic.endswith(_STATUS_END) else journal.append(now, topic, payload)
            self._inbox.append(Entry(generation, now, topic, payload))
        # One that comes to others waits with them.
        if len(self._inbox) in (1, _BATCH):
            self._wake.set()
        while len(self._inbox) >= INBOX and self._thread.is_alive():
            self._room.clear()
            self._room.wait(_ROOM_SECONDS)

    def commanded(self, topic: str, payload: bytes) -> None:
        """Take a command from the cloud."""
        self._commands.append((topic, payload))
        self._wake.set()

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

    def start(self, cloud: Cloud, window: int) -> None:
        """Begin to work, with at most `window` messages under way to `cloud`."""
        self._cloud = cloud
        self._sender.use(cloud, window)
        self._wake.set()
        self._thread.start()
        cloud.start()

    def finish(self) -> None:
        """Keep what has come so far, and end; what has not been acknowledged waits in the outbox for the next start."""
        self._ending.set()
        self._wake.set()
        self._thread.join(_END_SECONDS)
        if self._cloud is not None:
            self._cloud.stop()
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

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._wake.wait(min(max(self._write_at - time.monotonic(), 0.0), _IDENTITY_SECONDS))
                self._wake.clear()
                self._step()
            while self._inbox:
                self._keep()
        except Exception:
            _log.exception("the uplink cannot go on")
            self._component.fail("the uplink's thread has ended")

    def _step(self) -> None:
        assert self._cloud is not None  # noqa: S101 - set before the thread starts
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
        while self._commands:
            self._pass_on(*self._commands.popleft())
        if self._up and now >= self._sender.send_at:
            self._sender.send()
            for topic, payload in self._statuses.values():
                self._cloud.publish_at_most_once(topic, payload)
            self._statuses.clear()
        self._put_damaged_aside()

    def _plan_write(self, now: float) -> None:
        """Schedule the next write to disk: soon for arrivals, a little later for deliveries alone."""
        if max(len(self._inbox), len(self._sender.delivered)) >= _BATCH:
            self._write_at = now
        elif self._inbox:
            self._write_at = min(self._write_at, now + GATHER_SECONDS)
        # What waits in memory for the disk moves with a write, also on a quiet floor.
        elif self._sender.delivered or self._outbox.counters["in_memory"]:
            self._write_at = min(self._write_at, now + _NOTE_SECONDS)

    def _keep(self) -> None:
        """Move what has come from the local bus from the journal to the outbox, a batch of it."""
        with self._taking:
            generation = self._journal.rotate()
        self._write(self._judge())
        self._journal.forget(min(generation, self._inbox[0].generation if self._inbox else generation))
        if len(self._inbox) < INBOX:
            self._room.set()

    def _judge(self) -> list[Outgoing]:
        """Judge what has come from the local bus; what is to be kept."""
        outgoing: list[Outgoing] = []
        letters: list[DeadLetter] = []
        for _ in range(min(len(self._inbox), _BATCH)):
            _, arrived_at, topic, payload = self._inbox.popleft()
            try:
                message, route = self._admission.check(topic, payload)
                encoded = encode(message)
            except ValueError as error:
                self._counters.count("refused")
                letter = self._letter(topic, payload, str(error), dt.datetime.fromtimestamp(arrived_at, dt.UTC))
                letters.append(letter)
                outgoing.append(self._outgoing(letter))
                continue
            if route.priority is not None:
                outgoing.append(Outgoing(message.message_id, route.priority, topic, encoded))
                if isinstance(message, DeadLetter):
                    letters.append(message)
            elif isinstance(message, Status):
                self._statuses[message.component] = (topic, encoded)
        if letters:
            self._dead_letters.keep(letters)
        return outgoing

    def _write(self, outgoing: list[Outgoing]) -> None:
        self._outbox.write(outgoing, self._sender.delivered)
        self._sender.delivered.clear()
        self._write_at = math.inf

    def _put_damaged_aside(self) -> None:
        """Make dead letters of what is damaged in the outbox, and in the journal, and of files put aside."""
        damaged = self._outbox.take_damaged()
        letters = [self._letter(row.topic, row.payload, row.reason) for row in damaged]
        letters += [
            self._letter(f"journal/{span.name}", span.content, f"{len(span.content)} bytes are no message")
            for span in self._journal.damaged
        ]
        self._journal.damaged.clear()
        for files in (self._outbox.put_aside, self._dead_letters.put_aside):
            for name, kept_as, reason in files:
                self._counters.count("damaged_files")
                letters.append(self._letter(name, b"", f"{name} is damaged and kept as {kept_as}: {reason}"))
            files.clear()
        if letters:
            self._dead_letters.keep(letters)
            self._outbox.write([self._outgoing(letter) for letter in letters], [row.key for row in damaged])
            self._wake.set()

    def _reject(self, answers: list[Answer]) -> None:
        self._counters.count("rejected", len(answers))
        self._dead_letters.keep(
            [
                self._letter(taken.topic, taken.payload, f"the cloud does not take it: {problem}")
                for taken, _, problem in answers
            ]
        )

    def _pass_on(self, topic: str, payload: bytes) -> None:
        try:
            command: Command = self._admission.check_command(topic, payload)
        except Refused as error:
            self._counters.count("refused")
            letter = self._letter(topic, payload, str(error))
            self._dead_letters.keep([letter])
            self._outbox.write([self._outgoing(letter)])
            return
        _log.info("command %s from the cloud: %s", command.name, command.parameters)
        self._counters.count("commands")
        self._component.publish(topic, command)

    def _letter(self, topic: str, payload: bytes, reason: str, refused_at: dt.datetime | None = None) -> DeadLetter:
        letter = dead_letter(self._component.settings.site, self._component.name, topic, payload, reason, refused_at)
        _log.warning("refused, on %s: %s", topic, reason)
        return letter

    def _outgoing(self, letter: DeadLetter) -> Outgoing:
        topic = topics.site_topic(letter.site, topics.DEAD_LETTER)
        return Outgoing(letter.message_id, Priority.OUTCOME, topic, encode(letter))
