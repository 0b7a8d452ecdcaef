"""The child process of `cfn_lint`: reads resources from standard input, writes what is against them as JSON."""

import json
import sys
from typing import Any

from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

#: Limits of a template's size and of its resources, which do not apply to ours.
_OF_TEMPLATES = ["E1002", "E3010"]


def main() -> None:
    """Judge what standard input asks for: `[index of the resource, rule, path in its properties, message]` each."""
    request = json.load(sys.stdin)
    region = request["region"]
    resources = {
        f"R{index}": {"Type": type_, "Properties": _named(type_, properties, region)}
        for index, (type_, properties) in enumerate(request["resources"])
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    matches = lint(json.dumps(template), config=ManualArgs(regions=[region], ignore_checks=_OF_TEMPLATES))
    json.dump([_listed(match) for match in matches], sys.stdout)


def _listed(match: Any) -> list[Any]:
    path = list(getattr(match, "path", None) or [])
    if path[:1] != ["Resources"] or len(path) < 2:
        return [None, match.rule.id, path, match.message]
    return [int(path[1].removeprefix("R")), match.rule.id, path[3:], match.message]


def _named(type_: str, properties: dict[str, Any], region: str) -> Any:
    """The properties by the names of the type's schema, which differ from Pulumi's in the first letter's case."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, type_).schema
    return _renamed(properties, schema, schema)


def _renamed(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    while "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, list):
        return [_renamed(item, schema.get("items", {}), root) for item in value]
    if not isinstance(value, dict):
        return value
    if known := schema.get("properties"):
        names = {name[:1].lower() + name[1:]: name for name in known}
        return {
            names.get(key, key): _renamed(item, known.get(names.get(key, key), {}), root) for key, item in value.items()
        }
    # An object whose keys are the program's own.
    inner: dict[str, Any] = next(iter(schema.get("patternProperties", {}).values()), {})
    return {key: _renamed(item, inner, root) for key, item in value.items()}


if __name__ == "__main__":
    main()
