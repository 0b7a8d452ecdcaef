"""The uplink's SQLite files: damage shows when one is opened, and the file is then kept aside for a new one.

The log beside a file keeps to `budgets.WAL_BYTES`: it is copied back into the file every 1,000 pages, the transactions
are bounded by bytes, and what a version before has left of it is cut when the file is opened.
"""

import contextlib
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from pm_contracts import budgets

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
#: A full disk also shows as an input or output error, as where SQLite makes the file beside its log.
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
#: The lower byte of SQLite's error codes; the rest is detail (https://www.sqlite.org/rescode.html).
_PRIMARY_CODE = 0xFF
#: Damage that SQLite notices by itself.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_Opened = TypeVar("_Opened")


class PutAside(NamedTuple):
    """A file that was damaged as a whole."""

    name: str
    kept_as: str
    reason: str


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """True if an error is the file's, rather than the disk's or ours."""
    return _code(error) in _DAMAGED


def open_or_begin_anew(
    path: Path, use: Callable[[str], _Opened], on_put_aside: Callable[[PutAside], object]
) -> _Opened:
    """The result of `use` on the file at `path`; a damaged file is put aside and a new one begun.

    Args:
        path: the file, made where missing.
        use: opens it.
        on_put_aside: called with what was put aside.

    Raises:
        OSError, sqlite3.OperationalError: where the disk does not let us.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return use(str(path))
    except sqlite3.DatabaseError as error:
        if not is_damage(error) and not _is_damage_on_opening(error, path):
            raise
        on_put_aside(put_aside(path, str(error)))
        return use(str(path))


def when_the_disk_has_room(
    use: Callable[[], _Opened], stopping: threading.Event, on_wait: Callable[[], object]
) -> _Opened:
    """The result of `use`, retried while the disk is full and `stopping` is not set.

    Whoever ended instead would be given up by the nucleus after three attempts, and stay so when there is room again.

    Args:
        use: opens what is on the disk.
        stopping: ends the wait.
        on_wait: called once where the disk is full.

    Raises:
        OSError, sqlite3.Error: where the disk does not let us for another reason, or to the end.
    """
    waited = False
    while True:
        try:
            opened = use()
        except sqlite3.OperationalError as error:
            if _code(error) not in _NO_ROOM or stopping.is_set():
                raise
            if not waited:
                _log.error("the disk takes nothing (%s): the uplink waits until it does", error)
                on_wait()
            waited = True
            stopping.wait(_RETRY_SECONDS)
        else:
            if waited:
                _log.warning("the disk takes messages again")
            return opened


def prepare(database: sqlite3.Connection, *steps: Callable[[], object]) -> None:
    """Prepare a connection that was just made, by `steps` of its user's, too; it is closed where this raises.

    Raises:
        sqlite3.DatabaseError: if the file is no database, or damaged, or the disk does not let us.
    """
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 1000")
        # A log that was longer is cut when it is begun anew; SQLite would keep it at its longest for good.
        database.execute(f"PRAGMA journal_size_limit = {budgets.WAL_BYTES // 2}")
        # Zeros over what is deleted would be as much log again; some builds of SQLite write them unless told not to.
        database.execute("PRAGMA secure_delete = OFF")
        # A full disk does not take it; what it has is read all the same.
        with contextlib.suppress(sqlite3.OperationalError):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # A damaged page that is met only later would end the uplink, at each start anew.
        for (found,) in database.execute("PRAGMA quick_check(1000000)"):
            # A row with a value missing is damaged alone; the file around it is sound.
            if found != "ok" and not found.startswith("NULL value in "):
                raise sqlite3.DatabaseError(found)
        for step in steps:
            step()
    except UnicodeDecodeError as error:
        # The module's own, on SQLite's words about a damaged name.
        database.close()
        raise sqlite3.DatabaseError(f"its names are no text: {error}") from error
    except sqlite3.Error:
        # Closed later, it would take the log of the file that has come in its place along.
        database.close()
        raise


def used_bytes(database: sqlite3.Connection) -> int:
    """The bytes of a file's pages that hold something, in the transaction under way."""
    return (_number(database, "page_count") - _number(database, "freelist_count")) * _number(database, "page_size")


def shrink(database: sqlite3.Connection, maximum: int) -> None:
    """Give pages that hold nothing back to the disk where a file has more than `maximum` bytes."""
    if _number(database, "page_count") * _number(database, "page_size") > maximum:
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _number(database: sqlite3.Connection, pragma: str) -> int:
    (value,) = database.execute(f"PRAGMA {pragma}").fetchone()
    return int(value)


def put_aside(path: Path, reason: str) -> PutAside:
    """Keep a closed file that is damaged under another name, with what SQLite keeps beside it."""
    before = _put_aside_before(path)
    # Later than the one before, whatever the clock says: the oldest go first.
    moment = max(int(time.time()), before[-1][0] + 1 if before else 0)
    aside = f"{path.name}.damaged-{moment}"
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(aside + suffix))
    _log.error("%s is damaged (%s): it is kept as %s, and a new one begun", path, reason, aside)
    # A disk that damages its files again and again must not be filled with them.
    for _, file in before[: max(len(before) + 1 - budgets.DAMAGED_FILES, 0)]:
        _log.warning("%s is deleted: of damaged files the latest %d are kept", file, budgets.DAMAGED_FILES)
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    return PutAside(path.name, aside, reason)


def _put_aside_before(path: Path) -> list[tuple[int, Path]]:
    """The files that were put aside, each after its number, the oldest first."""
    pattern = re.compile(re.escape(path.name) + r"\.damaged-(\d+)")
    found = ((pattern.fullmatch(file.name), file) for file in path.parent.glob(f"{path.name}.damaged-*"))
    return sorted((int(matched[1]), file) for matched, file in found if matched)


def _is_damage_on_opening(error: sqlite3.DatabaseError, path: Path) -> bool:
    """True if an error that may be the disk's or ours later is the file's when it is opened."""
    code = _code(error)
    if code == sqlite3.SQLITE_READONLY:  # the file says so itself where the disk lets us write
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    # Our statements are right on sound tables. No code: raised by us or the module on what the file holds.
    return code in (None, sqlite3.SQLITE_ERROR)


def _code(error: sqlite3.Error) -> int | None:
    """The primary code of an error; None if it is not SQLite's own."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY_CODE
