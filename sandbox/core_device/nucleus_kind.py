"""The two nuclei of AWS, and where they differ in what the emulated one plays.

Read in their source: aws-greengrass-nucleus 2.18 (classic, a Java program), aws-greengrass-lite 2.6.0 (systemd units).
"""

from enum import StrEnum


class NucleusKind(StrEnum):
    """A nucleus that a core device runs."""

    CLASSIC = "classic"
    LITE = "lite"

    @property
    def runtime(self) -> str | None:
        """Its value of the platform attribute `runtime`; a classic nucleus has none."""
        return "aws_nucleus_lite" if self is NucleusKind.LITE else None
