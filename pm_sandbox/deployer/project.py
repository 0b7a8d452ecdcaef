"""A Pulumi project's files: its name, and a stack's configuration as the Pulumi command would give it to a program."""

import json
from collections.abc import Iterator
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
    stated: dict[str, Any] = {}
    for key, value in in_file.items():
        if (full := full_key(key, name)) in stated:
            raise DeploymentError(f"{file}: {full} is there twice, as {key} too, allowed is once")
        stated[full] = value
    given = stated | {full_key(key, name): value for key, value in overrides.items()}
    for key, value in given.items():
        if encrypted := next(_encrypted(value, key), ""):
            raise DeploymentError(f"{file}: {encrypted} is encrypted, and the sandbox has no key to it: override it")
    values |= given
    if absent := sorted(needed - set(values)):
        raise DeploymentError(f"{file}: {', '.join(absent)} must be set, Pulumi.yaml gives no default")
    return Project(name, {key: _text(value, f"{file}: {key}") for key, value in values.items()})


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        DeploymentError: if there is no such file, or it holds something else.
    """
    try:
        # Made of text alone, so that no tag of the file makes an object of it.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {}  # noqa: S506
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DeploymentError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DeploymentError(f"{path} holds a {type(content).__name__}, a mapping is needed")
    return content


class _Loader(yaml.SafeLoader):
    """Reads YAML as the Pulumi command does: a date is a text, and a key that is there twice an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node.

        Raises:
            yaml.constructor.ConstructorError: if a key is there twice.
        """
        seen: dict[Any, yaml.Mark] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key_node, yaml.ScalarNode):
                continue
            first = seen.setdefault(key_node.value, key_node.start_mark)
            if first is not key_node.start_mark:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"{key_node.value!r} is there twice, in lines {first.line + 1} and {key_node.start_mark.line + 1}, "
                    "allowed is once",
                )
        return super().construct_mapping(node, deep=deep)


# The types that a plain text may have beside a text, by its first character.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def full_key(key: str, project: str) -> str:
    """A configuration key with its namespace, which is the project where it names none."""
    return key if ":" in key else f"{project}:{key}"


def _encrypted(value: Any, path: str) -> Iterator[str]:
    """The paths of encrypted values in a value, as Pulumi writes them: an object with `secure` alone."""
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            yield path
        for key, item in value.items():
            yield from _encrypted(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _encrypted(item, f"{path}[{index}]")


def _text(value: Any, where: str) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DeploymentError(
            f"{where}: found {value!r}; allowed are texts, finite numbers, true, false, lists and mappings of them"
        ) from error
