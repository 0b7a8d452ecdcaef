"""The list of a site's devices as it travels to its core devices: a file of a component of its own.

It is no configuration value, since nucleus lite takes 1,024 bytes of one, some thirty devices.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pm_contracts.json_files import decode_file
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import Name, Refused
from pm_contracts.topics import COMMAND

#: Name of the file, in the component's artifact and in the folder of a core device's data.
FILE_NAME = "devices.json"
DEVICE_TYPES = (AIR_QUALITY, MACHINE)


class SiteDevices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A site and its devices."""

    site: Name
    devices: dict[Name, Annotated[Literal["air_quality", "machine"], Meta(description="type of the device")]]
    """The type of each device by its name."""

    def __post_init__(self) -> None:
        if COMMAND in self.devices:
            raise ValueError(f"devices: found {COMMAND!r}, a level of the site's own topics, allowed is another name")


def thing_name(site: str, device: str) -> str:
    """The thing of a device of `site`; no name of a site or device holds the character between them."""
    return f"{site}_{device}"


def encode(site: str, devices: Mapping[str, str]) -> bytes:
    """The file's content, the same for the same devices.

    Raises:
        Refused: for a name or a type that the contract does not have.
    """
    return msgspec.json.encode(_checked({"site": site, "devices": dict(devices)}), order="sorted")


def decode(content: bytes) -> SiteDevices:
    """The list in a file.

    Raises:
        Refused: if it is invalid; the text says why.
    """
    devices: SiteDevices = decode_file(content, SiteDevices, "no list of a site's devices")
    return devices


def _checked(value: Mapping[str, object]) -> SiteDevices:
    try:
        return msgspec.convert(value, SiteDevices)
    except msgspec.ValidationError as error:
        raise Refused(f"no list of a site's devices: {error}") from error
