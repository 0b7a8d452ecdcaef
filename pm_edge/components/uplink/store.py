"""Messages on their way out, in an SQLite file: kept until they are delivered, handed out by priority and age.

A message is inserted once and deleted once, each at an end of the table of its priority; only the ids by which a repeat
is told are looked up at random. What has arrived is on the disk when `write` returns; that something was delivered
reaches it with the next such write: a power cut may undo that note, and the message is delivered again.

Each row has a checksum, since SQLite has none: a changed byte in a row is read as it is. It is CRC-32, which notices
each change within 32 bits, and all but one in four thousand million of the others, in a fifth of the time of a hash;
nobody forges a row here who could not as well write a new one.
"""

import contextlib
import sqlite3
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from pm_contracts import budgets
from pm_edge.components.uplink.database import prepare, used_bytes

#: Delivered messages that are still recognised when they come again.
REMEMBERED = 100_000
#: Bytes that a message takes beside its topic and payload, in the tables and their pages.
OVERHEAD = 120
_PRUNE_STEP = 2_000
_DROP_STEP = 200
#: Of the tables below, as `PRAGMA user_version`.
_LAYOUT = 2
#: The layout before: without checksums.
_UNCHECKED_LAYOUT = 1
#: No number of a row comes near it; one beyond is damage, and would leave none for what comes next.
_LARGEST_ROW = 2**62
#: Of the messages that wait, as their pages may have room left.
_FILE_SHARE = 1.2
#: Number of the row, and lengths of id and topic: a byte that moves from one column to the next is noticed.
_CHECKED_HEAD = struct.Struct(">qII")

_TABLES = (
    # The ids of the messages that are here, and of the latest delivered.
    "CREATE TABLE known (message_id BLOB PRIMARY KEY) WITHOUT ROWID",
    # In the order of delivery: which ids to forget first.
    "CREATE TABLE delivered (number INTEGER PRIMARY KEY, message_id BLOB NOT NULL)",
    # Of each row beyond this one there is a checksum; the rows before are of the layout before.
    "CREATE TABLE unchecked (last_row INTEGER PRIMARY KEY)",
)
_TABLE_OF_A_PRIORITY = (
    "CREATE TABLE message_{priority}"
    " (id INTEGER PRIMARY KEY, message_id BLOB NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, checksum INTEGER)"
)
#: Not of the values' types, which damage changes, too; what is counted for a row stays the same until it goes.
_LENGTH = "ifnull(length(topic), 0) + ifnull(length(payload), 0)"


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


class Damaged(NamedTuple):
    """A message that is not what was written, under way until it is noted as delivered; `key` names it."""

    key: int
    topic: str
    payload: bytes
    reason: str


class Written(NamedTuple):
    """The outcome of a batch of writes; `dropped` by priority."""

    accepted: int
    repeated: int
    dropped: Mapping[int, int]


class _UnderWay(NamedTuple):
    priority: int
    row: int
    message_id: bytes
    size: int
    is_damaged: bool


