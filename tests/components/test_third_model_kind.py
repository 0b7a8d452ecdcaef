"""A third kind of model, made up here as a record and nothing else: all that is said of kinds follows from it.

Not proved here: that a model of it is trained or answers, which is the code of its own folders; there is none.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pm_components.aws import recipes
from pm_components.forecast_pipeline.component import ForecastPipeline, ForecastPipelineArgs
from pm_components.functions.gate.core import Policy, judge
from pm_components.functions.model_archive import read
from pm_contracts.model_kinds import MODEL_KINDS
from tests.components.functions.test_model_gate import files, packed
from tests.components.made_up_kind import LIFE, NAME


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODEL_KINDS, NAME, LIFE)


@pytest.fixture(scope="module")
def followed() -> dict[str, Any]:
    """The answers of those who read the records once, as they are imported, in a process that begins with the third."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.components.made_up_kind"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def test_topics_tables_and_rules_follow(followed: dict[str, Any]) -> None:
    assert followed["topic"] == ["lindau", "pump-1", "life", "RemainingLife"]
    assert followed["table"] == ["pm/+/+/life"]
    assert followed["columns"] == ["message_id", "device", "hours"]


def test_the_uplink_sends_its_answers_with_those_of_the_others(followed: dict[str, Any]) -> None:
    assert followed["priority"] == "ANSWER"


def test_the_command_line_offers_it_and_runs_its_script(followed: dict[str, Any]) -> None:
    assert "forecast or fault or life" in followed["help"]
    assert followed["trained"] == ["pm_ml/life/train.py"]


def test_the_pipeline_makes_registers_and_ships_it(
    life: None, record: Callable[[Callable[[], dict[str, Any]]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = recipes.load

    def with_another(folder: str) -> recipes.ComponentSource:
        if folder != LIFE.model_folder:
            return load(folder)
        fault = load("fault_model")
        return fault._replace(folder=folder, recipe={**fault.recipe, "ComponentName": "pm.LifeModel"})

    monkeypatch.setattr(recipes, "load", with_another)

    def program() -> dict[str, Any]:
        args = ForecastPipelineArgs(
            sites=["lindau"], lake_bucket="lake", database="db", workgroup="wg", canary={"minimum_outcomes": 9}
        )
        return {"artifact_bucket": ForecastPipeline("pipeline", args).artifact_bucket}

    recording = record(program)
    groups = recording.of_type("aws:sagemaker/modelPackageGroup:ModelPackageGroup")
    assert {each["modelPackageGroupName"] for each in groups.values()} == {
        f"pm-test-pipeline-{kind}" for kind in ("forecast", "fault", "life")
    }
    (machine,) = recording.of_type("aws:sfn/stateMachine:StateMachine").values()
    branches = json.loads(machine["definition"])["States"]["Make models"]["Branches"]
    (states,) = (branch["States"] for branch in branches if branch["StartAt"] == "Export for life")
    assert {"Unload for life", "Train life", "Judge life", "Register life", "No life model"} < set(states)
    job = states["Train life"]["Parameters"]
    assert json.loads(job["HyperParameters"]["sagemaker_program"]) == LIFE.script
    assert [each["Name"] for each in job["AlgorithmSpecification"]["MetricDefinitions"]] == [
        f"validation:{name}" for name in LIFE.figures
    ]
    policies = json.dumps(list(recording.of_type("aws:iam/rolePolicy:RolePolicy").values()))
    for allowed in ("training-job/pm-test-pipeline-life-*", "components:pm.LifeModel"):
        assert allowed in policies
    (policy,) = (
        json.loads(function["environment"]["variables"]["GATE"])
        for function in recording.of_type("aws:lambda/function:Function").values()
        if "GATE" in function["environment"]["variables"]
    )
    assert policy["on_trial"] == ["forecast"], "it has no trial"


@pytest.mark.parametrize(
    ("error", "reasons"),
    [
        (4.0, ["is nearer than the mean life: 4 h against 8 h"]),
        (9.0, ["is no nearer than the mean life: 9 h against 8 h"]),
    ],
)
def test_the_gate_judges_it_by_its_own_figures(life: None, error: float, reasons: list[str]) -> None:
    archive = files("fault")
    manifest = msgspec.json.decode(archive["manifest.json"])
    manifest.pop("threshold")
    archive["manifest.json"] = msgspec.json.encode({**manifest, "kind": NAME, "unit": "h"})
    archive["metrics.json"] = msgspec.json.encode({"validation": {"error_hours": error, "mean_life_error_hours": 8.0}})
    found = judge(read(packed(archive)), NAME, Policy(minimum_skill=0.0, champion_margin=0.0), None)
    assert (found.kind, found.reasons, found.passed) == (NAME, reasons, error < 8)
