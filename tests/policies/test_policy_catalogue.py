"""The page of the rules is made from the rules, and each rule has what a reader needs: module, test, why, mending.

Not proved here: that the reasons are good ones.
"""

from pathlib import Path

from pm_policies import catalogue
from pm_policies.rules import RULES

ROOT = Path(__file__).parents[2]


def test_the_page_is_that_of_the_rules() -> None:
    assert (ROOT / "pm_policies" / "README.md").read_text() == catalogue.render(RULES)


def test_each_rule_has_a_module_and_a_test_of_its_name() -> None:
    modules = sorted(path.stem for path in (ROOT / "pm_policies" / "rules").glob("[a-z]*.py"))
    assert modules == sorted(rule.name.replace("-", "_") for rule in RULES)
    assert [name for name in modules if not (ROOT / "tests" / "policies" / f"test_{name}.py").exists()] == []


def test_each_rule_says_what_why_and_how_to_mend_it_and_describes_its_settings() -> None:
    for rule in RULES:
        assert rule.demand.endswith(".")
        assert rule.why.endswith(".")
        assert rule.mend
        assert not rule.mend.endswith(".")
        assert all(schema["description"] and schema["type"] for schema in rule.settings.values())
        assert set(rule.from_stack) <= set(rule.settings)
        assert all("default" in schema or name in rule.from_stack for name, schema in rule.settings.items())
