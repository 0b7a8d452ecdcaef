"""Messages to the function itself that come once at a time."""

import datetime as dt

import msgspec

from pm_components.functions.alarm_keeper.later import Schedules


class Timers:
    """Timers by message and time."""

    def __init__(self, schedules: Schedules) -> None:
        """Timers among `schedules`."""
        self._schedules = schedules

    def begin(self, message: msgspec.Struct, due: dt.datetime) -> None:
        """Let the message come at `due`, or within the second after it; begun twice, it comes once."""
        at = due.replace(microsecond=0) + dt.timedelta(seconds=due.microsecond > 0)
        self._schedules.begin(f"{msgspec.json.encode(message).decode()}|{at:%Y-%m-%dT%H:%M:%S}", at, message)
