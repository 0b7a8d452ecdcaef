"""The log of a component: what its processes write, in files of a bounded size."""

import asyncio
import contextlib
import logging
import os
from pathlib import Path

#: Bytes of one file, and files in all: the defaults of a nucleus, 1,024 KB and 10,240 KB a component ("Greengrass
#: nucleus", configuration `logging.fileSizeKB` and `logging.totalLogsSizeKB`, developer guide).
FILE_BYTES = 1024 * 1024
FILES = 10
_CHUNK_BYTES = 64 * 1024

log = logging.getLogger("component_log")


class ComponentLog:
    """The log of one component: `{name}.log`, and the older ones before it in `{name}.log.1`, `{name}.log.2` ..."""

    def __init__(self, path: Path) -> None:
        """The log in `path`, which goes on where it exists."""
        self._path = path
        self._size = path.stat().st_size if path.exists() else 0
        self._pipes: set[int] = set()
        self._failing = False

    def open_pipe(self) -> int:
        """A pipe into the log: the end to write to, for the caller to hand to a process and to close."""
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        self._pipes.add(read_end)
        asyncio.get_running_loop().add_reader(read_end, self._read, read_end)
        return write_end

    def write(self, content: bytes) -> None:
        """Add to the log; what the disk does not take is lost, and that is said once."""
        try:
            if self._size and self._size + len(content) > FILE_BYTES:
                self._rotate()
            with self._path.open("ab") as file:
                file.write(content)
        except OSError as error:
            if not self._failing:
                log.error("%s is not written: %s", self._path.name, error)
            self._failing = True
            return
        self._failing = False
        self._size += len(content)

    def drain(self) -> None:
        """Take over what has been written into the pipes so far."""
        for read_end in list(self._pipes):
            while self._read(read_end):
                pass

    def close(self) -> None:
        """Close the pipes; whoever still writes into one is told by the system."""
        self.drain()
        for read_end in list(self._pipes):
            self._close(read_end)

    def last_line(self) -> str:
        """The last line that the component wrote, at most 300 characters of it; empty if there is none."""
        self.drain()
        if not self._path.exists():
            return ""
        with self._path.open("rb") as file:
            file.seek(max(0, self._path.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
        written = [line.strip() for line in lines if line.strip() and not line.startswith("--- ")]
        return written[-1][:300] if written else ""

    def _read(self, read_end: int) -> bool:
        try:
            content = os.read(read_end, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not content:
            self._close(read_end)
            return False
        self.write(content)
        return True

    def _close(self, read_end: int) -> None:
        asyncio.get_running_loop().remove_reader(read_end)
        self._pipes.discard(read_end)
        os.close(read_end)

    def _rotate(self) -> None:
        for number in range(FILES - 2, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                _older(self._path, number).replace(_older(self._path, number + 1))
        self._path.replace(_older(self._path, 1))
        self._size = 0


def read_log(path: Path) -> str:
    """The contents of the log in `path` and of the older ones before it."""
    files = [_older(path, number) for number in range(FILES - 1, 0, -1)] + [path]
    return "".join(file.read_bytes().decode(errors="replace") for file in files if file.exists())


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
