"""Fixtures that all tests share."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pm_sandbox.cloud import Cloud
from pm_sandbox.recorder import Recording
from tests.recordings import shared_recordings
from tests.wheel import installed

pytest_plugins = ["tests.no_skips"]

# What a command prints is cut to the terminal's width, which no test run has: one width for all of them.
os.environ["COLUMNS"] = "240"

# Of a run in the background of a script (`make test &`) whatever it starts would ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine fails no test, and a test fails by its commit and not by its luck: each run tries the same examples.
# To try others: `pytest --hypothesis-profile=others`.
settings.register_profile("others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("others"), derandomize=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One emulated AWS for the whole run: give what you make in it names of your own."""
    directory: Path = tmp_path_factory.mktemp("cloud")
    with Cloud.start(directory) as running:
        yield running


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recording]:
    """The recording of a stack of the project, by its name; with `preview=True` as before its first update."""
    own = tmp_path_factory.getbasetemp()
    return shared_recordings((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "recordings")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return installed.build(tmp_path_factory.mktemp("wheel"))
