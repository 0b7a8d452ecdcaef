"""The connection to AWS IoT Core: MQTT 5 over TLS with the device's certificate."""

import concurrent.futures
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from awscrt import io, mqtt5

from pm_edge.runtime.callback_threads import keep_thread_state

_log = logging.getLogger(__name__)

MQTT_PORT = 8883
FLOW_CONTROLS = ("aws", "none")
#: Publishes without an answer: "Maximum inbound unacknowledged QoS 1 publish requests", 100 a connection, AWS IoT Core.
WINDOW = {"aws": 100, "none": 400}
_KEEP_ALIVE_SECONDS = 30
#: Seconds that the cloud has to acknowledge a message; then it goes out again.
ACKNOWLEDGEMENT_SECONDS = 30
_FIRST_RETRY_MILLISECONDS = 250
#: A plant that comes back is noticed in 20 s at most; a fleet that comes back at once is spread by the full jitter.
_LAST_RETRY_MILLISECONDS = 20_000
_STOP_SECONDS = 5.0
#: Reason codes of a SUBACK from here on are failures (MQTT 5, section 3.9.3).
_REFUSED_SUBSCRIPTION = 0x80


class EndpointError(ValueError):
    """The endpoint or the device's identity is not usable; the text says what is wrong with which."""


class Endpoint(NamedTuple):
    """Host and port of AWS IoT Core, or of what stands before it."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """The endpoint in `HOST` or `HOST:PORT`.

        Raises:
            EndpointError: if it is neither.
        """
        matched = re.fullmatch(r"(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?", text)
        if not matched:
            raise EndpointError(f"endpoint {text!r}: it must be HOST or HOST:PORT, as AWS IoT Core's Data-ATS endpoint")
        return cls(matched["host"], int(matched["port"] or MQTT_PORT))


class Cloud:
    """A connection that comes back by itself, with exponential back-off and full jitter.

    All callbacks come on a thread of the connection and must return quickly.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        identity: Path,
        flow_control: str,
        *,
        command_filter: str,
        on_command: Callable[[str, bytes], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> None:
        """Prepare the connection; `start` makes it.

        Args:
            endpoint: where.
            client_id: as what.
            identity: folder of `certificate.pem`, `private-key.pem` and `root-ca.pem`.
            flow_control: "aws" keeps to the limits of a connection to AWS IoT Core, "none" knows none.
            command_filter: topic filter to subscribe to.
            on_command: called with topic and payload of what comes there.
            on_up: called when the connection is there and commands come, or were refused.
            on_down: called with the reason when it is lost, and at each vain attempt.

        Raises:
            EndpointError: if a file of the identity is missing or unusable.
        """
        self._endpoint, self._client_id, self._identity, self._flow_control = (
            endpoint,
            client_id,
            identity,
            flow_control,
        )
        self._command_filter = command_filter
        self._on_command, self._on_up, self._on_down = on_command, on_up, on_down
        self._fingerprint = _fingerprint(identity)
        self._number = 0
        self._is_connected = False
        self._client, self._stopped = self._new_client()

    def _new_client(self) -> tuple[mqtt5.Client, threading.Event]:
        """A client with the identity as it is now, and the event of its end; an earlier one is not listened to."""
        identity, options = self._identity, mqtt5.ExtendedValidationAndFlowControlOptions
        try:
            tls = io.TlsContextOptions.create_client_with_mtls(
                (identity / "certificate.pem").read_bytes(), (identity / "private-key.pem").read_bytes()
            )
            tls.override_default_trust_store((identity / "root-ca.pem").read_bytes())
            context = io.ClientTlsContext(tls)
        except OSError as error:
            raise EndpointError(f"identity of the device: {error}") from error
        except Exception as error:  # the library's own errors
            raise EndpointError(f"identity of the device in {identity}: {error}") from error
        self._number += 1
        number = self._number
        stopped = threading.Event()

        def down(data: Any) -> None:
            if number == self._number:
                self._is_connected = False
                self._on_down(str(data.exception))

        threads = io.EventLoopGroup(1)
        client = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name=self._endpoint.host,
                port=self._endpoint.port,
                bootstrap=io.ClientBootstrap(threads, io.DefaultHostResolver(threads)),
                tls_ctx=context,
                connect_options=mqtt5.ConnectPacket(
                    client_id=self._client_id, keep_alive_interval_sec=_KEEP_ALIVE_SECONDS
                ),
                # The outbox sends again what was not acknowledged, and nobody else.
                offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
                extended_validation_and_flow_control_options=(
                    options.AWS_IOT_CORE_DEFAULTS if self._flow_control == "aws" else options.NONE
                ),
                retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.FULL,
                min_reconnect_delay_ms=_FIRST_RETRY_MILLISECONDS,
                max_reconnect_delay_ms=_LAST_RETRY_MILLISECONDS,
                ack_timeout_sec=ACKNOWLEDGEMENT_SECONDS,
                on_publish_callback_fn=lambda data: self._on_command(
                    data.publish_packet.topic, data.publish_packet.payload
                ),
                on_lifecycle_event_connection_success_fn=self._connected,
                on_lifecycle_event_connection_failure_fn=down,
                on_lifecycle_event_disconnection_fn=down,
                on_lifecycle_event_stopped_fn=lambda _: stopped.set(),
            )
        )
        return client, stopped

    def take_up_identity(self) -> None:
        """Connect anew where a file of the identity has changed: the device's certificate was rotated.

        An identity that is not usable, as between the change of one file and that of the next, leaves all as it is
        until it changes again.
        """
        fingerprint = _fingerprint(self._identity)
        if fingerprint == self._fingerprint:
            return
        self._fingerprint = fingerprint
        before, stopped = self._client, self._stopped
        try:
            self._client, self._stopped = self._new_client()
        except EndpointError as error:
            _log.warning("the new identity is not usable, the one before it stays: %s", error)
            return
        _log.info("the device's identity has changed")
        self._on_down("the device's identity has changed")
        before.stop()
        # Two connections of one client id would throw each other out.
        stopped.wait(_STOP_SECONDS)
        self._client.start()

    def start(self) -> None:
        """Connect, and stay so."""
        self._client.start()

    def publish(self, topic: str, payload: bytes) -> "concurrent.futures.Future[mqtt5.PublishCompletionData]":
        """Send a message at least once; the future holds the answer, or an error where the connection was lost."""
        return self._client.publish(mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE))

    def publish_at_most_once(self, topic: str, payload: bytes) -> None:
        """Send a message that does no harm if it is lost."""
        future = self._client.publish(mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_MOST_ONCE))
        future.add_done_callback(lambda done: done.exception())

    def stop(self) -> None:
        """Disconnect for good."""
        self._client.stop()
        self._stopped.wait(_STOP_SECONDS)

    def _connected(self, _: Any) -> None:
        keep_thread_state()
        self._is_connected = True
        subscription = mqtt5.Subscription(topic_filter=self._command_filter, qos=mqtt5.QoS.AT_LEAST_ONCE)
        self._client.subscribe(mqtt5.SubscribePacket(subscriptions=[subscription])).add_done_callback(self._subscribed)

    def _subscribed(self, future: "concurrent.futures.Future[mqtt5.SubackPacket]") -> None:
        if not self._is_connected:
            return
        error = future.exception()
        if error is not None or any(code >= _REFUSED_SUBSCRIPTION for code in future.result().reason_codes):
            _log.error("no commands from the cloud: %s is refused (%s)", self._command_filter, error or future.result())
        self._on_up()


def _fingerprint(identity: Path) -> tuple[tuple[int, int, int], ...]:
    """A value that changes when a file of the identity does; a missing file counts as zeros."""
    found = []
    for name in ("certificate.pem", "private-key.pem", "root-ca.pem"):
        try:
            status = (identity / name).stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
