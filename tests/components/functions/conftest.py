"""The variables of every function ("Defined runtime environment variables", AWS Lambda guide); a keeper of alarms."""

from collections.abc import Iterator

import pytest

from pm_sandbox.cloud import Cloud
from tests.components.functions.watched_keeper import WatchedKeeper, watched_keeper


@pytest.fixture(autouse=True)
def function_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that counts are written under."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "pm-test-function")


@pytest.fixture
def watched(cloud: Cloud) -> Iterator[WatchedKeeper]:
    """A keeper of alarms with its ways out in sight."""
    with watched_keeper(cloud) as watched:
        yield watched
