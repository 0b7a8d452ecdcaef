"""Inputs of the edge's figures: simulated readings, and the models that our own scripts train on them.

Kept in `out/bench`, and rebuilt when the code that makes them has changed.
"""

import datetime as dt
import itertools
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pm_contracts.manifest import MANIFEST_FILE
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import AirQualityReading, MachineReading, Reading
from pm_contracts.model_kinds import ModelKind
from pm_edge.devices.simulator import sources
from pm_sandbox.surroundings import environment

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "out" / "bench"
SITE = "bench"
STATION = "air-1"
DEVICES = {STATION: AIR_QUALITY, **{f"machine-{number:02}": MACHINE for number in range(1, 11)}}
#: Two years are trained on and half a year measures; what comes after is asked of the models.
TRAIN_END = sources.START + dt.timedelta(days=730)
DATA_END = sources.START + dt.timedelta(days=910)


class TrainingFailed(RuntimeError):
    """A training script has failed; the text is its own."""


def model_directory(kind: ModelKind) -> Path:
    """The directory of our own model of `kind`, trained by the script of its kind.

    Raises:
        TrainingFailed: if the script ends with an error.
    """
    model = DIRECTORY / f"{kind.name}-model"
    if is_up_to_date(model / MANIFEST_FILE, kind):
        return model
    channel = DIRECTORY / f"{kind.name}-data"
    write_channel(channel, past_readings(kind))
    ran = subprocess.run(
        [
            sys.executable, str(ROOT / kind.script), "--training", str(channel),
            "--model-dir", str(model), "--train_end", TRAIN_END.isoformat(),
        ],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    if ran.returncode:
        raise TrainingFailed(f"{kind.script}: {ran.stderr.strip()}")
    return model


def is_up_to_date(made: Path, kind: ModelKind) -> bool:
    """True if a file exists and is newer than the code that makes models of `kind`."""
    of_kind = (each for each in (ROOT / kind.script).parent.glob("*.py") if each.name != "protocol.py")
    sources = [ROOT / "pm_ml" / "export.py", ROOT / "pm_contracts" / "manifest.py", *of_kind]
    return made.exists() and made.stat().st_mtime > max(each.stat().st_mtime for each in sources)


def past_readings(kind: ModelKind) -> Iterable[Reading]:
    """The simulated readings that the model of `kind` is made of, with the workshop's verdicts."""
    wanted = kind.device_type
    devices = {name: device_type for name, device_type in DEVICES.items() if device_type == wanted}
    return sources.readings(SITE, devices, end=DATA_END, verdicts=True)


def air_readings(count: int) -> list[AirQualityReading]:
    """The first `count` hours after those of the training data."""
    stream = sources.readings(SITE, {STATION: AIR_QUALITY}, start=DATA_END)
    return [each for each in itertools.islice(stream, count) if isinstance(each, AirQualityReading)]


def machine_readings(count: int) -> list[MachineReading]:
    """The first `count` readings of machines after those of the training data."""
    machines = {name: device_type for name, device_type in DEVICES.items() if device_type == MACHINE}
    stream = sources.readings(SITE, machines, start=DATA_END)
    return [each for each in itertools.islice(stream, count) if isinstance(each, MachineReading)]


def write_channel(directory: Path, readings: Iterable[Reading]) -> Path:
    """Write readings as the lake's export leaves them, for a training script; returns the directory."""
    rows = [
        msgspec.structs.asdict(each) | {"measurements": msgspec.structs.asdict(each.measurements)} for each in readings
    ]
    fields: dict[str, pa.DataType] = {"message_id": pa.string(), "site": pa.string(), "device": pa.string()}
    fields |= {"sequence": pa.int64(), "event_time": pa.timestamp("ms")}
    fields["measurements"] = pa.struct([(name, pa.float64()) for name in rows[0]["measurements"]])
    if "faulty" in rows[0]:
        fields["faulty"] = pa.bool_()
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), directory / "readings.parquet")
    return directory
