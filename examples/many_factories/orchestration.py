"""The order in which many stacks go up and down. Pure: a stack is anything that has a name and can do both."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Stack(Protocol):
    """A stack, as far as the orchestration needs it."""

    @property
    def name(self) -> str:
        """The stack's name."""

    def up(self) -> Mapping[str, int]:
        """Bring it to its wanted state; how many resources were created, updated, left the same, and so on."""

    def destroy(self) -> Mapping[str, int]:
        """Delete all its resources; how many were deleted."""


class State(Enum):
    """The outcome of an operation."""

    DONE = "done"
    FAILED = "failed"
    NOT_STARTED = "not started"


@dataclass(frozen=True)
class Result:
    """The outcome of one stack.

    Attributes:
        stack: The stack's name.
        state: How it went.
        seconds: How long it took.
        changes: Resources by what was done to them.
        reason: Why it failed, or why it was not started.
    """

    stack: str
    state: State
    seconds: float = 0.0
    changes: Mapping[str, int] | None = None
    reason: str = ""


OnResult = Callable[[Result], None]


def roll_out(waves: Sequence[Sequence[Stack]], parallel: int, on_result: OnResult = lambda _: None) -> list[Result]:
    """Bring up wave after wave: a wave begins once the whole of the one before is up.

    Args:
        waves: The stacks of each stage, in the order of promotion.
        parallel: How many stacks are worked on at once.
        on_result: Called as each stack is through, from the caller's thread.

    Returns:
        A result for each stack, in the order given. After the first failure nothing more is started; what is under way
        is let come to its end.
    """
    return _through(waves, lambda stack: stack.up(), parallel, on_result)


def tear_down(waves: Sequence[Sequence[Stack]], parallel: int, on_result: OnResult = lambda _: None) -> list[Result]:
    """Destroy in the reverse order: the last stage first, and within a stage the last stack first.

    Arguments and answer are those of `roll_out`; the results come in the order of the destruction.
    """
    reverse = [list(reversed(wave)) for wave in reversed(waves)]
    return _through(reverse, lambda stack: stack.destroy(), parallel, on_result)


def _through(
    waves: Sequence[Sequence[Stack]],
    act: Callable[[Stack], Mapping[str, int]],
    parallel: int,
    on_result: OnResult,
) -> list[Result]:
    if parallel < 1:
        raise ValueError(f"parallel: found {parallel}, allowed are 1 and more")
    results: dict[str, Result] = {}

    def note(result: Result) -> None:
        results[result.stack] = result
        on_result(result)

    failed = ""
    with ThreadPoolExecutor(parallel) as pool:
        for wave in waves:
            waiting: Iterator[Stack] = iter(wave)
            under_way: set[Future[Result]] = set()
            while True:
                while not failed and len(under_way) < parallel and (stack := next(waiting, None)) is not None:
                    under_way.add(pool.submit(_timed, stack, act))
                if not under_way:
                    break
                through, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in through:
                    result = future.result()
                    note(result)
                    if result.state is State.FAILED:
                        failed = failed or result.stack
            for stack in waiting:
                note(Result(stack.name, State.NOT_STARTED, reason=f"{failed} failed"))
    return [results[stack.name] for wave in waves for stack in wave]


def _timed(stack: Stack, act: Callable[[Stack], Mapping[str, int]]) -> Result:
    begin = time.monotonic()
    try:
        changes = act(stack)
    except Exception as error:
        return Result(stack.name, State.FAILED, time.monotonic() - begin, reason=f"{type(error).__name__}: {error}")
    return Result(stack.name, State.DONE, time.monotonic() - begin, changes)
