"""The steps that an update takes, told from the old records and the new registrations alone."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from pm_sandbox.deployer import property_paths
from pm_sandbox.deployer.records import DeploymentError, ResourceRecord
from pm_sandbox.deployer.registration import PROVIDERS, Registration
from pm_sandbox.provider import Diff
from pm_sandbox.provider.wire import UNKNOWN

#: As `Provider.diff`: `(type, inputs until now, inputs from now on)`.
Differ = Callable[[str, dict[str, Any], dict[str, Any]], Diff]


class Known(NamedTuple):
    """A resource that there is, with what its record has masked.

    Attributes:
        record: Its record.
        inputs: Its inputs.
        outputs: Its outputs, with the inputs among them.
    """

    record: ResourceRecord
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Plan(NamedTuple):
    """The steps for a registration.

    Attributes:
        action: What it is.
        inputs: What it changes; for what is replaced, also why.
        deletes_first: Whether the old one goes before the new one comes.
    """

    action: Literal["create", "same", "update", "replace"]
    inputs: list[str]
    deletes_first: bool = False


def plan(old: Known | None, new: Registration, wanted: dict[str, Any], diff: Differ) -> Plan:
    """The step from `old` to `new`.

    Args:
        old: What there is, if anything.
        new: What was registered.
        wanted: Its inputs, after `ignore_changes`.
        diff: Says what a change of inputs does to a type.
    """
    if old is None:
        return Plan("create", [])
    if old.record.custom != new.custom:
        return Plan("replace", ["provider"])
    if new.type.startswith(PROVIDERS):
        # There is one cloud: however a provider is configured for it, nothing becomes of that.
        return Plan("same", [])
    if not new.custom:
        changed = sorted(key for key in old.inputs.keys() | wanted.keys() if old.inputs.get(key) != wanted.get(key))
        return Plan("update" if changed else "same", changed)
    found = diff(new.type, old.inputs, wanted)
    if replacing := _replacing(found, new.replace_on_changes):
        first = found.deletes_first if new.delete_before_replace is None else new.delete_before_replace
        return Plan("replace", replacing, first)
    changed = sorted({_input_of(path) for path in found.changes})
    return Plan("update" if changed else "same", changed)


def ignoring(paths: Iterable[str], old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new inputs with what is at the paths as the old ones have it."""
    for path in paths:
        new = property_paths.kept(property_paths.parse(path), old, new)
    return new


def refuse_protected(records: Iterable[ResourceRecord], what: str) -> None:
    """Refuse what may not be deleted.

    Raises:
        DeploymentError: naming all that is protected.
    """
    if protected := [record.urn for record in records if record.protect]:
        raise DeploymentError(
            f"{what} is refused, since protected: {', '.join(protected)}; to let go, take the option protect off them, "
            "deploy, and then try again"
        )


def replaced_along(root: Known, others: Sequence[Known], settled: Collection[str], diff: Differ) -> list[Known]:
    """The resources that must go before the root can, since an input of theirs comes from it and replaces them.

    Args:
        root: The resource to be replaced.
        others: What there is besides, each after what it depends on.
        settled: URNs of what the program has registered already; that depends on the root no more.
        diff: Says what a change of inputs does to a type.

    Returns:
        Those, each after what it depends on.
    """
    going = {root.record.urn}
    along = []
    for one in others:
        record = one.record
        if not record.custom or record.urn in going or record.urn in settled or record.type.startswith(PROVIDERS):
            continue
        open_ = [key for key in one.inputs if going & set(record.input_dependencies.get(key, []))]
        if not open_:
            continue
        found = diff(record.type, one.inputs, {**one.inputs, **dict.fromkeys(open_, UNKNOWN)})
        if _replacing(found, record.replace_on_changes):
            going.add(record.urn)
            along.append(one)
    return along


def deletion_levels(records: Sequence[ResourceRecord]) -> list[list[ResourceRecord]]:
    """The order of deletion: what is in one list goes at once, after the lists before it.

    Args:
        records: What is to go, each after what it depends on. Of a URN there may be several, of replaced resources.
    """
    below: list[set[int]] = []
    for index, record in enumerate(records):
        needed = {record.parent, record.provider.rpartition("::")[0], *record.dependencies}
        needed |= {urn for urns in record.input_dependencies.values() for urn in urns}
        direct = {position for position in range(index) if records[position].urn in needed}
        # A component stands for its children.
        above = {records[position].urn for position in direct if records[position].urn != record.parent}
        for position in range(index):
            if records[position].parent in above:
                above.add(records[position].urn)
                direct.add(position)
        below.append(direct)
    left = set(range(len(records)))
    levels = []
    while left:
        needed_still = {position for index in left for position in below[index]}
        level = sorted(left - needed_still)
        levels.append([records[index] for index in level])
        left -= set(level)
    return levels


def _replacing(diff: Diff, replace_on_changes: Iterable[str]) -> list[str]:
    """The inputs that replace: those of the provider, and those that the program says."""
    asked = [property_paths.parse(path) for path in replace_on_changes]
    by_program = {
        _input_of(path)
        for path in diff.changes
        if any(property_paths.contains(one, property_paths.parse(path)) for one in asked)
    }
    return sorted({*diff.replaces, *by_program})


def _input_of(path: str) -> str:
    return str(property_paths.parse(path)[0])
