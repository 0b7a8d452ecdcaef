"""The uplink's sender at a cloud that acknowledges nothing: a server of MQTT 5 over TLS that says only what it must.

Not proved here: what AWS IoT Core does, which answers each publish, be it by a denial (`test_uplink.py`).
"""

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pm_edge.components.uplink import cloud as cloud_module
from pm_edge.components.uplink.cloud import Cloud, Endpoint
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.sender import Sender
from pm_edge.components.uplink.store import Outgoing
from pm_edge.runtime.component import Counters
from pm_sandbox.core_device.client_devices.authority import Authority
from tests.edge.silent_broker import LOOPBACK, make_identity

TOPIC = "pm/lindau/air-1/reading"
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9


class SilentCloud:
    """Takes one connection after the other; `acknowledges` says whether publishes are answered."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.acknowledges = False
        self.heard: Counter[bytes] = Counter()
        self._context = context
        self._listening = socket.socket()
        self._listening.bind((LOOPBACK, 0))
        self._listening.listen()
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    self._talk(connection)
            except OSError:
                continue

    def _talk(self, connection: ssl.SSLSocket) -> None:
        stream = connection.makefile("rb")
        while head := stream.read(1):
            length, shift = 0, 0
            while (byte := stream.read(1)[0]) & 0x80:
                length |= (byte & 0x7F) << shift
                shift += 7
            body = stream.read(length | byte << shift)
            kind = head[0] >> 4
            if kind == CONNECT:
                connection.sendall(bytes([CONNACK << 4, 3, 0, 0, 0]))
            elif kind == SUBSCRIBE:
                connection.sendall(bytes([SUBACK << 4, 4, *body[:2], 0, 1]))
            elif kind == PUBLISH:
                end_of_topic = 2 + int.from_bytes(body[:2], "big")
                # After the packet identifier, the length of no properties.
                self.heard[body[end_of_topic + 3 :]] += 1
                if self.acknowledges:
                    connection.sendall(bytes([PUBACK << 4, 2, *body[end_of_topic : end_of_topic + 2]]))


def test_what_the_cloud_does_not_acknowledge_is_said_once_and_sent_again_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cloud_module, "ACKNOWLEDGEMENT_SECONDS", 1)
    caplog.set_level("INFO")
    identity = make_identity(tmp_path / "identity")
    authority = Authority(tmp_path / "authority", "cloud")
    silent = SilentCloud(authority.server_context(LOOPBACK, identity / "root-ca.pem"))
    (identity / "root-ca.pem").write_text(authority.pem)
    outbox = Outbox(tmp_path / "outbox.sqlite", 10**6, [0])
    payloads = {b"%d" % number for number in range(3)}
    outbox.write([Outgoing(payload.decode() * 8, 0, TOPIC, payload) for payload in sorted(payloads)], [])
    counters, wake, up = Counters(), threading.Event(), threading.Event()
    sender = Sender(outbox, counters, lambda answers: None, wake)
    cloud = Cloud(
        Endpoint(LOOPBACK, silent.port),
        "uplink",
        identity,
        "none",
        command_filter="pm/lindau/command/+",
        on_command=lambda topic, payload: None,
        on_up=up.set,
        on_down=lambda reason: None,
    )
    sender.use(cloud, 10)
    cloud.start()
    assert up.wait(60)

    def drive(until: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not until():
            assert time.monotonic() < end, f"{silent.heard} {counters.snapshot()} {caplog.text}"
            wake.wait(0.1)
            wake.clear()
            sender.take_answers()
            if sender.must_put_back():
                sender.put_back(time.monotonic())
            sender.send()

    drive(lambda: counters.snapshot().get("unacknowledged", 0) >= 2 * len(payloads))
    silent.acknowledges = True
    drive(lambda: counters.snapshot()["published"] >= len(payloads))
    cloud.stop()
    silent.close()
    assert set(silent.heard) == payloads
    # One may be sent again where its acknowledgement was late: nothing notes here what was delivered in between.
    assert len(set(sender.delivered)) == len(payloads)
    assert caplog.text.count("the cloud acknowledges nothing within") == 1
    assert f"({TOPIC}, for one)" in caplog.text
    assert caplog.text.count("the cloud acknowledges messages again") == 1
