"""The nucleus that a site states, checked."""

import re
from typing import Any

from pm_components.aws.plain import plain_mapping, plain_text
from pm_components.greengrass_site.nuclei import DEFAULT_VERSIONS, OLDEST_VERSIONS, Nucleus, NucleusKind, numbers
from pm_components.greengrass_site.settings import NucleusSettings

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


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
    kind = NucleusKind(plain_text(given.get("kind", NucleusSettings().kind), f"{key}.kind"))
    version = given.get("version", DEFAULT_VERSIONS[kind])
    oldest = OLDEST_VERSIONS[kind]
    if not _VERSION.fullmatch(version) or numbers(version) < numbers(oldest):
        raise ValueError(f"{key}.version: found {version!r}, allowed with {kind} are {oldest} and later")
    return Nucleus(kind, version, "version" in given)
