"""The uplink at work: one thread takes from the local bus, keeps, sends and notes what was acknowledged.

What is safe when:

- The bus's copy of a message goes when `arrived` returns: from then on the journal has it, and a kill at any point
  loses nothing. A dead letter has the time of arrival, and so the same identity when it is refused once more.
- The outbox has it a batch later, on the disk: from then on a power cut loses nothing, and the journal lets go of it.
- The outbox lets go of it after the cloud has acknowledged it. That is noted in batches, and not waited for: whoever is
  killed in between sends it again.
- A message that the cloud's policy denies is a dead letter where others get through. Where none does, the policy is at
  fault: all stay in the outbox and are tried again.

A status is not stored: the next one says more. Of each component the latest goes up while there is a connection.
"""

import concurrent.futures
import datetime as dt
import enum
import functools
import logging
import math
import random
import threading
import time
from collections import deque
from typing import NamedTuple

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
#: Messages, and notes of deliveries, of one transaction.
_BATCH = 1_000
#: Seconds that a delivery may go without a note of it while nothing arrives.
_NOTE_SECONDS = 0.2
_STATUS_END = f"/{topics.STATUS}"
_ROOM_SECONDS = 0.5
_END_SECONDS = 10.0
_REFUSED = mqtt5.PubackReasonCode.UNSPECIFIED_ERROR
#: Seconds, doubled with each vain attempt; the pause is a random part of it (full jitter).
_PAUSES = (0.25, 20.0)
#: Seconds between two looks at the files of the device's identity.
_IDENTITY_SECONDS = 1.0


class _Verdict(enum.Enum):
    """What became of a message that was sent."""

    PUBLISHED = enum.auto()
    #: The connection was lost before an answer came.
    LOST = enum.auto()
    #: The cloud is asked too much.
    TOO_MUCH = enum.auto()
    #: The policy of the device does not allow it.
    DENIED = enum.auto()
    REJECTED = enum.auto()


_VERDICTS = {
    mqtt5.PubackReasonCode.QUOTA_EXCEEDED: _Verdict.TOO_MUCH,
    mqtt5.PubackReasonCode.NOT_AUTHORIZED: _Verdict.DENIED,
}


