"""Pulumi's own engine previews the examples, and makes components for programs of other languages.

The component provider is a process that the engine starts through the Python language host of these tests. Its folder
here has the checkout's virtual environment for its own, so that nothing is installed.

Not proved: the example in TypeScript, whose language host is published in no Go module; and that the command makes the
component provider's virtual environment.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.many_factories import targets
from examples.many_factories.recorded import RecordedStack
from examples.many_factories.workspaces import prepare
from tests.engine.by_hand import ByHand
from tests.engine.conftest import Served
from tests.engine.engine import ROOT

EXAMPLES = ROOT / "examples"
#: The examples that cannot be previewed, and why.
WITHOUT_HOST = {"typescript": "Pulumi's language host for Node.js is published in no Go module"}
Example = Callable[[str], Path]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@pytest.fixture
def copied(tmp_path: Path) -> Example:
    """A copy of an example beside the component provider, as in the checkout: the command writes to both."""
    provider = tmp_path / "component_provider"
    provider.mkdir()
    for path in (ROOT / "component_provider").iterdir():
        if path.name not in (".venv", "__pycache__"):
            (provider / path.name).symlink_to(path)
    (provider / ".venv").symlink_to(ROOT / ".venv")

    def copy(name: str) -> Path:
        project = tmp_path / "examples" / name
        project.mkdir(parents=True)
        (project / "Pulumi.yaml").write_text((EXAMPLES / name / "Pulumi.yaml").read_text())
        return project

    return copy


def _created(log: Path) -> Counter[str]:
    """The number of resources that a preview makes, by type; providers do not count."""
    steps = [json.loads(line).get("resourcePreEvent", {}).get("metadata", {}) for line in log.read_text().splitlines()]
    types = [step["type"] for step in steps if step.get("op") == "create"]
    return Counter(type_ for type_ in types if not type_.startswith("pulumi:providers:"))


def _without_texts(schema: Any) -> Any:
    """A part of a schema without descriptions and empty lists, which the command leaves out at some places."""
    if isinstance(schema, dict):
        return {key: _without_texts(value) for key, value in schema.items() if key != "description" and value != []}
    return schema


def test_every_example_is_previewed_or_named(figures: dict[str, Any]) -> None:
    figures["not_previewed"] = WITHOUT_HOST
    examples = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    # The one in Python is previewed in test_wheel_by_engine.py.
    assert examples == {"python", "yaml", "many_factories", *WITHOUT_HOST}


def test_the_example_in_yaml_previews_and_keeps_to_the_policy_pack(
    cli: Path, served: Served, copied: Example, tmp_path: Path, figures: dict[str, Any]
) -> None:
    project = copied("yaml")
    example = ByHand(cli, tmp_path / "hand", served.port, project, "dev")
    example.run("config", "set", "aws:region", served.cloud.region)
    log = tmp_path / "events.json"
    told = example.run("preview", "--policy-pack", str(ROOT / "pm_policies"), "--event-log", str(log))
    created = _created(log)
    asked = yaml.safe_load((project / "Pulumi.yaml").read_text())["resources"].values()
    for component in asked:
        assert created[component["type"]] == sum(one["type"] == component["type"] for one in asked)
    figures["previews"]["yaml"] = created.total()
    assert f"{created.total()} to create" in told
    assert created["aws-native:greengrassv2:Deployment"] == 1
    assert "[mandatory]" not in told


def test_a_component_is_made_with_its_children_and_told_by_its_outputs(
    cli: Path, served: Served, copied: Example, tmp_path: Path
) -> None:
    project = copied("yaml")
    program = yaml.safe_load((project / "Pulumi.yaml").read_text())
    program["resources"] = {"alerting": program["resources"]["alerting"]}
    program["outputs"] = {"topic": "${alerting.topicArn}"}
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(program))
    alerting = ByHand(cli, tmp_path / "hand", served.port, project, "dev")
    alerting.run("config", "set", "aws:region", served.cloud.region)
    alerting.run("up", "--yes", "--skip-preview")
    topic = json.loads(alerting.run("stack", "output", "--json"))["topic"]
    sns = served.cloud.client("sns")
    assert topic in {one["TopicArn"] for one in sns.list_topics()["Topics"]}
    tags = {tag["Key"]: tag["Value"] for tag in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]}
    assert tags["Component"] == "FaultAlerting"
    alerting.run("destroy", "--yes", "--skip-preview")
    assert topic not in {one["TopicArn"] for one in sns.list_topics()["Topics"]}


def test_the_command_reads_the_schema_that_is_kept(cli: Path, served: Served, copied: Example, tmp_path: Path) -> None:
    example = ByHand(cli, tmp_path / "hand", served.port, copied("yaml"), "dev")
    read = json.loads(example.run("package", "get-schema", str(tmp_path / "component_provider")))
    kept = json.loads((ROOT / "component_provider" / "schema.json").read_text())
    assert read["version"] == kept["version"]
    assert _without_texts(read["types"]) == _without_texts(kept["types"])
    assert _without_texts(read["resources"]) == _without_texts(kept["resources"])


def test_a_factory_of_many_previews_as_it_is_planned(
    cli: Path, served: Served, tmp_path: Path, figures: dict[str, Any]
) -> None:
    target = targets.load(EXAMPLES / "many_factories" / "factories.yaml")[0][0]
    # The sandbox has none of these accounts.
    config = {key: value for key, value in target.config.items() if key not in ("aws:profile", "aws:allowedAccountIds")}
    target = replace(target, config=config)
    plan = RecordedStack(target, tmp_path / "plan")
    plan.up()
    assert plan.recording is not None
    factory = ByHand(cli, tmp_path, served.port, prepare(target, tmp_path / "stacks"), target.stack)
    log = tmp_path / "events.json"
    factory.run("preview", "--event-log", str(log))
    created = _created(log).total()
    figures["previews"][f"many_factories/{target.stack}"] = created
    # The stack itself is a resource to the engine.
    assert created == len(plan.recording.resources) + 1
