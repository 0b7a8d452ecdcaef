"""Checkpoints of a training run: interrupted, it resumes there and ends with the same bytes.

SageMaker keeps the folder of checkpoints in S3 while a job runs, and gives it to the job again after a spot
interruption ("Use checkpoints in Amazon SageMaker AI", developer guide).
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

_DIGEST_BYTES = 32


class Checkpoints:
    """The checkpoints of one run, a file each, of which the latest counts.

    Args:
        directory: their folder, made where missing; None: nothing is kept and nothing found.
        identity: of all that the run depends on (`identity`); what a run of another identity left is passed over.
    """

    def __init__(self, directory: Path | None, identity: bytes) -> None:
        self._directory = directory
        self._identity = identity

    def load(self, name: str) -> bytes | None:
        """The value saved last under this name; None if there is none, or if another run saved it."""
        file = self._file(name)
        if file is None or not file.is_file():
            return None
        content = file.read_bytes()
        return content[_DIGEST_BYTES:] if content[:_DIGEST_BYTES] == self._identity else None

    def save(self, name: str, content: bytes) -> None:
        """Keep `content`, in place of what was saved under this name; a kill in between leaves the one before."""
        file = self._file(name)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".unfinished")
            unfinished.write_bytes(self._identity + content)
            unfinished.replace(file)

    def clear(self) -> None:
        """Remove them: the run is done."""
        if self._directory is not None:
            for file in self._directory.glob("*.checkpoint"):
                file.unlink()

    def _file(self, name: str) -> Path | None:
        return None if self._directory is None else self._directory / f"{name}.checkpoint"


#: Keeps nothing.
NONE = Checkpoints(None, b"")


def identity(*parts: Any) -> bytes:
    """Tells runs apart: arrays count by their contents, all else by its representation."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            content = np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
        else:
            content = memoryview(repr(part).encode())
        digest.update(f"{len(content)}:".encode())
        digest.update(content)
    return digest.digest()
