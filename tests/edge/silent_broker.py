"""A broker that acknowledges nothing on some topics, and an identity to meet it with over TLS."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pm_sandbox.core_device import mqtt
from pm_sandbox.core_device.broker import Broker
from pm_sandbox.core_device.broker_connection import Connection
from pm_sandbox.core_device.broker_session import Receipt
from pm_sandbox.core_device.client_devices.authority import Authority

LOOPBACK = "127.0.0.1"


def make_identity(directory: Path) -> Path:
    """A device's identity in `directory`, of its own authority; the folder."""
    directory.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (directory / "certificate.pem").write_bytes(certificate)
    (directory / "root-ca.pem").write_bytes(certificate)
    (directory / "private-key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return directory


class SilentBroker(Broker):
    """A broker in a thread, which carries and acknowledges nothing on topics that end as `silent_on` says.

    Attributes:
        port: Where it listens, on loopback.
        silent_on: Ends of topics.
        unanswered: Messages that it said nothing to, by client.
        authority: PEM to trust it by, where it speaks TLS.
    """

    def __init__(self, identity: Path | None = None) -> None:
        """A broker that speaks TLS with clients of `identity`, or plainly; `running` starts it."""
        super().__init__()
        self.silent_on: set[str] = set()
        self.unanswered: Counter[str] = Counter()
        self.authority = ""
        self._context: ssl.SSLContext | None = None
        if identity is not None:
            authority = Authority(identity.parent / "authority", "core")
            self.authority = authority.pem
            self._context = authority.server_context(LOOPBACK, identity / "root-ca.pem")
        self._listening = socket.socket()
        self._listening.bind((LOOPBACK, 0))
        self.port = int(self._listening.getsockname()[1])
        self._loop = asyncio.new_event_loop()

    @contextlib.contextmanager
    def running(self) -> Iterator["SilentBroker"]:
        """Serve on a thread."""

        async def serve() -> None:
            await self._loop.create_server(lambda: Connection(self), sock=self._listening, ssl=self._context)

        self._loop.run_until_complete(serve())
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._listening.close()

    def publish(self, publisher: Connection, message: mqtt.Publish) -> None:
        """See `broker_connection.Broker`."""
        if any(message.topic.endswith(end) for end in self.silent_on):
            self.unanswered[publisher.client_id] += 1
            return
        super().publish(publisher, message)

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish a message to those who subscribe to it."""
        self._loop.call_soon_threadsafe(self.carry, topic, payload, Receipt(_Nobody(), 0))

    def subscribers(self) -> set[str]:
        """Clients that have subscribed to anything."""
        return {client_id for client_id, session in list(self._sessions.items()) if session.filters}


class _Nobody:
    writable = True

    def send(self, packet: bytes) -> None:
        """Nothing to tell."""

    def close(self, reason: str, level: int = 0) -> None:
        """Nothing to close."""
