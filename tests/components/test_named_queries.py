"""The named queries, run on DuckDB over rows that hold each message twice, and read by a parser of Athena's dialect.

Not proved here: that Athena itself answers the same; there is none on this machine.
"""

import datetime as dt
from typing import Any

import duckdb
import pytest
import sqlglot

from pm_components.named_queries import NAMED_QUERIES

STATEMENTS = {query.name: query.statement for query in NAMED_QUERIES}


@pytest.fixture
def lake() -> Any:
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE air_quality_reading AS
            SELECT 'r' || hour AS message_id, 'air-1' AS device, TIMESTAMP '2014-01-01' + to_hours(hour) AS event_time,
                   {'pollution': CAST(hour AS DOUBLE), 'temp': 1.5} AS measurements, 'lindau' AS site,
                   day AS ingest_day
            FROM range(48) hours(hour), (VALUES ('2014-01-05'), ('2014-01-06')) days(day);
            CREATE TABLE outcome AS
            SELECT 'o' || number AS message_id, 'air-1' AS device, TIMESTAMP '2014-01-01 07:00' AS target_time,
                   10.0 AS value, 12.0 AS last_value, 10.0 + 3 * number AS actual, number = 0 AS inside_interval,
                   'v1' AS model_version, 'lindau' AS site, day AS ingest_day
            FROM range(2) numbers(number), (VALUES ('2014-01-05'), ('2014-01-06')) days(day);
            CREATE TABLE fault_score AS
            SELECT device || number AS message_id, device, number = 0 AND device = 'machine-02' AS faulty,
                   0.25 * number AS probability, 'lindau' AS site, day AS ingest_day
            FROM range(4) numbers(number), (VALUES ('machine-01'), ('machine-02')) devices(device),
                 (VALUES ('2014-01-05'), ('2014-01-06')) days(day);
        """)
        yield connection


def _rows(lake: Any, name: str) -> list[dict[str, Any]]:
    cursor = lake.execute(STATEMENTS[name])
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("name", STATEMENTS)
def test_athenas_dialect_reads_it(name: str) -> None:
    assert sqlglot.parse_one(STATEMENTS[name], dialect="athena").find(sqlglot.exp.Select)


def test_last_day_by_device(lake: Any) -> None:
    rows = _rows(lake, "last-day-by-device")
    assert [row["pollution"] for row in rows] == [float(hour) for hour in range(24, 48)]
    assert rows[-1]["event_time"] == dt.datetime(2014, 1, 2, 23)


def test_forecast_error_by_hour(lake: Any) -> None:
    (row,) = _rows(lake, "forecast-error-by-hour")
    assert row["hour_of_day"] == 7
    assert row["forecasts"] == 2
    assert row["root_mean_square_error"] == pytest.approx((9 / 2) ** 0.5)
    assert row["persistence_root_mean_square_error"] == pytest.approx(((4 + 1) / 2) ** 0.5)
    assert float(row["share_inside_interval"]) == 0.5


def test_fault_rate_by_machine(lake: Any) -> None:
    rows = _rows(lake, "fault-rate-by-machine")
    assert [(row["device"], row["reports"], row["faults"], float(row["fault_rate"])) for row in rows] == [
        ("machine-02", 4, 1, 0.25),
        ("machine-01", 4, 0, 0.0),
    ]
    assert float(rows[0]["highest_probability"]) == 0.75


def test_late_data_counts_a_message_by_its_first_arrival(lake: Any) -> None:
    rows = _rows(lake, "late-data")
    assert [(row["days_late"], row["readings"]) for row in rows] == [(4, 24), (3, 24)]


def test_arrived_twice(lake: Any) -> None:
    rows = _rows(lake, "arrived-twice")
    assert len(rows) == 48
    assert {row["copies"] for row in rows} == {2}
