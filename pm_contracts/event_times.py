"""The rule for event times that lie ahead of the message's arrival: one clock far ahead must not blind a reader.

A reader that orders by event time would take all that follows such a message for old. So it is refused, on the floor
and in the cloud alike, by one tolerance. The cloud's clock is right. A core device's may be the one that is wrong, as
after a start without a network: there a device that insists is believed.
"""

import datetime as dt

from pm_contracts.messages import Message, Refused

#: The time that a message may be ahead of its arrival: more than clocks that are set drift, less than a time zone.
TOLERANCE = dt.timedelta(minutes=30)
#: Messages of a device in a row after which it is not they that are wrong.
PATIENCE = 24


def require_past(message: Message, arrived_at: dt.datetime) -> None:
    """Refuse a message whose event is yet to come.

    Args:
        message: of any type; one without an event time passes.
        arrived_at: when it came, by the receiver's own clock.

    Raises:
        Refused: if it is further ahead than allowed.
    """
    happened_at = message.happened_at
    if happened_at is not None and happened_at - arrived_at > TOLERANCE:
        raise Refused(
            f"{message.time_field} is {happened_at.isoformat()}, which is ahead of its arrival at "
            f"{arrived_at.isoformat(timespec='seconds')}: allowed are {TOLERANCE.total_seconds() / 60:.0f} minutes"
        )


class PatientClock:
    """The rule where the receiver's own clock may be wrong: a device that keeps to its time is believed in the end."""

    def __init__(self) -> None:
        self._ahead: dict[str, int] = {}

    def require_past(self, message: Message, arrived_at: dt.datetime) -> None:
        """Refuse a message whose event is yet to come, unless that many of its device were so in a row.

        Args:
            message: of a known device, since its count is kept.
            arrived_at: when it came, by the receiver's own clock.

        Raises:
            Refused: if it is further ahead than allowed.
        """
        device = getattr(message, "device", "")
        try:
            require_past(message, arrived_at)
        except Refused:
            self._ahead[device] = self._ahead.get(device, 0) + 1
            if self._ahead[device] < PATIENCE:
                raise
        else:
            self._ahead.pop(device, None)
