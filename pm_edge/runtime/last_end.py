"""The reason for a component's last end, kept for its next start, whose status tells it.

The cloud hears of a failed deployment only that the component is broken. After the way back it is the version before,
or the next attempt, that can say why.
"""

import datetime as dt
import json
import logging
from pathlib import Path

from pm_edge.runtime.files import write_atomically

#: Characters; a status must fit into a frame of the bus.
MAXIMUM_REASON = 1000
#: Age beyond which an end is nobody's question any more.
_KEPT_FOR = dt.timedelta(days=1)

_log = logging.getLogger(__name__)


def note(data_directory: Path, name: str, reason: str) -> None:
    """Keep why the component `name` ends; a disk that does not take it is logged."""
    document = {"at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "reason": reason[:MAXIMUM_REASON]}
    try:
        write_atomically(_path(data_directory, name), json.dumps(document).encode())
    except OSError as error:
        _log.error("why %s ends is not kept: %s", name, error)


def told(data_directory: Path, name: str) -> str:
    """The reason for the last end of the component `name`, with the time; empty if it has none, or if it is old."""
    try:
        document = json.loads(_path(data_directory, name).read_bytes())
        at, reason = dt.datetime.fromisoformat(document["at"]), str(document["reason"])
        is_recent = dt.datetime.now(dt.UTC) - at < _KEPT_FOR
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.error("why %s ended the last time cannot be read: %s", name, error)
        return ""
    return f"it ended at {at.isoformat()}: {reason}" if is_recent else ""


def _path(data_directory: Path, name: str) -> Path:
    return data_directory / "state" / f"{name}.end.json"
