"""The library as a component provider, for programs of other languages; `component_provider/` starts it.

Run as a program it prints the schema, which is kept in `component_provider/schema.json`.
"""

import inspect
import json
from typing import Any

import pulumi
from pulumi.errors import InputPropertyError
from pulumi.provider.experimental.analyzer import PropertyDefinition, PropertyType
from pulumi.provider.experimental.component import ComponentProvider

from pm_components import settings
from pm_components.analytics_store.component import AnalyticsStore
from pm_components.fault_alerting.component import FaultAlerting
from pm_components.forecast_pipeline.component import ForecastPipeline
from pm_components.greengrass_site.component import GreengrassSite
from pm_components.greengrass_site.core_device_host import CoreDeviceHost
from pm_components.greengrass_site.edge_components import EdgeComponents

#: Name of the package: the first part of each component's type token.
NAME = "pm"
#: Version of the package's schema.
VERSION = "0.1.0"
COMPONENTS: tuple[type[pulumi.ComponentResource], ...] = (
    AnalyticsStore,
    CoreDeviceHost,
    EdgeComponents,
    FaultAlerting,
    ForecastPipeline,
    GreengrassSite,
)


class LibraryProvider(ComponentProvider):
    """Gives the components to other languages, with arguments as a Python program would give them.

    Two things that Pulumi 3.272 leaves: over the wire each number is a float, also where the schema says integer, and
    an object that is an output as a whole would be taken for an empty one.
    """

    def __init__(self) -> None:
        super().__init__(list(COMPONENTS), NAME, None, VERSION)
        self.schema = json.dumps(settings.described(_cleaned(json.loads(self.schema or "{}"))))

    def map_input_properties(
        self,
        inputs: Any,
        properties: dict[str, PropertyDefinition],
        mapping: dict[str, str],
        component_name: str,
        property_path: str,
    ) -> Any:
        """The inputs by their names in Python, integers as integers.

        Raises:
            InputPropertyError: if an integer has a fraction, a required input is missing, or a structured one is
                an output.
        """
        integers = {name for name, definition in properties.items() if definition.type == PropertyType.INTEGER}
        for name, definition in properties.items():
            path = f"{property_path}.{name}" if property_path else name
            if definition.ref and isinstance(inputs.get(name), pulumi.Output):
                raise InputPropertyError(path, "found an output, allowed is an object whose fields may be outputs")
            if name in integers and name not in inputs and not definition.optional:
                raise InputPropertyError(path, f"Missing required input '{path}' on '{component_name}'")
        others = {name: definition for name, definition in properties.items() if name not in integers}
        mapped = dict(super().map_input_properties(inputs, others, mapping, component_name, property_path))
        for name in integers & set(inputs):
            path = f"{property_path}.{name}" if property_path else name
            mapped[mapping[name]] = _as_integer(inputs[name], path)
        return mapped


def _as_integer(value: Any, path: str) -> Any:
    """`value`, or where it is an output what comes of it, as an integer."""
    if isinstance(value, pulumi.Output):
        return value.apply(lambda known: _as_integer(known, path))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise InputPropertyError(path, f"found {value!r}, allowed is an integer")
    return int(value)


def _cleaned(schema: Any) -> Any:
    """The schema with descriptions that do not carry the indentation of the code."""
    if isinstance(schema, dict):
        return {
            key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _cleaned(value)
            for key, value in schema.items()
        }
    return [_cleaned(item) for item in schema] if isinstance(schema, list) else schema


def schema_text() -> str:
    """The package's schema as JSON, in the form that is kept."""
    return json.dumps(json.loads(LibraryProvider().schema or "{}"), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
