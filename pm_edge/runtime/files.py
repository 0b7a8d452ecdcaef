"""Files that a crash leaves whole, and files that may be too large."""

import os
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
    """The content of a file of at most `maximum` bytes.

    Raises:
        Refused: if it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(maximum + 1)
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > maximum:
        raise Refused(f"{path.name} has more than {maximum} bytes")
    return content
