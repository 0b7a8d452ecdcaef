"""A component's state across restarts: one JSON object in a file."""

import json
import logging
from pathlib import Path
from typing import Any

from pm_edge.runtime.files import write_atomically

_log = logging.getLogger(__name__)


class StateFile:
    """The file of one component's state. A file that cannot be read is put aside, for the component must go on."""

    def __init__(self, path: Path) -> None:
        """The state in `path`, which need not exist yet."""
        self._path = path
        self._failing = False

    def load(self) -> dict[str, Any]:
        """The state as it was saved last; empty if there is none."""
        try:
            state = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self.put_aside(str(error))
            return {}
        if not isinstance(state, dict):
            self.put_aside("it is no JSON object")
            return {}
        return state

    def save(self, state: dict[str, Any]) -> bool:
        """Save the state; whether the disk took it. A disk that does not is logged once, and when it does again."""
        try:
            write_atomically(self._path, json.dumps(state, separators=(",", ":")).encode())
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
        """Begin anew, and keep the file that is unusable for `reason`."""
        aside = self._path.with_name(self._path.name + ".damaged")
        _log.error("state in %s cannot be used (%s): it is kept as %s, and a new one begun", self._path, reason, aside)
        if self._path.exists():
            self._path.replace(aside)
