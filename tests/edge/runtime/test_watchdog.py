"""The watchdog over a thread: it speaks once where no step comes, and never where one does.

Not proved here: the end of a real process (`test_standstill.py`).
"""

import threading

import pytest

from pm_edge.runtime import watchdog as watchdog_module
from pm_edge.runtime.watchdog import Watchdog


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(watchdog_module, "_LOOK_SECONDS", 0.001)


def test_it_says_where_a_thread_stands_still():
    stands_still, said = threading.Event(), []
    heard = threading.Event()
    thread = threading.Thread(target=stands_still.wait, name="worker", daemon=True)
    thread.start()
    watchdog = Watchdog(thread, 5, lambda reason: (said.append(reason), heard.set()))
    watchdog.start()
    assert heard.wait(60)
    assert said[0].startswith("the thread worker has made no step for 5 s; it is at threading.py:")
    stands_still.set()


def test_a_thread_that_makes_steps_is_left_alone_until_it_makes_none():
    heard = threading.Event()
    watchdog = Watchdog(threading.current_thread(), 10_000_000, lambda _: heard.set())
    watchdog.start()
    for _ in range(100):
        watchdog.beat()
    assert not heard.is_set()
    watchdog.stop()
    watchdog._thread.join(60)
    assert not watchdog._thread.is_alive()
    assert not heard.is_set()
