"""The pure parts of our engine: paths to inputs, earlier names, and the order of deletion.

Not proved here: that Pulumi's engine does the same, which the cases of `programs/behaviours` are for.
"""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from pm_sandbox.deployer.aliases import Alias, earlier_urns
from pm_sandbox.deployer.planning import deletion_levels
from pm_sandbox.deployer.property_paths import contains, kept, parse
from pm_sandbox.deployer.records import DeploymentError, ResourceRecord
from pm_sandbox.deployer.vault import Vault


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tags", ("tags",)),
        ('tags["a.b"]', ("tags", "a.b")),
        ("rules[0].id", ("rules", 0, "id")),
        ("rules[*].id", ("rules", "*", "id")),
        (r'["a \"b\""].c', ('a "b"', "c")),
        ("foo-bar", ("foo-bar",)),
        ("*", ("*",)),
    ],
)
def test_a_path_is_read_as_pulumi_reads_it(text: str, path: tuple[str | int, ...]) -> None:
    assert parse(text) == path


@pytest.mark.parametrize("text", ["rules[", "rules[x]", "a..b", '["a'])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no path to an input"):
        parse(text)


def test_a_path_contains_what_is_below_it() -> None:
    assert contains(parse("tags"), parse("tags.a"))
    assert contains(parse("rules[*].id"), parse("rules[3].id"))
    assert not contains(parse("tags.a"), parse("tags"))
    assert not contains(parse("tags.a"), parse("tags.b"))


@pytest.mark.parametrize(
    ("path", "old", "new", "result"),
    [
        ("a", {"a": 1}, {"a": 2, "b": 3}, {"a": 1, "b": 3}),
        ("a", {"a": 1}, {"b": 3}, {"a": 1, "b": 3}),
        ("a", {}, {"a": 2, "b": 3}, {"b": 3}),
        ("a.b", {"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 2}}, {"a": {"b": 1, "c": 2}}),
        ("a.b", {}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ("a[0].b", {"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": 3}]}, {"a": [{"b": 1}, {"b": 3}]}),
        ("a[*].b", {"a": [{"b": 1}, {"b": 1}]}, {"a": [{"b": 2}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 1}]}),
        ("a[1]", {"a": [1]}, {"a": [2, 2]}, {"a": [2, 2]}),
        ("*", {"a": 1, "b": 1}, {"b": 2, "c": 2}, {"a": 1, "b": 1}),
    ],
)
def test_what_is_ignored_stays_as_it_was(path: str, old: Any, new: Any, result: Any) -> None:
    assert kept(parse(path), old, new) == result


def _urn(types: str, name: str) -> str:
    return f"urn:pulumi:dev::pm::{types}::{name}"


@pytest.mark.parametrize(
    ("aliases", "known_as", "earlier"),
    [
        ([Alias(name="before")], {}, [_urn("t:C$t:R", "before")]),
        ([Alias(no_parent=True)], {}, [_urn("t:R", "new-it")]),
        ([Alias(urn="urn:x")], {}, ["urn:x"]),
        ([Alias(type="t:Old", stack="prod")], {}, ["urn:pulumi:prod::pm::t:C$t:Old::new-it"]),
        ([Alias(parent=_urn("t:D", "other"))], {}, [_urn("t:D$t:R", "new-it")]),
        ([], {_urn("t:C", "new"): _urn("t:C", "old")}, [_urn("t:C$t:R", "old-it")]),
        (
            [Alias(name="before")],
            {_urn("t:C", "new"): _urn("t:B", "old")},
            [_urn("t:C$t:R", "before"), _urn("t:B$t:R", "old-it"), _urn("t:B$t:R", "before")],
        ),
    ],
)
def test_earlier_names_are_those_that_pulumi_takes(
    aliases: list[Alias], known_as: dict[str, str], earlier: list[str]
) -> None:
    assert earlier_urns(_urn("t:C$t:R", "new-it"), _urn("t:C", "new"), aliases, known_as) == earlier


def _record(name: str, **fields: Any) -> ResourceRecord:
    place = {"type": "t:R", "name": name, "urn": name, "parent": "", **fields}
    return ResourceRecord(**place, physical_id=name, inputs={}, outputs={})


def test_what_depends_on_another_is_deleted_first_and_a_component_stands_for_its_children() -> None:
    records = [
        _record("component", custom=False),
        _record("child", parent="component"),
        _record("by option", dependencies=["component"]),
        _record("by input", input_dependencies={"of": ["by option"]}),
        _record("provider"),
        _record("by provider", provider="provider::id"),
        _record("alone"),
    ]
    levels = [{one.name for one in level} for level in deletion_levels(records)]
    assert levels == [{"by input", "by provider", "alone"}, {"by option", "provider"}, {"child"}, {"component"}]


def test_an_old_one_of_a_replaced_resource_does_not_stand_in_the_way() -> None:
    # A was made of B once and B is made of A now: what came later depends on what was there before, never the reverse.
    records = [_record("a"), _record("b", dependencies=["a"]), _record("a", dependencies=["b"], pending_delete=True)]
    assert [[one.pending_delete for one in level] for level in deletion_levels(records)] == [[True], [False], [False]]


def test_what_another_key_has_sealed_is_not_opened() -> None:
    sealed = Vault(Fernet.generate_key()).sealed({"a": "whispered"})
    assert "whispered" not in sealed
    with pytest.raises(DeploymentError, match="were not encrypted with the key"):
        Vault(Fernet.generate_key()).opened(sealed)
