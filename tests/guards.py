"""Holds a recorded stack to its guard: whatever the guard does not depend on would be deleted before it refuses."""

from collections.abc import Iterable

from pm_components.stack.environment import GUARD
from pm_sandbox.recorder import Registered


def guard_of(resources: Iterable[Registered]) -> Registered:
    """The one guard of a stack."""
    (guard,) = (one for one in resources if one.type == GUARD)
    return guard


def unguarded(resources: Iterable[Registered]) -> list[str]:
    """URNs that are not among the transitive dependencies of the stack's guard.

    The engine deletes a parent after its children, so that what a dependency is in, is a dependency too.
    """
    by_urn = {one.urn: one for one in resources}
    reached: set[str] = set()
    waiting = [guard_of(by_urn.values()).urn]
    while waiting:
        urn = waiting.pop()
        if urn in by_urn and urn not in reached:
            reached.add(urn)
            waiting += [*by_urn[urn].dependencies, by_urn[urn].parent]
    return sorted(by_urn.keys() - reached)
