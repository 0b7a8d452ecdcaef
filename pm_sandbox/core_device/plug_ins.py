"""The dependencies of AWS's own plug-ins, resolved as a nucleus does. No I/O.

Source of the rules: `DependencyResolver` and `ComponentManager` of
https://github.com/aws-greengrass/aws-greengrass-nucleus; of the dependencies:
`pm_components.greengrass_site.public_components`. A range counts whether the dependency is HARD or SOFT: the kind
is about starting, not about versions.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pm_components.greengrass_site import nuclei
from pm_components.greengrass_site.public_components import RELEASES, VersionRange
from pm_sandbox.core_device.deployments import DeploymentError


class RunningNucleus(NamedTuple):
    """The nucleus that a core device says it runs."""

    kind: str = nuclei.NucleusKind.CLASSIC
    version: str = nuclei.DEFAULT_VERSIONS[nuclei.NucleusKind.CLASSIC]


def resolved(running: RunningNucleus, versions: Mapping[str, str]) -> RunningNucleus:
    """The nucleus that the device runs once it has the components of `versions`.

    Args:
        running: the nucleus that it runs now.
        versions: all components that its targets name.

    Raises:
        DeploymentError: if a plug-in does not take the nucleus, or another component that it depends on, or nobody
            knows what it depends on.
    """
    plug_ins = {name: version for name, version in versions.items() if name in RELEASES}
    for name in sorted({*plug_ins, nuclei.COMPONENT} & versions.keys()):
        if running.kind != nuclei.NucleusKind.CLASSIC:
            raise DeploymentError(
                f"NO_AVAILABLE_COMPONENT_VERSION: {name} has no version for nucleus {running.kind} "
                f"{running.version}: it is a part of a classic nucleus"
            )
    constraints: dict[str, dict[str, VersionRange]] = {}
    for name, version in sorted(plug_ins.items()):
        for other, takes in _requires(name, version).items():
            constraints.setdefault(other, {})[f"{name} {version}"] = takes
    wanted = versions.get(nuclei.COMPONENT)
    for other, by_plug_in in constraints.items():
        if other != nuclei.COMPONENT:
            _check(other, versions.get(other), "is deployed", by_plug_in)
        elif wanted is not None:
            _check(other, wanted, "is deployed", by_plug_in)
        else:
            _check_running(running.version, by_plug_in)
    return running if wanted is None else running._replace(version=wanted)


def _requires(name: str, version: str) -> dict[str, VersionRange]:
    release = next((one for one in RELEASES[name] if one.version == version), None)
    if release is None:
        known = ", ".join(one.version for one in RELEASES[name])
        raise DeploymentError(f"{name} {version}: what it depends on is not known here; known are {known}")
    found = {}
    for other, takes in release.requires.items():
        if takes is None:
            raise DeploymentError(
                f"{name} {version}: AWS does not document which versions of {other} it takes, and the sandbox does not "
                "guess"
            )
        found[other] = takes
    return found


def _check(name: str, found: str | None, how: str, by_plug_in: Mapping[str, VersionRange]) -> None:
    if found is None or not all(takes.takes(found) for takes in by_plug_in.values()):
        raise DeploymentError(
            "NO_AVAILABLE_COMPONENT_VERSION, COMPONENT_VERSION_REQUIREMENTS_NOT_MET: "
            f"{found or 'no version'} of {name} {how}; {_told(by_plug_in)}"
        )


def _check_running(version: str, by_plug_in: Mapping[str, VersionRange]) -> None:
    """A nucleus that no deployment names stays; where the plug-ins would have another one, the deployment fails."""
    if all(takes.takes(version) for takes in by_plug_in.values()):
        return
    oldest = max((takes.at_least for takes in by_plug_in.values()), key=nuclei.numbers)
    if all(takes.takes(oldest) for takes in by_plug_in.values()):
        raise DeploymentError(
            f"the deployment would update the nucleus, {nuclei.COMPONENT} {version} to a version that its components "
            f"take, and it does not name the nucleus; {_told(by_plug_in)}"
        )
    _check(nuclei.COMPONENT, version, "runs", by_plug_in)


def _told(by_plug_in: Mapping[str, VersionRange]) -> str:
    return ", ".join(f"{plug_in} requires {takes}" for plug_in, takes in by_plug_in.items())
