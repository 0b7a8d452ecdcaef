"""Files that a crash leaves whole, and files that may be too large."""

import os
import stat
from pathlib import Path

from pm_contracts.messages import Refused


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that a reader, also after a power cut, finds the old content or all of the new.

    Raises:
        OSError: if the disk does not take it; the old content then stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_limited(path: Path, maximum: int) -> bytes:
    """The content of a file of at most `maximum` bytes, which is no link.

    Raises:
        Refused: if it cannot be read, is larger, or is no file: a pipe would be waited for, a device never ends.
    """
    try:
        # The object holds the descriptor from the first moment on, also where it refuses a folder.
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refused(f"{path.name} is no file")
            content = file.read(maximum + 1)
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > maximum:
        raise Refused(f"{path.name} has more than {maximum} bytes")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
