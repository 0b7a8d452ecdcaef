"""Waiting for what offers no event to await: a service's state, a file, another process."""

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

_LOOK_EVERY_SECONDS = 0.05

Found = TypeVar("Found")


def eventually(look: Callable[[], Found], what: str | Callable[[], str], seconds: float = 60) -> Found:
    """The result of `look`, once it is something.

    Args:
        look: is called until what it returns is true.
        what: what is waited for, or tells it when it has not come.
        seconds: how long at most; a generous bound for a busy machine, not a figure.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what if isinstance(what, str) else what()}"
        time.sleep(_LOOK_EVERY_SECONDS)
    return found


def has_ended(process: psutil.Process) -> bool:
    """True if nothing of it runs; it may still wait for its exit code to be collected."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
