"""The records of the kinds of models: true of what is there, and the one place that tells the kinds apart.

Not proved here: that whoever reads the records does so for each kind (tests/components/test_third_model_kind.py).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pm_contracts import model_kinds
from pm_contracts.messages import MESSAGE_TYPES
from pm_contracts.model_kinds import MODEL_KINDS, ModelKind

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ROOT / "pm_edge" / "components"
#: The record, and the folders of the kinds themselves.
OWN = (
    "pm_contracts/model_kinds.py",
    "pm_ml/forecast/",
    "pm_ml/faults/",
    "pm_edge/forecasting/",
    "pm_edge/components/forecaster/",
    "pm_edge/components/forecast_challenger/",
    "pm_edge/components/fault_detector/",
)
#: The places that name a kind all the same, each with its reason.
EXCEPTIONS = {
    "pm_contracts/manifest.py": "the tag by which a manifest is told from others is the kind's name",
    "pm_contracts/messages.py": "the kind of a message and the cause of an alert, which are called alike",
    "pm_contracts/topics.py": "names for the channels, for code that is about one of them",
    "pm_ml/export.py": "the graphs that it writes have names",
    "pm_ml/protocol.py": "sections of models.json: the two kinds are judged by different protocols",
    "pm_ml/report/plots.py": "the label of a line",
    "pm_cli/commands/models.py": "reads these sections",
    "pm_cli/model_report.py": "reads these sections",
    "pm_sandbox/demo/report.py": "sections of demo.json: a figure of the floor is of one kind",
    "pm_sandbox/demo/story.py": "writes these sections",
    "pm_sandbox/demo/summary.py": "reads these sections",
    "bench/edge_answers.py": "each figure is of one kind, beside a reference of its own",
    "bench/edge_footprint.py": "as above",
    "bench/edge_profile.py": "as above",
    "bench/edge_rates.py": "as above",
}
PACKAGES = (
    "bench",
    "examples",
    "pm_cli",
    "pm_components",
    "pm_contracts",
    "pm_edge",
    "pm_ml",
    "pm_policies",
    "pm_sandbox",
)

each_kind = pytest.mark.parametrize("kind", MODEL_KINDS.values(), ids=MODEL_KINDS)


@each_kind
def test_a_record_is_true_of_the_contracts(kind: ModelKind) -> None:
    assert MODEL_KINDS[kind.name] is kind
    assert kind.manifest.__struct_config__.tag == kind.name
    assert set(kind.channels.values()) <= set(MESSAGE_TYPES)
    assert {*kind.reference.figures} <= {*kind.figures}, "the job keeps what the gate judges"


@each_kind
def test_a_record_is_true_of_the_folders(kind: ModelKind) -> None:
    assert (ROOT / kind.script).is_file()
    recipes = {path.parent.name: yaml.safe_load(path.read_text()) for path in COMPONENTS.glob("*/recipe.yaml")}
    assert kind.model_folder in recipes
    (answering,) = (recipe for recipe in recipes.values() if recipe["ComponentName"] == kind.component)
    topics = {
        topic.rpartition("/")[2]
        for policies in answering["ComponentConfiguration"]["DefaultConfiguration"]["accessControl"].values()
        for policy in policies.values()
        for topic in policy["resources"]
    }
    assert kind.channel in topics
    if kind.trial:
        assert kind.trial.folder in recipes
        assert kind.trial.outcome_channel in topics


def test_no_two_kinds_share_a_channel() -> None:
    channels = [channel for kind in MODEL_KINDS.values() for channel in kind.channels]
    assert len(channels) == len(set(channels))


def named(source: str) -> Iterator[int]:
    """The lines that name a kind: by its name as a whole text, or by the record's constant."""
    constants = {name for name, value in vars(model_kinds).items() if isinstance(value, ModelKind)}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=value) if value in MODEL_KINDS:
                yield node.lineno
            case ast.ImportFrom(module="pm_contracts.model_kinds") if constants & {each.name for each in node.names}:
                yield node.lineno
            case ast.Attribute(value=ast.Name(id="model_kinds"), attr=attribute) if attribute in constants:
                yield node.lineno


def test_no_code_but_the_kinds_own_names_a_kind() -> None:
    found: dict[str, list[int]] = {}
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        if not name.startswith(OWN) and (lines := list(named(file.read_text()))):
            found[name] = lines
    assert {name: lines for name, lines in found.items() if name not in EXCEPTIONS} == {}
    assert sorted(found) == sorted(EXCEPTIONS), "an exception that is none any more goes from the list"


@pytest.mark.parametrize(
    "source",
    [
        'kind == "fault"',
        "{'forecast': 1}",
        "from pm_contracts.model_kinds import FAULT",
        "x = model_kinds.FORECAST.name",
    ],
)
def test_a_kind_that_is_named_is_found(source: str) -> None:
    assert list(named(source)) == [1]
