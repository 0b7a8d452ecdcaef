"""The variables of every function ("Defined runtime environment variables", AWS Lambda guide); a keeper of alarms."""

from collections.abc import Iterator
from typing import Any

import pytest

from pm_components.functions import batches
from pm_sandbox.cloud import Cloud
from tests.components.functions.watched_keeper import Registry, WatchedKeeper, watched_keeper


@pytest.fixture(autouse=True)
def function_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that counts are written under."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "pm-test-function")


@pytest.fixture
def watched(cloud: Cloud) -> Iterator[WatchedKeeper]:
    """A keeper of alarms with its ways out in sight."""
    with watched_keeper(cloud) as watched:
        yield watched


@pytest.fixture(autouse=True)
def dead_letters(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The dead letters that functions make, each with its reason."""
    letters: list[tuple[str, str]] = []
    monkeypatch.setattr(batches, "_put_aside", lambda body, reason: letters.append((body, reason)))
    return letters


@pytest.fixture
def registry() -> Any:
    """Every device but one, in place of AWS IoT's registry."""
    return Registry("air-9")
