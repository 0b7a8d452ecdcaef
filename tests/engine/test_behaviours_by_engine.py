"""Pulumi's own engine on the cases that ours is held to: the same steps for each resource, the same refusals.

Not proved: the order of steps of different resources, of which the engine takes several at a time.
"""

from pathlib import Path

import pytest

from tests.engine.conftest import Served
from tests.engine.engine import ROOT, Done, Engine, EngineError
from tests.sandbox.deployer.programs.behaviours.cases import CASES, FAILING, LAST, RUNS, Steps

PROGRAM = ROOT / "tests" / "sandbox" / "deployer" / "programs" / "behaviours"
CONFIG = {"aws:region": "eu-central-1"}
#: Deleted resources that are not made again: a record to Pulumi's engine until it is removed; ours keeps none.
BOOKKEEPING = "remove-pending-replace"
#: Ours has no provider that the program does not register, and the stack is no resource to it.
NOT_OURS = ("pulumi:pulumi:Stack", "default_")
pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def _steps(done: Done) -> Steps:
    by_name: Steps = {}
    for event in done.events:
        if event.op != BOOKKEEPING and not any(part in event.urn for part in NOT_OURS):
            by_name.setdefault(event.name, []).append(event.op)
    return by_name


def _engine(cli: Path, served: Served, folder: Path) -> Engine:
    return Engine(cli, folder, served.port, program=PROGRAM, file="dev")


@pytest.fixture(scope="module")
def runs(cli: Path, served: Served, tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    """The outcome of each update; the last one is destroyed."""
    engine = _engine(cli, served, tmp_path_factory.mktemp("behaviours"))
    done = [engine.run("up", {**CONFIG, "run": run}) for run in range(RUNS)]
    engine.run("destroy", CONFIG | {"run": RUNS})
    return done


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_case(runs: list[Done], case: str) -> None:
    for run, wanted in enumerate(CASES[case].steps):
        taken = _steps(runs[run])
        assert {name: taken.get(name) for name in wanted} == wanted, f"run {run}"


def test_an_output_that_the_provider_does_not_give_is_none(runs: list[Done]) -> None:
    assert runs[0].outputs["none"] == "None"


def test_what_fails_says_so_and_can_be_gone_on_from(cli: Path, served: Served, tmp_path: Path) -> None:
    engine = _engine(cli, served, tmp_path)
    engine.run("up", {**CONFIG, "run": 0, "failing": "all"})
    for name, case in FAILING.items():
        with pytest.raises(EngineError, match=case.message):
            engine.run("up", {**CONFIG, "run": 1, "failing": name})
    last = _steps(engine.run("up", {**CONFIG, "run": 2, "failing": "all"}))
    assert {name: steps[0] for name, steps in last.items() if steps != ["same"]} == LAST
    engine.run("destroy", {**CONFIG, "run": 2})
