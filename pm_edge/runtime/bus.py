"""The local bus: how the components of a core device talk to one another.

On a core device it is Greengrass's local publish/subscribe; elsewhere (the sandbox, a plant that has a broker already)
an MQTT 3.1.1 broker. A broker that keeps sessions holds what is published while a component starts anew, and gives it
again what it had not finished when it was killed. Greengrass keeps nothing for a component that is not there.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from pm_contracts import budgets
from pm_edge.runtime.window import Room

#: Called with topic and payload, in the order of arrival, on one thread of the bus. It may publish. While it works,
#: nothing more is taken from the bus: a component that cannot keep up holds the others back instead of losing messages.
Callback = Callable[[str, bytes], None]

GREENGRASS_VARIABLE = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
BROKER_VARIABLE = "PM_LOCAL_BROKER"

#: Publishes under way at once; `Bus.publish` waits when there are as many, or as many bytes of them.
WINDOW = 200
ROOM = Room(WINDOW, budgets.BUS_WINDOW_BYTES)
#: Seconds that a callback has to return when no more messages are to be taken; one that waits to publish then fails.
STOP_SECONDS = 3.0


_log = logging.getLogger(__name__)


class BusError(RuntimeError):
    """The local bus cannot be reached or does not take what it is given; the text says why."""


class TooLargeError(ValueError):
    """A payload that the local bus cannot carry; the text says how large it is, and what is carried."""


class Bus(Protocol):
    """A connection to the local bus.

    Attributes:
        dropped: Messages that came and had no room to wait for their callback.
    """

    dropped: int

    def largest_payload(self, topic: str) -> int:
        """Bytes of the largest payload that the bus carries on `topic`."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message at least once. Waits while `ROOM` is taken, also through a reconnect.

        Raises:
            BusError: if the bus is closed, or has refused this or an earlier message.
            TooLargeError: if the payload exceeds `largest_payload`; the bus goes on.
        """

    def publish_at_most_once(self, topic: str, payload: bytes) -> None:
        """Send a message that the next one makes up for; waits for nobody, and is lost for who is not there.

        Raises:
            BusError: if the bus is closed, or has refused an earlier message.
            TooLargeError: if the payload exceeds `largest_payload`; the bus goes on.
        """

    def subscribe(self, topic_filter: str, callback: Callback) -> None:
        """Have `callback` called with each message on `topic_filter`; returns when the bus has agreed.

        Raises:
            BusError: if it does not.
        """

    def ready(self) -> None:
        """Tell whoever has started this process that the component works.

        Raises:
            BusError: if it does not take that.
        """

    def flush(self, seconds: float) -> bool:
        """Wait until the bus has acknowledged all that was published before; whether it did within `seconds`."""

    def stop_receiving(self) -> None:
        """Take no more messages; when this returns, no callback runs any more. Publishing goes on working.

        A callback that has not returned within `STOP_SECONDS` waits for a bus that takes nothing: then publishing ends
        too, its message stays unanswered, and `flush` says so.
        """

    def close(self) -> None:
        """Disconnect."""


def guarded(callback: Callback) -> Callback:
    """`callback`, for which an exception is logged: one bad message must not end the delivery of those behind it."""

    def call(topic: str, payload: bytes) -> None:
        try:
            callback(topic, payload)
        except Exception:
            _log.exception("a message on %s was not processed", topic)

    return call
