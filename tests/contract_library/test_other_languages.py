"""The examples in YAML and TypeScript, constructed by the real component provider.

What each program asks for is read from the program itself: the YAML as it stands, the TypeScript run by Node.js with a
stand-in for the SDK that Pulumi would generate. Every argument is held to the package's schema, then the provider
process constructs the component, and its outputs flow into the arguments of the next.

Not proved here: Pulumi's own YAML evaluator (tests/engine has it), the SDK that the Pulumi command generates, the
TypeScript compiler's opinion.
"""

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pm_cli.review.findings import as_stack
from pm_policies.pack import judge
from pm_policies.rule import Level
from pm_policies.rules import RULES
from pm_sandbox.recorder import Recording, Registered
from tests.previews import differences, unknown_inputs

EXAMPLES = Path(__file__).parents[2] / "examples"
PROVIDER = EXAMPLES.parent / "component_provider"
_REFERENCE = re.compile(r"^\$\{(?P<name>[^.}]+)\.(?P<output>[^}]+)\}$")
_VARIABLE = re.compile(r"^\$\{(?P<name>[^.}]+)\}$")


@dataclass(frozen=True)
class Wanted:
    """A component that a program asks for; an argument `${name.output}` is the output of another."""

    type: str
    name: str
    arguments: dict[str, Any]


def _json_schema(described: dict[str, Any], package: dict[str, Any]) -> dict[str, Any]:
    """A property of the package's schema as JSON Schema."""
    if described.get("$ref"):
        fields = package["types"][described["$ref"].removeprefix("#/types/")]
        if "enum" in fields:
            return {"enum": [each["value"] for each in fields["enum"]]}
        return _object_schema(fields["properties"], fields.get("required") or [], package)
    if described["type"] == "array":
        return {"type": "array", "items": _json_schema(described["items"], package)}
    if described["type"] == "object":
        return {"type": "object", "additionalProperties": _json_schema(described["additionalProperties"], package)}
    return {"type": described["type"]}


def _object_schema(properties: dict[str, Any], required: list[str], package: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _json_schema(described, package) for name, described in properties.items()},
        "required": required,
        "additionalProperties": False,
    }


def _construct_all(wanted: list[Wanted], provider: Any) -> dict[str, dict[str, Any]]:
    """Construct in dependency order; the outputs by the component's name."""
    package = provider.schema()
    made: dict[str, dict[str, Any]] = {}

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolved(item) for item in value]
        if isinstance(value, str) and (reference := _REFERENCE.match(value)):
            return made[reference["name"]][reference["output"]]
        return value

    def needed(value: Any) -> set[str]:
        return {_REFERENCE.match(text)["name"] for text in _texts(value) if _REFERENCE.match(text)}  # type: ignore[index]

    left = list(wanted)
    while left:
        ready = next((one for one in left if needed(one.arguments) <= set(made)), None)
        assert ready is not None, f"a circle, or a reference to nothing, in {[one.name for one in left]}"
        left.remove(ready)
        described = package["resources"][ready.type]
        arguments = resolved(ready.arguments)
        if not provider.preview:
            jsonschema.validate(
                arguments, _object_schema(described["inputProperties"], described["requiredInputs"], package)
            )
        made[ready.name] = provider.construct(ready.type, ready.name, arguments)
    return made


