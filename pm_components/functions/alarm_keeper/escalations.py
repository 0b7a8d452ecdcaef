"""The time in which an alarm should be acknowledged, as a schedule that sends one message at its end."""

import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any

from pm_components.functions.alarm_keeper.alarms import Alarm, Escalation
from pm_components.functions.alarm_keeper.later import target

NAME_PREFIX = "alarm-"


class Escalations:
    """Schedules by alarm.

    Args:
        client: a boto3 client of EventBridge Scheduler.
        group: the schedule group.
        queue_url: where the message goes.
        role_arn: the role that sends it.
        after_seconds: the time for an acknowledgement.
        now: the time, UTC.
    """

    def __init__(
        self,
        client: Any,
        *,
        group: str,
        queue_url: str,
        role_arn: str,
        after_seconds: int,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._client = client
        self._group = group
        self._queue_url = queue_url
        self._role_arn = role_arn
        self._after = dt.timedelta(seconds=after_seconds)
        self._now = now

    def begin(self, alarm: Alarm) -> None:
        """Let the time for an alarm's acknowledgement begin; it goes on where it has begun."""
        alert = alarm.alert
        message = Escalation(site=alert.site, dedupe_key=alert.dedupe_key, raised_at=alarm.awaits_since)
        try:
            self._client.create_schedule(
                Name=schedule_name(alarm),
                GroupName=self._group,
                ScheduleExpression=f"at({self._now() + self._after:%Y-%m-%dT%H:%M:%S})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target=target(self._queue_url, self._role_arn, message),
            )
        except self._client.exceptions.ConflictException:
            return

    def end(self, alarm: Alarm) -> None:
        """Nobody need acknowledge the alarm any more."""
        try:
            self._client.delete_schedule(Name=schedule_name(alarm), GroupName=self._group)
        except self._client.exceptions.ResourceNotFoundException:
            return


def schedule_name(alarm: Alarm) -> str:
    """The name of an alarm's schedule; raised anew it has another one. 64 characters are allowed."""
    identity = f"{alarm.name}|{alarm.awaits_since.isoformat()}"
    return NAME_PREFIX + hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
