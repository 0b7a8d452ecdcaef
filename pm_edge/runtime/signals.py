"""The signals that ask a process to end."""

import os
import queue
import signal
import threading
from collections.abc import Callable


def on_end(call: Callable[[], None]) -> Callable[[], None]:
    """Have `call` called once, on a thread of its own, when SIGTERM or SIGINT comes.

    In the handler itself it might wait for a lock that the code holds which the signal has interrupted, and for ever.
    `SimpleQueue.put` is made to be called there (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put).

    Returns:
        A function that ends the process by the signal that came, at once, as it would have without all this; it returns
        where none came.
    """
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()
    came: list[int] = []

    def wait() -> None:
        came.append(asked.get())
        call()

    def end() -> None:
        for number in came:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    threading.Thread(target=wait, name="end", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.put(number))
    return end
