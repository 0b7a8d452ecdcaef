"""What each environment registers, recorded once for all tests of this folder."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sandbox.recorder import Recording, record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Recording]:
    """The recording of a stack of the project, by the stack's name."""
    return cache(lambda stack: record(ROOT, stack))
