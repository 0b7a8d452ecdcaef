"""A sensor that looks for its core device while something is wrong on its own side.

Not proved here: that it finds one (`tests/core_device/test_client_devices.py`).
"""

import errno
import threading
from pathlib import Path

import pytest

from edge.sensor import link as link_module
from edge.sensor.discovery import Core
from edge.sensor.link import Link


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
