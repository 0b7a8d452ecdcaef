"""A sensor's link to its core device while something is wrong on either side.

The core device here is a broker with TLS; what AWS's own says nothing to, it says nothing to. Not proved here: that a
sensor finds its core device, and is held to its group's policy (`tests/sandbox/core_device/test_client_devices.py`).
"""

import errno
import threading
from pathlib import Path

import pytest

from pm_edge.devices.sensor import link as link_module
from pm_edge.devices.sensor.discovery import Core
from pm_edge.devices.sensor.link import WINDOW, Link
from tests.edge.silent_broker import LOOPBACK, SilentBroker, make_identity
from tests.waiting import eventually

TOPIC = "pm/jena/air-1/reading"


class Answers:
    """A discovery that answers the same each time, and says when it is asked once more."""

    def __init__(self, answer: list[Core] | Exception) -> None:
        self._answer = answer
        self._asked = 0
        self.asked_again = threading.Event()

    def cores(self) -> list[Core]:
        self._asked += 1
        if self._asked > 1:
            self.asked_again.set()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    "answer",
    [OSError(errno.ENOSPC, "No space left on device"), [Core("core", [("127.0.0.1", 1)], "no certificate")]],
    ids=["a full disk", "no usable identity"],
)
def test_it_looks_again(answer: list[Core] | Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "_BACK_OFF", (0.01, 0.01))
    discovery = Answers(answer)
    link = Link(discovery, tmp_path, "sensor", lambda _: None)  # type: ignore[arg-type]
    link.start()
    assert discovery.asked_again.wait(10)
    link.stop()


@pytest.mark.parametrize("silent_on", ["/reading", "/update"], ids=["readings", "reports"])
def test_what_is_not_acknowledged_is_said_once_kept_and_sent_again_until_it_is(
    silent_on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(link_module, "_ACKNOWLEDGEMENT_SECONDS", 0.3)
    caplog.set_level("INFO")
    identity = make_identity(tmp_path / "identity")
    taken: list[int] = []
    with SilentBroker(identity).running() as broker:
        broker.silent_on = {silent_on}
        link = Link(
            Answers([Core("core", [(LOOPBACK, broker.port)], broker.authority)]),  # type: ignore[arg-type]
            identity,
            "sensor",
            taken.append,
        )
        link.start()
        eventually(lambda: link.connections, caplog.text)
        for number in range(3):
            assert link.publish(number, TOPIC, b"%d" % number)

        def is_tried_again() -> bool:
            link.report({"state": "running"})
            return link.unacknowledged >= 2 * 3

        eventually(is_tried_again, caplog.text)
        broker.silent_on = set()

        def is_said() -> bool:
            link.report({"state": "running"})
            return "is acknowledged again" in caplog.text

        eventually(is_said, caplog.text)
        assert link.flush(60)
        link.stop()
    assert taken == [0, 1, 2]
    said = [record.message for record in caplog.records if "acknowledge" in record.message]
    topic = TOPIC if silent_on == "/reading" else "$aws/things/sensor/shadow/update"
    assert len(said) == 2
    assert said[0].startswith(f"the core device acknowledges nothing on {topic} within")
    assert "deviceGroups of aws.greengrass.clientdevices.Auth" in said[0]
    assert said[1] == f"what is published on {topic} is acknowledged again"


def test_without_a_core_device_who_waits_for_room_is_let_go_at_the_end(tmp_path: Path) -> None:
    link = Link(Answers([]), tmp_path, "sensor", lambda _: None)  # type: ignore[arg-type]
    for number in range(WINDOW):
        assert link.publish(number, TOPIC, b"")
    published: list[bool] = []
    waiting = threading.Thread(target=lambda: published.append(link.publish(WINDOW, TOPIC, b"")))
    waiting.start()
    link.close()
    waiting.join(60)
    assert published == [False]
    assert not link.flush(60)
    assert not link.finish(60)
