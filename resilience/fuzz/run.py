"""A run of the fuzzer over boundaries, some at a time."""

import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

from resilience.fuzz import corpus
from resilience.fuzz.boundary import Boundary
from resilience.fuzz.trial import Failure, Trial

_LOOK_EVERY = 0.2


class Tried(NamedTuple):
    """The result of a boundary: the number of inputs tried, and the first failure of each place with its file."""

    name: str
    cases: int
    failures: list[tuple[Failure, Path]]


def run(
    boundaries: Sequence[Boundary],
    cases: int,
    seconds: float | None,
    seed: int,
    folder: Path,
    advance: Callable[[Tried, bool], None],
) -> list[Tried]:
    """Try inputs at each boundary.

    Args:
        boundaries: Which.
        cases: Inputs at each, times its share.
        seconds: For all of them together, beside what they take to get ready; without end where None.
        seed: Of the inputs.
        folder: The corpus; failures are kept there.
        advance: Called with what a boundary has come to so far, and whether that is all.
    """
    slots = os.cpu_count() or 1
    each = None if seconds is None else seconds * slots / len(boundaries)
    waiting = list(boundaries)
    running: list[Trial] = []
    results: list[Tried] = []
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                boundary = waiting.pop(0)
                known = corpus.kept(boundary.name, folder)
                running.append(Trial(boundary, known, max(1, int(cases * boundary.share)), seed, each))
            wait([trial.sentinel for trial in running], _LOOK_EVERY)
            for trial in list(running):
                trial.poll()
                advance(_told(trial, folder) if trial.done else Tried(trial.boundary.name, trial.cases, []), trial.done)
                if trial.done:
                    running.remove(trial)
                    results.append(_told(trial, folder))
    finally:
        for trial in running:
            trial.end()
    return results


def _told(trial: Trial, folder: Path) -> Tried:
    first: dict[str, Failure] = {}
    for failure in trial.failures:
        first.setdefault(failure.place, failure)
    name = trial.boundary.name
    kept = [(failure, corpus.keep(name, failure.content, failure.reason, folder)) for failure in first.values()]
    return Tried(name, trial.cases, kept)
