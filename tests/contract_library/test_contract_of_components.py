"""The contract of every component of the library, found by walking the package: tokens, outputs, documentation.

Not proved here: that a description is true.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pulumi
import pytest
import yaml

import pm_components
from pm_components.provider import COMPONENTS, LibraryProvider
from pm_components.settings import COMPONENTS as COMPONENT_SETTINGS
from pm_components.settings import STRUCTURED, settings
from pm_components.stack import config
from pm_components.stack.environment import GUARD
from pm_sandbox.recorder import Registered

ROOT = Path(__file__).parents[2]
#: The names that users' programs and states know. A token is never renamed without an alias.
TOKENS = {
    "pm:index:AnalyticsStore",
    "pm:index:CoreDeviceHost",
    "pm:index:EdgeComponents",
    "pm:index:FaultAlerting",
    "pm:index:ForecastPipeline",
    "pm:index:GreengrassSite",
}


def _modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(pm_components.__path__, "pm_components."):
        if not found.name.startswith("pm_components.functions"):
            yield importlib.import_module(found.name)


WALKED = {
    item
    for module in _modules()
    for item in vars(module).values()
    if inspect.isclass(item)
    and issubclass(item, pulumi.ComponentResource)
    and item.__module__.startswith("pm_components")
}
SETTINGS = [config.Config, config.Site, config.Device, *COMPONENT_SETTINGS.values(), *STRUCTURED.values()]


@pytest.fixture(scope="module")
def schema() -> Any:
    return msgspec.json.decode(LibraryProvider().schema or "")


def test_the_walk_finds_the_components_that_the_provider_gives() -> None:
    assert set(COMPONENTS) == WALKED
    assert {f"pm:index:{component.__name__}" for component in WALKED} == TOKENS


def test_components_register_under_their_tokens_with_exactly_their_annotated_outputs(
    environment: list[Registered],
) -> None:
    annotated = {f"pm:index:{component.__name__}": set(inspect.get_annotations(component)) for component in WALKED}
    # The guard is no part of the library: it holds nothing, and other languages have `protect` and `dependsOn`.
    components = [one for one in environment if not one.custom and one.type != GUARD]
    assert {one.type for one in components} <= TOKENS
    assert len(components) >= 5
    for one in components:
        assert one.registered_outputs is not None, f"{one.urn} never registers its outputs"
        assert set(one.registered_outputs) == annotated[one.type]
        assert all(value is not None for value in one.registered_outputs.values())


def test_every_argument_of_every_component_is_tried(schema: Any, arguments_tried: dict[str, set[str]]) -> None:
    assert {token: set(one["inputProperties"]) for token, one in schema["resources"].items()} == arguments_tried


@pytest.mark.parametrize("component", sorted(WALKED, key=lambda one: one.__name__))
def test_a_component_keeps_to_the_form_that_other_languages_need(component: type) -> None:
    parameters = inspect.signature(component.__init__).parameters
    assert list(parameters) == ["self", "name", "args", "opts"]
    arguments = parameters["args"].annotation
    assert inspect.isclass(arguments), "annotations are text: `from __future__ import annotations` breaks the schema"
    assert arguments.__name__ == f"{component.__name__}Args"
    assert parameters["opts"].default is None


def test_every_component_argument_and_output_is_described(schema: Any) -> None:
    described = 0
    for token, component in schema["resources"].items():
        assert component["description"], token
        for kind in ("inputProperties", "properties"):
            for name, definition in component[kind].items():
                assert definition.get("description"), f"{token}: {name} of {kind} has no docstring under it"
                described += 1
    for token, definition in schema["types"].items():
        assert definition["description"], token
        for name, field in definition.get("properties", {}).items():
            assert field.get("description"), f"{token}: {name} has no docstring under it"
            described += 1
        for value in definition.get("enum", []):
            assert value.get("description"), f"{token}: {value['name']} has no docstring under it"
    assert described > 50


def test_every_optional_argument_says_its_default_or_what_is_without_it(schema: Any) -> None:
    for token, component in schema["resources"].items():
        for name in set(component["inputProperties"]) - set(component["requiredInputs"]):
            text = component["inputProperties"][name]["description"].lower()
            assert any(word in text for word in ("default", "when ", "without", "where")), f"{token}.{name}: {text}"


def test_every_configuration_key_is_declared_and_described_in_the_project_file() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    keys = {key.removeprefix("pm:") for key in declared if key.startswith("pm:")}
    fields = {field.name for field in msgspec.structs.fields(config.Config)}
    assert keys == fields
    for key, definition in declared.items():
        assert len(definition["description"]) > 20, key


@pytest.mark.parametrize("form", SETTINGS, ids=lambda one: one.__name__)
def test_every_field_of_a_structured_key_is_described(form: type[msgspec.Struct]) -> None:
    assert form.__doc__
    for one in settings(form):
        assert len(one.meaning) > 10 or one.name in ("kind", "instance_type"), f"{form.__name__}.{one.name}"
