"""The names that a resource may have had before, by which an update knows it again."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

#: The type of the stack, of which its resources' URNs say nothing.
STACK = "pulumi:pulumi:Stack"


class Alias(NamedTuple):
    """An earlier name. What is empty is as it is now.

    Attributes:
        urn: All of it; nothing else counts then.
        name: The logical name.
        type: The type token.
        parent: The parent's URN.
        no_parent: Whether it had no parent but the stack.
        project: The project's name.
        stack: The stack's name.
    """

    urn: str = ""
    name: str = ""
    type: str = ""
    parent: str = ""
    no_parent: bool = False
    project: str = ""
    stack: str = ""


def urn_of(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN as Pulumi's engine makes it, which holds the types of all parents but the stack's."""
    parent_type = parent.split("::")[2] if parent else ""
    qualified = type_ if parent_type in ("", STACK) else f"{parent_type}${type_}"
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def earlier_urns(urn: str, parent: str, aliases: Iterable[Alias], known_as: Mapping[str, str]) -> list[str]:
    """The URNs that a resource may have had, the likeliest first.

    Args:
        urn: Its URN now.
        parent: That of its parent.
        aliases: What the program says of it.
        known_as: The earlier URN of each resource that had another one: what had such a parent had another URN, too.
            A name that begins with the parent's is taken to be made of it.
    """
    own = [_meant(alias, urn, parent, known_as) for alias in aliases]
    inherited = []
    if parent in known_as:
        before = known_as[parent]
        for one in [urn, *own]:
            stack, project, types, name = _parts(one)
            if name.startswith(_parts(parent)[3]):
                name = _parts(before)[3] + name.removeprefix(_parts(parent)[3])
            inherited.append(urn_of(stack, project, before, types.rpartition("$")[2], name))
    return list(dict.fromkeys([*own, *inherited]))


def _meant(alias: Alias, urn: str, parent: str, known_as: Mapping[str, str]) -> str:
    if alias.urn:
        return alias.urn
    stack, project, types, name = _parts(urn)
    above = known_as.get(alias.parent, alias.parent) or parent
    return urn_of(
        alias.stack or stack,
        alias.project or project,
        "" if alias.no_parent else above,
        alias.type or types.rpartition("$")[2],
        alias.name or name,
    )


def _parts(urn: str) -> tuple[str, str, str, str]:
    stack, project, types, name = urn.removeprefix("urn:pulumi:").split("::", 3)
    return stack, project, types, name
