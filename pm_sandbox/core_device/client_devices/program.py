"""The gateway as a program of the supervisor, made of what deployments ask of AWS's client device components."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pm_sandbox.core_device.client_devices.configuration import AUTH, BROKER, PLAYED, ConfigurationError, parse
from pm_sandbox.core_device.deployments import DeploymentError
from pm_sandbox.core_device.recipes import Step
from pm_sandbox.core_device.supervisor import Program
from pm_sandbox.state_files import DamagedFileError, read_json, write_private
from pm_sandbox.surroundings import python

#: In the gateway's folder: how it is doing.
STATUS_FILE = "status.json"
#: The component in whose name the gateway runs.
NAME = BROKER


def gateway_program(
    versions: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, Any]],
    thing_name: str,
    identity: Path,
    directory: Path,
) -> Program | None:
    """The gateway for what is deployed; None where client device auth and broker are not both.

    Args:
        versions: All deployed components with their versions.
        overrides: What deployments have set of each component's configuration.
        thing_name: The core device.
        identity: The folder of its identity.
        directory: The gateway's own folder, made where missing; its settings are written there.

    Raises:
        DeploymentError: if a configuration cannot be honoured.
    """
    if AUTH not in versions or BROKER not in versions:
        return None
    configurations = {name: overrides.get(name, {}) for name in PLAYED if name in versions}
    try:
        parse(configurations)
    except ConfigurationError as error:
        raise DeploymentError(str(error)) from error
    settings = json.dumps(
        {
            "thing_name": thing_name,
            "identity": str(identity),
            "directory": str(directory),
            "configurations": configurations,
        },
        sort_keys=True,
    )
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    # By its content, so that other settings are another program, which the supervisor starts anew.
    file = directory / f"settings-{hashlib.sha256(settings.encode()).hexdigest()[:12]}.json"
    write_private(file, settings.encode())
    script = f"exec {shlex.join(python('pm_sandbox.core_device.client_devices', str(file)))}"
    return Program(NAME, versions[BROKER], {"run": Step(script, {}, None)}, directory)


def gateway_status(directory: Path) -> dict[str, Any]:
    """The status of the gateway in `directory`; empty if there is none."""
    try:
        return read_json(directory / STATUS_FILE, advice="the gateway writes it anew within seconds")
    except (FileNotFoundError, DamagedFileError):
        return {}
