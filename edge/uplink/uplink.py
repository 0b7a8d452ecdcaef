"""The uplink at work: one thread takes from the local bus, keeps, sends and notes what was acknowledged.

The bus's copy of a message goes when `arrived` returns, and the outbox has it a batch later: in between it is in the
journal, so that a kill at any point loses nothing. A dead letter has the time of arrival, and so the same identity when
the journal has it refused again.

A status is not stored: the next one says more. Of each component the latest goes up while there is a connection.
"""

import concurrent.futures
import datetime as dt
import functools
import logging
import threading
import time
from collections import deque

from awscrt import mqtt5

from edge.runtime.component import Component
from edge.runtime.dead_letters import dead_letter
from edge.runtime.journal import Entry, Journal
from edge.uplink.cloud import Cloud
from edge.uplink.dead_letter_store import DeadLetterStore
from edge.uplink.gate import Gate, Priority
from edge.uplink.outbox import Outbox
from edge.uplink.store import Outgoing, Taken
from pm_contracts import topics
from pm_contracts.messages import Command, DeadLetter, Refused, Status, encode

_log = logging.getLogger(__name__)

#: Seconds in which messages gather for one transaction: it bounds the commits on the disk, and adds to the delay.
GATHER_SECONDS = 0.02
#: Messages from the local bus that wait for the disk; past it the bus is held back.
INBOX = 4_000
_BATCH = 1_000
_STATUS_END = f"/{topics.STATUS}"
_ROOM_SECONDS = 0.5
_END_SECONDS = 10.0
#: Seconds between two looks at the files of the device's identity.
_IDENTITY_SECONDS = 1.0


