"""The simulators have the statistics they claim, are the same for the same seed, and the CSV reader loses nothing good.

Does not prove that the simulated physics is any real plant's; only that it is as hard to forecast as the real series.
"""

import datetime as dt
import math
from pathlib import Path

import numpy as np
import pytest

from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_contracts.messages import Reading, decode, encode
from pm_edge.devices.simulator import air_quality, machines, sources

HEADER = "date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow,rain"
ROW = "2010-01-02 {hour:02d}:00:00,129.0,-16,-4.0,1020.0,2,1.79,0,0"
STATION = {"air-1": "air_quality"}


def autocorrelation(values: np.ndarray, lag: int) -> float:
    known = np.where(values > 0, values, np.nan)
    pair = np.isfinite(known[lag:]) & np.isfinite(known[:-lag])
    return float(np.corrcoef(known[lag:][pair], known[:-lag][pair])[0, 1])


@pytest.mark.parametrize("seed", [0, 1])
def test_simulated_pollution_is_as_hard_to_forecast_as_the_real_series(seed):
    pollution = air_quality.simulate(seed)["pollution"]
    # The real series (UCI, Beijing PM2.5): mean 94.0, 4.7 % zeros, autocorrelation .965/.746/.398, persistence 27.6.
    assert 80 < pollution.mean() < 108
    assert 0.02 < (pollution == 0).mean() < 0.07
    assert autocorrelation(pollution, 1) == pytest.approx(0.965, abs=0.015)
    assert autocorrelation(pollution, 6) == pytest.approx(0.746, abs=0.04)
    assert autocorrelation(pollution, 24) == pytest.approx(0.398, abs=0.08)
    assert math.sqrt(np.mean(np.diff(pollution) ** 2)) == pytest.approx(27.6, abs=2.5)


def test_machines_have_the_real_sets_shares_and_their_faults_develop():
    fleet = [machines.simulate(f"machine-{i:02d}", 1825, seed=0) for i in range(1, 11)]
    assert np.concatenate([m.faulty for m in fleet]).mean() == pytest.approx(0.017, abs=0.005)
    assert np.mean([np.isnan(m.measurements).mean() for m in fleet]) == pytest.approx(0.2, abs=0.05)
    faults = [fault for machine in fleet for fault in machine.faults]
    assert len(faults) > 20
    for fault in faults:
        assert fault.onset_day < fault.first_faulty_day < fault.failure_day
    assert all(m.measurements.shape == (1825, len(MACHINE_MEASUREMENTS)) for m in fleet)


def test_the_same_seed_gives_the_same_readings_and_another_gives_others():
    def first(seed: int) -> list[bytes]:
        end = sources.START + dt.timedelta(days=2)
        return [encode(r) for r in sources.readings("lindau", {**STATION, "m-1": "machine"}, end=end, seed=seed)]

    assert first(0) == first(0) != first(1)


def test_readings_come_in_the_order_of_time_within_the_span_and_of_the_contract():
    start, end = sources.START + dt.timedelta(days=10), sources.START + dt.timedelta(days=12)
    devices = {**STATION, "m-1": "machine", "m-2": "machine"}
    found = list(sources.readings("lindau", devices, start=start, end=end, verdicts=True))
    assert [r.event_time for r in found] == sorted(r.event_time for r in found)
    assert {r.event_time for r in found if r.device == "air-1"} == {start + dt.timedelta(hours=h) for h in range(48)}
    assert len(found) == 48 + 4
    assert all(decode(encode(r), Reading) == r for r in found)
    assert all(r.faulty is not None for r in found if r.device != "air-1")
    later = next(sources.readings("lindau", STATION, start=start, end=end))
    assert later.sequence == 240  # counted from the start of the series, so that history and live never share one


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER.replace(",temp", ""), "missing column 'temp'"),
        (HEADER + ",colour", "unknown column 'colour'"),
        (HEADER + ",rain", "repeated column 'rain'"),
        ("", "missing column 'date'"),
    ],
)
def test_a_csv_with_other_columns_is_refused_as_a_whole(tmp_path, header, said):
    path = write(tmp_path / "series.csv", header, ROW.format(hour=0))
    with pytest.raises(sources.SourceError, match=said) as refused:
        list(sources.readings("lindau", STATION, data=path))
    assert str(path) in str(refused.value)
    assert HEADER in str(refused.value)


def test_a_bad_row_is_handed_over_with_its_reason_and_the_good_ones_go_on(tmp_path):
    bad = {
        3: ROW.format(hour=1).replace("129.0", "much"),
        4: ROW.format(hour=2).replace("2010-01-02", "soon"),
        5: ROW.format(hour=3).replace("1020.0", "9"),
        6: ROW.format(hour=4) + ",1",
        7: "2010-01-02 05:00:00,1",
    }
    path = write(tmp_path / "series.csv", HEADER, ROW.format(hour=0), *bad.values(), ROW.format(hour=6))
    refused: list[tuple[int, str, str]] = []
    found = list(sources.readings("lindau", STATION, data=path, on_refused=lambda *r: refused.append(r)))
    assert [r.sequence for r in found if r.measurements.dew is not None] == [0, 6]
    reasons = {line: reason for line, _, reason in refused}
    assert "pollution: 'much' is no number" in reasons[3]
    assert "date: 'soon 02:00:00'" in reasons[4]
    assert "press" in reasons[5]
    assert "more than the 9 columns" in reasons[6]
    assert "fewer than the 9 columns" in reasons[7]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(sources.SourceError, match=r"absent\.csv: cannot be read"):
        list(sources.readings("lindau", STATION, data=tmp_path / "absent.csv"))


def test_one_csv_cannot_serve_two_stations(tmp_path):
    path = write(tmp_path / "series.csv", HEADER)
    with pytest.raises(sources.SourceError, match="exactly one station"):
        list(sources.readings("lindau", {**STATION, "air-2": "air_quality"}, data=path))
