"""AWS's own components for client devices: their releases, and what each runs with.

A nucleus takes a plug-in only in a release whose dependencies hold on it; a deployment with another one fails
("Dependencies" of each component's page, AWS IoT Greengrass V2 developer guide). The tables there say which versions
agree. For the releases made for nucleus 2.17 and 2.18 they say nothing: the changelogs name these releases, and the
tables end before them. Such a range is UNKNOWN here, and its release is never chosen; once AWS documents it, it is
one row more.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pm_components.greengrass_site import nuclei

AUTH = "aws.greengrass.clientdevices.Auth"
BROKER = "aws.greengrass.clientdevices.mqtt.Moquette"
BRIDGE = "aws.greengrass.clientdevices.mqtt.Bridge"
DETECTOR = "aws.greengrass.clientdevices.IPDetector"
SHADOWS = "aws.greengrass.ShadowManager"


class VersionRange(NamedTuple):
    """The versions from `at_least` on and before `below`."""

    at_least: str
    below: str

    def takes(self, version: str) -> bool:
        """Return whether `version` is one of them."""
        return nuclei.numbers(self.at_least) <= nuclei.numbers(version) < nuclei.numbers(self.below)

    def __str__(self) -> str:
        """The requirement in the form of a recipe."""
        return f">={self.at_least} <{self.below}"


#: A range that AWS does not document.
UNKNOWN = None


class Release(NamedTuple):
    """A version of a component, and what it depends on."""

    version: str
    requires: Mapping[str, VersionRange | None]
    """The versions that it takes, by component; UNKNOWN where nobody says."""

    @property
    def is_known(self) -> bool:
        """Return whether all that it depends on is documented."""
        return UNKNOWN not in self.requires.values()


class NotDocumented(ValueError):
    """A nucleus for which no release of a component is known to run; the text names both and what is known."""


def _on_nucleus(version: str, at_least: str, below: str) -> Release:
    return Release(version, {nuclei.COMPONENT: VersionRange(at_least, below)})


def _undocumented(*versions: str) -> tuple[Release, ...]:
    return tuple(Release(version, {nuclei.COMPONENT: UNKNOWN}) for version in versions)


def _with_auth(version: str) -> Release:
    return Release(version, {AUTH: VersionRange("2.2.0", "2.6.0")})


#: By component, newest first. Sources: "Client device auth", "MQTT 3.1.1 broker (Moquette)", "MQTT bridge", "IP
#: detector" and "Shadow manager" of the guide, tables of dependencies and changelogs as of July 2026. Auth begins at
#: 2.5.0, the first that takes wildcards in resources of device policies.
RELEASES: Mapping[str, tuple[Release, ...]] = {
    AUTH: (
        *_undocumented("2.5.7", "2.5.6"),
        _on_nucleus("2.5.5", "2.6.0", "2.17.0"),
        _on_nucleus("2.5.4", "2.6.0", "2.16.0"),
        _on_nucleus("2.5.3", "2.6.0", "2.15.0"),
        _on_nucleus("2.5.1", "2.6.0", "2.14.0"),
        _on_nucleus("2.5.0", "2.6.0", "2.13.0"),
    ),
    BROKER: (_with_auth("2.3.7"),),
    BRIDGE: (_with_auth("2.3.2"),),
    DETECTOR: (
        *_undocumented("2.2.5", "2.2.4"),
        _on_nucleus("2.2.3", "2.2.0", "2.17.0"),
        _on_nucleus("2.2.2", "2.2.0", "2.16.0"),
        _on_nucleus("2.2.1", "2.2.0", "2.15.0"),
        _on_nucleus("2.2.0", "2.2.0", "2.14.0"),
    ),
    SHADOWS: (
        *_undocumented("2.3.15", "2.3.14"),
        _on_nucleus("2.3.13", "2.5.0", "2.17.0"),
        _on_nucleus("2.3.11", "2.5.0", "2.16.0"),
        _on_nucleus("2.3.10", "2.5.0", "2.15.0"),
        _on_nucleus("2.3.9", "2.5.0", "2.14.0"),
    ),
}


def chosen(nucleus_version: str) -> dict[str, Release]:
    """The newest release of each component that is known to run on a nucleus, and with the others chosen.

    Raises:
        NotDocumented: if there is none of a component.
    """
    versions = {nuclei.COMPONENT: nucleus_version}
    found: dict[str, Release] = {}
    for component, releases in RELEASES.items():
        fitting = next((one for one in releases if one.is_known and not any(_unmet(one, versions))), None)
        if fitting is None:
            newest = next(one for one in releases if one.is_known)
            takes = ", ".join(f"{other} {versions_}" for other, versions_ in newest.requires.items())
            raise NotDocumented(
                f"found {nucleus_version}, and no release of {component} is documented to run on it; the newest that "
                f"is documented, {newest.version}, takes {takes}"
            )
        found[component] = fitting
        versions[component] = fitting.version
    return found


def _unmet(release: Release, versions: Mapping[str, str]) -> Iterator[str]:
    """The requirements of `release` that `versions` does not meet."""
    for component, takes in release.requires.items():
        if takes is None or component not in versions or not takes.takes(versions[component]):
            yield component
