"""The last reviewed state, kept beside the code, and a program's differences from it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pm_components.stack.environment import PROTECTED_TYPES
from pm_sandbox.recorder import Recording

#: Values longer than this are given by their hash, so that a snapshot stays small enough to be read.
_LONGEST_VALUE = 80
_HASH_DIGITS = 12

BASE = "dev"
"""The stack whose snapshot is kept whole."""
#: Stands for the stack's name in files and in what is hashed, so that stacks differ only in what is set otherwise.
_STACK = "{stack}"


class SnapshotError(Exception):
    """A snapshot that cannot be read; the text names the file and says how to make it again."""


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reviewed state: each resource's inputs by URN, the permissions, and the estimated cost."""

    resources: dict[str, dict[str, str]]
    permissions: list[str]
    monthly_cost_usd: float


class _Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A snapshot as its differences from another stack's; None for what this stack does not have.

    The cost is kept whole.
    """

    differs_from: str
    resources: dict[str, dict[str, str | None] | None]
    permissions_added: list[str]
    permissions_removed: list[str]
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
    """The snapshot of a program as it is; tags that all resources share are kept once, as the stack's own."""
    ordered = sorted(recording.resources, key=lambda one: one.urn)
    tagged = [set(tags.items()) for one in ordered if isinstance(tags := one.inputs.get("tags"), dict)]
    shared = dict(sorted(set.intersection(*tagged))) if tagged else {}
    resources = {
        one.urn: {key: _shown(_without(shared, key, value), one.urn) for key, value in sorted(one.inputs.items())}
        for one in ordered
    }
    return Snapshot(
        resources | {stack_of(urn): shared for urn in [*resources][:1]}, sorted(permissions), monthly_cost_usd
    )


def read(path: Path) -> Snapshot | None:
    """The snapshot in a stack's file, None if there is none; the file's name is the stack's.

    Raises:
        SnapshotError: if the file, or the one that it differs from, is not a snapshot.
    """
    return _read(path, path.stem)


def write(path: Path, snapshot: Snapshot) -> None:
    """Keep a snapshot, one input a line so that version control shows what changed.

    That of the stack `dev` is kept whole, that of another stack as its differences from `dev`, where there is one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    base = None if path.stem == BASE else _read(path.with_name(f"{BASE}.json"), path.stem)
    kept = snapshot if base is None else _difference(base, snapshot)
    text = msgspec.json.format(msgspec.json.encode(kept), indent=1).decode()
    path.write_text(_general(text, path.stem) + "\n")


def _read(path: Path, stack: str) -> Snapshot | None:
    """The snapshot in a file, with the name of a stack where the file leaves it open."""
    try:
        found = msgspec.json.decode(path.read_text().replace(_STACK, stack))
        if "differs_from" not in found:
            return msgspec.convert(found, Snapshot)
        kept = msgspec.convert(found, _Difference)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, TypeError) as error:
        raise SnapshotError(f"{path} is not a snapshot ({error}): delete it, review the stack and accept it") from error
    base = _read(path.with_name(f"{kept.differs_from}.json"), stack)
    if base is None:
        raise SnapshotError(
            f"{path} differs from {kept.differs_from}, which has no snapshot: review and accept that first"
        )
    return _merged(base, kept)


def _difference(base: Snapshot, snapshot: Snapshot) -> _Difference:
    resources: dict[str, dict[str, str | None] | None] = {}
    for urn in sorted(base.resources.keys() | snapshot.resources.keys()):
        before, after = base.resources.get(urn), snapshot.resources.get(urn)
        if after is None:
            resources[urn] = None
        elif before != after:
            before = before or {}
            keys = sorted(before.keys() | after.keys())
            resources[urn] = {key: after.get(key) for key in keys if before.get(key) != after.get(key)}
    return _Difference(
        differs_from=BASE,
        resources=resources,
        permissions_added=sorted(set(snapshot.permissions) - set(base.permissions)),
        permissions_removed=sorted(set(base.permissions) - set(snapshot.permissions)),
        monthly_cost_usd=snapshot.monthly_cost_usd,
    )


def _merged(base: Snapshot, kept: _Difference) -> Snapshot:
    resources: dict[str, dict[str, str]] = {}
    for urn in sorted(base.resources.keys() | kept.resources.keys()):
        change = kept.resources.get(urn, {})
        if change is not None:
            merged = {**base.resources.get(urn, {}), **change}
            resources[urn] = {key: value for key, value in sorted(merged.items()) if value is not None}
    permissions = (set(base.permissions) - set(kept.permissions_removed)) | set(kept.permissions_added)
    return Snapshot(resources, sorted(permissions), kept.monthly_cost_usd)


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


def stack_of(urn: str) -> str:
    """The URN of the stack that a resource is in."""
    prefix, project = urn.split("::")[:2]
    return f"{prefix}::{project}::pulumi:pulumi:Stack::{project}-{prefix.rpartition(':')[2]}"


def name_of(urn: str) -> str:
    """The type, without its package, and the logical name of the resource that a URN names."""
    return f"{type_of(urn).rpartition(':')[2]} {urn.split('::')[3]}"


def _without(shared: dict[str, Any], key: str, value: Any) -> Any:
    if key != "tags" or not isinstance(value, dict):
        return value
    return {name: text for name, text in value.items() if name not in shared}


def _shown(value: Any, urn: str) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    stack = urn.split(":")[2]
    general = _general(text, stack)
    if len(general) <= _LONGEST_VALUE:
        return text
    return f"sha256:{hashlib.sha256(general.encode()).hexdigest()[:_HASH_DIGITS]} ({len(general)} characters)"


def _general(text: str, stack: str) -> str:
    """The text with its stack's name left open, in URNs and in physical names, which begin with the project's."""
    return re.sub(rf"(?<=urn:pulumi:){stack}(?=::)|(?<=\bpm[-_]){stack}(?![a-z0-9])", _STACK, text)
