"""Our engine's updates, case by case, all in one stack; the cases are those of `programs/behaviours`.

Not proved here: that Pulumi's own engine does the same, which `make test-engine` runs the same cases for.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, DeploymentError, Step, deploy, destroy
from tests.sandbox.deployer.programs.behaviours.cases import CASES, FAILING, LAST, RUNS, Steps

PROGRAM = Path(__file__).parent / "programs" / "behaviours"
SECRETS = ("whispered", "shouted")


class Lived(NamedTuple):
    """A stack that has lived through all runs and was destroyed.

    Attributes:
        cloud: Where.
        runs: What each update came to.
        files: The text of the deployment's file after each.
        destroyed: The steps of its destruction.
    """

    cloud: Cloud
    runs: list[Deployment]
    files: list[str]
    destroyed: list[Step]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with Cloud.start(tmp_path_factory.mktemp("behaviours")) as cloud:
        runs, files = [], []
        for run in range(RUNS):
            runs.append(deploy(PROGRAM, "dev", cloud, {"run": run}))
            files.append((cloud.directory / "deployment.json").read_text())
        yield Lived(cloud, runs, files, destroy(runs[-1], cloud))


def steps(taken: list[Step]) -> Steps:
    """Steps by the resource's name."""
    by_name: Steps = {}
    for step in taken:
        by_name.setdefault(step.name, []).append(step.operation)
    return by_name


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_case(lived: Lived, case: str) -> None:
    for run, wanted in enumerate(CASES[case].steps):
        taken = steps(lived.runs[run].steps)
        assert {name: taken.get(name) for name in wanted} == wanted, f"run {run}"


def test_no_step_is_taken_that_no_case_asks_for(lived: Lived) -> None:
    for run, deployment in enumerate(lived.runs):
        assert set(steps(deployment.steps)) == {name for case in CASES.values() for name in case.steps[run]}


def test_what_depends_on_another_goes_first(lived: Lived) -> None:
    order = [step.name for step in lived.runs[2].steps if step.operation == "delete"]
    assert order.index("second") < order.index("first")
    order = [step.name for step in lived.destroyed]
    assert order.index("grouped") < order.index("vpc")
    assert order.index("new-queue") < order.index("new")


def test_a_destroyed_stack_leaves_what_the_program_retained_and_nothing_else(lived: Lived) -> None:
    assert {step.operation for step in lived.destroyed} == {"delete"}
    assert len(lived.destroyed) == len(lived.runs[-1].resources)
    urls = lived.cloud.client("sqs").list_queues()["QueueUrls"]
    assert [url.rsplit("/", 1)[-1] for url in urls] == ["kept"]
    assert not list(lived.cloud.directory.glob("deployment*.json"))


def test_a_replacement_says_what_it_is_for(lived: Lived) -> None:
    assert "replaced aws:sqs/queue:Queue moved: name changed" in lived.runs[1].summary()
    assert (
        "replaced aws:sqs/queuePolicy:QueuePolicy first-gone-policy: what it depends on was replaced"
        in lived.runs[1].summary()
    )


def test_an_output_that_the_provider_does_not_give_is_none(lived: Lived) -> None:
    assert lived.runs[0].outputs["none"] == "None"


def test_secrets_are_encrypted_and_known_again_with_a_key_for_the_owner_alone(lived: Lived) -> None:
    assert lived.runs[2].outputs["word"] == "[secret]"
    for text in lived.files:
        assert not [secret for secret in SECRETS if secret in text]
        kept = next(one for one in json.loads(text)["resources"] if one["name"] == "secretive")
        assert kept["inputs"]["tags"] == {"word": "[secret]", "open": "b"}
        assert kept["outputs"]["url"] == "[secret]"
    assert (lived.cloud.directory / "deployment.key").stat().st_mode & 0o077 == 0


def test_what_fails_says_so_and_can_be_gone_on_from(lived: Lived) -> None:
    deploy(PROGRAM, "dev", lived.cloud, {"run": 0, "failing": "all"})
    for name, case in FAILING.items():
        taken: list[Step] = []
        with pytest.raises(DeploymentError, match=case.message):
            deploy(PROGRAM, "dev", lived.cloud, {"run": 1, "failing": name}, taken.append)
        assert steps([step for step in taken if step.operation != "same"]) == case.changed, name
    last = deploy(PROGRAM, "dev", lived.cloud, {"run": 2, "failing": "all"})
    assert {step.name: step.operation for step in last.steps if step.operation != "same"} == LAST
