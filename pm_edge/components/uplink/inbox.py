"""Messages taken from the bus that are not in the outbox yet: in memory, and in the journal for the next process."""

import threading
import time
from collections import deque
from collections.abc import Callable

from pm_contracts import budgets
from pm_edge.runtime.journal import Entry, Journal

#: Messages of one transaction, and notes of deliveries.
BATCH = 1_000
#: Bytes that an entry takes in memory beside its topic and payload.
_OVERHEAD = 256
_ROOM_SECONDS = 0.5


class Inbox:
    """Bounded by bytes: whoever brings a message waits for room after it, so that the bus is held back.

    The bus's copy of a message goes when `put` and the wait have returned: from then on the journal has it.
    """

    def __init__(self, journal: Journal, wake: threading.Event) -> None:
        """An inbox with what `journal` has from earlier processes; `wake` is set where a batch can be taken."""
        self._journal = journal
        self._wake = wake
        self._entries: deque[Entry] = deque(journal.recovered())
        self.bytes = sum(map(_size, self._entries))
        self._lock = threading.Lock()
        self._room = threading.Event()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        """True if whoever brings a message would wait."""
        return self.bytes >= budgets.INBOX_BYTES

    @property
    def has_batch(self) -> bool:
        """True if there is enough for a transaction."""
        return len(self._entries) >= BATCH or self.bytes >= budgets.BATCH_BYTES

    def put(self, topic: str, payload: bytes, *, is_kept: bool) -> None:
        """Take a message in; where it `is_kept`, the journal has it when this returns. Waits for nobody."""
        now = time.time()
        with self._lock:
            journal = self._journal
            entry = Entry(journal.append(now, topic, payload) if is_kept else journal.generation, now, topic, payload)
            had_batch = self.has_batch
            self._entries.append(entry)
            self.bytes += _size(entry)
        # One that comes to others waits with them.
        if len(self._entries) == 1 or self.has_batch > had_batch:
            self._wake.set()

    def wait_for_room(self, is_emptied: Callable[[], bool]) -> None:
        """Wait while the inbox is full, for as long as somebody empties it."""
        while self.is_full and is_emptied():
            self._room.clear()
            self._room.wait(_ROOM_SECONDS)

    def begin_batch(self) -> int:
        """Begin a transaction: what to give to `end_batch`."""
        with self._lock:
            return self._journal.rotate()

    def take(self) -> list[Entry]:
        """The oldest messages, as many as one transaction holds."""
        taken: list[Entry] = []
        size = 0
        while self._entries and len(taken) < BATCH and size < budgets.BATCH_BYTES:
            taken.append(self._entries.popleft())
            size += _size(taken[-1])
        with self._lock:
            self.bytes -= size
        return taken

    def end_batch(self, begun: int) -> None:
        """Have the journal let go of what was taken: the outbox has it."""
        self._journal.forget(min(begun, self._entries[0].generation if self._entries else begun))
        if not self.is_full:
            self._room.set()


def _size(entry: Entry) -> int:
    return len(entry.topic) + len(entry.payload) + _OVERHEAD
