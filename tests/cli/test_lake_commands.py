"""`pm lake`: what it says without a factory, and what it makes of a factory's answers.

Not proved here: the queries and the replay themselves, which test_deployed_lake_replay.py runs in the emulated AWS.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pm_cli.main import app
from pm_components.analytics_store.named_queries import NAMED_QUERIES
from pm_sandbox import factory


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["lake", *arguments])


def attached(monkeypatch: pytest.MonkeyPatch, **operator: Any) -> None:
    """A factory whose operator answers so."""
    found = SimpleNamespace(operator=SimpleNamespace(**operator))
    monkeypatch.setattr(factory.Factory, "attach", lambda _directory: found)


def test_the_queries_are_listed_with_what_they_answer() -> None:
    done = run("query")
    assert done.exit_code == 0
    assert all(query.name in done.stdout for query in NAMED_QUERIES)


def test_an_unknown_query_and_a_missing_factory_are_errors_that_say_so(tmp_path: Path) -> None:
    unknown = run("query", "late")
    assert unknown.exit_code == 2
    assert "late-data" in unknown.stderr
    missing = run("query", "late-data", "--directory", str(tmp_path))
    assert missing.exit_code == 2
    assert "pm up" in missing.stderr


def test_rows_are_shown_up_to_the_number_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    attached(
        monkeypatch, query=lambda text: asked.append(text) or [{"device": f"air-{n}", "x": None} for n in range(5)]
    )
    done = run("query", "late-data", "--rows", "2")
    assert done.exit_code == 0
    assert "air-1" in done.stdout
    assert "air-2" not in done.stdout
    assert "3 more rows" in done.stdout
    assert asked == [query.statement for query in NAMED_QUERIES if query.name == "late-data"]


def test_a_replay_goes_on_until_it_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        {"replayed": {"outcome": 7}, "refused": {}, "complete": False},
        {"replayed": {"outcome": 2}, "refused": {"no message": 1}, "complete": True},
    ]
    attached(monkeypatch, replay_dead_letters=lambda table: answers.pop(0) if table == "outcome" else None)
    done = run("replay-dead-letters", "--table", "outcome")
    assert done.exit_code == 0
    assert "outcome: 7 replayed" in done.stdout
    assert "outcome: 2 replayed" in done.stdout
    assert "still refused: 1 x no message" in done.stdout
    assert not answers
