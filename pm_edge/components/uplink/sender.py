"""Delivery from the outbox to the cloud: at most a window in flight, each answered, refused or sent again.

A message that the cloud's policy denies is a dead letter where others get through. Where none does, the policy is at
fault: all stay in the outbox and are tried again.
"""

import concurrent.futures
import enum
import functools
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError

from pm_contracts import budgets
from pm_edge.components.uplink.cloud import ACKNOWLEDGEMENT_SECONDS, Cloud
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import Taken
from pm_edge.runtime.component import Counters

_log = logging.getLogger(__name__)

#: The client's own refusal, of a packet larger than the broker takes: it would be the same each time.
_NEVER_SENT = "AWS_ERROR_MQTT5_PACKET_VALIDATION"
_NO_ACKNOWLEDGEMENT = "AWS_ERROR_MQTT_TIMEOUT"
_REFUSED = mqtt5.PubackReasonCode.UNSPECIFIED_ERROR
#: Seconds, doubled with each vain attempt; the pause is a random part of it (full jitter).
_PAUSES = (0.25, 20.0)


class Verdict(enum.Enum):
    """The outcome of a message that was sent."""

    PUBLISHED = enum.auto()
    #: The connection was lost before an answer came.
    LOST = enum.auto()
    #: None came in time, on a connection that is there.
    UNACKNOWLEDGED = enum.auto()
    #: The cloud is asked too much.
    TOO_MUCH = enum.auto()
    #: The policy of the device does not allow it.
    DENIED = enum.auto()
    REJECTED = enum.auto()


_VERDICTS = {
    mqtt5.PubackReasonCode.QUOTA_EXCEEDED: Verdict.TOO_MUCH,
    mqtt5.PubackReasonCode.NOT_AUTHORIZED: Verdict.DENIED,
}


class Answer(NamedTuple):
    """The cloud's answer to a message, with the reason for a refusal."""

    taken: Taken
    verdict: Verdict
    problem: str = ""