class Store:
    """One SQLite file (or `:memory:`) of messages; for one thread at a time.

    A message that comes again is recognised by its `message_id` while it waits, and among the latest `REMEMBERED`
    delivered.

    Attributes:
        damaged: Messages that `take` has met and not given out, to be cleared by the caller.
        last_row: The number of the latest message's row.
    """

    def __init__(
        self,
        path: str,
        maximum_bytes: int,
        priorities: Iterable[int],
        last_row: int = 0,
        bounds: Mapping[int, int] | None = None,
    ) -> None:
        """Open the store, made where missing; all that is in it and not delivered waits.

        Args:
            path: of the file; SQLite keeps two more beside it.
            maximum_bytes: of the messages that wait. The file takes a fifth more, and `budgets.OUTBOX_BESIDE_BYTES`.
            priorities: all there are, not negative; the lowest number leaves first.
            last_row: rows up to it are not used.
            bounds: bytes that the messages of a priority take at most, where that is less.

        Raises:
            sqlite3.DatabaseError: if the file is no database, or damaged, or the disk does not let us.
        """
        self._maximum = maximum_bytes
        self._maximum_used = int(maximum_bytes * _FILE_SHARE) + budgets.OUTBOX_BESIDE_BYTES - 2 * budgets.BATCH_BYTES
        self._bounds = bounds or {}
        self.priorities = sorted(priorities)
        # Transactions are begun here, not by the module.
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._count = dict.fromkeys(self.priorities, 0)
        self._bytes = dict.fromkeys(self.priorities, 0)
        self.last_row = last_row
        self._remembered = self._last_unchecked = 0
        self.damaged: list[Damaged] = []
        prepare(self._database, self._make_tables, self._count_messages)
        # By priority, the latest that was handed out: numbers of rows grow, so whatever comes later has a greater one.
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
        # Whoever hands a message over relies on it from now on; a note of delivery may be lost with the power.
        self._database.execute(f"PRAGMA synchronous = {'FULL' if arrived else 'NORMAL'}")
        with self._transaction():
            remembered_now = self._remembered + self._remember(remembered) + self._note_delivered(gone)
            added = self._insert(arrived)
            changes = [(message.priority, 1, _size(message.topic, message.payload)) for message in added]
            changes += [(self._under_way[key].priority, -1, -self._under_way[key].size) for key in gone]
            dropped = self._drop_excess(changes) if added else []
            remembered_now = self._prune(remembered_now)
        self.last_row += len(added)
        for key in gone:
            del self._under_way[key]
        for priority, count, size in [*changes, *dropped]:
            self._count[priority] += count
            self._bytes[priority] += size
        self._remembered = remembered_now
        return Written(len(added), len(arrived) - len(added), Counter(priority for priority, _, _ in dropped))

    def take(self, priority: int, limit: int, limit_bytes: int = budgets.BATCH_BYTES) -> list[Taken]:
        """The oldest waiting messages of a priority, at most `limit`; they are under way from then on.

        Args:
            priority: of these alone.
            limit: messages.
            limit_bytes: where so many are reached, no more are taken.
        """
        if not self._count[priority] or limit <= 0 or limit_bytes <= 0:
            return []
        taken: list[Taken] = []
        # As bytes: a topic that is no UTF-8 any more could not be read at all.
        for row, message_id, topic, payload, checksum, length in self._database.execute(
            f"SELECT id, message_id, CAST(topic AS BLOB), payload, checksum, {_LENGTH} FROM message_{priority}"
            " WHERE id > ? ORDER BY id LIMIT ?",
            (self._handed_out[priority], limit),
        ):
            self._handed_out[priority] = row
            # Damaged numbers of rows may be those of another table's.
            key = row * len(self.priorities) + self.priorities.index(priority)
            if key in self._under_way:
                continue
            reason = self._damage(row, message_id, topic, payload, checksum)
            self._under_way[key] = _UnderWay(priority, row, message_id, length + OVERHEAD, bool(reason))
            if reason:
                reason = f"row {row} of message_{priority} in the outbox is damaged: {reason}"
                self.damaged.append(Damaged(key, _bytes(topic).decode(errors="replace"), _bytes(payload), reason))
            else:
                taken.append(Taken(key, topic.decode(), payload))
            limit_bytes -= length
            if limit_bytes <= 0:
                break
        return taken

    def put_back(self, delivered: Collection[int] = ()) -> None:
        """Return messages in flight to those that wait, but for the keys in `delivered`."""
        self._handed_out = dict.fromkeys(self.priorities, 0)
        self._under_way = {key: self._under_way[key] for key in delivered if key in self._under_way}
        self.damaged.clear()

    def knows(self, message_id: str) -> bool:
        """True if a message is here, or is remembered as delivered."""
        found = self._database.execute("SELECT 1 FROM known WHERE message_id = ?", (bytes.fromhex(message_id),))
        return found.fetchone() is not None

    def waiting(self, limit_bytes: int) -> list[Outgoing]:
        """The first messages that wait and are not under way: as many as have `limit_bytes`, or one."""
        found: list[Outgoing] = []
        for priority in self.priorities:
            for message_id, topic, payload in self._database.execute(
                f"SELECT message_id, topic, payload FROM message_{priority} WHERE id > ? ORDER BY id",
                (self._handed_out[priority],),
            ):
                found.append(Outgoing(message_id.hex(), priority, topic, payload))
                limit_bytes -= _size(topic, payload)
                if limit_bytes <= 0:
                    return found
        return found

    def delivered(self) -> list[str]:
        """The ids of the messages that are remembered as delivered."""
        rows = self._database.execute("SELECT message_id FROM delivered ORDER BY number")
        return [message_id.hex() for (message_id,) in rows]

    def forget(self, waiting: Iterable[Outgoing]) -> None:
        """Let go of what `waiting` has given, before anything else is done here: someone else keeps it now."""
        for priority, count in Counter(message.priority for message in waiting).items():
            gone = self._database.execute(
                f"DELETE FROM message_{priority} WHERE id IN"
                f" (SELECT id FROM message_{priority} WHERE id > ? ORDER BY id LIMIT ?)"
                f" RETURNING message_id, {_LENGTH}",
                (self._handed_out[priority], count),
            ).fetchall()
            self._forget(message_id for message_id, _ in gone)
            self._count[priority] -= len(gone)
            self._bytes[priority] -= sum(size for _, size in gone) + len(gone) * OVERHEAD

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
                self._database.execute("INSERT INTO unchecked VALUES (0)")
                self._database.execute(f"PRAGMA user_version = {_LAYOUT}")
        (layout,) = self._database.execute("PRAGMA user_version").fetchone()
        if layout == _UNCHECKED_LAYOUT:
            self._add_checksums()
        elif layout != _LAYOUT:
            raise sqlite3.DatabaseError(f"its tables have layout {layout}, and {_LAYOUT} is read here")
        # A damaged name or type of a column is no error to SQLite until it is used, or not even then.
        of_priorities = {_TABLE_OF_A_PRIORITY.format(priority=priority) for priority in self.priorities}
        expected = {*_TABLES, *of_priorities}
        found = {sql for (sql,) in self._database.execute("SELECT sql FROM sqlite_master")}
        if found - expected or not found.issuperset(_TABLES):
            raise sqlite3.DatabaseError(f"its tables are others: {found ^ expected}")
        # The version before had fewer priorities.
        for missing in sorted(of_priorities - found):
            self._database.execute(missing)

    def _add_checksums(self) -> None:
        """Make a file of the layout before one of this; its rows stay, and have no checksum."""
        names = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master")}
        with self._transaction():
            last_row = 0
            for priority in self.priorities:
                if f"message_{priority}" in names:
                    (last,) = self._database.execute(f"SELECT max(id) FROM message_{priority}").fetchone()
                    last_row = max(last_row, last or 0)
                    self._database.execute(f"ALTER TABLE message_{priority} ADD COLUMN checksum INTEGER")
            self._database.execute(_TABLES[-1])
            self._database.execute("INSERT INTO unchecked VALUES (?)", (last_row,))
            self._database.execute(f"PRAGMA user_version = {_LAYOUT}")

    def _count_messages(self) -> None:
        for priority in self.priorities:
            count, size, first, last = self._database.execute(
                f"SELECT count(*), total({_LENGTH}), min(id), max(id) FROM message_{priority}"
            ).fetchone()
            if count and not 0 < first <= last <= _LARGEST_ROW:
                raise sqlite3.DatabaseError(f"its rows go from {first} to {last}")
            self._count[priority] = count
            self._bytes[priority] = int(size) + count * OVERHEAD
            self.last_row = max(self.last_row, last or 0)
        unchecked = self._database.execute("SELECT last_row FROM unchecked").fetchall()
        if len(unchecked) != 1:
            raise sqlite3.DatabaseError("it does not say which rows have a checksum")
        [(self._last_unchecked,)] = unchecked
        (self._remembered,) = self._database.execute("SELECT count(*) FROM delivered").fetchone()

    def _damage(self, row: int, message_id: object, topic: object, payload: object, checksum: object) -> str:
        """The reason why a row is not what was written; empty if it is."""
        if not (isinstance(message_id, bytes) and isinstance(topic, bytes) and isinstance(payload, bytes)):
            return "a value is of another type"
        if checksum is None and row <= self._last_unchecked:
            try:
                topic.decode()
            except UnicodeDecodeError as error:
                return f"its topic is no text: {error}"
            return ""
        found = _checksum(row, message_id, topic, payload)
        return "" if found == checksum else f"its checksum is {found}, and {checksum} was written"

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
        """Insert what is not known yet, with the numbers after `last_row`; returns it."""
        added: list[Outgoing] = []
        rows: dict[int, list[tuple[int, bytes, str, bytes, int]]] = {}
        for message in arrived:
            message_id = bytes.fromhex(message.message_id)
            if self._database.execute("INSERT OR IGNORE INTO known VALUES (?)", (message_id,)).rowcount:
                added.append(message)
                row = self.last_row + len(added)
                checksum = _checksum(row, message_id, message.topic.encode(), message.payload)
                values = (row, message_id, message.topic, message.payload, checksum)
                rows.setdefault(message.priority, []).append(values)
        for priority, of_priority in rows.items():
            self._database.executemany(f"INSERT INTO message_{priority} VALUES (?, ?, ?, ?, ?)", of_priority)
        return added

    def _note_delivered(self, keys: Iterable[int]) -> int:
        """Delete messages, and remember their ids, but for those of damaged ones; how many are remembered."""
        ids: list[tuple[bytes]] = []
        damaged: list[bytes] = []
        rows_of: dict[int, list[tuple[int]]] = {}
        for key in keys:
            priority, row, message_id, _, is_damaged = self._under_way[key]
            if is_damaged:
                damaged.append(message_id)
            else:
                ids.append((message_id,))
            rows_of.setdefault(priority, []).append((row,))
        for priority, of_priority in rows_of.items():
            self._database.executemany(f"DELETE FROM message_{priority} WHERE id = ?", of_priority)
        self._database.executemany("INSERT INTO delivered (message_id) VALUES (?)", ids)
        # It has not been delivered: where its source has it still and sends it again, it is welcome.
        self._forget(damaged)
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

    def _drop_excess(self, changes: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Delete waiting messages past a bound, their priority's own or that of all, once `changes` have been made.

        Returns:
            The further changes.
        """
        held = Counter(self._bytes)
        for priority, _, size in changes:
            held[priority] += size
        dropped: list[tuple[int, int, int]] = []
        for priority, bound in self._bounds.items():
            dropped += self._drop(priority, held[priority] - bound)
        freed = -sum(size for _, _, size in dropped)
        excess = max(held.total() - freed - self._maximum, used_bytes(self._database) - self._maximum_used)
        for priority in reversed(self.priorities):
            further = self._drop(priority, excess)
            excess += sum(size for _, _, size in further)
            dropped += further
        return dropped

    def _drop(self, priority: int, excess: int) -> list[tuple[int, int, int]]:
        """Delete the oldest waiting messages of a priority until `excess` bytes are free, or none waits.

        Returns:
            Of each its priority, and what it changes in count and bytes.
        """
        changes: list[tuple[int, int, int]] = []
        ids: list[bytes] = []
        first = after = self._handed_out[priority]
        while excess > 0:
            rows = self._database.execute(
                f"SELECT id, message_id, {_LENGTH} FROM message_{priority} WHERE id > ? ORDER BY id LIMIT ?",
                (after, _DROP_STEP),
            ).fetchall()
            if not rows:
                break
            for row, message_id, length in rows:
                if excess <= 0:
                    break
                changes.append((priority, -1, -(length + OVERHEAD)))
                ids.append(message_id)
                excess -= length + OVERHEAD
                after = row
        if changes:
            self._database.execute(f"DELETE FROM message_{priority} WHERE id > ? AND id <= ?", (first, after))
            self._forget(ids)
        return changes

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


def _checksum(row: int, message_id: bytes, topic: bytes, payload: bytes) -> int:
    head = _CHECKED_HEAD.pack(row, len(message_id), len(topic))
    return zlib.crc32(payload, zlib.crc32(b"%b%b%b" % (head, message_id, topic)))


def _bytes(value: object) -> bytes:
    """The rest of a value whose type is damaged, too."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode(errors="replace")


def _size(topic: str, payload: bytes) -> int:
    return len(topic) + len(payload) + OVERHEAD
