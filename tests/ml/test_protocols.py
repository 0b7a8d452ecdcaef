"""The protocols' rules: what is trained on is known, no machine is in two parts, the figures have the stated shape.

Not proved here: the figures on the real series, which take minutes; `pm evaluate --data FILE` shows them.
"""

import json
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pm_cli.commands import models as cli_models
from pm_cli.main import app
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS
from pm_edge.devices.simulator import air_quality
from pm_edge.devices.simulator.machines import READINGS_BEFORE_FAILURE
from pm_ml.data import DataRefused, read_air_quality
from pm_ml.faults import protocol as fault_protocol
from pm_ml.faults.protocol import PARTS, Fault, LabelledReadings, early_warning, split
from pm_ml.forecast import library as forecast_library
from pm_ml.forecast import protocol as forecast_protocol
from pm_ml.forecast import recurrent as forecast_recurrent
from pm_ml.forecast import trees as forecast_trees


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 320 simulated days, two rows of which are of no use."""
    simulated = air_quality.simulate(3)
    frame = pd.DataFrame({name: simulated[name][: 24 * 320] for name in AIR_QUALITY_MEASUREMENTS})
    frame.insert(0, "date", pd.date_range("2010-01-02", periods=len(frame), freq="h").strftime("%Y-%m-%d %H:%M:%S"))
    frame = frame.astype(str)
    frame.loc[7, "press"] = "9999"
    frame.loc[9, "dew"] = "cold"
    file = tmp_path_factory.mktemp("data") / "station.csv"
    frame.to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def readings(year: Path) -> pd.DataFrame:
    return read_air_quality(year).good


@pytest.mark.parametrize("horizon", [1, 12])
def test_a_forecast_judged_is_made_when_the_part_before_is_known(readings: pd.DataFrame, horizon: int) -> None:
    data = forecast_protocol.series(ibis.memtable(readings), ibis.duckdb.connect(), horizon)
    training, validation, test = (data.rows(part) for part in ("training", "validation", "test"))
    assert data.due[training].max() <= data.issued[validation].min()
    assert data.due[validation].max() <= data.issued[test].min()
    at = dict(zip(data.issued.tolist(), data.value.tolist(), strict=True))
    row = validation.start + 100
    assert data.target[row] == at[data.issued[row] + horizon]
    assert data.seasonal[row] == at[data.issued[row] + horizon - 24]


def test_monthly_training_never_sees_an_outcome_before_its_hour(
    readings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = forecast_protocol.series(ibis.memtable(readings), ibis.duckdb.connect(), 12)
    monkeypatch.setattr(forecast_trees, "MOST_ROUNDS", 5)
    monkeypatch.setattr(forecast_recurrent, "forecast", lambda hours, *_: np.zeros(len(hours), dtype=np.float32))
    monkeypatch.setattr(forecast_protocol, "HALF_LIFE_HOURS", 24)
    seen, weights = [], []
    again = forecast_trees.Trees.again

    def noted(trees, features, change, weight=None):
        if weight is not None:
            weights.append(weight)
        return again(trees, features, change, weight)

    monkeypatch.setattr(forecast_trees.Trees, "again", noted)

    class Nets:
        def answers(self, inputs):
            return np.ones((len(inputs), 2), dtype=np.float32)

        def train_on(self, inputs, targets):
            seen.append(len(inputs))

    monkeypatch.setattr(forecast_protocol, "train", lambda *_: Nets())
    given = forecast_protocol.answers(data, 1, lambda *_: None, lambda: None)
    months = forecast_protocol._months(data)
    assert len(seen) >= 5
    for count, rows in zip(seen, months[-len(seen) :], strict=True):
        assert data.due[count - 1] <= data.issued[rows.start] < data.due[count]
    for count, weight in zip(np.repeat(seen, 2), weights, strict=True):
        assert len(weight) == count
        assert weight.mean() == pytest.approx(1)
        assert weight[-1] == pytest.approx(2 * weight[-25])  # of 24 hours before, all of which are there
    part = data.rows("training")
    for name in forecast_protocol.BLENDS:
        assert np.array_equal(given.fixed[name][part], given.retrained[name][part])
    assert not np.array_equal(given.fixed["trees"], given.retrained["trees"])
    assert set(given.seconds) == set(forecast_protocol.BLENDS)


def test_too_short_a_series_is_refused(readings: pd.DataFrame) -> None:
    with pytest.raises(DataRefused, match=r"station has \d+ hours of .*; at least 1440 are needed"):
        forecast_protocol.series(ibis.memtable(readings[:2000]), ibis.duckdb.connect(), 1)


def test_two_stations_are_refused(readings: pd.DataFrame) -> None:
    both = pd.concat([readings, readings.assign(device="other")])
    with pytest.raises(DataRefused, match="one station"):
        forecast_protocol.series(ibis.memtable(both), ibis.duckdb.connect(), 1)


def fleet(machines: int = 40, each: int = 60, seed: int = 0) -> LabelledReadings:
    random = np.random.default_rng(seed)
    faulty = random.random(machines * each) < 0.1
    measurements = random.lognormal(size=(machines * each, 170)).astype(np.float32)
    measurements[:, 3] *= np.where(faulty, 200, 1)
    measurements[random.random(measurements.shape) < 0.05] = np.nan
    return LabelledReadings(
        measurements, faulty, np.repeat([f"m{n}" for n in range(machines)], each), np.tile(np.arange(each), machines)
    )


def test_no_machine_is_in_two_parts() -> None:
    some = fleet()
    parts = split(some, 1)
    assert np.array_equal(np.sum(list(parts.values()), axis=0), np.ones(len(some.faulty)))
    names = [set(some.machine[rows]) for rows in parts.values()]
    assert sum(map(len, names)) == 40
    assert not np.array_equal(split(some, 2)["test"], parts["test"])


def test_too_few_faults_are_refused() -> None:
    with pytest.raises(DataRefused, match="at least 5 faulty"):
        split(fleet(machines=5, each=6), 1)


def test_fault_decisions_are_judged_on_the_test_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    short = tuple(each._replace(rounds=20) for each in fault_protocol.CANDIDATES)
    monkeypatch.setattr(fault_protocol, "CANDIDATES", short)
    some = fleet()
    done = []
    judged = fault_protocol.judge(some, 1, [Fault("m0", 10, 30)], 4, lambda: done.append(1))
    figures = judged.figures
    test = split(some, 1)["test"]
    assert len(done) == len(short) + 1
    assert figures["rows"] == test.sum()
    assert figures["never_alarm_cost"] == 500 * some.faulty[test].sum()
    assert figures["cost"] == 10 * figures["false_alarms"] + 500 * figures["missed"]
    assert figures["cost"] < min(figures["never_alarm_cost"], figures["always_alarm_cost"])
    assert figures["brier"] < figures["brier_of_the_share"]
    assert figures["cost_ratio_interval"][0] <= figures["cost_ratio"] <= figures["cost_ratio_interval"][1]
    assert set(figures["parts"]) == set(PARTS)
    assert judged.evidence.importance[0][0] == "ad_000"  # the fourth measurement, the one that shows faults


def test_early_warning_counts_from_the_first_flag_after_the_onset() -> None:
    number = np.arange(50)
    called = np.isin(number, [5, 25, 28, 45])
    faults = [Fault("a", 20, 30), Fault("a", 31, 40), Fault("elsewhere", 0, 9)]
    found = early_warning(np.full(50, "a"), number, called, faults, 4)
    assert found == {
        "faults": 2,
        "flagged_share": 0.5,
        "median_readings_before_failure": 2.5,
        "share_flagged_in_time": 0.5,
        "stated_readings_before_failure": 4,
    }


def test_every_simulated_fault_can_be_known_as_early_as_stated() -> None:
    readings, faults = cli_models.simulated_machines(3)
    assert len(faults) > 5
    for fault in faults:
        of = (readings.machine == fault.machine) & (readings.number >= fault.onset) & (readings.number < fault.failure)
        assert readings.faulty[of].sum() >= READINGS_BEFORE_FAILURE


def test_pm_evaluate_writes_figures_report_and_refused_rows(
    year: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tuple(each._replace(rounds=10) for each in fault_protocol.CANDIDATES)
    monkeypatch.setattr(fault_protocol, "CANDIDATES", short)
    monkeypatch.setattr(forecast_trees, "MOST_ROUNDS", 30)
    monkeypatch.setattr("pm_ml.forecast.model.EPOCHS", 2)
    monkeypatch.setattr(forecast_recurrent, "EPOCHS", 1)
    monkeypatch.setattr(forecast_library, "FITTED_HOURS", 500)
    monkeypatch.setattr(forecast_library, "MOST_LAGS", 1)
    monkeypatch.setattr(cli_models, "simulated_machines", lambda: (fleet(), [Fault("m1", 3, 9)]))
    models, report = tmp_path / "models.json", tmp_path / "report.html"
    done = CliRunner().invoke(
        app, ["evaluate", "--data", str(year), "--json", str(models), "--report", str(report), "--horizon", "1"]
    )
    assert done.exit_code == 0, done.output
    figures = json.loads(models.read_text())
    entries = figures["forecast"]["h1"]
    assert set(entries) == {"validation", "test", "validation_retrained", "test_retrained"}
    for entry in entries.values():
        assert {"rmse", "rmse_skill", "mae_skill", "rmse_skill_interval", "without_zeros"} <= set(entry)
        assert set(entry["references"]) == {"persistence", "seasonal_naive", "climatology"}
    choice = figures["choice"]["h1"]
    for part in ("validation", "test", "seconds"):
        assert set(choice[part]) == set(forecast_protocol.BLENDS) > {forecast_recurrent.NAME}
    assert {"validation", "test"} < set(figures["library"]["h1"]["ARIMA"])
    assert 0.8 < figures["intervals"]["coverage"] < 1
    assert 0 < figures["intervals"]["worst_month"] <= figures["intervals"]["coverage"]
    assert {"cost", "original_cost", "early_warning"} <= set(figures["fault"])
    refused = pd.read_csv(tmp_path / "refused_rows.csv")
    assert list(refused["line"]) == [9, 11]
    assert "outside 800 to 1100" in refused["reason"][0]
    assert "'cold' is no number" in refused["reason"][1]
    assert "Model card" in report.read_text()


def test_pm_evaluate_says_what_is_wrong_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_models, "simulated_machines", lambda: (fleet(), []))
    file = tmp_path / "odd.csv"
    file.write_text("date,pollution\n2010-01-02 00:00:00,1\n")
    done = CliRunner().invoke(app, ["evaluate", "--data", str(file), "--json", str(tmp_path / "m.json")])
    assert done.exit_code == 2
    assert f"{file}: missing column 'dew'" in " ".join(done.output.split())
    assert not (tmp_path / "m.json").exists()
