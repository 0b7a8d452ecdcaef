"""The fixed costs of a component: seconds to the first answer, memory, megabytes to install.

`cold_start`, `peak_memory`, `install_size` are of the forecaster against the Keras runtime; the same names with
`_fault` are of the fault detector against the XGBoost runtime. Each is a fresh process that has the modules of the bus,
loads the same model and answers once.
"""

import functools
import importlib.metadata
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import msgspec

from bench import edge_models
from bench.edge_timing import Advance, silent
from bench.figure import Figure, less_is_better
from pm_components.aws import packaging
from pm_contracts.forecast_features import MEMORY_HOURS
from pm_contracts.manifest import MODEL_FILE
from pm_contracts.messages import encode
from pm_contracts.model_kinds import FAULT, FORECAST
from pm_edge.forecasting.core import Forecaster
from pm_sandbox.surroundings import environment

NAMES = ("cold_start", "peak_memory", "install_size")
ROUNDS = 7
#: "At least" of the issue's table: a fifth of the reference's.
_LIMIT = 5.0
_MEGABYTE = 1e6
_KILOBYTES_PER_MEGABYTE = 1000
#: Packages that a device installs, by name without the versions; what these need is added.
REQUIREMENTS = edge_models.ROOT / "requirements" / "edge.in"
KERAS_RUNTIME = ("awsiotsdk", "keras", "jax", "numpy", "pandas")
XGBOOST_RUNTIME = ("awsiotsdk", "xgboost-cpu", "numpy")


def figures(
    names: Sequence[str] = NAMES,
    rounds: int = ROUNDS,
    advance: Advance = silent,
) -> Iterator[Figure]:
    """The figures of these names, of both components."""
    if {"cold_start", "peak_memory"} & set(names):
        with tempfile.TemporaryDirectory() as directory:
            commands = _commands(Path(directory))
            steps = itertools.count(1)
            for suffix, (ours, reference) in commands.items():
                pairs = []
                for number in range(rounds):
                    if number % 2:
                        other, mine = first_answer(reference), first_answer(ours)
                    else:
                        mine, other = first_answer(ours), first_answer(reference)
                    pairs.append((mine, other))
                    advance(next(steps) / rounds / len(commands))
                for name, unit, column in (("cold_start", "s", 0), ("peak_memory", "MB", 1)):
                    if name in names:
                        ours_values, reference_values = ([pair[side][column] for pair in pairs] for side in (0, 1))
                        yield less_is_better(f"{name}{suffix}", unit, ours_values, reference_values, _LIMIT)
    if "install_size" in names:
        own = own_code_bytes()
        ours_bytes = installed_bytes(required(REQUIREMENTS.read_text())) + own
        for suffix, reference_names in (("", KERAS_RUNTIME), ("_fault", XGBOOST_RUNTIME)):
            reference_bytes = installed_bytes(reference_names) + own
            ours_size, reference_size = [ours_bytes / _MEGABYTE], [reference_bytes / _MEGABYTE]
            yield less_is_better(f"install_size{suffix}", "MB", ours_size, reference_size, _LIMIT)


def first_answer(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds from the start of a process to its first answer, and the most memory that it has had, MB.

    Raises:
        RuntimeError: if it does not answer; the text is its own.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.edge_first_answer", *arguments],
            cwd=edge_models.ROOT, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - it was asked for
        with process.stdout:
            line = process.stdout.readline()
            seconds = time.perf_counter() - began
            rest = process.stdout.read()
        if process.wait() or line != "answered\n":
            log.seek(0)
            raise RuntimeError(f"{arguments[0]} did not answer: {log.read().decode().strip()}")
    return seconds, int(rest) / _KILOBYTES_PER_MEGABYTE


def required(text: str) -> list[str]:
    """The names in a requirements file."""
    lines = (line.strip() for line in text.splitlines())
    return [re.split(r"[=<>\[ ]", line)[0] for line in lines if line and not line.startswith(("#", "-"))]


def installed_bytes(names: Sequence[str]) -> int:
    """The bytes on the disk of distributions and all that they need here.

    Compiled Python is not counted, and neither is what no component opens (`pm_edge/requirements.unused`), on either
    side.
    """
    wanted, known = list(names), set()
    total = 0
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in known:
            continue
        known.add(name)
        distribution = importlib.metadata.distribution(name)
        files = (file for file in distribution.files or () if not is_unused(file))
        total += sum(_size(Path(str(file.locate()))) for file in files)
        wanted += _needed(distribution)
    return total


def is_unused(file: PurePath) -> bool:
    """True if no component opens this file of an installation; the path is that in `site-packages`."""
    path = PurePath("/") / file  # so that a pattern has to match from the beginning
    return any(each.match(f"/{pattern}") for each in (path, *path.parents) for pattern in _unused())


_unused = functools.cache(functools.partial(packaging.patterns, packaging.EDGE_UNUSED))


def own_code_bytes() -> int:
    """The bytes of the project's own code on a device."""
    folders = (edge_models.ROOT / "pm_edge", edge_models.ROOT / "pm_contracts")
    return sum(_size(file) for folder in folders for file in folder.rglob("*.py"))


def _needed(distribution: importlib.metadata.Distribution) -> list[str]:
    """The requirements of a distribution on this machine, extras aside."""
    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in distribution.requires or ()]
    return [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]


@functools.cache
def _size(file: Path) -> int:
    return file.stat().st_size if file.suffix != ".pyc" and file.is_file() else 0


def _commands(directory: Path) -> dict[str, tuple[list[str], list[str]]]:
    """By the figure's suffix, the arguments of our process and of the reference's."""
    from bench.edge_references import nets_in_keras, trees_in_xgboost

    forecast, fault = edge_models.model_directory(FORECAST), edge_models.model_directory(FAULT)
    *past, latest = edge_models.air_readings(MEMORY_HOURS + 1)
    forecaster = Forecaster(latest.site, latest.device)
    for reading in past:
        forecaster.observe(reading)
    files = {name: directory / name for name in ("state.json", "air.json", "machine.json", "net.keras", "trees.json")}
    files["state.json"].write_text(json.dumps(msgspec.to_builtins(forecaster.state())))
    files["air.json"].write_bytes(encode(latest))
    files["machine.json"].write_bytes(encode(edge_models.machine_readings(1)[0]))
    nets_in_keras(forecast / MODEL_FILE)[0].save(files["net.keras"])
    trees_in_xgboost(fault / MODEL_FILE, "binary:logistic").save_model(files["trees.json"])
    return {
        "": (
            ["forecaster", str(forecast), str(files["state.json"]), str(files["air.json"])],
            ["keras", str(files["net.keras"])],
        ),
        "_fault": (
            ["fault_detector", str(fault), str(files["machine.json"])],
            ["xgboost", str(files["trees.json"])],
        ),
    }
