"""The last reviewed state, kept beside the code, and a program's differences from it."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pm_components.stack.environment import PROTECTED_TYPES
from pm_sandbox.recorder import Recording

#: Values longer than this are told by their hash, so that a snapshot stays small enough to be read.
_LONGEST_VALUE = 80
_HASH_DIGITS = 12


class SnapshotError(Exception):
    """A snapshot that cannot be read; the text names the file and says how to make it anew."""


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reviewed state: each resource's inputs by URN, the permissions, and the estimated cost."""

    resources: dict[str, dict[str, str]]
    permissions: list[str]
    monthly_cost_usd: float


class Change(NamedTuple):
    """An input that is not what it was; a side is None if the input was not set."""

    urn: str
    key: str
    before: str | None
    after: str | None


class Difference(NamedTuple):
    """The differences of a program from its snapshot."""

    added: list[str]
    removed: list[str]
    changed: list[Change]
    permissions_added: list[str]
    permissions_removed: list[str]
    monthly_cost_usd: float
    """By how much the estimate rose."""

    @property
    def nothing(self) -> bool:
        """True if nothing has changed."""
        return not any(self[:5]) and not self.monthly_cost_usd

    @property
    def losing_data(self) -> list[str]:
        """URNs of resources that hold data and are gone: deleted, or renamed, which deletes them too."""
        return [urn for urn in self.removed if type_of(urn) in PROTECTED_TYPES]


def taken(recording: Recording, permissions: list[str], monthly_cost_usd: float) -> Snapshot:
    """The snapshot of a program as it is."""
    resources = {
        one.urn: {key: _told(value) for key, value in sorted(one.inputs.items())}
        for one in sorted(recording.resources, key=lambda one: one.urn)
    }
    return Snapshot(resources, sorted(permissions), monthly_cost_usd)


def read(path: Path) -> Snapshot | None:
    """The snapshot in a file, None if there is none.

    Raises:
        SnapshotError: if the file is not a snapshot.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise SnapshotError(f"{path} is not a snapshot ({error}): delete it, review the stack and accept it") from error


def write(path: Path, snapshot: Snapshot) -> None:
    """Keep a snapshot, one input a line so that version control shows what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(snapshot), indent=1) + b"\n")


def compared(before: Snapshot, after: Snapshot) -> Difference:
    """The differences of `after` from `before`."""
    changed = [
        Change(urn, key, before.resources[urn].get(key), after.resources[urn].get(key))
        for urn in sorted(before.resources.keys() & after.resources.keys())
        for key in sorted(before.resources[urn].keys() | after.resources[urn].keys())
        if before.resources[urn].get(key) != after.resources[urn].get(key)
    ]
    return Difference(
        added=sorted(after.resources.keys() - before.resources.keys()),
        removed=sorted(before.resources.keys() - after.resources.keys()),
        changed=changed,
        permissions_added=sorted(set(after.permissions) - set(before.permissions)),
        permissions_removed=sorted(set(before.permissions) - set(after.permissions)),
        monthly_cost_usd=round(after.monthly_cost_usd - before.monthly_cost_usd, 2),
    )


def type_of(urn: str) -> str:
    """The type of the resource that a URN names."""
    return urn.split("::")[2].rpartition("$")[2]


def name_of(urn: str) -> str:
    """The type, without its package, and the logical name of the resource that a URN names."""
    return f"{type_of(urn).rpartition(':')[2]} {urn.split('::')[3]}"


def _told(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if len(text) <= _LONGEST_VALUE:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]} ({len(text)} characters)"
