"""A lock on a folder: held open by the process that works there, and by nobody once that has ended, however it did.

The kernel knows who holds it, so that no number in a file is taken for a process of ours. The file stays where it is:
one that removed it could remove another's.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self


class FolderTakenError(RuntimeError):
    """Another process works in the folder; the text names both."""


class FolderLock:
    """The lock of a folder, held until `release` or the end of each process that was given it."""

    def __init__(self, descriptor: int) -> None:
        """Take over an open descriptor, as one given by another process; use `take` for a new lock."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, file: Path) -> Self:
        """Lock a folder by a file in it; the folder is made where missing.

        Raises:
            FolderTakenError: if another process holds the lock.
            OSError: if the file cannot be written.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise FolderTakenError(f"{_named(holder(file))} works in {file.parent} already") from error
        lock = cls(descriptor)
        lock.name_holder(os.getpid())
        return lock

    def fileno(self) -> int:
        """The descriptor, for a child process that shall hold the lock, too."""
        return self._descriptor

    def name_holder(self, process: int) -> None:
        """Say which process holds it."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(process).encode(), 0)

    def release(self) -> None:
        """Let go; a child that was given the lock still holds it."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder(file: Path) -> int | None:
    """The process that holds the lock in a file: None if nobody does, 0 if it has not said which it is."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(ValueError):
            return int(os.pread(descriptor, 20, 0))
        return 0
    else:
        return None
    finally:
        os.close(descriptor)


def _named(process: int | None) -> str:
    return f"process {process}" if process else "another process"
