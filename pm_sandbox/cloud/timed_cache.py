"""Answers that are kept for a moment: for questions that every message asks and whose answer seldom changes."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")


class TimedCache(Generic[_Answer]):
    """Keeps each answer for `seconds`, and at most `size` of them."""

    def __init__(self, seconds: float = 1.0, size: int = 10_000) -> None:
        self._seconds = seconds
        self._size = size
        self._answers: dict[Hashable, tuple[float, _Answer]] = {}

    def get(self, key: Hashable, ask: Callable[[], _Answer]) -> _Answer:
        """The answer to `key`, from `ask` where none is kept. What `ask` raises is not kept."""
        now = time.monotonic()
        kept = self._answers.get(key)
        if kept is not None and now < kept[0]:
            return kept[1]
        if len(self._answers) >= self._size:
            self._answers.clear()
        answer = ask()
        self._answers[key] = now + self._seconds, answer
        return answer
