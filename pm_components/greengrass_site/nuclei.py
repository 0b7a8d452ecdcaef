"""The software that makes a machine a core device: its kinds, and the versions that a site runs on. No Pulumi."""

from enum import StrEnum
from typing import NamedTuple

#: The component by which a deployment changes the version of a classic nucleus.
COMPONENT = "aws.greengrass.Nucleus"


class NucleusKind(StrEnum):
    """A kind of Greengrass nucleus."""

    CLASSIC = "classic"
    """The Greengrass nucleus, which needs Java and runs all of AWS's components."""
    LITE = "lite"
    """Greengrass nucleus lite, which needs neither, and runs generic components alone."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"nucleus: found {value!r}, allowed are {', '.join(cls)}")


#: The versions that this library pins. Classic: the newest release that client device components are documented to run
#: on (`public_components`). Lite: the oldest that runs a site.
DEFAULT_VERSIONS = {NucleusKind.CLASSIC: "2.16.1", NucleusKind.LITE: "2.6.0"}
#: The oldest releases that run a site. Classic: 2.6.0 brought wildcards in local topics, by which the uplink hears its
#: site ("Greengrass nucleus", changelog, AWS IoT Greengrass V2 developer guide). Lite: before 2.6.0 a component is not
#: restarted where only its configuration changes (seen with 2.5.1).
OLDEST_VERSIONS = {NucleusKind.CLASSIC: "2.6.0", NucleusKind.LITE: "2.6.0"}


class Nucleus(NamedTuple):
    """The nucleus of a site's core devices."""

    kind: NucleusKind = NucleusKind.CLASSIC
    version: str = DEFAULT_VERSIONS[NucleusKind.CLASSIC]
    is_stated: bool = False
    """True if the site states the version, and does not leave it to the default."""

    @property
    def is_deployed(self) -> bool:
        """True if the deployment names the nucleus itself, so that a device with another version changes to it.

        It does so only where the site states the version of a classic nucleus: the device then restarts into that
        version, which nobody may do to a plant without being asked. A lite one is no component of a deployment.
        """
        return self.is_stated and self.kind is NucleusKind.CLASSIC


def numbers(version: str) -> tuple[int, ...]:
    """A version's three numbers, by which versions are compared."""
    return tuple(int(part) for part in version.split("."))
