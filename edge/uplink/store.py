"""Messages on their way out, in an SQLite file: kept until they are delivered, handed out by priority and age."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

#: Delivered messages that are still recognised when they come again.
REMEMBERED = 100_000
#: Bytes that a message takes beside its topic and payload, in the table and its indexes.
OVERHEAD = 120
_PRUNE_STEP = 2_000
_DROP_STEP = 200

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id BLOB NOT NULL UNIQUE,
    priority INTEGER NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting ON message (priority, id);
-- What is left of a delivered message only tells a repeat; in a table of its own, so that the pages of the other are
-- used again and the file stays bounded.
CREATE TABLE IF NOT EXISTS delivered (id INTEGER PRIMARY KEY AUTOINCREMENT, message_id BLOB NOT NULL UNIQUE);
"""

_INSERT = """
INSERT OR IGNORE INTO message (message_id, priority, topic, payload)
SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM delivered WHERE message_id = ?)
"""


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
    """What became of the messages written."""

    accepted: int
    repeated: int
    dropped: int


class Store:
    """One SQLite file (or `:memory:`) of messages; for one thread at a time.

    What `write` was given is on disk when it returns. A message that comes again is recognised by its `message_id`
    while it waits, and among the latest `REMEMBERED` delivered.
    """

    def __init__(self, path: str, maximum_bytes: int, priorities: Iterable[int]) -> None:
        """Open the store, made where missing; all that is in it and not delivered waits.

        Args:
            path: of the file; SQLite keeps two more beside it.
            maximum_bytes: of the messages that wait.
            priorities: all there are; the lowest number leaves first.

        Raises:
            sqlite3.DatabaseError: where the file is no database, or damaged, or the disk does not let us.
        """
        self._maximum = maximum_bytes
        self.priorities = sorted(priorities)
        # Transactions are begun here, not by the module.
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        # A commit then survives a power cut as well; commits are batched, so this costs little.
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)
        self._count = dict.fromkeys(self.priorities, 0)
        self._bytes = 0
        for priority, count, size in self._database.execute(
            "SELECT priority, count(*), sum(length(topic) + length(payload)) FROM message GROUP BY priority"
        ):
            self._count[priority] = count
            self._bytes += size + count * OVERHEAD
        (self._remembered,) = self._database.execute("SELECT count(*) FROM delivered").fetchone()
        # By priority, the latest that was handed out: ids grow, so whatever comes later has a greater one.
        self._handed_out = dict.fromkeys(self.priorities, 0)
        self._under_way: dict[int, tuple[int, int]] = {}

    @property
    def depth(self) -> int:
        """How many messages wait or are under way."""
        return sum(self._count.values())

    @property
    def under_way(self) -> int:
        """How many messages are under way."""
        return len(self._under_way)

    def write(
        self, arrived: Collection[Outgoing], delivered: Iterable[int] = (), remembered: Iterable[str] = ()
    ) -> Written:
        """Keep what has arrived and note what was delivered: all of it, or nothing where it raises.

        Args:
            arrived: in the order in which they came.
            delivered: keys of messages that were under way.
            remembered: ids of messages that were delivered from elsewhere, to be recognised here.

        Raises:
            sqlite3.OperationalError: where the disk does not take it.
        """
        delivered = [key for key in delivered if key in self._under_way]
        added: list[Outgoing] = []
        dropped: list[tuple[int, int, int]] = []
        with self._transaction():
            execute = self._database.execute
            remembered_before = self._remembered + self._remember(remembered)
            remembered_before += self._database.executemany(
                "INSERT OR IGNORE INTO delivered (message_id) SELECT message_id FROM message WHERE id = ?",
                ((key,) for key in delivered),
            ).rowcount
            self._database.executemany("DELETE FROM message WHERE id = ?", ((key,) for key in delivered))
            for message in arrived:
                message_id = bytes.fromhex(message.message_id)
                row = (message_id, message.priority, message.topic, message.payload, message_id)
                if execute(_INSERT, row).rowcount:
                    added.append(message)
            freed = sum(self._under_way[key][1] for key in delivered)
            excess = self._bytes - freed + sum(_size(m.topic, m.payload) for m in added) - self._maximum
            if excess > 0:
                dropped = self._drop(excess)
            remembered_now = self._prune(remembered_before)
        for message in added:
            self._count[message.priority] += 1
            self._bytes += _size(message.topic, message.payload)
        for _, priority, size in dropped:
            self._count[priority] -= 1
            self._bytes -= size
        for key in delivered:
            priority, size = self._under_way.pop(key)
            self._count[priority] -= 1
            self._bytes -= size
        self._remembered = remembered_now
        return Written(len(added), len(arrived) - len(added), len(dropped))

    def take(self, priority: int, limit: int) -> list[Taken]:
        """The oldest waiting messages of a priority, at most `limit`; they are under way from then on."""
        if not self._count[priority] or limit <= 0:
            return []
        taken = []
        for key, topic, payload in self._database.execute(
            "SELECT id, topic, payload FROM message WHERE priority = ? AND id > ? ORDER BY id LIMIT ?",
            (priority, self._handed_out[priority], limit),
        ):
            self._handed_out[priority] = key
            if key not in self._under_way:
                taken.append(Taken(key, topic, payload))
                self._under_way[key] = (priority, _size(topic, payload))
        return taken

    def put_back(self, delivered: Collection[int] = ()) -> None:
        """What is under way was not delivered after all, but for the keys in `delivered`: it waits again."""
        self._handed_out = dict.fromkeys(self.priorities, 0)
        self._under_way = {key: self._under_way[key] for key in delivered if key in self._under_way}

    def knows(self, message_id: str) -> bool:
        """Whether a message is here, or is remembered as delivered."""
        key = bytes.fromhex(message_id)
        found = self._database.execute(
            "SELECT 1 FROM message WHERE message_id = ? UNION ALL SELECT 1 FROM delivered WHERE message_id = ?",
            (key, key),
        )
        return found.fetchone() is not None

    def waiting(self) -> list[Outgoing]:
        """The messages that wait and are not under way."""
        return [
            Outgoing(message_id.hex(), priority, topic, payload)
            for priority in self.priorities
            for message_id, topic, payload in self._database.execute(
                "SELECT message_id, topic, payload FROM message WHERE priority = ? AND id > ? ORDER BY id",
                (priority, self._handed_out[priority]),
            )
        ]

    def delivered(self) -> list[str]:
        """The ids of the messages that are remembered as delivered."""
        rows = self._database.execute("SELECT message_id FROM delivered ORDER BY id")
        return [message_id.hex() for (message_id,) in rows]

    def forget_waiting(self) -> None:
        """Let go of what waits and is not under way: someone else keeps it now."""
        for priority in self.priorities:
            gone = self._database.execute(
                "DELETE FROM message WHERE priority = ? AND id > ? RETURNING length(topic) + length(payload)",
                (priority, self._handed_out[priority]),
            ).fetchall()
            self._count[priority] -= len(gone)
            self._bytes -= sum(size for (size,) in gone) + len(gone) * OVERHEAD

    def close(self) -> None:
        """Close the file."""
        self._database.close()

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

    def _remember(self, message_ids: Iterable[str]) -> int:
        return self._database.executemany(
            "INSERT OR IGNORE INTO delivered (message_id) VALUES (?)",
            ((bytes.fromhex(message_id),) for message_id in message_ids),
        ).rowcount

    def _drop(self, excess: int) -> list[tuple[int, int, int]]:
        """Delete waiting messages until `excess` bytes are free, the oldest of the last priority that has any first."""
        dropped: list[tuple[int, int, int]] = []
        for priority in reversed(self.priorities):
            after = self._handed_out[priority]
            while excess > 0:
                rows = self._database.execute(
                    "SELECT id, length(topic) + length(payload) FROM message"
                    " WHERE priority = ? AND id > ? ORDER BY id LIMIT ?",
                    (priority, after, _DROP_STEP),
                ).fetchall()
                if not rows:
                    break
                for key, length in rows:
                    if excess <= 0:
                        break
                    dropped.append((key, priority, length + OVERHEAD))
                    excess -= length + OVERHEAD
                    after = key
        self._database.executemany("DELETE FROM message WHERE id = ?", ((key,) for key, _, _ in dropped))
        return dropped

    def _prune(self, remembered: int) -> int:
        """Forget the oldest delivered messages past `REMEMBERED`; how many are remembered then."""
        if remembered <= REMEMBERED + _PRUNE_STEP:
            return remembered
        gone = self._database.execute(
            "DELETE FROM delivered WHERE id IN (SELECT id FROM delivered ORDER BY id LIMIT ?)",
            (remembered - REMEMBERED,),
        ).rowcount
        return remembered - gone


def _size(topic: str, payload: bytes) -> int:
    return len(topic) + len(payload) + OVERHEAD
