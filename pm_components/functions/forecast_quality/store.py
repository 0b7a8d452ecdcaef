"""Forecast quality in DynamoDB: one item a device, guarded by a version number."""

import datetime as dt
from typing import Any

from pm_components.functions.forecast_quality.core import State, from_json, to_json
from pm_components.functions.versioned_items import VersionedItems


class StateStore:
    """States by device.

    Args:
        client: a boto3 client of DynamoDB.
        table: the table's name; its key is `detector`, the site and the device as a string.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._items = VersionedItems(client, table, "detector")

    def load(self, device: str) -> tuple[State, int]:
        """The state and its version; of a device not heard of yet, an empty state and 0."""
        item, version = self._items.load(device)
        return (from_json(item["state"]["S"]) if item else State()), version

    def save(self, device: str, state: State, version: int) -> int:
        """Write `state` in place of the one that was loaded with `version`.

        Returns:
            The version that it has now.

        Raises:
            Conflict: if the state in the table is of another version.
        """
        attributes = {
            "state": {"S": to_json(state)},
            # For people who look into the table; the function itself reads `state` alone.
            "alert": {"S": "active" if state.active else "cleared"},
            "outcomes": {"N": str(len(state.outcomes))},
            "misses": {"N": str(state.misses)},
            "updated_at": {"S": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")},
        }
        return self._items.save(device, attributes, version)
