"""The local bus on an MQTT 3.1.1 broker."""

import concurrent.futures
import functools
import logging
import os
import socket
import threading
from collections import deque
from typing import Any

from awscrt import io, mqtt

from pm_contracts import budgets
from pm_contracts.messages import MAXIMUM_MESSAGE_BYTES
from pm_edge.runtime.bus import ROOM, STOP_SECONDS, WINDOW, BusError, Callback, guarded
from pm_edge.runtime.callback_threads import keep_thread_state
from pm_edge.runtime.window import Room, Window

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_CONNECT_ATTEMPTS = 12
_ANSWER_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 30
#: Set by whoever wants to be told that the process works: systemd for a unit of Type=notify, the sandbox's nucleus.
_NOTIFY_VARIABLE = "NOTIFY_SOCKET"
#: Publishes under way at once when a callback publishes. It must not wait for itself where the broker acknowledges a
#: message only when its subscribers have; what it was given bounds what it says.
_CALLBACK_ROOM = Room(20 * WINDOW, budgets.BUS_CALLBACK_BYTES)
#: Bytes that a message takes in memory beside its topic and payload.
_OVERHEAD_BYTES = 250
#: Publishes at most once under way at once: the library keeps them while there is no connection.
_PASSING_ROOM = Room(8, budgets.BUS_PASSING_BYTES)


