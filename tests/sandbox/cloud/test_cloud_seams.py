"""The check that the emulator is the one that the extensions were written against.

That every function they rely on is there follows from any test that starts a cloud: a missing one ends the start.
"""

import types
from importlib import metadata
from pathlib import Path

import pytest

from pm_sandbox.cloud import Cloud, CloudError, seams


def emulator(source: str) -> types.ModuleType:
    module = types.ModuleType("ministack.services.example")
    exec(source, module.__dict__)
    return module


def test_a_function_that_is_as_expected_is_returned() -> None:
    module = emulator("def run(rule, payload, topic=''): return topic")
    assert seams.require(module, "run", "rule", "payload", "topic")(1, 2, "t") == "t"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", r"ministack.services.example.run is gone"),
        ("run = 7", r"ministack.services.example.run is gone"),
        ("def run(rule): pass", r"takes \(rule\); expected \(rule, payload\)"),
        ("def run(payload, rule): pass", r"takes \(payload, rule\); expected"),
    ],
)
def test_a_function_that_has_changed_is_named(source: str, reason: str) -> None:
    with pytest.raises(seams.SeamError, match=reason):
        seams.require(emulator(source), "run", "rule", "payload")


def test_a_value_of_another_kind_is_named() -> None:
    assert seams.require_value(emulator("HANDLERS = {}"), "HANDLERS", dict) == {}
    with pytest.raises(seams.SeamError, match="HANDLERS is a list; expected a dict"):
        seams.require_value(emulator("HANDLERS = []"), "HANDLERS", dict)


def test_only_the_pinned_version_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    seams.check_version()
    monkeypatch.setattr(metadata, "version", lambda _: "9.9.9")
    with pytest.raises(seams.SeamError, match=r"ministack 9.9.9 is installed"):
        seams.check_version()


def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import pm_sandbox.cloud.seams as s; s.MINISTACK_VERSION = '0.0.1'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CloudError, match=r"written against 0.0.1"):
        Cloud.start(tmp_path / "cloud")
    assert sorted(path.name for path in (tmp_path / "cloud").iterdir()) == ["cloud.log"]
