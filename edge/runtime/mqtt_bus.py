"""The local bus on an MQTT 3.1.1 broker."""

import concurrent.futures
import functools
import logging
import threading
from typing import Any

from awscrt import io, mqtt

from edge.runtime.bus import WINDOW, BusError, Callback, guarded
from edge.runtime.window import Window

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_CONNECT_ATTEMPTS = 12
_ANSWER_SECONDS = 30.0
_KEEP_ALIVE_SECONDS = 30
_LOST_WITH_CONNECTION = "AWS_ERROR_MQTT_CANCELLED_FOR_CLEAN_SESSION"


class MqttBus:
    """A `Bus` on a broker: QoS 1, clean session, reconnects by itself and sends again what was not acknowledged.

    It has two connections, each with a thread of its own: one that receives, and acknowledges when the callback
    returns, and one that publishes. On a single one, a callback that waits for room to publish would wait for itself.
    """

    def __init__(self, host: str, port: int, client_id: str) -> None:
        """Connect; a broker that is still starting has a minute.

        Raises:
            BusError: where none answers in that time.
        """
        self._window = Window(WINDOW)
        self._receiving = True
        self._closing = False
        self._publisher = _connect(host, port, f"{client_id}-publisher")
        self._subscriber = _connect(host, port, client_id)

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish`."""
        try:
            self._window.enter()
        except RuntimeError as error:
            raise BusError(f"cannot publish on {topic}: {error}") from error
        self._send(topic, payload)

    def subscribe(self, topic_filter: str, callback: Callback) -> None:
        """See `Bus.subscribe`."""
        call = guarded(callback)

        def arrived(topic: str, payload: bytes, **_: Any) -> None:
            call(topic, payload)

        future, _ = self._subscriber.subscribe(topic_filter, mqtt.QoS.AT_LEAST_ONCE, arrived)
        try:
            future.result(_ANSWER_SECONDS)
        except Exception as error:
            raise BusError(f"the broker refuses a subscription to {topic_filter}: {error or 'no answer'}") from error

    def flush(self, seconds: float) -> bool:
        """See `Bus.flush`."""
        return self._window.wait_until_empty(seconds)

    def stop_receiving(self) -> None:
        """See `Bus.stop_receiving`."""
        if not self._receiving:
            return
        self._receiving = False
        _disconnect(self._subscriber)

    def close(self) -> None:
        """See `Bus.close`."""
        self.stop_receiving()
        self._closing = True
        self._window.close(BusError("the bus is closed"))
        _disconnect(self._publisher)

    def _send(self, topic: str, payload: bytes) -> None:
        future, _ = self._publisher.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)
        future.add_done_callback(functools.partial(self._answered, topic, payload))

    def _answered(self, topic: str, payload: bytes, future: "concurrent.futures.Future[Any]") -> None:
        error = future.exception()
        if getattr(error, "name", "") == _LOST_WITH_CONNECTION and not self._closing:
            # With a clean session the library gives up what was under way when the connection broke.
            self._send(topic, payload)
            return
        if error is not None:
            self._window.close(error)
        self._window.leave()


def _connect(host: str, port: int, client_id: str) -> mqtt.Connection:
    threads = io.EventLoopGroup(1)
    connection = mqtt.Connection(
        client=mqtt.Client(io.ClientBootstrap(threads, io.DefaultHostResolver(threads))),
        host_name=host,
        port=port,
        client_id=client_id,
        clean_session=True,
        keep_alive_secs=_KEEP_ALIVE_SECONDS,
        reconnect_min_timeout_secs=1,
        reconnect_max_timeout_secs=10,
        on_connection_interrupted=_interrupted,
        on_connection_resumed=_resumed,
    )
    pause = threading.Event()
    reason: Exception | None = None
    for attempt in range(1, _CONNECT_ATTEMPTS + 1):
        try:
            connection.connect().result(_CONNECT_SECONDS)
            return connection
        except Exception as error:  # the library's errors have no narrower common base
            if reason is None:
                _log.warning("no broker at %s:%d yet: %s", host, port, error)
            reason = error
        pause.wait(min(5.0, 0.25 * 2**attempt))
    raise BusError(f"no MQTT broker at {host}:{port}: {reason}") from reason


def _disconnect(connection: mqtt.Connection) -> None:
    try:
        connection.disconnect().result(_ANSWER_SECONDS)
    except Exception as error:  # the library's errors have no narrower common base
        _log.warning("the broker was not told good-bye: %s", error)


def _interrupted(error: Exception, **_: Any) -> None:
    _log.warning("local bus lost: %s", error)


def _resumed(connection: mqtt.Connection, session_present: bool, **_: Any) -> None:
    _log.warning("local bus is back")
    if not session_present:
        connection.resubscribe_existing_topics()
