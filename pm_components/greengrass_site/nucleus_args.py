"""The argument in which a site states its nucleus."""

import re
from typing import Any, NotRequired, TypedDict

import pulumi

from pm_components.aws.plain import plain_mapping, plain_text
from pm_components.greengrass_site.nuclei import DEFAULT_VERSIONS, OLDEST_VERSIONS, Nucleus, NucleusKind, numbers

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class NucleusArgs(TypedDict):
    """A nucleus, as a site states it."""

    kind: NotRequired[pulumi.Input[NucleusKind]]
    """`classic` (default) or `lite`. Known while the program runs."""
    version: NotRequired[pulumi.Input[str]]
    """Version, as `2.16.1`; by default the one that this library pins: 2.16.1 of `classic`, 2.6.0 of `lite`. Known
    while the program runs."""


def stated_nucleus(value: Any, key: str) -> Nucleus:
    """The nucleus that an argument states.

    Args:
        value: a `NucleusArgs`; all of it may be left out.
        key: the argument, as `GreengrassSite.nucleus`.

    Raises:
        TypeError: if something of it is not known while the program runs.
        ValueError: for a kind or version that there is none of, or that is too old.
    """
    given = plain_mapping(value, key)
    if unknown := sorted(given.keys() - {"kind", "version"}):
        raise ValueError(f"{key}: found {', '.join(unknown)}, allowed are kind and version")
    kind = NucleusKind(plain_text(given.get("kind", NucleusKind.CLASSIC), f"{key}.kind"))
    version = given.get("version", DEFAULT_VERSIONS[kind])
    oldest = OLDEST_VERSIONS[kind]
    if not _VERSION.fullmatch(version) or numbers(version) < numbers(oldest):
        raise ValueError(f"{key}.version: found {version!r}, allowed with {kind} are {oldest} and later")
    return Nucleus(kind, version, "version" in given)
