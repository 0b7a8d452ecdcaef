"""A component's checkpoint: its state, and the messages since the last save, however the component ends.

The state is saved now and then, when the bus has acknowledged the answers to all that is in it; what has come since is
in the journal and answered once more after a kill. So no answer is lost, and one that is given twice is the same
message, which whoever has had it knows by its `message_id`.

A small state is saved with each status. A large one is saved as seldom as `budgets.STATE_BYTES_PER_SECOND` demands, or
once the journal has `budgets.STATE_JOURNAL_BYTES`.
"""

import time
from typing import Any

from pm_contracts import budgets
from pm_edge.runtime.component import Component
from pm_edge.runtime.journal import Entry, Journal
from pm_edge.runtime.state_file import StateFile

_FLUSH_SECONDS = 3.0


class Checkpoint:
    """State file and journal of one component. `note` and `begin` are for whoever holds the component's own lock."""

    def __init__(self, component: Component, name: str) -> None:
        """The checkpoint `name` in the component's data folder."""
        directory = component.settings.data_directory
        self._component = component
        self._file = StateFile(directory / "state" / f"{name}.json")
        self._journal = Journal(directory / "journal", name)
        self._noted_bytes = 0
        self._due_at = 0.0
        for counter in ("recovered", "damaged_files", "journal_damaged"):
            component.counters.set(counter, 0)

    def load(self) -> dict[str, Any]:
        """The state as it was saved last; empty if there is none."""
        return self._file.load()

    def put_aside(self, reason: str) -> None:
        """Keep a state that is unusable for `reason`, and begin anew."""
        self._file.put_aside(reason)

    def recovered(self) -> list[Entry]:
        """The messages since then, to be processed before any other."""
        entries = self._journal.recovered()
        self._component.counters.set("recovered", len(entries))
        # Not as dead letters: the uplink has the same messages in a journal of its own.
        self._component.counters.set("journal_damaged", len(self._journal.damaged))
        return entries

    def tell_damage(self) -> None:
        """Count the states that were put aside, and publish their dead letters."""
        damaged, self._file.damaged = self._file.damaged, []
        for name, content, reason in damaged:
            self._component.counters.count("damaged_files")
            self._component.publish_dead_letter(name, content, f"the state in it cannot be used: {reason}")

    def note(self, topic: str, payload: bytes) -> None:
        """Keep a message, before it is processed."""
        self._journal.append(time.time(), topic, payload)
        self._noted_bytes += len(topic) + len(payload)

    @property
    def is_due(self) -> bool:
        """True if the state may be saved by now."""
        return time.monotonic() >= self._due_at or self._noted_bytes >= budgets.STATE_JOURNAL_BYTES

    def begin(self) -> int:
        """Begin to save: the state is to be taken now. What to give to `save`."""
        self._noted_bytes = 0
        return self._journal.rotate()

    def save(self, state: dict[str, Any], begun: int) -> bool:
        """Save the state that was taken after `begin`, and let go of the messages in it; whether that is done."""
        if not self._component.bus.flush(_FLUSH_SECONDS) or not self._file.save(state):
            return False
        self._due_at = time.monotonic() + self._file.size / budgets.STATE_BYTES_PER_SECOND
        self._journal.forget(begun)
        return True
