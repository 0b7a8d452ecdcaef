"""The time in which an alarm should be acknowledged, as a schedule that sends one message at its end."""

import datetime as dt
from collections.abc import Callable

from pm_components.functions.alarm_keeper.alarms import Alarm, Escalation
from pm_components.functions.alarm_keeper.later import Schedules


class Escalations:
    """Schedules by alarm.

    Args:
        schedules: among which theirs are.
        after_seconds: the time for an acknowledgement.
        now: the time, UTC.
    """

    def __init__(
        self,
        schedules: Schedules,
        *,
        after_seconds: int,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._schedules = schedules
        self._after = dt.timedelta(seconds=after_seconds)
        self._now = now

    def begin(self, alarm: Alarm) -> None:
        """Let the time for an alarm's acknowledgement begin; it goes on where it has begun."""
        alert = alarm.alert
        message = Escalation(site=alert.site, dedupe_key=alert.dedupe_key, raised_at=alarm.awaits_since)
        self._schedules.begin(_identity(alarm), self._now() + self._after, message)

    def end(self, alarm: Alarm) -> None:
        """Nobody need acknowledge the alarm any more."""
        self._schedules.end(_identity(alarm))


def _identity(alarm: Alarm) -> str:
    """The identity of an alarm's schedule; raised anew it has another one."""
    return f"{alarm.name}|{alarm.awaits_since.isoformat()}"
