"""The effective settings of a stack after all defaults, and the differences between two stacks."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

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
                settings |= {f"sites.{site.name}": _told(site), **_further(site)}
        else:
            settings |= _flat(key, _with_defaults(key, msgspec.to_builtins(getattr(parsed, key))))
    return settings


def difference(program: Path, first: str, second: str) -> list[Setting]:
    """The differences between the effective settings of two stacks, by key."""
    one, other = effective(program, first), effective(program, second)
    keys = sorted(one.keys() | other.keys())
    return [Setting(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)]


def _told(site: config.Site) -> str:
    """A site in a line: its core devices, then its devices by type."""
    kinds = sorted({device.type for device in site.devices})
    devices = {kind: sorted(device.name for device in site.devices if device.type == kind) for kind in kinds}
    groups = {"core": sorted(site.core_devices), **devices}
    return "; ".join(f"{len(names)} {kind}: {', '.join(names)}" for kind, names in groups.items())


def _further(site: config.Site) -> dict[str, str]:
    """A site's further settings that differ from the default."""
    told = {"name", "core_devices", "devices"}
    return {
        path: text
        for field in msgspec.structs.fields(site)
        if field.name not in told and (value := getattr(site, field.name)) != field.default and value != {}
        for path, text in _flat(f"sites.{site.name}.{field.name}", msgspec.to_builtins(value)).items()
    }


def _with_defaults(key: str, value: Any) -> Any:
    """A structured setting with the defaults of the component that it is for."""
    if key == "detector":
        from pm_components.fault_alerting.component import DEFAULT_RULE

        return _filled(value, msgspec.to_builtins(DEFAULT_RULE))
    if key == "training":
        from pm_components.forecast_pipeline import component as forecast_pipeline

        head = "DEFAULT_"
        defaults = {
            name.removeprefix(head).lower(): value
            for name, value in vars(forecast_pipeline).items()
            if name.startswith(head)
        }
        return _filled(value, msgspec.to_builtins(defaults))
    return value


def _filled(value: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """`value` with the defaults where it says nothing; what is optional as a whole, as the trial, stays off."""
    filled = {}
    for name, found in value.items():
        default = defaults.get(name)
        if isinstance(default, dict):
            filled[name] = None if found is None else _filled(found, default)
        else:
            filled[name] = default if found is None else found
    return filled


def _flat(key: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {path: text for name, inner in value.items() for path, text in _flat(f"{key}.{name}", inner).items()}
    if isinstance(value, list):
        return {key: ", ".join(map(str, value)) or "none"}
    if isinstance(value, bool):
        return {key: "yes" if value else "no"}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return {key: "-" if value is None else str(value)}
