"""Messages taken from the bus that are not safe elsewhere yet, so that a component that is killed finds them again.

The bus takes its copy back when a callback returns, and a component's own files are written in batches, later. Between
the two a message is in the journal: one `write` without waiting for the disk, which survives the end of the process at
any point. A power cut may cost its latest messages, and the checks in it keep half a message from being taken for one.
"""

import contextlib
import logging
import math
import os
import re
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from pm_contracts import budgets

_log = logging.getLogger(__name__)

#: Checksum of all after it, lengths of topic and payload, seconds since 1970 of the arrival.
_HEAD = struct.Struct(">IHId")
_CHECKSUM_BYTES = 4


class Entry(NamedTuple):
    """A message in the journal; `arrived_at` in seconds since 1970."""

    generation: int
    arrived_at: float
    topic: str
    payload: bytes


class Span(NamedTuple):
    """Bytes in the file `name` of a journal that are no message, as damage or a power cut leaves them."""

    name: str
    content: bytes


class Journal:
    """The journal of one component: files of one generation each, `{name}-{generation}`; for one thread at a time.

    Attributes:
        generation: What the next message will be in, unless `rotate` comes before it.
        damaged: Bytes that `recovered` met and that are no message.
        missed: Messages that the disk did not take; they are safe only once the component's own files have them.
    """

    def __init__(self, directory: Path, name: str) -> None:
        """The journal `name` in `directory`, which need not exist yet; what an earlier process left stays for now."""
        self._directory = directory
        self._name = name
        pattern = re.compile(re.escape(name) + r"-(\d+)")
        found = (pattern.fullmatch(path.name) for path in directory.glob(f"{name}-*"))
        self._generations = sorted(int(match[1]) for match in found if match)
        self.generation = self._generations[-1] + 1 if self._generations else 1
        self._file: int | None = None
        self._size = 0
        self._failing = False
        self.missed = 0
        self.damaged: list[Span] = []

    def recovered(self) -> list[Entry]:
        """Entries of earlier processes, in the order of arrival; `damaged` says what is between and after them."""
        entries: list[Entry] = []
        self.damaged.clear()
        for generation in self._generations:
            if generation < self.generation:
                try:
                    content = self._path(generation).read_bytes()
                except OSError as error:
                    _log.error("a journal cannot be read: %s", error)
                    continue
                found, spans = _entries(generation, content)
                entries += found
                self.damaged += [Span(self._path(generation).name, span) for span in spans]
        return entries

    def append(self, arrived_at: float, topic: str, payload: bytes) -> int:
        """Keep a message; the generation that it is in. A disk that does not take it is logged once, and counted."""
        name = topic.encode()
        head = _HEAD.pack(0, len(name), len(payload), arrived_at)
        record = b"%b%b%b" % (head[_CHECKSUM_BYTES:], name, payload)
        record = zlib.crc32(record).to_bytes(_CHECKSUM_BYTES, "big") + record
        try:
            if self._file is None:
                self._open()
            assert self._file is not None  # noqa: S101 - it was just opened
            written = os.write(self._file, record)
            if written < len(record):
                os.ftruncate(self._file, self._size)
                raise OSError(f"{written} of {len(record)} bytes were written")
            self._size += written
        except OSError as error:
            self.missed += 1
            if not self._failing:
                _log.error("the journal is not written: %s", error)
            self._failing = True
        else:
            self._failing = False
        return self.generation

    def rotate(self) -> int:
        """Begin a generation; all that was added before is in lower ones than the one returned."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self.generation += 1
        return self.generation

    def forget(self, before: int) -> None:
        """Let go of the generations below `before`: what was in them is safe elsewhere.

        What a disk that takes no more keeps of them comes again after the next start, and is told as repeated then.
        """
        while self._generations and self._generations[0] < before:
            with contextlib.suppress(OSError):
                self._path(self._generations.pop(0)).unlink()

    def close(self) -> None:
        """Close the file; what is in it stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._path(self.generation)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        if self.generation not in self._generations:
            self._generations.append(self.generation)

    def _path(self, generation: int) -> Path:
        return self._directory / f"{self._name}-{generation}"


def _entries(generation: int, content: bytes) -> tuple[list[Entry], list[bytes]]:
    """The entries in a file, and the bytes between and after them that are in none."""
    entries: list[Entry] = []
    damaged: list[bytes] = []
    start = sound_until = 0
    while start + _HEAD.size <= len(content):
        found = _entry(generation, content, start)
        if found is None:
            # The lengths may be what is damaged: the next message begins at some byte after this one.
            start += 1
            continue
        entry, end = found
        if start > sound_until:
            damaged.append(content[sound_until:start])
        entries.append(entry)
        start = sound_until = end
    if sound_until < len(content):
        damaged.append(content[sound_until:])
    for span in damaged:
        _log.warning("%d bytes in a journal are no message", len(span))
    return entries, damaged


def _entry(generation: int, content: bytes, start: int) -> tuple[Entry, int] | None:
    """The entry that begins at `start`, and where it ends; None if none begins there."""
    checksum, topic_length, payload_length, arrived_at = _HEAD.unpack_from(content, start)
    middle = start + _HEAD.size + topic_length
    end = middle + payload_length
    # First what costs little: this is asked at each byte of what is damaged.
    if end > len(content) or payload_length > budgets.PACKET_BYTES or not topic_length or not math.isfinite(arrived_at):
        return None
    if zlib.crc32(memoryview(content)[start + _CHECKSUM_BYTES : end]) != checksum:
        return None
    try:
        topic = content[start + _HEAD.size : middle].decode()
    except UnicodeDecodeError:
        return None
    return Entry(generation, arrived_at, topic, content[middle:end]), end
