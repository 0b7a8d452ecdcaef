"""Bad programs are refused, each for its own reason and no other; what can be mended is mended.

A program is named after the rule that it breaks (`dead_letters__schedule` breaks `dead-letters`). Not proved here: that
these are all the ways to break a rule; each rule's own test has more.
"""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pm_policies.rule import Level, ResourceRule
from pm_policies.rules import RULES

HERE = Path(__file__).parent
RULES_BY_NAME = {rule.name: rule for rule in RULES}
BAD = sorted((HERE / "bad_programs").glob("*.py"))
MENDED = sorted((HERE / "mended_programs").glob("*.py"))


def _rule(program: str) -> str:
    return program.split("__")[0].replace("_", "-")


@pytest.fixture(scope="module")
def recorded() -> dict[Path, list[Any]]:
    """The registrations of each program."""
    found: dict[Path, list[Any]] = {}
    for programs in (BAD, MENDED):
        ran = subprocess.run(
            [sys.executable, str(HERE / "record_programs.py"), *map(str, programs)],
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        answers = json.loads(ran.stdout)
        found |= {path: [SimpleNamespace(**one) for one in answers[path.stem]] for path in programs}
    return found


@pytest.mark.parametrize("program", BAD, ids=lambda path: path.stem)
def test_a_bad_program_breaks_the_rule_that_it_is_named_after_and_no_other(
    engine: Any, recorded: dict[Path, list[Any]], program: Path
) -> None:
    rule = RULES_BY_NAME[_rule(program.stem)]
    review = engine.review(recorded[program])
    assert review.decided() == {rule.name}
    assert review.refusals() == (set() if rule.level is Level.ADVISORY else {rule.name})
    assert review.mended == []
    assert all(one.urn for one in review.diagnostics if rule.name != "monthly-cost")


@pytest.mark.parametrize("program", MENDED, ids=lambda path: path.stem)
def test_a_program_that_can_be_mended_is_mended_by_its_rule_and_passes(
    engine: Any, recorded: dict[Path, list[Any]], program: Path
) -> None:
    review = engine.review(recorded[program])
    assert {rule for rule, _ in review.mended} == {_rule(program.stem)}
    assert review.decided() == set()
    engine.configure(levels={_rule(program.stem): "MANDATORY"})
    assert engine.review(recorded[program]).refusals() == {_rule(program.stem)}


def test_every_rule_has_a_program_that_breaks_it() -> None:
    assert {_rule(path.stem) for path in (*BAD, *MENDED)} == set(RULES_BY_NAME)
    mending = {rule.name for rule in RULES if isinstance(rule, ResourceRule) and rule.remedy is not None}
    assert {_rule(path.stem) for path in MENDED} == mending
    assert mending == {rule.name for rule in RULES if rule.level is Level.REMEDIATE}
