"""Memory that training needs as its data grows: `python -m bench.training_memory`, for docs/scale.md.

Each size runs in a process of its own, the real training code on Parquet files as the lake exports them, and is asked
for its peak. What counts is memory that cannot be given back: pages of files (the measurements kept on disk) are left
out, since the system takes them whenever it needs them. Speed is not measured.

The rows are random numbers; only their count and width matter here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, MACHINE_MEASUREMENTS
from pm_ml import data
from pm_ml.checkpoints import NONE
from pm_ml.faults import model as fault_model
from pm_sandbox.surroundings import environment

#: Seconds between two looks at a process's memory.
_LOOK_EVERY = 0.05
_ROWS_A_FILE = 50_000
_MACHINES = 200
_STATIONS = 20
_SIZES = {"faults": (25_000, 100_000, 400_000), "hours": (100_000, 400_000, 1_600_000)}
#: Growth with the rows shows in a few rounds; more of them only take longer.
_ROUNDS = 10


def main() -> None:
    """Measure and print a line a run."""
    parser = argparse.ArgumentParser(prog="python -m bench.training_memory", description=__doc__.partition("\n")[0])
    parser.add_argument("--what", choices=("faults", "faults on disk", "hours"))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--directory", type=Path, help="of the data; for the runs that this one starts")
    given = parser.parse_args()
    if given.directory:
        print(json.dumps(_RUNS[given.what](given.directory)))
        return
    kinds = [given.what] if given.what else list(_RUNS)
    for kind in kinds:
        for rows in [given.rows] if given.rows else _SIZES[kind.split()[0]]:
            with tempfile.TemporaryDirectory() as folder:
                (_machines if kind.startswith("faults") else _hours)(Path(folder), rows)
                command = [sys.executable, "-m", "bench.training_memory", "--what", kind, "--directory", folder]
                done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
                megabytes = json.loads(done.stdout.splitlines()[-1])
                parts = ", ".join(f"{name} {value:,.0f} MB" for name, value in megabytes.items())
                print(f"{kind}, {rows:,} rows: {parts}", flush=True)


def _machines(folder: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    for number, start in enumerate(range(0, rows, _ROWS_A_FILE)):
        count = min(_ROWS_A_FILE, rows - start)
        each = np.arange(start, start + count)
        values = random.lognormal(size=(len(MACHINE_MEASUREMENTS), count))
        columns = {"measurements": pa.StructArray.from_arrays(list(values), list(MACHINE_MEASUREMENTS))}
        columns |= {"faulty": pa.array(random.random(count) < 0.02)}
        _write(folder / f"part-{number:04d}", each, columns, _MACHINES, dt_minutes=24 * 60 // _MACHINES)


def _hours(folder: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    for number, start in enumerate(range(0, rows, _ROWS_A_FILE)):
        count = min(_ROWS_A_FILE, rows - start)
        each = np.arange(start, start + count)
        values = [random.integers(1, 4, count).astype(float) for _ in AIR_QUALITY_MEASUREMENTS]
        columns = {"measurements": pa.StructArray.from_arrays(values, list(AIR_QUALITY_MEASUREMENTS))}
        _write(folder / f"part-{number:04d}", each, columns, _STATIONS, dt_minutes=60 // _STATIONS)


def _write(file: Path, each: np.ndarray, columns: dict[str, pa.Array], devices: int, dt_minutes: int) -> None:
    at = np.datetime64("2010-01-02", "ms") + (each * dt_minutes).astype("timedelta64[m]")
    table = {
        "site": pa.array(["lindau"] * len(each)),
        "device": pa.array([f"device-{number % devices}" for number in each]),
        "sequence": pa.array(each // devices),
        "event_time": pa.array(at),
    }
    pq.write_table(pa.table(table | columns), file)


class _Peak:
    """The largest memory of this process, MB, that is not a file's: RssAnon, proc_pid_status(5)."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    self.megabytes = max(self.megabytes, int(line.split()[1]) / 1024)
            if self._done.wait(_LOOK_EVERY):
                return


def _faults(folder: Path, rows_in_memory: int = sys.maxsize) -> dict[str, float]:
    import ibis

    fault_model.ROUNDS = _ROUNDS
    with tempfile.TemporaryDirectory() as scratch:
        with _Peak() as reading:
            readings = data.machine_readings(ibis.duckdb.connect(), folder, Path(scratch), rows_in_memory)
        with _Peak() as training:
            trained = fault_model.train(readings.measurements, readings.faulty, 1, checkpoints=NONE)
            trained.margins(readings.measurements)
        del readings
    return {"reading": reading.megabytes, "training": training.megabytes}


def _hours_run(folder: Path) -> dict[str, float]:
    import ibis

    from pm_ml.forecast import model as forecast_model
    from pm_ml.forecast.features import forecast_features, hourly
    from pm_ml.forecast.scaling import Scaling
    from pm_ml.forecast.train import Hours

    forecast_model.EPOCHS = 1
    connection = ibis.duckdb.connect()
    with _Peak() as reading:
        features = forecast_features(hourly(data.air_quality_readings(connection, folder).readings))
        hours = Hours(connection.to_pyarrow(features).to_pandas())
    with _Peak() as training:
        inputs = Scaling(hours.features)(hours.features)
        targets = (hours.target - hours.value).astype(np.float32)
        kept = slice(0, len(inputs) // 7)
        forecast_model.train(inputs, targets, inputs[kept], targets[kept], 1)
    return {"reading and features": reading.megabytes, "training": training.megabytes}


_RUNS: dict[str, Callable[[Path], dict[str, float]]] = {
    "faults": _faults,
    "faults on disk": lambda folder: _faults(folder, 0),
    "hours": _hours_run,
}

if __name__ == "__main__":
    main()
