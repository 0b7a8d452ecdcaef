"""A sensor's connection to a core device: found by discovery, kept, and with nothing forgotten that was not taken."""

import concurrent.futures
import functools
import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from awscrt import io, mqtt
from awscrt.exceptions import AwsCrtError

from pm_edge.devices.sensor.discovery import Core, Discovery, DiscoveryRefused, tls_context

_log = logging.getLogger(__name__)

#: Messages that the core device has not acknowledged, before the sensor waits.
WINDOW = 20
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
#: Seconds that a core device has to acknowledge a message. Its broker, Moquette, says nothing of one that the device's
#: group may not publish, and keeps the connection (`receivedPublishQos1` in `PostOffice.java` of
#: aws-greengrass-moquette-mqtt).
_ACKNOWLEDGEMENT_SECONDS = 30.0
_KEEP_ALIVE_SECONDS = 30
_NO_ACKNOWLEDGEMENT = "AWS_ERROR_MQTT_TIMEOUT"
#: Seconds, doubled with each vain attempt; the wait is a random part of it (full jitter).
_BACK_OFF = (0.5, 10.0)


class Link:
    """Publishes at least once and in order, over whatever connection there is.

    Attributes:
        connections: Times that a core device took the sensor in.
        refusals: Times that cloud or core device turned it away.
        unacknowledged: Times that a core device did not acknowledge a message in time; it went out again.
    """

    def __init__(self, discovery: Discovery, identity: Path, thing: str, on_taken: Callable[[int], None]) -> None:
        """Prepare it; `start` connects.

        Args:
            discovery: Where to look for core devices.
            identity: Folder of the sensor's identity.
            thing: The sensor's thing, and its client id.
            on_taken: Called with the number of each message that the core device has taken.
        """
        self._discovery = discovery
        self._identity = identity
        self._thing = thing
        self._on_taken = on_taken
        self._threads = io.EventLoopGroup(1)
        self._connection: mqtt.Connection | None = None
        self._untaken: dict[int, tuple[str, bytes]] = {}
        self._changed = threading.Condition()
        self._lost = threading.Event()
        self._ending = threading.Event()
        self._is_closing = False
        #: True once it was said, since the latest connection, that no more can be taken.
        self._is_full = False
        #: Topics of which it was said that nothing is acknowledged.
        self._silent: set[str] = set()
        #: Time at which the latest acknowledged message on a topic was sent, on the monotonic clock.
        self._acknowledged: dict[str, float] = {}
        self._thread = threading.Thread(target=self._keep_connected, name="link", daemon=True)
        self.connections = 0
        self.refusals = 0
        self.unacknowledged = 0

    def start(self) -> None:
        """Connect, and stay so."""
        self._lost.set()
        self._thread.start()

    def publish(self, number: int, topic: str, payload: bytes) -> bool:
        """Send a message; waits while `WINDOW` of them are not taken. Whether it went on its way before the end."""
        with self._changed:
            if len(self._untaken) >= WINDOW and self._connection is None and not self._is_full:
                self._is_full = True
                _log.warning("%d messages wait, and the next ones with them, until a core device takes them", WINDOW)
            self._changed.wait_for(lambda: len(self._untaken) < WINDOW or self._is_closing)
            if self._is_closing:
                return False
            self._untaken[number] = (topic, payload)
            if self._connection is not None:
                self._send(self._connection, number, topic, payload)
        return True

    def report(self, state: dict[str, Any]) -> None:
        """Update the sensor's shadow, where there is a connection; the next report says more anyway."""
        topic = self._shadow("update")
        with self._changed:
            if self._connection is not None:
                payload = json.dumps({"state": {"reported": state}}).encode()
                future, _ = self._connection.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)
                future.add_done_callback(functools.partial(self._heard, topic, time.monotonic()))

    def flush(self, seconds: float) -> bool:
        """Wait until all is taken, at most `seconds` and until `close`; whether it is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._untaken or self._is_closing, seconds)
            return not self._untaken

    def close(self) -> None:
        """Take no more messages, and let no one wait for room."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def finish(self, seconds: float) -> bool:
        """Wait until all is taken, at most `seconds` and while there is a connection; whether it is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._untaken or self._connection is None, seconds)
            return not self._untaken

    def stop(self) -> None:
        """Disconnect for good."""
        self.close()
        self._ending.set()
        self._lost.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_ANSWER_SECONDS)
        self._drop()

    def _keep_connected(self) -> None:
        shortest, longest = _BACK_OFF
        delay = shortest
        while True:
            self._lost.wait()
            if self._ending.is_set():
                return
            self._drop()
            self._lost.clear()
            try:
                if self._connect():
                    delay = shortest
                    continue
            except Exception as error:  # whatever it is: without this thread the sensor would be silent for good
                self.refusals += isinstance(error, DiscoveryRefused)
                _log.error("no core device: %s", error)
            self._lost.set()
            # Not for secrets: it spreads the attempts of many sensors.
            self._ending.wait(random.uniform(0, delay))  # noqa: S311
            delay = min(longest, delay * 2)

    def _connect(self) -> bool:
        cores = self._discovery.cores()
        for core in cores:
            for host, port in core.addresses:
                if self._connect_to(core, host, port):
                    return True
        if not any(core.addresses for core in cores):
            _log.error("the core devices have not said yet where they are: %s", ", ".join(core.thing for core in cores))
        return False

    def _connect_to(self, core: Core, host: str, port: int) -> bool:
        tls = tls_context(self._identity, core.authorities)
        connection = mqtt.Connection(
            client=mqtt.Client(io.ClientBootstrap(self._threads, io.DefaultHostResolver(self._threads)), tls),
            host_name=host,
            port=port,
            client_id=self._thing,
            clean_session=True,
            keep_alive_secs=_KEEP_ALIVE_SECONDS,
            protocol_operation_timeout_ms=int(_ACKNOWLEDGEMENT_SECONDS * 1000),
            on_connection_interrupted=self._interrupted,
        )
        try:
            connection.connect().result(_CONNECT_SECONDS)
            rejected, _ = connection.subscribe(self._shadow("update/rejected"), mqtt.QoS.AT_LEAST_ONCE, _rejected)
            rejected.result(_ANSWER_SECONDS)
        except Exception as error:  # the library's errors have no narrower common base
            self.refusals += "REFUSED" in str(error)
            _log.error("core device %s at %s:%d does not take this sensor: %s", core.thing, host, port, error)
            _disconnect(connection)
            return False
        with self._changed:
            self._connection = connection
            self._is_full = False
            self.connections += 1
            _log.info("connected to core device %s at %s:%d", core.thing, host, port)
            for number, (topic, payload) in self._untaken.items():
                self._send(connection, number, topic, payload)
        return True

    def _send(self, connection: mqtt.Connection, number: int, topic: str, payload: bytes) -> None:
        future, _ = connection.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)
        future.add_done_callback(functools.partial(self._answered, number, topic, time.monotonic()))

    def _answered(self, number: int, topic: str, sent_at: float, future: "concurrent.futures.Future[Any]") -> None:
        if not self._heard(topic, sent_at, future):
            # It stays, and goes out again over the next connection.
            self._lost.set()
            return
        with self._changed:
            was_waiting = self._untaken.pop(number, None) is not None
            self._changed.notify_all()
        if was_waiting:
            self._on_taken(number)

    def _heard(self, topic: str, sent_at: float, future: "concurrent.futures.Future[Any]") -> bool:
        """Return whether a message on `topic` was acknowledged; say once that none is, and once that one is again."""
        error = future.exception()
        if error is None:
            self._acknowledged[topic] = sent_at
            if topic in self._silent:
                self._silent.discard(topic)
                _log.info("what is published on %s is acknowledged again", topic)
            return True
        if isinstance(error, AwsCrtError) and error.name == _NO_ACKNOWLEDGEMENT:
            self.unacknowledged += 1
            # One that was sent before is late to tell of a time that is over.
            if topic not in self._silent and sent_at > self._acknowledged.get(topic, -math.inf):
                self._silent.add(topic)
                _log.error(
                    "the core device acknowledges nothing on %s within %.0f s; see whether the policy of this device "
                    "in deviceGroups of aws.greengrass.clientdevices.Auth allows mqtt:publish there; it is tried again",
                    topic,
                    _ACKNOWLEDGEMENT_SECONDS,
                )
        return False

    def _interrupted(self, error: Exception, **_: Any) -> None:
        _log.warning("the core device is lost: %s", error)
        self._lost.set()

    def _drop(self) -> None:
        with self._changed:
            connection, self._connection = self._connection, None
            self._changed.notify_all()
        if connection is not None:
            _disconnect(connection)

    def _shadow(self, request: str) -> str:
        return f"$aws/things/{self._thing}/shadow/{request}"


def _disconnect(connection: mqtt.Connection) -> None:
    try:
        connection.disconnect().result(_ANSWER_SECONDS)
    except Exception as error:  # the library's errors have no narrower common base
        _log.debug("the core device was not told good-bye: %s", error)


def _rejected(topic: str, payload: bytes, **_: Any) -> None:
    _log.error("a report is refused, on %s: %s", topic, payload.decode(errors="replace"))
