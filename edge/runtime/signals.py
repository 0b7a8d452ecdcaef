"""The signals that ask a process to end."""

import queue
import signal
import threading
from collections.abc import Callable


def on_end(call: Callable[[], None]) -> None:
    """Have `call` called once, on a thread of its own, when SIGTERM or SIGINT comes.

    In the handler itself it might wait for a lock that the code holds which the signal has interrupted, and for ever.
    `SimpleQueue.put` is made to be called there (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put).
    """
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()

    def wait() -> None:
        asked.get()
        call()

    threading.Thread(target=wait, name="end", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.put(number))
