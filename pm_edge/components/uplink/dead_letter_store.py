"""The dead letters of a core device: what was refused and why, to look at on the device itself.

The file and the log beside it keep to `budgets.DEAD_LETTER_STORE_BYTES` together: what counts is the pages in use, the
oldest dead letters go before others come, and each transaction is small.
"""

import contextlib
import datetime as dt
import functools
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from pm_contracts import budgets
from pm_contracts.messages import DeadLetter, Refused, decode, encode
from pm_edge.components.uplink.database import PutAside, open_or_begin_anew, prepare, shrink, used_bytes
from pm_edge.components.uplink.refusals import Sum

_log = logging.getLogger(__name__)

#: Dead letters kept; the oldest go first. Each has gone to the cloud as well, or is counted there.
KEPT = 10_000
#: Bytes of the file.
FILE_BYTES = budgets.DEAD_LETTER_STORE_BYTES - budgets.WAL_BYTES
#: Bytes of the letters of one transaction, and one letter more.
_BATCH_BYTES = budgets.BATCH_BYTES // 2
#: Bytes that a row takes beside its texts, at most: the rest of its last page, and its part of the index.
_OVERHEAD = 2 * 4096

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    refused_at TEXT NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL, -- the DeadLetter, JSON
    size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_time ON dead_letter (refused_at);
-- Refusals that are counted and not told yet; "key" is their topic.
CREATE TABLE IF NOT EXISTS sum (
    key TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    sample TEXT NOT NULL -- the DeadLetter of one of them, JSON
);
"""


class DeadLetterStore:
    """An SQLite file of the latest dead letters; for one thread at a time.

    Attributes:
        put_aside: Files that were damaged as a whole, to be cleared by the caller.
    """

    def __init__(self, path: Path) -> None:
        """Open the store, made where missing; a damaged file is put aside and a new one begun.

        Raises:
            OSError, sqlite3.OperationalError: where the disk does not let us.
        """
        self.put_aside: list[PutAside] = []
        self._database = open_or_begin_anew(path, _opened, self.put_aside.append)

    def keep(self, letters: Iterable[DeadLetter], sums: Collection[Sum] = (), told: Collection[Sum] = ()) -> None:
        """Keep `letters`, each once; where that cannot be they are only logged, for they go to the cloud as well.

        Args:
            letters: what was refused.
            sums: what is counted and not told yet, in place of what was kept of the same topic.
            told: what is.
        """
        for batch in _batches(letters):
            self._try([letter for letter, _ in batch], functools.partial(self._insert, batch))
        if sums or told:
            self._try((), lambda: self._keep_sums(sums, told))

    def sums(self) -> list[Sum]:
        """The refusals that an earlier process has counted and not told; one that is damaged is passed over."""
        found: list[Sum] = []
        try:
            for row in self._database.execute("SELECT key, count, first, last, sample FROM sum").fetchall():
                try:
                    key, count, first, last, sample = row
                    times = dt.datetime.fromisoformat(first), dt.datetime.fromisoformat(last)
                    found.append(Sum(str(key), int(count), *times, decode(sample.encode(), DeadLetter)))
                except (Refused, ValueError, TypeError, AttributeError, OverflowError) as error:
                    _log.error("a count of refusals is damaged: %s", error)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            _log.error("counts of refusals cannot be read: %s", error)
        return found

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _try(self, letters: Iterable[DeadLetter], use: Callable[[], None]) -> None:
        try:
            with self._database:
                use()
        except sqlite3.DatabaseError as error:
            for letter in letters:
                _log.error("a dead letter could not be kept (%s): %s on %s", error, letter.reason, letter.topic)

    def _insert(self, batch: list[tuple[DeadLetter, str]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        _make_room(self._database, sum(_size(letter, text) for letter, text in batch))
        for letter, text in batch:
            self._database.execute(
                "INSERT INTO dead_letter (refused_at, topic, reason, message, size)"
                " SELECT :at, :topic, :reason, :text, :size WHERE NOT EXISTS"
                " (SELECT 1 FROM dead_letter WHERE refused_at = :at AND message = :text)",
                {
                    "at": letter.refused_at.isoformat(),
                    "topic": letter.topic,
                    "reason": letter.reason,
                    "text": text,
                    "size": len(text),
                },
            )
        _make_room(self._database, 0)

    def _keep_sums(self, sums: Collection[Sum], told: Collection[Sum]) -> None:
        self._database.executemany(
            "INSERT OR REPLACE INTO sum VALUES (?, ?, ?, ?, ?)",
            [
                (each.key, each.number, each.first.isoformat(), each.last.isoformat(), encode(each.sample).decode())
                for each in sums
            ],
        )
        self._database.executemany("DELETE FROM sum WHERE key = ?", [(each.key,) for each in told])


def _batches(letters: Iterable[DeadLetter]) -> Iterator[list[tuple[DeadLetter, str]]]:
    """The letters with their texts, as many at a time as one transaction holds."""
    batch: list[tuple[DeadLetter, str]] = []
    size = 0
    for letter in letters:
        text = encode(letter).decode()
        batch.append((letter, text))
        size += _size(letter, text)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size(letter: DeadLetter, text: str) -> int:
    return len(text) + len(letter.topic) + len(letter.reason) + _OVERHEAD


def _make_room(database: sqlite3.Connection, size: int) -> None:
    """Delete the oldest dead letters until `size` bytes more have room, and there are no more than are kept."""
    (count,) = database.execute("SELECT count(*) FROM dead_letter").fetchone()
    while count and (count > KEPT or used_bytes(database) + size > FILE_BYTES):
        database.execute("DELETE FROM dead_letter WHERE id = (SELECT min(id) FROM dead_letter)")
        count -= 1


def _opened(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)

    def keep_to_budget() -> None:
        # The version before let the file grow to three times as much.
        with contextlib.suppress(sqlite3.OperationalError):
            with database:
                _make_room(database, 0)
            shrink(database, FILE_BYTES)

    prepare(
        database,
        lambda: database.executescript(_SCHEMA),
        # Names of damaged tables are no error until they are used.
        lambda: database.execute("SELECT id, refused_at, topic, reason, message, size FROM dead_letter LIMIT 1"),
        lambda: database.execute("SELECT key, count, first, last, sample FROM sum LIMIT 1"),
        keep_to_budget,
    )
    return database