def _without_variables(value: Any, variables: dict[str, Any]) -> Any:
    """`value` with a program's variable in place of each `${name}`."""
    if isinstance(value, dict):
        return {key: _without_variables(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_variables(item, variables) for item in value]
    if isinstance(value, str) and (reference := _VARIABLE.match(value)):
        return variables[reference["name"]]
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _components(registered: list[Any]) -> Counter[str]:
    return Counter(one.type for one in registered if not one.custom)


def _refusals(registered: list[Registered]) -> list[str]:
    """The policy pack's refusals of an update, with all values known, or in a preview for those that are."""
    resources = sorted(registered, key=lambda one: one.urn)
    stack = as_stack(Recording(resources, {}, 0.0, {}), "eu-central-1")
    return [
        f"{rule.name}: {finding.urn} {finding.message}"
        for rule, finding in judge(RULES, stack, {})
        if finding.decided and rule.level is not Level.ADVISORY
    ]


def _hold_the_preview_to(registered: list[Any], wanted: list[Wanted], provider: Any) -> None:
    """Construct the same in a preview of an empty stack: as many, and nothing told that is not known yet."""
    provider.preview = True
    provider.registered()
    _construct_all(wanted, provider)
    preview = provider.registered()
    assert len(preview) == len(registered) > 100
    assert differences(registered, preview) == []
    assert unknown_inputs(preview) > 100
    assert _refusals(preview) == []


def test_the_factory_in_yaml(provider: Any) -> None:
    program = yaml.safe_load((EXAMPLES / "yaml" / "Pulumi.yaml").read_text())
    assert program["runtime"] == "yaml"
    wanted = [
        Wanted(one["type"], name, _without_variables(one["properties"], program["variables"]))
        for name, one in program["resources"].items()
    ]
    made = _construct_all(wanted, provider)
    registered = provider.registered()
    assert _components(registered) == {
        "pm:index:FaultAlerting": 1,
        "pm:index:AnalyticsStore": 1,
        "pm:index:ForecastPipeline": 1,
        "pm:index:GreengrassSite": 1,
        "pm:index:EdgeComponents": 1,
    }
    for output in program["outputs"].values():
        reference = _REFERENCE.match(output)
        assert reference is not None
        assert made[reference["name"]][reference["output"]]
    (schedule,) = (one for one in registered if one.type == "aws:scheduler/schedule:Schedule")
    assert schedule.inputs["state"] == "DISABLED"
    assert _refusals(registered) == []
    _hold_the_preview_to(registered, wanted, provider)


#: The SDK's stand-in: classes of the schema's names that tell what they are given, and answer outputs by reference. An
#: output or a class that is not in the schema is an error, as it would be to the TypeScript compiler.
_STAND_IN = """
const schema = SCHEMA;
const wanted = [];
for (const [token, described] of Object.entries(schema.resources)) {
  module.exports[token.split(":")[2]] = function (name, args, options) {
    wanted.push({ type: token, name, arguments: args });
    return new Proxy({}, {
      get(_, output) {
        if (!(output in described.properties)) throw new Error(`${token} has no output ${String(output)}`);
        return "${" + name + "." + output + "}";
      },
    });
  };
}
process.on("exit", () => require("fs").writeFileSync(process.env.WANTED, JSON.stringify(wanted)));
"""


def _run_typescript(source: str, schema: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the TypeScript example cannot be run")
    package = folder / "node_modules" / "@pulumi" / "pm"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "@pulumi/pm", "main": "index.js"}')
    (package / "index.js").write_text(_STAND_IN.replace("SCHEMA", json.dumps(schema)))
    # A program without type annotations is a program of JavaScript too, and Node.js 20 runs only that.
    (folder / "index.mjs").write_text(
        source.replace('import * as pm from "@pulumi/pm"', 'import pm from "@pulumi/pm"', 1)
    )
    return subprocess.run(
        [node, "index.mjs"],
        cwd=folder,
        env={"WANTED": str(folder / "wanted.json")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_factories_in_typescript(provider: Any, tmp_path: Path) -> None:
    ran = _run_typescript((EXAMPLES / "typescript" / "index.ts").read_text(), provider.schema(), tmp_path)
    assert ran.returncode == 0, ran.stderr
    wanted = [Wanted(**one) for one in json.loads((tmp_path / "wanted.json").read_text())]
    _construct_all(wanted, provider)
    registered = provider.registered()
    assert _components(registered) == {
        "pm:index:FaultAlerting": 1,
        "pm:index:AnalyticsStore": 1,
        "pm:index:ForecastPipeline": 1,
        "pm:index:GreengrassSite": 2,
        "pm:index:EdgeComponents": 1,
    }
    tables = [one.inputs for one in registered if one.type == "aws:glue/catalogTable:CatalogTable"]
    assert {table["parameters"]["projection.ingest_day.range"] for table in tables} == {"NOW-90DAYS,NOW"}
    assert _refusals(registered) == []
    _hold_the_preview_to(registered, wanted, provider)


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("store.lakeBucket,", "store.lakeBuckets,", "has no output lakeBuckets"),
        ("new pm.AnalyticsStore", "new pm.AnalyticStore", "pm.AnalyticStore is not a constructor"),
    ],
)
def test_a_typescript_program_that_is_wrong_about_the_library_fails(
    right: str, wrong: str, reason: str, provider: Any, tmp_path: Path
) -> None:
    source = (EXAMPLES / "typescript" / "index.ts").read_text()
    assert right in source
    ran = _run_typescript(source.replace(right, wrong), provider.schema(), tmp_path)
    assert ran.returncode != 0
    assert reason in ran.stderr


@pytest.mark.parametrize("arguments", [{"sites": "lindau"}, {"sites": ["a"], "retentionDay": 3}, {}])
def test_arguments_that_do_not_fit_the_schema_are_told(arguments: dict[str, Any], provider: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        _construct_all([Wanted("pm:index:AnalyticsStore", "store", arguments)], provider)


@pytest.mark.parametrize("example", ["yaml", "typescript"])
def test_an_example_finds_the_provider(example: str) -> None:
    project = yaml.safe_load((EXAMPLES / example / "Pulumi.yaml").read_text())
    assert (EXAMPLES / example / project["packages"]["pm"]).resolve() == PROVIDER.resolve()
