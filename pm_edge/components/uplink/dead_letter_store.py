"""The dead letters of a core device: what was refused and why, to look at on the device itself."""

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from pm_contracts.messages import DeadLetter, encode
from pm_edge.components.uplink.database import PutAside, open_or_begin_anew, prepare

_log = logging.getLogger(__name__)

#: Dead letters kept; the oldest go first. Each has gone to the cloud as well.
KEPT = 10_000
KEPT_BYTES = 64 * 1024 * 1024

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

    def keep(self, letters: Iterable[DeadLetter]) -> None:
        """Keep `letters`, each once; where that cannot be they are only logged, for they go to the cloud as well."""
        letters = list(letters)
        try:
            with self._database:
                for letter in letters:
                    text = encode(letter).decode()
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
                self._forget_oldest()
        except sqlite3.DatabaseError as error:
            for letter in letters:
                _log.error("a dead letter could not be kept (%s): %s on %s", error, letter.reason, letter.topic)

    def _forget_oldest(self) -> None:
        # Cast: a damaged row may hold anything there.
        count, size = self._database.execute(
            "SELECT count(*), total(CAST(size AS INTEGER)) FROM dead_letter"
        ).fetchone()
        while count and (count > KEPT or size > KEPT_BYTES):
            (freed,) = self._database.execute(
                "DELETE FROM dead_letter WHERE id = (SELECT min(id) FROM dead_letter)"
                " RETURNING ifnull(CAST(size AS INTEGER), 0)"
            ).fetchone()
            count, size = count - 1, size - freed

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _opened(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    # The second: names of damaged tables are no error until they are used.
    prepare(
        database,
        lambda: database.executescript(_SCHEMA),
        lambda: database.execute("SELECT id, refused_at, topic, reason, message, size FROM dead_letter LIMIT 1"),
    )
    return database
