"""A watch over a thread that must not stand still: it tells somebody when no step has come for too long."""

import sys
import threading
import traceback
from collections.abc import Callable

#: Seconds between two looks.
_LOOK_SECONDS = 1.0
#: Calls that the reason names.
_PLACES = 4


class Watchdog:
    """Looks once a second whether `beat` was called since.

    It counts its own looks and not the time: where the whole process stood still, as one that was stopped or whose
    machine slept, nobody is to blame.
    """

    def __init__(self, watched: threading.Thread, patience: int, on_stall: Callable[[str], object]) -> None:
        """Watch a thread.

        Args:
            watched: the thread, which calls `beat` with each step.
            patience: looks without a step, which are seconds; longer than the longest wait for a disk.
            on_stall: called once, with the reason, on the watchdog's thread.
        """
        self._watched, self._patience, self._on_stall = watched, patience, on_stall
        self._steps = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def beat(self) -> None:
        """Note a step."""
        self._steps += 1

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        seen, looks = self._steps, 0
        while not self._stopped.wait(_LOOK_SECONDS):
            if self._steps != seen:
                seen, looks = self._steps, 0
                continue
            looks += 1
            if looks >= self._patience:
                self._on_stall(
                    f"the thread {self._watched.name} has made no step for {looks} s; it is at {self._place()}"
                )
                return

    def _place(self) -> str:
        """The innermost calls of the watched thread, the latest first."""
        frame = sys._current_frames().get(self._watched.ident or 0)
        calls = traceback.extract_stack(frame, None)[-_PLACES:] if frame else []
        return " < ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno}" for call in reversed(calls))
