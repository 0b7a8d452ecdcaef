"""The sandbox's state files: whole after a crash, for their owner alone, and read with a word about a damaged one."""

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


class DamagedFileError(RuntimeError):
    """A state file that is not what was written there; the text is one line: the file, what is wrong, what to do."""


def write_private(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file that only its owner may read; a reader finds the old content or all of the new.

    Args:
        path: The file.
        content: Its new content.
        durable: Whether that holds after a power cut, too. What is written anew every few seconds does without.

    Raises:
        OSError: if the disk does not take it; the old content then stays.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_json(path: Path, document: Any, *, durable: bool = True) -> None:
    """Write a JSON document by `write_private`.

    Raises:
        OSError: if the disk does not take it; the old content then stays.
    """
    write_private(path, json.dumps(document, indent=1).encode(), durable=durable)


def read_json(path: Path, *keys: str, advice: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: The file.
        keys: What must be in it.
        advice: What to do about a damaged file.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: if it is damaged.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged ({_reason(error)}): {advice}") from error
    if not isinstance(document, dict):
        raise DamagedFileError(f"{path} is damaged (it holds a {type(document).__name__}, not an object): {advice}")
    if missing := [key for key in keys if key not in document]:
        raise DamagedFileError(f"{path} is damaged (it lacks {', '.join(missing)}): {advice}")
    return document


def recovered(path: Path, *keys: str) -> dict[str, Any]:
    """The JSON object in a file, for those who must go on without: empty if there is none, or none that is readable.

    A damaged file is put aside, and the log says so.
    """
    try:
        return read_json(path, *keys, advice="a new one is begun")
    except FileNotFoundError:
        return {}
    except (DamagedFileError, OSError) as error:
        put_aside(path, str(error))
        return {}


def put_aside(path: Path, reason: str) -> None:
    """Keep a file that cannot be used, under another name, and log why."""
    aside = path.with_name(path.name + ".damaged")
    _log.error("%s is not used, and kept as %s: %s", path.name, aside.name, reason)
    with contextlib.suppress(OSError):  # one that the disk does not give is left where it is
        path.replace(aside)


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
