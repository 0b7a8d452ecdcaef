"""The policy pack judges the same in Pulumi's engine and in `pm review`: rule, resource and level.

All programs of tests/policies that break a rule or can be mended are one program here, since each preview takes
seconds. The sandbox's provider leaves its own checks out: another region, or a type that it has no handler for, would
end the preview before all is judged. A rule that waits for a value in the preview is no verdict yet.

Not proved: a pack that is published to Pulumi Cloud, or rules that a user configures by `--policy-pack-config`.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pm_cli.review.findings import as_stack, findings
from pm_cli.review.settings import read
from pm_sandbox.provider.provider import Provider
from pm_sandbox.recorder import record
from tests.engine.by_hand import ByHand, python_project
from tests.engine.conftest import Served
from tests.engine.engine import ROOT, EngineError

PROGRAM = Path(__file__).parent / "programs" / "policy_cases"
POLICIES = ROOT / "tests" / "policies"
CASES = sorted(
    f"{path.parent.name}:{path.stem}:Case"
    for folder in ("bad_programs", "mended_programs")
    for path in (POLICIES / folder).glob("*.py")
)
pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


class Verdict(NamedTuple):
    """A rule that is not kept, by which resource, and the effect of that; no URN is the stack as a whole."""

    rule: str
    urn: str
    level: str


@pytest.fixture(scope="module")
def by_engine(cli: Path, served: Served, tmp_path_factory: pytest.TempPathFactory) -> set[Verdict]:
    folder = tmp_path_factory.mktemp("policies")
    log = folder / "events.json"
    hand = ByHand(cli, folder, served.port, python_project(PROGRAM, folder / "project", "dev"), "dev")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Provider, "check", lambda *_: [])
        patched.setattr(Provider, "check_configuration", lambda *_: [])
        patched.setattr(Provider, "unknown_outputs", lambda *_: set())
        with pytest.raises(EngineError, match="preview failed"):
            hand.run("preview", "--policy-pack", str(ROOT / "pm_policies"), "--event-log", str(log))
    verdicts = set()
    for event in map(json.loads, log.read_text().splitlines()):
        if told := event.get("policyRemediationEvent"):
            verdicts.add(Verdict(told["policyName"], told["resourceUrn"], "remediate"))
        elif told := event.get("policyEvent"):
            urn = "" if "::pulumi:pulumi:Stack::" in told["resourceUrn"] else told["resourceUrn"]
            if "cannot be judged before the update" not in told["message"]:
                verdicts.add(Verdict(told["policyName"], urn, told["enforcementLevel"]))
    return verdicts


@pytest.fixture(scope="module")
def by_review() -> set[Verdict]:
    configuration, providers = read(PROGRAM, "dev")
    stack = as_stack(record(PROGRAM, "dev"), providers["aws:region"])
    return {Verdict(one.policy, one.urn, one.level) for one in findings(stack, configuration)}


def _rule(case: str) -> str:
    return case.split(":")[1].split("__")[0].replace("_", "-")


def _of(verdict: Verdict, case: str) -> bool:
    """True if a verdict is of a case; one on a stack is of the case that is named after the rule."""
    return f"::{case}$" in verdict.urn if verdict.urn else verdict.rule == _rule(case)


def test_both_engines_reach_the_same_verdicts(
    by_engine: set[Verdict], by_review: set[Verdict], figures: dict[str, Any]
) -> None:
    differing = by_engine ^ by_review
    differ = {case for case in CASES for one in differing if _of(one, case)}
    figures["policy_cases"] = {"agree": len(CASES) - len(differ), "differ": len(differ)}
    assert differing == set()


def test_each_case_is_judged_by_the_rule_that_it_is_named_after(by_engine: set[Verdict]) -> None:
    for case in CASES:
        level = {one.level for one in by_engine if _of(one, case) and one.rule == _rule(case)}
        assert level, f"{case} breaks {_rule(case)}"
        assert (level == {"remediate"}) == case.startswith("mended"), case
