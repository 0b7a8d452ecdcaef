"""Refusals, told without drowning what was accepted: repeats of one topic are summed up in one dead letter.

The first refusals of a topic, each for another reason, have a dead letter of their own at once. What follows within the
period is one dead letter at its end: how many, from when to when, and one of them. Topics that are none of the site's
share one sum, since anybody can make them up.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pm_contracts import budgets
from pm_contracts.messages import DeadLetter

_OTHERS = ""


class Sum(NamedTuple):
    """Refusals of one topic that were not told one by one; `sample` is the dead letter of one of them."""

    key: str
    number: int
    first: dt.datetime
    last: dt.datetime
    sample: DeadLetter

    def letter(self) -> DeadLetter:
        """The dead letter that stands for all of them."""
        where = "on this topic" if self.key else "on topics that are none of the site's"
        span = f"from {self.first.isoformat(timespec='seconds')} to {self.last.isoformat(timespec='seconds')}"
        return DeadLetter(
            site=self.sample.site,
            component=self.sample.component,
            refused_at=self.last,
            topic=self.sample.topic,
            reason=f"{self.number} more {where} were refused {span}; one of them: {self.sample.reason}",
            payload=self.sample.payload,
        )


class _Period:
    """A topic's refusals since the first of them."""

    def __init__(self, end: float) -> None:
        self.end = end
        #: Hashes of the reasons that have a dead letter of their own.
        self.told: set[int] = set()
        self.sum: Sum | None = None


class Refusals:
    """The sums of an uplink; for one thread.

    Attributes:
        changed: Sums since they were last kept, by their key, to be cleared by the caller.
    """

    def __init__(self, knows: Callable[[str], bool], left: Iterable[Sum] = ()) -> None:
        """Sums for the topics that `knows` says are the site's; those `left` by an earlier process are due at once."""
        self._knows = knows
        self._periods: dict[str, _Period] = {}
        self.changed: dict[str, Sum] = {}
        for each in left:
            self._period(each.key, 0.0).sum = each

    def is_told_apart(self, topic: str, reason: str, now: float) -> bool:
        """True if a refusal is to have a dead letter of its own in the cloud; otherwise `sum_up` comes next.

        Args:
            topic: on which it came.
            reason: for which it was refused.
            now: seconds, on a clock that never goes back.
        """
        told = self._period(self._key(topic), now + budgets.DEAD_LETTER_PERIOD_SECONDS).told
        if hash(reason) in told or len(told) >= budgets.DEAD_LETTERS_OF_A_TOPIC:
            return False
        told.add(hash(reason))
        return True

    def sum_up(self, topic: str, refused_at: dt.datetime, sample: Callable[[], DeadLetter]) -> None:
        """Count a refusal; `sample` makes its dead letter, of `budgets.SAMPLE_BYTES` at most, where one is needed."""
        key = self._key(topic)
        period = self._periods[key]
        before = period.sum
        period.sum = self.changed[key] = (
            Sum(key, 1, refused_at, refused_at, sample())
            if before is None
            else before._replace(
                number=before.number + 1, first=min(before.first, refused_at), last=max(before.last, refused_at)
            )
        )

    def due(self, now: float) -> list[Sum]:
        """The sums whose period is over; they are let go of."""
        over = [key for key, period in self._periods.items() if period.end <= now]
        sums = [self._periods.pop(key).sum for key in over]
        return [each for each in sums if each is not None]

    def _period(self, key: str, end: float) -> _Period:
        period = self._periods.get(key)
        if period is None:
            period = self._periods[key] = _Period(end)
        return period

    def _key(self, topic: str) -> str:
        if topic in self._periods:
            return topic
        return topic if self._knows(topic) and len(self._periods) < budgets.SUMMED_TOPICS else _OTHERS
