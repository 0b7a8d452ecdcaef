"""The training scripts as SageMaker runs them: a process, a channel of Parquet, a model that a device takes and uses.

The real series, where this machine has it, shows that the forecast model has skill on a year that it was not trained
on. Not proved here: that the scripts run in AWS's own containers.
"""

import datetime as dt
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pm_contracts import csv_readings
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import AirQualityReading, MachineReading, Outcome
from pm_edge.components.fault_detector.core import FaultDetector
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.devices.simulator.sources import readings
from pm_edge.forecasting.core import Forecaster
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.models import load_model
from pm_ml import script_mode
from pm_ml.data import DataRefused
from pm_ml.forecast import train as train_forecast
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
#: Beside the checkout, or where `pm data fetch pollution` puts it.
REAL_SERIES = [ROOT.parent / "shared" / "data" / "pollution.csv", ROOT / "out" / "data" / "pollution" / "pollution.csv"]
BEGIN = dt.datetime(2010, 1, 2, tzinfo=dt.UTC)
MACHINES = {f"machine-{number:02d}": MACHINE for number in range(1, 9)}


def lake(directory: Path, some: Iterable[AirQualityReading | MachineReading]) -> Path:
    """The readings as the export leaves them: Parquet without suffix, measurements in a struct."""
    directory.mkdir(parents=True)
    rows = [msgspec.structs.asdict(each) | {"measurements": msgspec.structs.asdict(each.measurements)} for each in some]
    fields = {"message_id": pa.string(), "site": pa.string(), "device": pa.string(), "sequence": pa.int64()}
    fields |= {"event_time": pa.timestamp("ms")}
    fields["measurements"] = pa.struct([(name, pa.float64()) for name in rows[0]["measurements"]])
    if "faulty" in rows[0]:
        fields["faulty"] = pa.bool_()
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), directory / "20261121_0001")
    return directory


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def run(script: str, channel: Path, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (output / "data").mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "SM_CHANNEL_TRAINING": str(channel),
        "SM_MODEL_DIR": str(output / "model"),
        "SM_OUTPUT_DATA_DIR": str(output / "data"),
    }
    command = [sys.executable, str(ROOT / "pm_ml" / script), *arguments]
    # Away from the project's folder: the script finds its packages by itself.
    return subprocess.run(
        command, env=environment, cwd=output, capture_output=True, text=True, timeout=200, check=False
    )


def test_a_forecast_model_from_the_lake_to_the_device(tmp_path: Path) -> None:
    end = BEGIN + dt.timedelta(days=150)
    channel = lake(tmp_path / "channel", readings("lindau", {"air-1": AIR_QUALITY}, end=end))
    done = run("forecast/train.py", channel, tmp_path, "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "failure").exists()

    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())["validation"]
    assert metrics["rows"] == 60 * 24
    assert 0 < metrics["rmse"] < 1.2 * metrics["persistence_rmse"]
    assert f"validation_skill={metrics['skill']:.6g}" in done.stdout.splitlines()
    report = (tmp_path / "data" / "model_report.html").read_text()
    assert f"{metrics['rmse']:.2f}" in report

    model = load_model(tmp_path / "model", ForecastModel)
    assert isinstance(model, ForecastModel)
    assert model.manifest.trained_until == BEGIN + dt.timedelta(days=90, hours=-1)
    forecaster = Forecaster("lindau", "air-1", model)
    later = readings("lindau", {"air-1": AIR_QUALITY}, start=end, end=end + dt.timedelta(days=40))
    outcomes = [answer for each in later for answer in forecaster.observe(each) if isinstance(answer, Outcome)]
    assert {outcome.model_version for outcome in outcomes[30:]} == {model.version}
    assert np.mean([outcome.inside_interval for outcome in outcomes]) == pytest.approx(0.9, abs=0.04)


def test_a_fault_model_from_the_lake_to_the_device(tmp_path: Path) -> None:
    end = BEGIN + dt.timedelta(days=3 * 365)
    channel = lake(tmp_path / "channel", readings("lindau", MACHINES, end=end, verdicts=True))
    done = run("faults/train.py", channel, tmp_path, "--train_end", "2012-01-02")
    assert done.returncode == 0, done.stderr

    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())["validation"]
    assert metrics["rows"] == 8 * 365
    assert metrics["cost"] < 0.25 * min(metrics["never_alarm_cost"], metrics["always_alarm_cost"])

    model = load_model(tmp_path / "model", FaultModel)
    assert isinstance(model, FaultModel)
    assert model.manifest.trained_until == dt.datetime(2012, 1, 1, tzinfo=dt.UTC)
    report = (tmp_path / "data" / "model_report.html").read_text()
    assert f"{metrics['cost']:,.0f}, where never an alarm costs" in report
    assert f"<h1>Fault model {model.version}</h1>" in report
    detector = FaultDetector("lindau", model)
    later = list(readings("lindau", MACHINES, start=end, end=end + dt.timedelta(days=365), verdicts=True))
    scores = [detector.score(each) for each in later]
    caught = [score.faulty for score, each in zip(scores, later, strict=True) if score and each.faulty]
    needless = [score.faulty for score, each in zip(scores, later, strict=True) if score and not each.faulty]
    assert len(caught) > 10
    assert np.mean(caught) > 0.8
    assert np.mean(needless) < 0.1