class MqttBus:
    """A `Bus` on a broker: QoS 1, reconnects by itself and sends again, in its order, what was not acknowledged.

    It asks the broker to keep its sessions: what is published while the component starts anew waits for it, as long as
    the broker keeps sessions, and the library sends again what was under way when a connection broke before anything
    newer (with a clean session it gives that up, and what is published meanwhile would overtake it).

    It has two connections, each with a thread of its own: one that receives, and acknowledges when the callback
    returns, and one that publishes. On a single one, a callback that waits for room to publish would wait for itself.
    """

    def __init__(self, host: str, port: int, client_id: str) -> None:
        """Connect; a broker that is still starting has a minute.

        Raises:
            BusError: if none answers in that time.
        """
        self._address = (host, port)
        self._client_id = client_id
        self._window = Window(ROOM)
        self._passing = Window(_PASSING_ROOM)
        self._receiving = True
        self._callbacks: dict[str, Callback] = {}
        #: Messages of a session from before this process, until the component has subscribed to them again.
        self._early: deque[tuple[str, bytes]] = deque()
        self._early_bytes = 0
        self.dropped = 0
        self._receiver_thread = 0
        self._dispatching = threading.RLock()
        self._publisher = _connection(host, port, f"{client_id}-publisher")
        self._subscriber: mqtt.Connection | None = None
        _connect(self._publisher, host, port)

    def largest_payload(self, topic: str) -> int:  # noqa: ARG002 - a nucleus needs it
        """See `Bus.largest_payload`; a message of the contract is no larger."""
        return MAXIMUM_MESSAGE_BYTES

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish`."""
        is_callback = threading.get_ident() == self._receiver_thread
        try:
            ticket = self._window.enter(len(payload), _CALLBACK_ROOM if is_callback else None)
        except RuntimeError as error:
            raise BusError(f"cannot publish on {topic}: {error}") from error
        future, _ = self._publisher.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)
        future.add_done_callback(functools.partial(self._answered, ticket))

    def publish_at_most_once(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish_at_most_once`."""
        if self._window.closed is not None:
            raise BusError(f"cannot publish on {topic}: closed: {self._window.closed}")
        ticket = self._passing.enter_at_once(len(payload))
        if ticket is not None:
            future, _ = self._publisher.publish(topic, payload, mqtt.QoS.AT_MOST_ONCE)
            future.add_done_callback(functools.partial(self._passed, ticket))

    def subscribe(self, topic_filter: str, callback: Callback) -> None:
        """See `Bus.subscribe`."""
        with self._dispatching:
            self._callbacks[topic_filter] = guarded(callback)
            early, self._early, self._early_bytes = self._early, deque(), 0
            for topic, payload in early:
                self._dispatch(topic, payload)
        if self._subscriber is None:
            # Only now: with the connection comes what has waited, and someone must be there to take it.
            host, port = self._address
            self._subscriber = _connection(host, port, self._client_id)
            self._subscriber.on_message(self._arrived)
            _connect(self._subscriber, host, port)
        future, _ = self._subscriber.subscribe(topic_filter, mqtt.QoS.AT_LEAST_ONCE)
        try:
            future.result(_ANSWER_SECONDS)
        except Exception as error:
            raise BusError(f"the broker refuses a subscription to {topic_filter}: {error!r}") from error

    def ready(self) -> None:
        """See `Bus.ready`: told as to systemd (sd_notify(3)), where the environment names a socket for it."""
        address = os.environ.get(_NOTIFY_VARIABLE, "")
        if not address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.sendto(b"READY=1", address.replace("@", "\0", 1) if address.startswith("@") else address)
        except OSError as error:
            raise BusError(f"nobody at {_NOTIFY_VARIABLE}, {address!r}, is told that it runs: {error}") from error

    def flush(self, seconds: float) -> bool:
        """See `Bus.flush`."""
        return self._window.wait_for_earlier(seconds)

    def stop_receiving(self) -> None:
        """See `Bus.stop_receiving`."""
        if not self._receiving:
            return
        self._receiving = False
        if self._subscriber is None:
            return
        gone = self._subscriber.disconnect()
        try:
            gone.result(STOP_SECONDS)
        except TimeoutError:
            self._window.close(BusError(f"what came could not be answered within {STOP_SECONDS:.0f} s of the end"))
            _await(gone)
        except Exception as error:  # the library's errors have no narrower common base
            _log.warning("the broker was not told good-bye: %s", error)

    def close(self) -> None:
        """See `Bus.close`."""
        self.stop_receiving()
        self._window.close(BusError("the bus is closed"))
        _await(self._publisher.disconnect())

    def _arrived(self, topic: str, payload: bytes, **_: Any) -> None:
        self._receiver_thread = threading.get_ident()
        with self._dispatching:
            self._dispatch(topic, payload)

    def _dispatch(self, topic: str, payload: bytes) -> None:
        callbacks = [call for wanted, call in self._callbacks.items() if _matches(wanted, topic)]
        if not callbacks:
            self._keep_early(topic, payload)
        for call in callbacks:
            call(topic, payload)

    def _keep_early(self, topic: str, payload: bytes) -> None:
        self._early.append((topic, payload))
        self._early_bytes += len(topic) + len(payload) + _OVERHEAD_BYTES
        while self._early_bytes > budgets.EARLY_BYTES:
            topic, payload = self._early.popleft()
            self._early_bytes -= len(topic) + len(payload) + _OVERHEAD_BYTES
            if not self.dropped:
                _log.warning("more came than has room before this component subscribes to it: the oldest is dropped")
            self.dropped += 1

    def _passed(self, ticket: int, future: "concurrent.futures.Future[Any]") -> None:
        future.exception()  # of one that is lost, which nobody has to know
        self._passing.leave(ticket)

    def _answered(self, ticket: int, future: "concurrent.futures.Future[Any]") -> None:
        error = future.exception()
        if error is not None:
            self._window.close(error)
        self._window.leave(ticket)


def _connection(host: str, port: int, client_id: str) -> mqtt.Connection:
    threads = io.EventLoopGroup(1)
    return mqtt.Connection(
        client=mqtt.Client(io.ClientBootstrap(threads, io.DefaultHostResolver(threads))),
        host_name=host,
        port=port,
        client_id=client_id,
        clean_session=False,
        keep_alive_secs=_KEEP_ALIVE_SECONDS,
        reconnect_min_timeout_secs=1,
        reconnect_max_timeout_secs=10,
        on_connection_success=lambda **_: keep_thread_state(),
        on_connection_interrupted=_interrupted,
        on_connection_resumed=_resumed,
    )


def _connect(connection: mqtt.Connection, host: str, port: int) -> None:
    pause = threading.Event()
    under_way: concurrent.futures.Future[Any] | None = None
    reason = ""
    for attempt in range(1, _CONNECT_ATTEMPTS + 1):
        try:
            under_way = under_way or connection.connect()
            under_way.result(_CONNECT_SECONDS)
            return
        except TimeoutError:
            # It goes on: the library refuses a second one beside it.
            problem = "no answer"
        except Exception as error:  # the library's errors have no narrower common base
            under_way, problem = None, str(error)
        if not reason:
            _log.warning("no broker at %s:%d yet: %s", host, port, problem)
        reason = problem
        if under_way is None:
            pause.wait(min(5.0, 0.25 * 2**attempt))
    raise BusError(f"no MQTT broker at {host}:{port}: {reason}")


def _await(gone: "concurrent.futures.Future[Any]") -> None:
    try:
        gone.result(_ANSWER_SECONDS)
    except Exception as error:  # the library's errors have no narrower common base
        _log.warning("the broker was not told good-bye: %s", error)


def _interrupted(error: Exception, **_: Any) -> None:
    _log.warning("local bus lost: %s", error)


def _resumed(connection: mqtt.Connection, session_present: bool, **_: Any) -> None:
    _log.warning("local bus is back")
    if not session_present:
        connection.resubscribe_existing_topics()


def _matches(topic_filter: str, topic: str) -> bool:
    """True if a message of `topic` is for a subscription of `topic_filter` (MQTT 3.1.1, section 4.7)."""
    levels = topic.split("/")
    wanted = topic_filter.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(levels) == len(wanted) and all(w in ("+", level) for w, level in zip(wanted, levels, strict=True))
