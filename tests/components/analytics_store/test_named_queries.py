"""The named queries, run on DuckDB over rows that hold each message twice, and read by a parser of Athena's dialect.

Not proved here: that Athena itself answers the same; there is none on this machine.
"""

import datetime as dt
from typing import Any

import duckdb
import pytest
import sqlglot

from pm_components.analytics_store.named_queries import NAMED_QUERIES
from pm_contracts import tables

TABLES = {table.name for table in tables.TABLES}
STATEMENTS = {query.name: query.statement for query in NAMED_QUERIES}


TODAY = dt.datetime.now(dt.UTC).date()
#: Each message has arrived yesterday and again today.
DAYS = f"(VALUES ('{TODAY - dt.timedelta(days=1)}'), ('{TODAY}')) days(day)"
#: Time of the first measurement; the readings go on for two days.
START = dt.datetime.combine(TODAY - dt.timedelta(days=5), dt.time())


@pytest.fixture
def lake() -> Any:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")  # as Athena's
        connection.execute(f"""
            CREATE TABLE air_quality_reading AS
            SELECT 'r' || hour AS message_id, 'air-1' AS device, TIMESTAMP '{START}' + to_hours(hour) AS event_time,
                   {{'pollution': CAST(hour AS DOUBLE), 'temp': 1.5}} AS measurements, 'lindau' AS site,
                   day AS ingest_day
            FROM range(48) hours(hour), {DAYS};
            INSERT INTO air_quality_reading
            SELECT 'old', 'air-0', TIMESTAMP '2014-01-01', {{'pollution': 1.0, 'temp': 1.5}}, 'lindau', '2014-01-01';
            CREATE TABLE machine_reading AS
            SELECT 'm' || number AS message_id, 'machine-0' || number AS device,
                   TIMESTAMP '{START}' - to_days(CAST(number AS INTEGER)) AS event_time, 'lindau' AS site,
                   '{TODAY}' AS ingest_day
            FROM range(1, 3) numbers(number);
            CREATE TABLE outcome AS
            SELECT 'o' || number AS message_id, 'air-1' AS device, TIMESTAMP '2014-01-01 07:00' AS target_time,
                   10.0 AS value, 12.0 AS last_value, 10.0 + 3 * number AS actual, number = 0 AS inside_interval,
                   'v1' AS model_version, 'lindau' AS site, day AS ingest_day
            FROM range(2) numbers(number), {DAYS};
            CREATE TABLE fault_score AS
            SELECT device || number AS message_id, device, number = 0 AND device = 'machine-02' AS faulty,
                   0.25 * number AS probability, 'lindau' AS site, day AS ingest_day
            FROM range(4) numbers(number), (VALUES ('machine-01'), ('machine-02')) devices(device), {DAYS};
            CREATE TABLE alert AS
            SELECT device || state AS message_id, device, 'fault' AS cause, 'critical' AS severity, state,
                   TIMESTAMP '{START}' + to_hours(hour) AS raised_at, 'fault/' || device AS dedupe_key, 'Look!' AS text,
                   'lindau' AS site, day AS ingest_day
            FROM (VALUES ('machine-01', 'active', 0), ('machine-01', 'cleared', 0), ('machine-02', 'active', 2),
                  ('machine-02', 'cleared', 1)) alerts(device, state, hour), {DAYS};
        """)
        yield connection


def _rows(lake: Any, name: str) -> list[dict[str, Any]]:
    cursor = lake.execute(STATEMENTS[name])
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("name", STATEMENTS)
def test_it_reads_a_bounded_number_of_days_of_every_table(name: str) -> None:
    tree = sqlglot.parse_one(STATEMENTS[name], dialect="athena")
    read = [table for table in tree.find_all(sqlglot.exp.Table) if table.name in TABLES]
    assert read
    for table in read:
        where = table.find_ancestor(sqlglot.exp.Select).args["where"]
        assert [column.name for column in where.find_all(sqlglot.exp.Column)] == ["ingest_day"]


@pytest.mark.parametrize("name", STATEMENTS)
def test_athenas_dialect_reads_it(name: str) -> None:
    assert sqlglot.parse_one(STATEMENTS[name], dialect="athena").find(sqlglot.exp.Select)


def test_last_day_by_device(lake: Any) -> None:
    rows = _rows(lake, "last-day-by-device")
    assert [row["pollution"] for row in rows] == [float(hour) for hour in range(24, 48)]
    assert rows[-1]["event_time"] == START + dt.timedelta(hours=47)


def test_silent_devices(lake: Any) -> None:
    rows = _rows(lake, "silent-devices")
    assert [(row["device"], row["latest_event"]) for row in rows] == [
        ("machine-02", START - dt.timedelta(days=2)),
        ("machine-01", START - dt.timedelta(days=1)),
        ("air-1", START + dt.timedelta(hours=47)),
    ]
    assert {row["latest_arrival"] for row in rows} == {str(TODAY)}


def test_open_alerts(lake: Any) -> None:
    rows = _rows(lake, "open-alerts")
    assert [(row["device"], row["raised_at"]) for row in rows] == [("machine-02", START + dt.timedelta(hours=2))]


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
    assert [(row["device"], row["days_late"], row["readings"]) for row in rows] == [
        ("machine-02", 7, 1),
        ("machine-01", 6, 1),
        ("air-1", 4, 24),
        ("air-1", 3, 24),
    ]


def test_arrived_twice(lake: Any) -> None:
    rows = _rows(lake, "arrived-twice")
    assert len(rows) == 48
    assert {row["copies"] for row in rows} == {2}
