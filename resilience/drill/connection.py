"""An MQTT connection of somebody who keeps to no pace and waits for no answer."""

import ssl
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt

_SECONDS = 15.0


class Connection:
    """A connection with a device's certificate, at most once; a context manager."""

    def __init__(self, host: str, port: int, client_id: str, identity: Path, authorities: str) -> None:
        """Connect.

        Args:
            host: Of the broker.
            port: Of the broker.
            client_id: Who it is.
            identity: Folder of `certificate.pem` and `private-key.pem`.
            authorities: What the broker is trusted by, PEM.

        Raises:
            ConnectionError: if it is not taken in.
        """
        context = ssl.create_default_context(cadata=authorities)
        context.check_hostname = False
        context.load_cert_chain(identity / "certificate.pem", identity / "private-key.pem")
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, clean_session=True)
        self._client.tls_set_context(context)
        connected = threading.Event()
        self._client.on_connect = lambda _client, _data, _flags, code, _properties: (
            connected.set() if not code.is_failure else None
        )
        try:
            self._client.connect(host, port)
            self._client.loop_start()
            if not connected.wait(_SECONDS):
                raise ConnectionError(f"{client_id} is not taken in at {host}:{port}")
        except OSError:
            self.close()
            raise

    def say(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publish messages, each with its topic."""
        for topic, payload in messages:
            self._client.publish(topic, payload, qos=0)

    def close(self) -> None:
        """Disconnect, after what was said is on its way."""
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
