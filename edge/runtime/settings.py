"""What a component is told on its command line, checked."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import NAME_PATTERN

DEVICE_TYPES = (AIR_QUALITY, MACHINE)
_NAME = re.compile(NAME_PATTERN)


class Settings(NamedTuple):
    """Where a component works: its site, the site's devices by name with their type, and its folder for data."""

    site: str
    devices: dict[str, str]
    data_directory: Path

    def devices_of(self, device_type: str) -> list[str]:
        """The names of the devices of one type, in the order given."""
        return [name for name, its_type in self.devices.items() if its_type == device_type]


def argument_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser of the arguments that every component takes; a component may add its own."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--site", required=True, type=_name, help="name of the site")
    parser.add_argument(
        "--devices", required=True, type=_devices, metavar="NAME=TYPE,..", help=f"TYPE is {' or '.join(DEVICE_TYPES)}"
    )
    parser.add_argument("--data-directory", required=True, type=Path, help="folder for state, models and identity")
    return parser


def parse_settings(module: str, description: str, arguments: Sequence[str] | None = None) -> Settings:
    """The settings on the command line; ends the process with status 2 and the reason where they are wrong."""
    return settings_of(argument_parser(module, description).parse_args(arguments))


def settings_of(parsed: argparse.Namespace) -> Settings:
    """The settings among the parsed arguments."""
    return Settings(parsed.site, parsed.devices, parsed.data_directory)


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: allowed are 1 to 32 of a-z, 0-9 and inner hyphens")
    return text


def _devices(text: str) -> dict[str, str]:
    devices: dict[str, str] = {}
    for part in text.split(","):
        name, separator, device_type = part.strip().partition("=")
        if not separator:
            raise argparse.ArgumentTypeError(f"{part!r} is no NAME=TYPE, as air-1={AIR_QUALITY}")
        if device_type not in DEVICE_TYPES:
            raise argparse.ArgumentTypeError(
                f"device {name!r} has type {device_type!r}: allowed are {', '.join(DEVICE_TYPES)}"
            )
        if name in devices:
            raise argparse.ArgumentTypeError(f"device {name!r} is named twice")
        devices[_name(name)] = device_type
    return devices
