"""The registrations of each stack of the project, recorded once for a run of the tests, by whoever asks first."""

import fcntl
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pm_sandbox.recorder import Recording, record

ROOT = Path(__file__).resolve().parents[1]


def shared_recordings(directory: Path) -> Callable[..., Recording]:
    """A function of a stack's name, and of whether it is a preview, that keeps its recordings in `directory`."""
    directory.mkdir(exist_ok=True)

    @cache
    def recorded(stack: str, *, preview: bool = False) -> Recording:
        kept = directory / f"{stack}{'-preview' if preview else ''}"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_bytes(pickle.dumps(record(ROOT, stack, preview=preview, checked=True)))
        recording: Recording = pickle.loads(kept.read_bytes())
        return recording

    return recorded
