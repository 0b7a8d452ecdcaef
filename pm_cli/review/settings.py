"""The effective settings of a stack after all defaults, and the differences between two stacks."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pm_components.greengrass_site.settings import SiteSettings
from pm_components.stack import config
from pm_sandbox.deployer.project import read_project

#: Settings of providers that tell environments apart; the rest of their keys point at a cloud, which is no setting.
_PROVIDER_KEYS = ("aws:region",)


class Setting(NamedTuple):
    """A key that two stacks set differently; a side is None if the key does not exist there."""

    key: str
    first: str | None
    second: str | None


def read(program: Path, stack: str) -> tuple[config.Config, dict[str, str]]:
    """The configuration of a stack, and the settings of providers.

    Raises:
        DeploymentError: if a file is missing or cannot be read.
        ConfigError: if a key is wrong.
    """
    project = read_project(program, stack, {})
    prefix = f"{config.NAMESPACE}:"
    ours = {key.removeprefix(prefix): value for key, value in project.config.items() if key.startswith(prefix)}
    providers = {key: project.config[key] for key in _PROVIDER_KEYS if key in project.config}
    return config.parse(ours), providers


def effective(program: Path, stack: str) -> dict[str, str]:
    """Each setting of a stack by its key, as it holds after the defaults of project, tier and components."""
    parsed, settings = read(program, stack)
    for key in parsed.__struct_fields__:
        if key == "sites":
            for site in parsed.sites:
                settings |= {f"sites.{site.name}": _summary(site), **_further(site)}
        else:
            settings |= _flat(key, msgspec.to_builtins(getattr(parsed, key)))
    return settings


def difference(program: Path, first: str, second: str) -> list[Setting]:
    """The differences between the effective settings of two stacks, by key.

    Of a site that only one of them has, what is the default is left out.
    """
    one, other = effective(program, first), effective(program, second)
    found = [Setting(key, one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys())]
    return [setting for setting in found if setting.first != setting.second and not _of_lone_site(setting)]


def _of_lone_site(setting: Setting) -> bool:
    """True if only one stack has the site, and the site has the default."""
    head, _, key = setting.key.partition(".")
    if head != "sites" or None not in (setting.first, setting.second):
        return False
    return _SITE_DEFAULTS.get(key.partition(".")[2]) == (setting.first or setting.second)


def _summary(site: config.Site) -> str:
    """A site in a line: its core devices, then its devices by type."""
    kinds = sorted({device.type for device in site.devices})
    devices = {kind: sorted(device.name for device in site.devices if device.type == kind) for kind in kinds}
    groups = {"core": sorted(site.core_devices), **devices}
    return "; ".join(f"{len(names)} {kind}: {', '.join(names)}" for kind, names in groups.items())


def _further(site: config.Site) -> dict[str, str]:
    """A site's settings that its summary does not have."""
    own = msgspec.structs.replace(site, canary_devices=site.canaries)
    return {
        path: text
        for name in own.__struct_fields__
        if name not in ("name", "core_devices", "devices")
        for path, text in _flat(f"sites.{site.name}.{name}", msgspec.to_builtins(getattr(own, name))).items()
    }


def _flat(key: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and value:
        return {path: text for name, inner in value.items() for path, text in _flat(f"{key}.{name}", inner).items()}
    if isinstance(value, (dict, list, tuple)):
        return {key: ", ".join(map(str, value)) or "none"}
    if isinstance(value, bool):
        return {key: "yes" if value else "no"}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return {key: "-" if value is None else str(value)}


_SITE_DEFAULTS = {
    path: text
    for name, value in msgspec.to_builtins(SiteSettings()).items()
    for path, text in _flat(name, value).items()
} | _flat("configuration", {})
