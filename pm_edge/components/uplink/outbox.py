"""The durable outbox: what was accepted for the cloud, until the cloud has acknowledged it.

It leaves by priority, then by age. It may leave more than once (after a crash between the acknowledgement and our note
of it) but never not at all; who reads it downstream tells a repeat by the `message_id`. Past its size, the oldest
waiting message of the last priority that has any goes, and is counted. Dead letters are the last, and have a bound of
their own within it.

Where the disk takes no more, messages wait in memory, bounded likewise, leave from there, and are written as soon as
the disk takes them.

A row that is not what was written does not leave: `take_damaged` gives it, to be made a dead letter. A file that is
damaged as a whole is put aside and a new one begun, also while the uplink works.
"""

import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypeVar

from pm_contracts import budgets
from pm_edge.components.uplink.database import PutAside, is_damage, open_or_begin_anew, put_aside
from pm_edge.components.uplink.store import REMEMBERED, Damaged, Outgoing, Store, Taken, Written

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_SAID = {
    "dropped": "the outbox is full: the oldest messages of the lowest priority are dropped from now on",
    "dropped_dead_letters": "the outbox has no room for more dead letters: the oldest are dropped from now on",
}

_Result = TypeVar("_Result")


class Outbox:
    """The outbox of one uplink; for one thread at a time.

    Attributes:
        counters: accepted, repeated, dropped and damaged messages so far, and dropped dead letters apart; `in_memory`,
            those that wait there now.
        put_aside: Files that were damaged as a whole, to be cleared by the caller.
    """

    def __init__(
        self, path: Path, maximum_bytes: int, priorities: Iterable[int], dead_letters: int | None = None
    ) -> None:
        """Open the outbox at `path`, made where missing; a damaged file is put aside and a new one begun.

        Args:
            path: the file.
            maximum_bytes: of the messages that wait.
            priorities: all there are; the lowest number leaves first.
            dead_letters: the priority of dead letters, which have `budgets.OUTBOX_DEAD_LETTERS_SHARE` of it.

        Raises:
            OSError, sqlite3.OperationalError: where the disk does not let us.
        """
        self.counters = dict.fromkeys(
            ("accepted", "repeated", "dropped", "dropped_dead_letters", "damaged", "in_memory"), 0
        )
        self.put_aside: list[PutAside] = []
        self._path, self._maximum_bytes = path, maximum_bytes
        self._priorities = sorted(priorities)
        self._dead_letters = dead_letters
        self._disk = self._open()
        self._memory: Store | None = None
        #: Keys of what was delivered, while the disk does not let us note it.
        self._delivered: list[int] = []
        self._retry_at = 0.0

    @property
    def depth(self) -> int:
        """The number of messages that wait or are in flight."""
        return self._disk.depth + (self._memory.depth if self._memory else 0)

    @property
    def has_waiting(self) -> bool:
        """True if messages wait that are not in flight."""
        return self._disk.has_waiting or (self._memory is not None and self._memory.has_waiting)

    def write(self, arrived: Collection[Outgoing], delivered: Iterable[int] = ()) -> None:
        """Keep what has arrived, which is safe when this returns, but for a full disk; note what was delivered.

        Args:
            arrived: in the order in which they came.
            delivered: keys of messages that the cloud has acknowledged.
        """
        memory_delivered = []
        for key in delivered:
            if key < 0:
                memory_delivered.append(-key)
            else:
                self._delivered.append(key)
        if self._memory:
            self._memory.write((), memory_delivered)
            if time.monotonic() < self._retry_at:
                self._write_to_memory(self._memory, arrived)
                return
        memory = self._memory
        # What is under way from memory is not moved, and a repeat of it is told there.
        new = [message for message in arrived if not memory.knows(message.message_id)] if memory else arrived
        try:
            if memory:
                self._move_to_disk(memory)
            remembered = memory.delivered() if memory else ()
            written = self._on_disk(lambda disk: disk.write(new, self._delivered, remembered))
        except sqlite3.OperationalError as error:
            if memory is None:
                _log.error("the disk takes no more (%s): messages wait in memory until it does", error)
                memory = self._memory = self._store(":memory:", budgets.OUTBOX_MEMORY_BYTES)
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._write_to_memory(memory, arrived)
            return
        self._delivered.clear()
        self._count(written, len(arrived) - len(new))
        if memory:
            self.counters["in_memory"] = memory.depth
            if not memory.depth:
                _log.warning("the disk takes messages again; none is left in memory")
                memory.close()
                self._memory = None

    def take(self, limit: int, limit_bytes: int = budgets.BATCH_BYTES) -> list[Taken]:
        """The next messages to send: by priority, then by age. They are under way from then on.

        Args:
            limit: messages.
            limit_bytes: where so many are reached, no more are taken.
        """
        taken: list[Taken] = []

        def take_from(store: Store, priority: int) -> list[Taken]:
            left = limit_bytes - sum(len(message.topic) + len(message.payload) for message in taken)
            return store.take(priority, limit - len(taken), left)

        for priority in self._priorities:
            # What is under way is in memory until the disk takes a note of it.
            if len(self._delivered) < REMEMBERED:
                taken += self._on_disk(functools.partial(take_from, priority=priority))
            if self._memory:
                taken += [message._replace(key=-message.key) for message in take_from(self._memory, priority)]
        return taken

    def take_damaged(self) -> list[Damaged]:
        """The damaged messages that `take` has met since; they are under way, until they are noted as delivered."""
        damaged, self._disk.damaged = self._disk.damaged, []
        self.counters["damaged"] += len(damaged)
        return damaged

    def put_back(self) -> None:
        """Return undelivered messages in flight to those that wait."""
        self._disk.put_back(self._delivered)
        if self._memory:
            self._memory.put_back()

    def close(self) -> None:
        """Close the file."""
        self._disk.close()
        if self._memory:
            if self._memory.depth:
                _log.error("%d messages are lost: the disk has not taken them to the end", self._memory.depth)
            self._memory.close()

    def _open(self, last_row: int = 0) -> Store:
        return open_or_begin_anew(
            self._path,
            lambda name: self._store(name, self._maximum_bytes, last_row),
            self.put_aside.append,
        )

    def _store(self, name: str, maximum_bytes: int, last_row: int = 0) -> Store:
        bounds: dict[int, int] = {}
        if self._dead_letters is not None:
            bounds[self._dead_letters] = int(maximum_bytes * budgets.OUTBOX_DEAD_LETTERS_SHARE)
        return Store(name, maximum_bytes, self._priorities, last_row, bounds)

    def _move_to_disk(self, memory: Store) -> None:
        """Move what waits in memory, a transaction's worth at a time; it was counted when it came."""
        while waiting := memory.waiting(budgets.BATCH_BYTES):
            written = self._on_disk(functools.partial(Store.write, arrived=waiting))
            self._count(written._replace(accepted=0, repeated=0), 0)
            memory.forget(waiting)
            self.counters["in_memory"] = memory.depth

    def _on_disk(self, use: Callable[[Store], _Result]) -> _Result:
        """The result of `use` on the store; where its file turns out to be damaged, on a new one."""
        try:
            return use(self._disk)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._disk.close()
            self.put_aside.append(put_aside(self._path, str(error)))
            # An answer to what is under way must not be taken for one to a new message.
            self._disk = self._open(self._disk.last_row)
            return use(self._disk)

    def _write_to_memory(self, memory: Store, arrived: Collection[Outgoing]) -> None:
        new = self._on_disk(lambda disk: [message for message in arrived if not disk.knows(message.message_id)])
        written = memory.write(new)
        self._count(written, len(arrived) - len(new))
        self.counters["in_memory"] = memory.depth

    def _count(self, written: Written, repeated: int) -> None:
        """Count what was written, and what was known before."""
        self.counters["accepted"] += written.accepted
        self.counters["repeated"] += written.repeated + repeated
        for priority, number in written.dropped.items():
            name = "dropped_dead_letters" if priority == self._dead_letters else "dropped"
            if not self.counters[name]:
                _log.error(_SAID[name])
            self.counters[name] += number
