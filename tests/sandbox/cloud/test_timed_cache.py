"""Answers that are kept for a moment: how long, how many, and what is never kept."""

import itertools

import pytest

from pm_sandbox.cloud import timed_cache
from pm_sandbox.cloud.timed_cache import TimedCache


def test_an_answer_is_kept_for_its_time_and_asked_for_again_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [0.0], itertools.count()
    monkeypatch.setattr(timed_cache.time, "monotonic", lambda: now[0])
    cache: TimedCache[int] = TimedCache(seconds=1.0)
    assert [cache.get("a", lambda: next(asked)) for _ in range(3)] == [0, 0, 0]
    now[0] = 1.0
    assert cache.get("a", lambda: next(asked)) == 1


def test_of_a_hundred_thousand_made_up_topics_no_more_than_its_size_are_kept() -> None:
    cache: TimedCache[int] = TimedCache()
    for number in range(100_000):
        cache.get(f"pm/made-up-{number}/reading", lambda number=number: number)  # type: ignore[misc]
    assert 0 < len(cache._answers) <= 10_000


def test_what_asking_raises_is_not_kept() -> None:
    cache: TimedCache[int] = TimedCache()
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: 7) == 7
