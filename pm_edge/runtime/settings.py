"""The settings of a component, from its command line and the site's list of devices, checked."""

import argparse
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from pm_contracts import site_devices
from pm_contracts.measurements import AIR_QUALITY
from pm_contracts.messages import NAME_PATTERN, Refused
from pm_contracts.site_devices import DEVICE_TYPES
from pm_edge.runtime import last_end

#: Seconds to wait for the list of devices: a nucleus starts components without waiting for the one that installs it.
LIST_SECONDS = 60.0
#: Between two looks for it: its folder may not exist yet, and could not be watched.
_LOOK_SECONDS = 0.2
_NAME = re.compile(NAME_PATTERN)

_log = logging.getLogger(__name__)


class SettingsError(RuntimeError):
    """The site's devices cannot be known; the text names the file and what is wrong with it."""


class Settings(NamedTuple):
    """A component's site, the site's devices by name with their type, and its folder for data."""

    site: str
    devices: dict[str, str]
    data_directory: Path
    devices_file: Path | None = None
    """The file that the devices come from; None if they were given on the command line, and do not change."""

    def devices_of(self, device_type: str) -> list[str]:
        """The names of the devices of one type, in the order given."""
        return [name for name, its_type in self.devices.items() if its_type == device_type]

    def devices_have_changed(self) -> bool:
        """Return whether the site's list of devices has changed; one that cannot be used changes nothing."""
        if self.devices_file is None:
            return False
        try:
            return _listed(self.devices_file, self.site) != self.devices
        except SettingsError as error:
            _log.error("the devices stay as they are: %s", error)
            return False


class _Parser(argparse.ArgumentParser):
    """A parser that keeps why it refuses its arguments for the next start: there is no bus yet to say it on."""

    def __init__(self, module: str, description: str) -> None:
        super().__init__(prog=f"python -m {module}", description=description)
        self._component = component_name(module)
        self.set_defaults(component=self._component)

    def error(self, message: str) -> NoReturn:
        place = argparse.ArgumentParser(add_help=False)
        place.add_argument("--data-directory", type=Path)
        directory = place.parse_known_args()[0].data_directory
        if directory is not None:
            last_end.note(directory, self._component, f"wrong settings: {message}")
        super().error(message)


def component_name(module: str) -> str:
    """The Greengrass name of the component in a module: `pm.FaultDetector` of `pm_edge.components.fault_detector`."""
    return "pm." + "".join(word.capitalize() for word in module.rpartition(".")[2].split("_"))


def argument_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser of the arguments that every component takes; a component may add its own."""
    parser = _Parser(module, description)
    parser.add_argument("--site", required=True, type=_name, help="name of the site")
    parser.add_argument(
        "--devices", type=_devices, metavar="NAME=TYPE,..",
        help=f"TYPE is {' or '.join(DEVICE_TYPES)}; left out: those of {site_devices.FILE_NAME} in the data directory",
    )  # fmt: skip
    parser.add_argument("--data-directory", required=True, type=Path, help="folder for state, models and identity")
    return parser


def parse_settings(module: str, description: str, arguments: Sequence[str] | None = None) -> Settings:
    """The settings on the command line; ends the process with status 2 and the reason where they are wrong."""
    return settings_of(argument_parser(module, description).parse_args(arguments))


def settings_of(parsed: argparse.Namespace, seconds: float = LIST_SECONDS) -> Settings:
    """The settings among the parsed arguments, with the site's devices.

    Args:
        parsed: the arguments.
        seconds: how long the list of devices is waited for.

    Raises:
        SystemExit: if there is no list of the site's devices then, with the reason and status 1.
    """
    if parsed.devices is not None:
        return Settings(parsed.site, parsed.devices, parsed.data_directory)
    file = parsed.data_directory / site_devices.FILE_NAME
    end = time.monotonic() + seconds
    while True:
        try:
            return Settings(parsed.site, _listed(file, parsed.site), parsed.data_directory, file)
        except SettingsError as error:
            if time.monotonic() >= end:
                last_end.note(parsed.data_directory, parsed.component, str(error))
                raise SystemExit(str(error)) from error
        time.sleep(_LOOK_SECONDS)


def _listed(file: Path, site: str) -> dict[str, str]:
    """The devices of `site` that a file lists.

    Raises:
        SettingsError: if it is not there, cannot be read, or is of another site.
    """
    try:
        listed = site_devices.decode(file.read_bytes())
    except FileNotFoundError as error:
        raise SettingsError(
            f"{file} is not there: the component pm.SiteDevices installs it, or give --devices NAME=TYPE,.."
        ) from error
    except (OSError, Refused) as error:
        raise SettingsError(f"{file}: {error}") from error
    if listed.site != site:
        raise SettingsError(f"{file}: found the devices of site {listed.site}, allowed are those of {site}")
    return dict(listed.devices)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
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
