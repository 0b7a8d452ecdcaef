"""A component's state across restarts: one JSON object in a file, and after it a line with its checksum.

The checksum is CRC-32: without one, a changed digit would be taken for the state. A file without that line is one of
the version before, or one that somebody has written by hand, and is read as it is.
"""

import json
import logging
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from pm_edge.runtime.files import write_atomically

_log = logging.getLogger(__name__)

_CHECKSUM_LINE = re.compile(rb"\ncrc32 ([0-9a-f]{8})\n\Z")


class DamagedState(NamedTuple):
    """A state that could not be used."""

    name: str
    content: bytes
    reason: str


class StateFile:
    """The file of one component's state. A file that cannot be read is put aside, for the component must go on.

    Attributes:
        damaged: What was put aside, to be cleared by the caller.
        size: Bytes of the state that was saved last.
    """

    def __init__(self, path: Path) -> None:
        """The state in `path`, which need not exist yet."""
        self._path = path
        self._failing = False
        self.damaged: list[DamagedState] = []
        self.size = 0

    def load(self) -> dict[str, Any]:
        """The state as it was saved last; empty if there is none."""
        try:
            return decode_state(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self.put_aside(str(error))
            return {}

    def save(self, state: dict[str, Any]) -> bool:
        """Save the state; whether the disk took it. A disk that does not is logged once, and when it does again."""
        content = json.dumps(state, separators=(",", ":")).encode()
        self.size = len(content)
        try:
            write_atomically(self._path, b"%b\ncrc32 %08x\n" % (content, zlib.crc32(content)))
        except OSError as error:
            if not self._failing:
                _log.error("state is not saved: %s", error)
            self._failing = True
            return False
        if self._failing:
            _log.warning("state is saved again")
            self._failing = False
        return True

    def put_aside(self, reason: str) -> None:
        """Begin anew, and keep the file that is unusable for `reason`, as far as the disk lets us."""
        aside = self._path.with_name(self._path.name + ".damaged")
        _log.error("state in %s cannot be used (%s): it is kept as %s, and a new one begun", self._path, reason, aside)
        try:
            content = self._path.read_bytes()
            self._path.replace(aside)
        except FileNotFoundError:  # put aside already, for another part of it
            return
        except OSError as error:
            _log.error("state in %s is not put aside: %s", self._path, error)
            content = b""
        self.damaged.append(DamagedState(self._path.name, content, reason))


def decode_state(content: bytes) -> dict[str, Any]:
    """The state in the content of a file.

    Raises:
        ValueError: if it is no state, or damaged.
    """
    if found := _CHECKSUM_LINE.search(content):
        content = content[: found.start()]
        if zlib.crc32(content) != int(found[1], 16):
            raise ValueError("its checksum is another than the one that was written")
    try:
        state = json.loads(content.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(state, dict):
        raise ValueError("it is no JSON object")
    if b"\\u" in content:
        # Half of a character, which JSON can escape and nobody can encode, would end whoever looks at it.
        json.dumps(state, ensure_ascii=False).encode()
    return state