def test_a_fault_training_killed_and_begun_again_leaves_the_same_model(tmp_path: Path) -> None:
    """Killed for real; the second run keeps its measurements on disk, which makes no difference either."""
    some = readings("lindau", MACHINES, end=BEGIN + dt.timedelta(days=2 * 365), verdicts=True)
    channel = lake(tmp_path / "channel", some)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run("faults/train.py", channel, whole)
    assert done.returncode == 0, done.stderr
    model = load_model(whole / "model", FaultModel)
    learned = (model.manifest.trained_until - BEGIN) / dt.timedelta(days=2 * 365)
    assert learned == pytest.approx(0.8, abs=0.01), "the last fifth measures it"
    (killed / "checkpoints").mkdir(parents=True)
    (killed / "data").mkdir()
    environment = {"PATH": os.environ["PATH"], "SM_MODEL_DIR": str(killed / "model")}
    command = [sys.executable, str(ROOT / "pm_ml" / "faults/train.py"), "--training", str(channel)]
    with subprocess.Popen(command, env=environment, cwd=killed, stdout=subprocess.DEVNULL) as process:
        kept = killed / "checkpoints" / "fold-1.checkpoint"
        eventually(kept.exists, "a checkpoint of the second fold", seconds=120)
        process.kill()
    assert not (killed / "model").exists()
    again = subprocess.run(
        [*command, "--rows_in_memory", "100"], env=environment, cwd=killed, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    for name in ("model.onnx", "manifest.json", "metrics.json"):
        assert sha256(whole / "model" / name) == sha256(killed / "model" / name)
    assert not list((killed / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("script", "device_type", "reason"),
    [
        ("forecast/train.py", AIR_QUALITY, "DataRefused: .* hours to train on, .*; at least 720 are needed"),
        ("faults/train.py", MACHINE, "DataRefused: .* has 0 faulty readings of 1 machines before"),
    ],
)
def test_too_little_data_makes_no_model_and_says_so(tmp_path: Path, script: str, device_type: str, reason: str) -> None:
    some = readings("lindau", {"one": device_type}, end=BEGIN + dt.timedelta(days=5), verdicts=True)
    done = run(script, lake(tmp_path / "channel", some), tmp_path)
    assert done.returncode == 1
    failure = (tmp_path / "failure").read_text()
    assert done.stderr.strip().endswith(failure)
    assert re.match(reason, failure), failure
    assert not (tmp_path / "model").exists()


def test_rows_of_a_csv_that_are_refused_are_kept_with_their_reasons(tmp_path: Path) -> None:
    hours = [f"2010-01-02 {hour:02d}:00:00,20,1,1,1000,1,2,0,0" for hour in range(24)]
    hours[5] = hours[5].replace(",1000,", ",9999,")
    (tmp_path / "station.csv").write_text("\n".join([",".join(csv_readings.COLUMNS), *hours]) + "\n")
    arguments = ["--training", str(tmp_path / "station.csv"), "--model-dir", str(tmp_path / "model")]
    with script_mode.Steps() as steps, pytest.raises(DataRefused, match="no hour with enough before it"):
        train_forecast.run(script_mode.parse(arguments, {}), steps)
    kept = (tmp_path / "model" / "refused_rows.csv").read_text().splitlines()
    assert kept[0] == "file,line,reason,row"
    assert kept[1].startswith(f"{tmp_path}/station.csv,7,")
    assert "press: '9999' is outside 800 to 1100" in kept[1]


def test_on_the_real_series_the_forecaster_beats_persistence_in_a_year_it_was_not_trained_on(tmp_path: Path) -> None:
    series = next((path for path in REAL_SERIES if path.exists()), None)
    if series is None:
        pytest.skip("no real series: `pm data fetch pollution` fetches it")
    channel = tmp_path / "channel"
    channel.mkdir()
    (channel / "pollution.csv").write_bytes(series.read_bytes())
    done = run("forecast/train.py", channel, tmp_path, "--train_end", "2012-01-02", "--validation_end", "2014-01-01")
    assert done.returncode == 0, done.stderr
    model = load_model(tmp_path / "model", ForecastModel)
    assert isinstance(model, ForecastModel)
    assert model.manifest.trained_until == dt.datetime(2012, 1, 1, 23, tzinfo=dt.UTC)

    forecaster = Forecaster("lindau", "air-1", model)
    year = readings("lindau", {"air-1": AIR_QUALITY}, data=series, start=dt.datetime(2014, 1, 1, tzinfo=dt.UTC))
    outcomes = [answer for each in year for answer in forecaster.observe(each) if isinstance(answer, Outcome)]
    assert len(outcomes) == 365 * 24 - 1
    actual, value, last = (
        np.array([getattr(outcome, name) for outcome in outcomes]) for name in ("actual", "value", "last_value")
    )
    skill = 1 - np.sqrt(np.mean((actual - value) ** 2)) / np.sqrt(np.mean((actual - last) ** 2))
    assert skill > 0.05
    assert np.mean([outcome.inside_interval for outcome in outcomes]) == pytest.approx(0.9, abs=0.01)
