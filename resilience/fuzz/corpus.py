"""The corpus: inputs that once failed, each in a file with its reason beside it; they are tried first in every run."""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "corpus"
_INPUT, _REASON = ".input", ".reason"


def kept(boundary: str, folder: Path = FOLDER) -> list[bytes]:
    """The inputs that once failed at a boundary, in the order of their files' names."""
    return [path.read_bytes() for path in sorted((folder / boundary).glob(f"*{_INPUT}"))]


def keep(boundary: str, content: bytes, reason: str, folder: Path = FOLDER) -> Path:
    """Keep an input that failed, with the reason; its file."""
    name = hashlib.sha256(content).hexdigest()[:16]
    (folder / boundary).mkdir(parents=True, exist_ok=True)
    path = folder / boundary / f"{name}{_INPUT}"
    path.write_bytes(content)
    path.with_suffix(_REASON).write_text(f"{reason}\n")
    return path
