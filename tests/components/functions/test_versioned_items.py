"""Retries of a writer that meets others, without DynamoDB.

The conditions themselves, and writers at once: test_forecast_quality_handler.py and test_alarm_life_cycle.py.
"""

import pytest

from pm_components.functions import versioned_items
from pm_components.functions.versioned_items import Conflict, retry_conflicts


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versioned_items, "_PAUSE_SECONDS", 0)


def test_an_attempt_is_repeated_until_nobody_comes_in_between() -> None:
    answers = iter([Conflict("alarm"), Conflict("alarm"), "saved"])

    def attempt() -> str:
        if isinstance(answer := next(answers), Conflict):
            raise answer
        return str(answer)

    assert retry_conflicts("alarm", attempt) == "saved"


def test_a_writer_that_is_overtaken_each_time_gives_up_and_names_the_item() -> None:
    attempts = []

    def attempt() -> None:
        attempts.append(1)
        raise Conflict("lindau/air-1")

    with pytest.raises(Conflict, match="lindau/air-1: someone else wrote it 40 times in a row"):
        retry_conflicts("lindau/air-1", attempt)
    assert len(attempts) == 40


def test_another_error_ends_the_attempts() -> None:
    attempts = []

    def attempt() -> None:
        attempts.append(1)
        raise ConnectionError("DynamoDB is out of reach")

    with pytest.raises(ConnectionError):
        retry_conflicts("alarm", attempt)
    assert len(attempts) == 1
