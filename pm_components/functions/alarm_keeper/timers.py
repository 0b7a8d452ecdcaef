"""Messages to the function itself at a later time, as schedules that send one each."""

import datetime as dt
import hashlib
from typing import Any

import msgspec

from pm_components.functions.alarm_keeper.escalations import NAME_PREFIX
from pm_components.functions.alarm_keeper.later import target


class Timers:
    """Timers by message and time.

    Args:
        client: a boto3 client of EventBridge Scheduler.
        group: the schedule group.
        queue_url: where the message goes.
        role_arn: the role that sends it.
    """

    def __init__(self, client: Any, *, group: str, queue_url: str, role_arn: str) -> None:
        self._client = client
        self._group = group
        self._queue_url = queue_url
        self._role_arn = role_arn

    def begin(self, message: msgspec.Struct, due: dt.datetime) -> None:
        """Let the message come at `due`, or within the second after it; begun twice, it comes once."""
        body = msgspec.json.encode(message).decode()
        at = f"{due.replace(microsecond=0) + dt.timedelta(seconds=due.microsecond > 0):%Y-%m-%dT%H:%M:%S}"
        try:
            self._client.create_schedule(
                # 64 characters are allowed.
                Name=NAME_PREFIX + hashlib.blake2b(f"{body}|{at}".encode(), digest_size=16).hexdigest(),
                GroupName=self._group,
                ScheduleExpression=f"at({at})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target=target(self._queue_url, self._role_arn, message),
            )
        except self._client.exceptions.ConflictException:
            return