class Uplink:
    """What stands between a site's local bus and the cloud."""

    def __init__(
        self, component: Component, gate: Gate, outbox: Outbox, dead_letters: DeadLetterStore, journal: Journal
    ) -> None:
        """An uplink of `component`, which has the local bus; `start` puts it to work on what the journal holds, too."""
        self._component = component
        self._counters = component.counters
        self._gate = gate
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._cloud: Cloud | None = None
        self._window = 0
        self._journal = journal
        self._taking = threading.Lock()
        self._inbox: deque[Entry] = deque(journal.recovered())
        self._commands: deque[tuple[str, bytes]] = deque()
        self._answers: deque[tuple[int, str | None, bool]] = deque()
        self._statuses: dict[str, tuple[str, bytes]] = {}
        self._sent: dict[int, Taken] = {}
        self._must_put_back = False
        self._up = False
        self._look_at_identity_at = 0.0
        self._down_since: float | None = None
        self._wake = threading.Event()
        self._room = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        for name in ("refused", "published", "rejected", "outages", "buffered"):
            self._counters.set(name, 0)
        self._counters.set("recovered", len(self._inbox))
        if self._inbox:
            _log.warning("%d messages of an earlier run were not in the outbox yet", len(self._inbox))

    # Called by the local bus and the connection, on their threads.

    def arrived(self, topic: str, payload: bytes) -> None:
        """Take a message from the local bus; waits while `INBOX` messages wait for the disk."""
        now = time.time()
        with self._taking:
            journal = self._journal
            generation = journal.generation if topic.endswith(_STATUS_END) else journal.add(now, topic, payload)
            self._inbox.append(Entry(generation, now, topic, payload))
        if not self._wake.is_set():
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
            self._counters.add("outages")
        self._up = False
        self._component.enter("offline")
        self._wake.set()

    # The life of it.

    def start(self, cloud: Cloud, window: int) -> None:
        """Begin to work, with at most `window` messages under way to `cloud`."""
        self._cloud, self._window = cloud, window
        self._thread.start()
        cloud.start()

    def finish(self) -> None:
        """Keep what has come so far, and end; what has not been acknowledged waits in the outbox for the next start."""
        self._ending.set()
        self._wake.set()
        self._thread.join(_END_SECONDS)
        if self._cloud is not None:
            self._cloud.stop()
        self._note_answers_and_keep([])
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
                self._wake.wait(1.0)
                self._wake.clear()
                self._ending.wait(GATHER_SECONDS)
                self._step()
            while self._inbox:
                self._step()
        except Exception:
            _log.exception("the uplink cannot go on")
            self._component.fail("the uplink's thread has ended")

    def _step(self) -> None:
        assert self._cloud is not None  # noqa: S101 - set before the thread starts
        now = time.monotonic()
        if now >= self._look_at_identity_at:
            self._look_at_identity_at = now + _IDENTITY_SECONDS
            self._cloud.take_up_identity()
        with self._taking:
            generation = self._journal.rotate()
        outgoing = self._judge()
        self._note_answers_and_keep(outgoing)
        self._journal.forget(min(generation, self._inbox[0].generation if self._inbox else generation))
        if len(self._inbox) < INBOX:
            self._room.set()
        if self._inbox:
            self._wake.set()
        while self._commands:
            self._pass_on(*self._commands.popleft())
        if self._must_put_back and not self._sent:
            self._outbox.put_back()
            self._must_put_back = False
        if self._up:
            self._send()

    def _judge(self) -> list[Outgoing]:
        """Judge what has come from the local bus; what is to be kept."""
        outgoing: list[Outgoing] = []
        letters: list[DeadLetter] = []
        for _ in range(min(len(self._inbox), _BATCH)):
            _, arrived_at, topic, payload = self._inbox.popleft()
            try:
                message, route = self._gate.check(topic, payload)
                encoded = encode(message)
            except ValueError as error:
                self._counters.add("refused")
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
            self._dead_letters.add(letters)
        return outgoing

    def _note_answers_and_keep(self, outgoing: list[Outgoing]) -> None:
        delivered: list[int] = []
        rejected: list[DeadLetter] = []
        for _ in range(len(self._answers)):
            key, problem, again = self._answers.popleft()
            taken = self._sent.pop(key)
            if again:
                self._must_put_back = True
                continue
            delivered.append(key)
            if problem is None:
                self._counters.add("published")
            else:
                self._counters.add("rejected")
                rejected.append(self._letter(taken.topic, taken.payload, f"the cloud does not take it: {problem}"))
        if rejected:
            self._dead_letters.add(rejected)
        # What waits in memory for the disk moves with a write, also on a quiet floor.
        if outgoing or delivered or self._outbox.counters["in_memory"]:
            self._outbox.write(outgoing, delivered)

    def _send(self) -> None:
        assert self._cloud is not None  # noqa: S101 - set before the thread starts
        if not self._must_put_back:
            for taken in self._outbox.take(self._window - len(self._sent)):
                self._sent[taken.key] = taken
                future = self._cloud.publish(taken.topic, taken.payload)
                future.add_done_callback(functools.partial(self._answered, taken.key))
        for topic, payload in self._statuses.values():
            self._cloud.publish_at_most_once(topic, payload)
        self._statuses.clear()

    def _answered(self, key: int, future: "concurrent.futures.Future[mqtt5.PublishCompletionData]") -> None:
        if future.exception() is not None:
            self._answers.append((key, None, True))
        else:
            packet = future.result().puback
            code = packet.reason_code
            refused = code >= mqtt5.PubackReasonCode.UNSPECIFIED_ERROR
            again = code == mqtt5.PubackReasonCode.QUOTA_EXCEEDED
            problem = f"{code.name} {packet.reason_string or ''}".strip() if refused else None
            self._answers.append((key, problem, again))
        if not self._wake.is_set():
            self._wake.set()

    def _pass_on(self, topic: str, payload: bytes) -> None:
        try:
            command: Command = self._gate.check_command(topic, payload)
        except Refused as error:
            self._counters.add("refused")
            letter = self._letter(topic, payload, str(error))
            self._dead_letters.add([letter])
            self._outbox.write([self._outgoing(letter)])
            return
        _log.info("command %s from the cloud: %s", command.name, command.parameters)
        self._counters.add("commands")
        self._component.publish(topic, command)

    def _letter(self, topic: str, payload: bytes, reason: str, refused_at: dt.datetime | None = None) -> DeadLetter:
        letter = dead_letter(self._component.settings.site, self._component.name, topic, payload, reason, refused_at)
        _log.warning("refused, on %s: %s", topic, reason)
        return letter

    def _outgoing(self, letter: DeadLetter) -> Outgoing:
        topic = topics.site_topic(letter.site, topics.DEAD_LETTER)
        return Outgoing(letter.message_id, Priority.OUTCOME, topic, encode(letter))
