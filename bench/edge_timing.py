"""Paired timings of two ways of doing the same: in turns, on one processor, in batches.

The time is the process's own on its processor, all threads together, so that what else the machine does at that moment
counts on neither side.
"""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator

from pm_sandbox.surroundings import OWN_KERAS_SETTINGS

#: For libraries that read it when they are imported: one thread, and none that spins beside it.
SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    **OWN_KERAS_SETTINGS,
}

#: Called with the share that is done, 0 to 1.
Advance = Callable[[float], None]


def silent(_: float) -> None:
    """Tell nobody how far it is."""


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Keep this process on one processor: what is measured within is of a single thread's worth, on both sides."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def in_turns(
    ours: Callable[[int], object],
    reference: Callable[[int], object],
    *,
    rounds: int,
    ours_calls: int,
    reference_calls: int,
    advance: Advance = silent,
) -> tuple[list[float], list[float]]:
    """Time two functions in turns, so that what slows the machine down meets both.

    Args:
        ours: called with the number of the call, from 0 on.
        reference: likewise.
        rounds: how many pairs are timed; in every other one the reference goes first.
        ours_calls: calls in one timing of ours; long enough that the clock's own time does not count.
        reference_calls: likewise.
        advance: whom to tell.

    Returns:
        Seconds a call, a value for each round: ours and the reference's.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    sides = ((seconds[0], ours, ours_calls), (seconds[1], reference, reference_calls))
    for _, function, _ in sides:
        function(0)  # what is set up at the first call is not part of any
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            for values, function, calls in sides if number % 2 == 0 else reversed(sides):
                first = number * calls
                began = time.process_time()
                for call in range(first, first + calls):
                    function(call)
                values.append((time.process_time() - began) / calls)
            advance((number + 1) / rounds)
    finally:
        if collecting:
            gc.enable()
    return seconds
