"""An update of a new stack by Pulumi's own engine and by ours, by the number of its sites.

Both fill a new emulated cloud with the project's own program, through the same provider, and start as a user's command
does: the SDKs' import is in it. A site here has two core devices and ten devices. Pulumi's engine is the reference.
"""

import functools
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.figure import Figure, less_is_better, without_reference
from bench.sites import ROOT, SIZES, sites
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import deploy
from pm_sandbox.engine.command import EngineError, find
from pm_sandbox.engine.deploy import PulumiDeployer

RUNS = 1
_STACK = "local"
_BUILD = ROOT / "tests" / "engine" / "build_cli.sh"
#: Ours is there to be had without the command line, and is to cost no more.
_LIMIT = 1.0


def figures(runs: int = RUNS) -> Iterator[Figure]:
    """Seconds of an update of 1, 10 and 100 sites by either engine; without Pulumi's, by ours alone."""
    try:
        cli = _command()
    except EngineError as error:
        cli, reason = None, str(error)
    for size in SIZES:
        name, unit = f"engines_sites_{size}", "s"
        ours = [_seconds(functools.partial(_own, size)) for _ in range(runs)]
        if cli is None:
            yield without_reference(name, unit, ours, _LIMIT, reason)
        else:
            pulumis = [_seconds(functools.partial(_pulumis, cli, size)) for _ in range(runs)]
            yield less_is_better(name, unit, ours, pulumis, _LIMIT)


def _command() -> Path:
    """Pulumi's command line on the PATH, or the one that the tests build, which is kept.

    Raises:
        EngineError: if there is neither; the text says why.
    """
    try:
        return find().path
    except EngineError:
        built = subprocess.run([_BUILD], capture_output=True, text=True, check=False)
        if built.returncode:
            raise EngineError(built.stderr.strip().splitlines()[-1]) from None
        return Path(built.stdout.strip())


def _seconds(update: Callable[[Cloud], object]) -> float:
    with tempfile.TemporaryDirectory() as folder, Cloud.start(Path(folder)) as cloud:
        begin = time.perf_counter()
        update(cloud)
        return time.perf_counter() - begin


def _own(size: int, cloud: Cloud) -> None:
    deploy(ROOT, _STACK, cloud, _config(size))


def _pulumis(cli: Path, size: int, cloud: Cloud) -> None:
    with PulumiDeployer(cli, cloud.directory / "engine") as pulumi:
        pulumi(ROOT, _STACK, cloud, _config(size), lambda _: None)


def _config(size: int) -> dict[str, Any]:
    return {"pm:sites": sites(size)}
