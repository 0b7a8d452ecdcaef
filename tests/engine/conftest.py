"""Fixtures of the tests with Pulumi's own engine: the CLI, a cloud with the provider before it, and the figures."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.provider import Context
from pm_sandbox.provider.server import Server
from tests.engine.engine import ROOT, Engine

FIGURES = ROOT / "out" / "engine.json"


class Served(NamedTuple):
    """A cloud, and where its provider serves."""

    cloud: Cloud
    port: int


@pytest.fixture(scope="session")
def cli() -> Path:
    """Pulumi's CLI, built where it is not there yet."""
    built = subprocess.run(
        [Path(__file__).parent / "build_cli.sh"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    return Path(built)


@pytest.fixture(scope="session")
def figures(cli: Path) -> Iterator[dict[str, Any]]:
    """The figures of the tests, written to `out/engine.json` at the end."""
    said = subprocess.run([cli, "version"], capture_output=True, text=True, check=True).stdout.strip()
    measured: dict[str, Any] = {"cli": said, "previews": {}}
    yield measured
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(measured, indent=1) + "\n")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A cloud of the module's own."""
    with Cloud.start(tmp_path_factory.mktemp("cloud")) as cloud, Server(Context(cloud)) as server:
        yield Served(cloud, server.port)


@pytest.fixture(scope="module")
def local(cli: Path, served: Served, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The engine for the stack `local`."""
    return Engine(cli, tmp_path_factory.mktemp("local"), served.port, file="local")
