"""A Pulumi project's files: its name, and a stack's configuration as the Pulumi command would give it to a program."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pm_sandbox.deployer.records import DeploymentError


class Project(NamedTuple):
    """A project's name and the configuration of one stack: text by `namespace:key`, objects as JSON."""

    name: str
    config: dict[str, str]


def read_project(program: Path, stack: str, overrides: dict[str, Any], *, stack_file: bool = True) -> Project:
    """Read `Pulumi.yaml` (defaults) and `Pulumi.{stack}.yaml`, and lay the overrides over them.

    Args:
        program: The program's directory.
        stack: The stack's name.
        overrides: Values by key; a key without `namespace:` is of the project's own namespace.
        stack_file: Whether the stack has a file; without one the overrides are all that it sets.

    Raises:
        DeploymentError: if a file is missing, or a value is missing or encrypted.
    """
    project = read_yaml(program / "Pulumi.yaml")
    name = project.get("name")
    if not isinstance(name, str):
        raise DeploymentError(f"{program / 'Pulumi.yaml'}: name is {name!r}, a text is needed")
    file = program / f"Pulumi.{stack}.yaml"
    if stack_file and not file.exists():
        there = sorted(path.name.split(".")[1] for path in program.glob("Pulumi.*.yaml"))
        raise DeploymentError(f"stack {stack!r} has no file {file}; stacks here: {', '.join(there) or 'none'}")
    values: dict[str, Any] = {}
    needed: set[str] = set()
    for key, declared in (project.get("config") or {}).items():
        full = full_key(key, name)
        if not isinstance(declared, dict):
            values[full] = declared
        elif "value" in declared or "default" in declared:
            values[full] = declared.get("value", declared.get("default"))
        else:
            needed.add(full)
    in_file = (read_yaml(file).get("config") or {}) if stack_file else {}
    given = {**in_file, **overrides}
    for key, value in given.items():
        if isinstance(value, dict) and set(value) == {"secure"}:
            raise DeploymentError(f"{file}: {key} is encrypted, and the sandbox has no key to it: override it")
        values[full_key(key, name)] = value
    if absent := sorted(needed - set(values)):
        raise DeploymentError(f"{file}: {', '.join(absent)} must be set, Pulumi.yaml gives no default")
    return Project(name, {key: _text(value) for key, value in values.items()})


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        DeploymentError: if there is no such file, or it holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise DeploymentError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise DeploymentError(f"{path} holds a {type(content).__name__}, a mapping is needed")
    return content


def full_key(key: str, project: str) -> str:
    """A configuration key with its namespace, which is the project where it names none."""
    return key if ":" in key else f"{project}:{key}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
