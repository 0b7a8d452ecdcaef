"""Messages on their way out, in an SQLite file: kept until they are delivered, handed out by priority and age.

A message is inserted once and deleted once, each at an end of the table of its priority; only the ids by which a repeat
is told are looked up at random. What has arrived is on the disk when `write` returns; that something was delivered
reaches it with the next such write: a power cut may undo that note, and the message is delivered again.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from pm_edge.components.uplink.database import prepare

#: Delivered messages that are still recognised when they come again.
REMEMBERED = 100_000
#: Bytes that a message takes beside its topic and payload, in the tables and their pages.
OVERHEAD = 120
_PRUNE_STEP = 2_000
_DROP_STEP = 200
#: Of the tables below, as `PRAGMA user_version`.
_LAYOUT = 1

_TABLES = (
    # The ids of the messages that are here, and of the latest delivered.
    "CREATE TABLE known (message_id BLOB PRIMARY KEY) WITHOUT ROWID",
    # In the order of delivery: which ids to forget first.
    "CREATE TABLE delivered (number INTEGER PRIMARY KEY, message_id BLOB NOT NULL)",
)
_TABLE_OF_A_PRIORITY = (
    "CREATE TABLE message_{priority}"
    " (id INTEGER PRIMARY KEY, message_id BLOB NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL)"
)


class Outgoing(NamedTuple):
    """A message for the cloud."""

    message_id: str
    priority: int
    topic: str
    payload: bytes


class Taken(NamedTuple):
    """A message under way; `key` names it until it is delivered."""

    key: int
    topic: str
    payload: bytes


class Written(NamedTuple):
    """The outcome of a batch of writes."""

    accepted: int
    repeated: int
    dropped: int


class _UnderWay(NamedTuple):
    priority: int
    message_id: bytes
    size: int


class Store:
    """One SQLite file (or `:memory:`) of messages; for one thread at a time.

    A message that comes again is recognised by its `message_id` while it waits, and among the latest `REMEMBERED`
    delivered.
    """

    def __init__(self, path: str, maximum_bytes: int, priorities: Iterable[int]) -> None:
        """Open the store, made where missing; all that is in it and not delivered waits.

        Args:
            path: of the file; SQLite keeps two more beside it.
            maximum_bytes: of the messages that wait.
            priorities: all there are, not negative; the lowest number leaves first.

        Raises:
            sqlite3.DatabaseError: if the file is no database, or damaged, or the disk does not let us.
        """
        self._maximum = maximum_bytes
        self.priorities = sorted(priorities)
        # Transactions are begun here, not by the module.
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._count = dict.fromkeys(self.priorities, 0)
        self._bytes = self._last_key = self._remembered = 0
        prepare(self._database, self._make_tables)
        self._count_messages()
        # By priority, the latest that was handed out: keys grow, so whatever comes later has a greater one.
        self._handed_out = dict.fromkeys(self.priorities, 0)
        self._under_way: dict[int, _UnderWay] = {}

    @property
    def depth(self) -> int:
        """The number of messages that wait or are in flight."""
        return sum(self._count.values())

    @property
    def has_waiting(self) -> bool:
        """True if messages wait that are not in flight."""
        return self.depth > len(self._under_way)

    def write(
        self, arrived: Collection[Outgoing], delivered: Iterable[int] = (), remembered: Iterable[str] = ()
    ) -> Written:
        """Keep what has arrived and note what was delivered: all of it, or nothing if it raises.

        Args:
            arrived: in the order in which they came.
            delivered: keys of messages that were under way.
            remembered: ids of messages that were delivered from elsewhere, to be recognised here.

        Raises:
            sqlite3.OperationalError: if the disk does not take it.
        """
        gone = [key for key in delivered if key in self._under_way]
        dropped: list[tuple[int, int, int]] = []
        # Whoever hands a message over relies on it from now on; a note of delivery may be lost with the power.
        self._database.execute(f"PRAGMA synchronous = {'FULL' if arrived else 'NORMAL'}")
        with self._transaction():
            remembered_now = self._remembered + self._remember(remembered) + self._note_delivered(gone)
            added = self._insert(arrived)
            freed = sum(self._under_way[key].size for key in gone)
            excess = self._bytes - freed + sum(_size(each.topic, each.payload) for each in added) - self._maximum
            if excess > 0:
                dropped = self._drop(excess)
            remembered_now = self._prune(remembered_now)
        self._last_key += len(added)
        for message in added:
            self._count[message.priority] += 1
            self._bytes += _size(message.topic, message.payload)
        for _, priority, size in dropped:
            self._count[priority] -= 1
            self._bytes -= size
        for key in gone:
            priority, _, size = self._under_way.pop(key)
            self._count[priority] -= 1
            self._bytes -= size
        self._remembered = remembered_now
        return Written(len(added), len(arrived) - len(added), len(dropped))

    def take(self, priority: int, limit: int) -> list[Taken]:
        """The oldest waiting messages of a priority, at most `limit`; they are under way from then on."""
        if not self._count[priority] or limit <= 0:
            return []
        taken = []
        for key, message_id, topic, payload in self._database.execute(
            f"SELECT id, message_id, topic, payload FROM message_{priority} WHERE id > ? ORDER BY id LIMIT ?",
            (self._handed_out[priority], limit),
        ):
            self._handed_out[priority] = key
            if key not in self._under_way:
                taken.append(Taken(key, topic, payload))
                self._under_way[key] = _UnderWay(priority, message_id, _size(topic, payload))
        return taken

    def put_back(self, delivered: Collection[int] = ()) -> None:
        """Return messages in flight to those that wait, but for the keys in `delivered`."""
        self._handed_out = dict.fromkeys(self.priorities, 0)
        self._under_way = {key: self._under_way[key] for key in delivered if key in self._under_way}

    def knows(self, message_id: str) -> bool:
        """True if a message is here, or is remembered as delivered."""
        found = self._database.execute("SELECT 1 FROM known WHERE message_id = ?", (bytes.fromhex(message_id),))
        return found.fetchone() is not None

    def waiting(self) -> list[Outgoing]:
        """The messages that wait and are not under way."""
        return [
            Outgoing(message_id.hex(), priority, topic, payload)
            for priority in self.priorities
            for message_id, topic, payload in self._database.execute(
                f"SELECT message_id, topic, payload FROM message_{priority} WHERE id > ? ORDER BY id",
                (self._handed_out[priority],),
            )
        ]

    def delivered(self) -> list[str]:
        """The ids of the messages that are remembered as delivered."""
        rows = self._database.execute("SELECT message_id FROM delivered ORDER BY number")
        return [message_id.hex() for (message_id,) in rows]

    def forget_waiting(self) -> None:
        """Let go of what waits and is not under way: someone else keeps it now."""
        for priority in self.priorities:
            gone = self._database.execute(
                f"DELETE FROM message_{priority} WHERE id > ? RETURNING message_id, length(topic) + length(payload)",
                (self._handed_out[priority],),
            ).fetchall()
            self._forget(message_id for message_id, _ in gone)
            self._count[priority] -= len(gone)
            self._bytes -= sum(size for _, size in gone) + len(gone) * OVERHEAD

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _make_tables(self) -> None:
        """Make the tables where the file is new; refuse one of another layout."""
        if not self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            with self._transaction():
                for statement in _TABLES:
                    self._database.execute(statement)
                for priority in self.priorities:
                    self._database.execute(_TABLE_OF_A_PRIORITY.format(priority=priority))
                self._database.execute(f"PRAGMA user_version = {_LAYOUT}")
        (layout,) = self._database.execute("PRAGMA user_version").fetchone()
        if layout != _LAYOUT:
            raise sqlite3.DatabaseError(f"its tables have layout {layout}, and {_LAYOUT} is read here")

    def _count_messages(self) -> None:
        for priority in self.priorities:
            count, size, last = self._database.execute(
                f"SELECT count(*), total(length(topic) + length(payload)), max(id) FROM message_{priority}"
            ).fetchone()
            self._count[priority] = count
            self._bytes += int(size) + count * OVERHEAD
            self._last_key = max(self._last_key, last or 0)
        (self._remembered,) = self._database.execute("SELECT count(*) FROM delivered").fetchone()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself where the disk was full.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _insert(self, arrived: Iterable[Outgoing]) -> list[Outgoing]:
        """Insert what is not known yet, with the keys from `_last_key` on; returns it."""
        added: list[Outgoing] = []
        rows: dict[int, list[tuple[int, bytes, str, bytes]]] = {}
        for message in arrived:
            message_id = bytes.fromhex(message.message_id)
            if self._database.execute("INSERT OR IGNORE INTO known VALUES (?)", (message_id,)).rowcount:
                added.append(message)
                row = (self._last_key + len(added), message_id, message.topic, message.payload)
                rows.setdefault(message.priority, []).append(row)
        for priority, of_priority in rows.items():
            self._database.executemany(f"INSERT INTO message_{priority} VALUES (?, ?, ?, ?)", of_priority)
        return added

    def _note_delivered(self, keys: Iterable[int]) -> int:
        """Delete messages, and remember their ids; how many they are."""
        ids: list[tuple[bytes]] = []
        keys_of: dict[int, list[tuple[int]]] = {}
        for key in keys:
            priority, message_id, _ = self._under_way[key]
            ids.append((message_id,))
            keys_of.setdefault(priority, []).append((key,))
        for priority, of_priority in keys_of.items():
            self._database.executemany(f"DELETE FROM message_{priority} WHERE id = ?", of_priority)
        self._database.executemany("INSERT INTO delivered (message_id) VALUES (?)", ids)
        return len(ids)

    def _remember(self, message_ids: Iterable[str]) -> int:
        """Remember ids as delivered; how many were not known."""
        new = [
            (message_id,)
            for message_id in map(bytes.fromhex, message_ids)
            if self._database.execute("INSERT OR IGNORE INTO known VALUES (?)", (message_id,)).rowcount
        ]
        self._database.executemany("INSERT INTO delivered (message_id) VALUES (?)", new)
        return len(new)

    def _forget(self, message_ids: Iterable[bytes]) -> None:
        self._database.executemany("DELETE FROM known WHERE message_id = ?", ((each,) for each in message_ids))

    def _drop(self, excess: int) -> list[tuple[int, int, int]]:
        """Delete waiting messages until `excess` bytes are free, the oldest of the last priority that has any first.

        Returns:
            Key, priority and size of each.
        """
        dropped: list[tuple[int, int, int]] = []
        ids: list[bytes] = []
        for priority in reversed(self.priorities):
            after = self._handed_out[priority]
            while excess > 0:
                rows = self._database.execute(
                    f"SELECT id, message_id, length(topic) + length(payload) FROM message_{priority}"
                    " WHERE id > ? ORDER BY id LIMIT ?",
                    (after, _DROP_STEP),
                ).fetchall()
                if not rows:
                    break
                for key, message_id, length in rows:
                    if excess <= 0:
                        break
                    dropped.append((key, priority, length + OVERHEAD))
                    ids.append(message_id)
                    excess -= length + OVERHEAD
                    after = key
            self._database.execute(
                f"DELETE FROM message_{priority} WHERE id > ? AND id <= ?", (self._handed_out[priority], after)
            )
        self._forget(ids)
        return dropped

    def _prune(self, remembered: int) -> int:
        """Forget the oldest delivered messages past `REMEMBERED`; how many are remembered then."""
        if remembered <= REMEMBERED + _PRUNE_STEP:
            return remembered
        gone = self._database.execute(
            "DELETE FROM delivered WHERE number IN (SELECT number FROM delivered ORDER BY number LIMIT ?)"
            " RETURNING message_id",
            (remembered - REMEMBERED,),
        ).fetchall()
        self._forget(message_id for (message_id,) in gone)
        return remembered - len(gone)


def _size(topic: str, payload: bytes) -> int:
    return len(topic) + len(payload) + OVERHEAD
