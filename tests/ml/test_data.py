"""Reading training data: what the lake exports, CSV files, and what is neither."""

import datetime as dt
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pm_contracts.csv_readings import COLUMNS
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, MACHINE_MEASUREMENTS
from pm_ml.data import DataRefused, air_quality_readings, machine_readings
from pm_ml.forecast.features import hourly

NOON = dt.datetime(2012, 5, 1, 12)


def reading(device: str, sequence: int, names: tuple[str, ...], **other: Any) -> dict[str, Any]:
    return {
        "site": "lindau",
        "device": device,
        "sequence": sequence,
        "event_time": NOON + dt.timedelta(hours=sequence),
        "measurements": dict.fromkeys(names, float(sequence)) | {names[1]: None},
    } | other


def export(directory: Path, rows: list[dict[str, Any]]) -> Path:
    """Two files without suffix, as Athena's UNLOAD writes them."""
    directory.mkdir(parents=True, exist_ok=True)
    fields = {"site": pa.string(), "device": pa.string(), "sequence": pa.int64(), "event_time": pa.timestamp("us")}
    fields["measurements"] = pa.struct([(name, pa.float64()) for name in rows[0]["measurements"]])
    if "faulty" in rows[0]:
        fields["faulty"] = pa.bool_()
    table = pa.Table.from_pylist(rows, pa.schema(fields))
    pq.write_table(table.slice(0, 1), directory / "20261121_120000_00000_abcde_1")
    pq.write_table(table.slice(1), directory / "20261121_120000_00000_abcde_2")
    return directory


def air_quality(directory: Path) -> Any:
    connection = ibis.duckdb.connect()
    return connection.to_pyarrow(
        hourly(air_quality_readings(connection, directory).readings).order_by("device", "hour")
    )


def test_air_quality_of_the_lake(tmp_path: Path) -> None:
    rows = [reading("air-1", sequence, AIR_QUALITY_MEASUREMENTS) for sequence in (2, 0, 2)]
    rows.append(reading("air-1", 0, AIR_QUALITY_MEASUREMENTS, site="bregenz"))
    found = air_quality(export(tmp_path / "data", rows)).to_pydict()
    assert found["device"] == ["bregenz/air-1", "lindau/air-1", "lindau/air-1", "lindau/air-1"]
    assert found["was_read"] == [True, True, False, True]
    assert found["pollution"] == [0.0, 0.0, None, 2.0]
    assert found["dew"] == [None] * 4


def test_air_quality_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "station.csv").write_text(
        ",".join(COLUMNS) + "\n2010-01-02 00:00:00,129.0,-16,-4.0,1020.0,2,1.79,0,0\n2010-01-02 01:00:00,,,,,,,,\n"
    )
    found = air_quality(tmp_path).to_pydict()
    assert found["hour"] == [350_664, 350_665]
    assert found["pollution"] == [129.0, None]


def test_a_row_of_a_csv_that_is_out_of_range_or_undated_is_refused_alone(tmp_path: Path) -> None:
    good = "2010-01-02 {:02d}:00:00,129.0,-16,-4.0,{},2,1.79,0,0"
    rows = [good.format(0, 1020), good.format(1, 9999), good.format(2, 1020).replace("2010-01", "2010-13")]
    (tmp_path / "station.csv").write_text("\n".join([",".join(COLUMNS), *rows, good.format(3, 1020)]) + "\n")
    found = air_quality_readings(ibis.duckdb.connect(), tmp_path)
    assert found.readings.count().to_pyarrow().as_py() == 2
    assert found.refused["file"].tolist() == [str(tmp_path / "station.csv")] * 2
    assert found.refused["line"].tolist() == [3, 4]
    assert "press: '9999' is outside 800 to 1100" in found.refused["reason"][0]
    assert "date: '2010-13-02 02:00:00' is no time: month must be" in found.refused["reason"][1]


def csv(content: str) -> dict[str, str]:
    return {"station.csv": content}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no file"),
        ({".hidden": "x"}, "has no file"),
        (csv("date,pollution\n"), "missing column 'dew', .*'rain'; the columns must be"),
        (csv(",".join((*COLUMNS, "moon")) + "\n"), "csv: unknown column 'moon'"),
        (csv(",".join(COLUMNS) + "\n2010-01-02,wet,1,1,1,1,1,1,1\n"), "station.csv has no good row; .*'wet' is no"),
        (csv(""), "station.csv: missing column 'date'"),
        ({"part-0": "PAR?"}, "part-0 is no whole Parquet file"),
        ({"part-0": "PAR1 and then no more PAR1"}, "part-0 is no whole Parquet file"),
    ],
)
def test_what_is_no_data_is_refused_by_name(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(DataRefused, match=message):
        air_quality(tmp_path)


def test_a_missing_measurement_is_named(tmp_path: Path) -> None:
    rows = [reading("air-1", sequence, AIR_QUALITY_MEASUREMENTS[:-1]) for sequence in range(2)]
    with pytest.raises(DataRefused, match=r"measurements \['rain'\] are missing"):
        air_quality(export(tmp_path / "data", rows))


def test_machines_of_the_lake(tmp_path: Path) -> None:
    rows = [
        reading("machine-02", 1, MACHINE_MEASUREMENTS, faulty=True),
        reading("machine-01", 1, MACHINE_MEASUREMENTS, faulty=False),
        reading("machine-01", 1, MACHINE_MEASUREMENTS, faulty=False),
        reading("machine-01", 0, MACHINE_MEASUREMENTS, faulty=False),
        reading("machine-01", 2, MACHINE_MEASUREMENTS, faulty=None),
    ]
    found = machine_readings(ibis.duckdb.connect(), export(tmp_path / "data", rows))
    assert found.machine.tolist() == ["lindau/machine-01", "lindau/machine-01", "lindau/machine-02"]
    assert found.faulty.tolist() == [False, False, True]
    assert found.measurements.dtype == np.float32
    np.testing.assert_array_equal(found.measurements[:, :2], [[0, np.nan], [1, np.nan], [1, np.nan]])
    assert found.event_time[0] == np.datetime64(NOON)


def test_machines_without_verdicts_are_refused(tmp_path: Path) -> None:
    rows = [reading("machine-01", sequence, MACHINE_MEASUREMENTS) for sequence in range(2)]
    with pytest.raises(DataRefused, match="column 'faulty' is missing"):
        machine_readings(ibis.duckdb.connect(), export(tmp_path / "data", rows))