class Sender:
    """Sends what waits in the outbox; for one thread, but for the answers.

    Attributes:
        delivered: keys of what the outbox need not keep any longer, to be noted in it and cleared by the caller.
        send_at: not to be asked to send before, on the monotonic clock.
    """

    def __init__(
        self, outbox: Outbox, counters: Counters, on_rejected: Callable[[list[Answer]], None], wake: threading.Event
    ) -> None:
        """Send from `outbox`; `use` says where to.

        Args:
            outbox: what waits.
            counters: `published`, `denied` and `unacknowledged` are counted.
            on_rejected: called with what the cloud does not take.
            wake: set when there are answers to be taken.
        """
        self._outbox, self._counters, self._on_rejected, self._wake = outbox, counters, on_rejected, wake
        self._cloud: Cloud | None = None
        self._window = self._window_bytes = self._unanswered_bytes = 0
        self.delivered: list[int] = []
        self.send_at = 0.0
        self._answers: deque[Answer] = deque()
        #: The thread is woken by so many answers.
        self._answers_awaited = 1
        self._unanswered = 0
        self._must_put_back = False
        self._must_pause = False
        #: Answers of the window under way; whether anything got through since the first of them.
        self._denied: list[Answer] = []
        self._others_get_through = False
        self._all_denied = False
        self._is_silent = False
        self._longest_pause = _PAUSES[0]

    def use(self, cloud: Cloud, window: int, window_bytes: int = budgets.CONNECTION_BYTES_PER_SECOND) -> None:
        """Send to `cloud`, with at most `window` messages under way, and no more once they have `window_bytes`."""
        self._cloud, self._window, self._window_bytes = cloud, window, window_bytes

    def take_answers(self) -> None:
        """Take what the cloud has answered since."""
        rejected: list[Answer] = []
        unacknowledged: list[Answer] = []
        published = 0
        for _ in range(len(self._answers)):
            answer = self._answers.popleft()
            self._unanswered -= 1
            self._unanswered_bytes -= _size(answer.taken)
            if answer.verdict is Verdict.PUBLISHED:
                self.delivered.append(answer.taken.key)
                self._others_get_through |= bool(self._denied)
                published += 1
            elif answer.verdict is Verdict.REJECTED:
                rejected.append(answer)
            elif answer.verdict is Verdict.DENIED:
                self._denied.append(answer)
            else:
                self._must_put_back = True
                self._must_pause |= answer.verdict is Verdict.TOO_MUCH
                if answer.verdict is Verdict.UNACKNOWLEDGED:
                    unacknowledged.append(answer)
        if published and not self._must_put_back:
            self._longest_pause = _PAUSES[0]
        if published and self._all_denied:
            _log.info("the cloud's policy lets messages through again; %d wait", self._outbox.depth)
            self._all_denied = False
        self._counters.count("published", published)
        self._note_silence(published, unacknowledged)
        self._reject(rejected)

    def must_put_back(self) -> bool:
        """True if nothing is in flight any more and some messages must be sent again: `put_back` comes next."""
        if self._unanswered:
            return False
        self._judge_denied()
        return self._must_put_back

    def put_back(self, now: float) -> None:
        """Have the outbox give again what it gave and what is not noted as delivered, maybe after a pause."""
        self._outbox.put_back()
        self._must_put_back = False
        if self._must_pause:
            # Not for secrets: it spreads the attempts of many core devices.
            self.send_at = now + random.uniform(0, self._longest_pause)  # noqa: S311
            self._longest_pause = min(self._longest_pause * 2, _PAUSES[1])
            self._must_pause = False

    def send(self) -> None:
        """Fill the window from the outbox."""
        assert self._cloud is not None  # noqa: S101 - `use` comes first
        if self._outbox.has_waiting and not self._must_put_back and not self._denied:
            room = self._window_bytes - self._unanswered_bytes
            for taken in self._outbox.take(self._window - self._unanswered, room):
                self._unanswered += 1
                self._unanswered_bytes += _size(taken)
                future = self._cloud.publish(taken.topic, taken.payload)
                future.add_done_callback(functools.partial(self._answered, taken))
        # While more waits, one half is sent as the other half is answered.
        self._answers_awaited = max(self._unanswered - (self._unanswered // 2 if self._outbox.has_waiting else 0), 1)
        if len(self._answers) >= self._answers_awaited:
            self._wake.set()

    def _note_silence(self, published: int, unacknowledged: list[Answer]) -> None:
        """Count what came back unacknowledged; where nothing else came, say so once, and once when that is over."""
        if unacknowledged:
            self._counters.count("unacknowledged", len(unacknowledged))
        if published and self._is_silent:
            _log.info("the cloud acknowledges messages again; %d wait", self._outbox.depth)
            self._is_silent = False
        elif unacknowledged and not published and not self._is_silent:
            _log.error(
                "the cloud acknowledges nothing within %d s (%s, for one), though there is a connection; messages wait "
                "in the outbox and are sent again",
                ACKNOWLEDGEMENT_SECONDS,
                unacknowledged[0].taken.topic,
            )
            self._is_silent = True

    def _judge_denied(self) -> None:
        """Reject denied messages if others got through; otherwise have them sent again."""
        denied, self._denied = self._denied, []
        if not denied:
            return
        self._counters.count("denied", len(denied))
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

    def _reject(self, answers: list[Answer]) -> None:
        if answers:
            self.delivered.extend(answer.taken.key for answer in answers)
            self._on_rejected(answers)

    def _answered(self, taken: Taken, future: "concurrent.futures.Future[mqtt5.PublishCompletionData]") -> None:
        """Note the cloud's answer, on a thread of the connection."""
        try:
            packet = future.result().puback
        except Exception as error:
            if isinstance(error, AwsCrtError) and error.name == _NEVER_SENT:
                problem = f"{len(taken.payload)} bytes and its topic do not fit into a packet"
                self._answers.append(Answer(taken, Verdict.REJECTED, problem))
            elif isinstance(error, AwsCrtError) and error.name == _NO_ACKNOWLEDGEMENT:
                self._answers.append(Answer(taken, Verdict.UNACKNOWLEDGED))
            else:  # whatever it was: it goes out again
                self._answers.append(Answer(taken, Verdict.LOST))
        else:
            code = packet.reason_code
            if code < _REFUSED:
                self._answers.append(Answer(taken, Verdict.PUBLISHED))
            else:
                problem = f"{code.name} {packet.reason_string or ''}".strip()
                self._answers.append(Answer(taken, _VERDICTS.get(code, Verdict.REJECTED), problem))
        if len(self._answers) >= self._answers_awaited:
            self._wake.set()


def _size(taken: Taken) -> int:
    return len(taken.topic) + len(taken.payload)