class _Answer(NamedTuple):
    """What the cloud said to a message, and why where it does not take it."""

    taken: Taken
    verdict: _Verdict
    problem: str = ""


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
        self._answers: deque[_Answer] = deque()
        #: The thread is woken by so many answers.
        self._answers_awaited = 1
        self._unanswered = 0
        self._delivered: list[int] = []
        self._statuses: dict[str, tuple[str, bytes]] = {}
        self._must_put_back = False
        self._must_pause = False
        #: Answers of the window under way; whether anything got through since the first of them.
        self._denied: list[_Answer] = []
        self._others_get_through = False
        self._all_denied = False
        self._longest_pause = _PAUSES[0]
        self._send_at = 0.0
        self._write_at = math.inf
        self._up = False
        self._look_at_identity_at = 0.0
        self._down_since: float | None = None
        self._wake = threading.Event()
        self._room = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        for name in ("refused", "published", "rejected", "denied", "outages", "buffered"):
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
            self._counters.add("outages")
        self._up = False
        self._component.enter("offline")
        self._wake.set()

    # The life of it.

    def start(self, cloud: Cloud, window: int) -> None:
        """Begin to work, with at most `window` messages under way to `cloud`."""
        self._cloud, self._window = cloud, window
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
        self._take_answers()
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
        self._take_answers()
        if not self._unanswered:
            self._judge_denied()
            if self._must_put_back:
                self._put_back(now)
        self._plan_write(now)
        if now >= self._write_at:
            self._keep()
            self._plan_write(now)
        while self._commands:
            self._pass_on(*self._commands.popleft())
        if self._up and now >= self._send_at:
            self._send()

    def _plan_write(self, now: float) -> None:
        """When the disk is to be written to next: soon for what has arrived, a little later for deliveries alone."""
        if max(len(self._inbox), len(self._delivered)) >= _BATCH:
            self._write_at = now
        elif self._inbox:
            self._write_at = min(self._write_at, now + GATHER_SECONDS)
        # What waits in memory for the disk moves with a write, also on a quiet floor.
        elif self._delivered or self._outbox.counters["in_memory"]:
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

    def _take_answers(self) -> None:
        rejected: list[_Answer] = []
        published = 0
        for _ in range(len(self._answers)):
            answer = self._answers.popleft()
            self._unanswered -= 1
            if answer.verdict is _Verdict.PUBLISHED:
                self._delivered.append(answer.taken.key)
                self._others_get_through |= bool(self._denied)
                published += 1
            elif answer.verdict is _Verdict.REJECTED:
                rejected.append(answer)
            elif answer.verdict is _Verdict.DENIED:
                self._denied.append(answer)
            else:
                self._must_put_back = True
                self._must_pause |= answer.verdict is _Verdict.TOO_MUCH
        if published and not self._must_put_back:
            self._longest_pause = _PAUSES[0]
        if published and self._all_denied:
            _log.info("the cloud's policy lets messages through again; %d wait", self._outbox.depth)
            self._all_denied = False
        self._counters.add("published", published)
        self._reject(rejected)

    def _judge_denied(self) -> None:
        """Where others got through, what was denied is a dead letter; where none did, it is to be tried again."""
        denied, self._denied = self._denied, []
        if not denied:
            return
        self._counters.add("denied", len(denied))
        if self._others_get_through:
            self._reject(denied)
        else:
            self._must_put_back = self._must_pause = True
            if not self._all_denied:
                topic, problem = denied[0].taken.topic, denied[0].problem
                _log.error(
                    "the cloud's policy lets nothing through (%s: %s); messages wait in the outbox", topic, problem
                )
            self._all_denied = True
        self._others_get_through = False

    def _put_back(self, now: float) -> None:
        self._write([])
        self._outbox.put_back()
        self._must_put_back = False
        if self._must_pause:
            # Not for secrets: it spreads the attempts of many core devices.
            self._send_at = now + random.uniform(0, self._longest_pause)  # noqa: S311
            self._longest_pause = min(self._longest_pause * 2, _PAUSES[1])
            self._must_pause = False

    def _reject(self, answers: list[_Answer]) -> None:
        if not answers:
            return
        self._delivered.extend(answer.taken.key for answer in answers)
        self._counters.add("rejected", len(answers))
        self._dead_letters.add(
            [
                self._letter(taken.topic, taken.payload, f"the cloud does not take it: {problem}")
                for taken, _, problem in answers
            ]
        )

    def _write(self, outgoing: list[Outgoing]) -> None:
        self._outbox.write(outgoing, self._delivered)
        self._delivered.clear()
        self._write_at = math.inf

    def _send(self) -> None:
        assert self._cloud is not None  # noqa: S101 - set before the thread starts
        if self._outbox.has_waiting and not self._must_put_back and not self._denied:
            for taken in self._outbox.take(self._window - self._unanswered):
                self._unanswered += 1
                future = self._cloud.publish(taken.topic, taken.payload)
                future.add_done_callback(functools.partial(self._answered, taken))
        # While more waits, half of the window is sent as the other half is answered.
        self._answers_awaited = max(self._unanswered - (self._window // 2 if self._outbox.has_waiting else 0), 1)
        if len(self._answers) >= self._answers_awaited:
            self._wake.set()
        for topic, payload in self._statuses.values():
            self._cloud.publish_at_most_once(topic, payload)
        self._statuses.clear()

    def _answered(self, taken: Taken, future: "concurrent.futures.Future[mqtt5.PublishCompletionData]") -> None:
        try:
            packet = future.result().puback
        except Exception:  # whatever it was: it goes out again
            self._answers.append(_Answer(taken, _Verdict.LOST))
        else:
            code = packet.reason_code
            if code < _REFUSED:
                self._answers.append(_Answer(taken, _Verdict.PUBLISHED))
            else:
                problem = f"{code.name} {packet.reason_string or ''}".strip()
                self._answers.append(_Answer(taken, _VERDICTS.get(code, _Verdict.REJECTED), problem))
        if len(self._answers) >= self._answers_awaited:
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
