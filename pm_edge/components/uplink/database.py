"""The uplink's SQLite files: damage shows when one is opened, and the file is then kept aside for a new one."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
#: A full disk also shows as an input or output error, as where SQLite makes the file beside its log.
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
#: The lower byte of SQLite's error codes; the rest is detail (https://www.sqlite.org/rescode.html).
_PRIMARY_CODE = 0xFF

_Opened = TypeVar("_Opened")


def open_or_begin_anew(path: Path, use: Callable[[str], _Opened]) -> _Opened:
    """The result of `use` on the file at `path`; a damaged file is put aside and a new one begun.

    Raises:
        OSError, sqlite3.OperationalError: where the disk does not let us.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return use(str(path))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        aside = _put_aside(path)
        _log.error("%s is damaged (%s): it is kept as %s, and a new one begun", path, error, aside)
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
            if error.sqlite_errorcode & _PRIMARY_CODE not in _NO_ROOM or stopping.is_set():
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


def prepare(database: sqlite3.Connection, make_tables: Callable[[], object]) -> None:
    """Prepare a connection that was just made; it is closed where this raises.

    Raises:
        sqlite3.DatabaseError: if the file is no database, or damaged, or the disk does not let us.
    """
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # A damaged page that is met only later would end the uplink, at each start anew.
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        make_tables()
    except sqlite3.Error:
        # Closed later, it would take the log of the file that has come in its place along.
        database.close()
        raise


def _put_aside(path: Path) -> str:
    aside = f"{path.name}.damaged-{int(time.time())}"
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(aside + suffix))
    return aside
