"""Queries that come with the lake, for whoever opens the Athena console first.

Each counts a message once however often it arrived, reads a bounded number of days of arrival (what is older is
another statement's business), and is of the SQL that Trino (Athena) and DuckDB share.
"""

from typing import NamedTuple

from pm_contracts.messages import AirQualityReading, Alert, FaultScore, MachineReading, Outcome
from pm_contracts.skill import root_mean_square_sql


class NamedQuery(NamedTuple):
    """A query with the name and the description that the console shows."""

    name: str
    description: str
    statement: str


def _since(days: int) -> str:
    """The condition on the partition key that bounds what a query reads, and so what it costs."""
    return f"ingest_day >= CAST(CAST(current_date - INTERVAL '{days}' DAY AS DATE) AS VARCHAR)"


def _once(table: str, days: int) -> str:
    """The rows of `table` that arrived within `days`, each message once: the copy that came first."""
    return f"""WITH numbered AS (
  SELECT *, row_number() OVER (PARTITION BY message_id ORDER BY ingest_day) AS copy_number
  FROM {table} WHERE {_since(days)}
), messages AS (
  SELECT * FROM numbered WHERE copy_number = 1
)"""


def _both_readings(days: int) -> str:
    """The columns that both tables of readings have, of those that arrived within `days`."""
    columns = "site, device, message_id, event_time, ingest_day"
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {reading.kind} WHERE {_since(days)}" for reading in (AirQualityReading, MachineReading)
    )


NAMED_QUERIES: tuple[NamedQuery, ...] = (
    NamedQuery(
        "last-day-by-device",
        "Air quality: the latest 24 hours that each device measured, of what arrived in the last week",
        f"""{_once(AirQualityReading.kind, 7)}, dated AS (
  SELECT *, max(event_time) OVER (PARTITION BY site, device) AS latest FROM messages
)
SELECT site, device, event_time, measurements.pollution AS pollution, measurements.temp AS temperature
FROM dated
WHERE event_time > latest - INTERVAL '1' DAY
ORDER BY site, device, event_time""",
    ),
    NamedQuery(
        "silent-devices",
        "All devices heard of in the last 90 days: latest measurement and latest arrival, the longest silent first",
        f"""SELECT site, device, max(event_time) AS latest_event, max(ingest_day) AS latest_arrival
FROM ({_both_readings(90)}) AS readings
GROUP BY site, device
ORDER BY latest_arrival, latest_event, site, device""",
    ),
    NamedQuery(
        "forecast-error-by-hour",
        "Forecasts of the last 30 days: error by hour of the day, beside that of persistence, and how often the "
        "interval held",
        f"""{_once(Outcome.kind, 30)}
SELECT site, device, model_version, hour(target_time) AS hour_of_day, count(*) AS forecasts,
  {root_mean_square_sql("value - actual")} AS root_mean_square_error,
  {root_mean_square_sql("last_value - actual")} AS persistence_root_mean_square_error,
  avg(CASE WHEN inside_interval THEN 1.0 ELSE 0.0 END) AS share_inside_interval
FROM messages
GROUP BY site, device, model_version, hour(target_time)
ORDER BY site, device, model_version, hour_of_day""",
    ),
    NamedQuery(
        "fault-rate-by-machine",
        "Machines in the last 30 days: share of reports that the fault model called faulty, the worst first",
        f"""{_once(FaultScore.kind, 30)}
SELECT site, device, count(*) AS reports, sum(CASE WHEN faulty THEN 1 ELSE 0 END) AS faults,
  avg(CASE WHEN faulty THEN 1.0 ELSE 0.0 END) AS fault_rate, max(probability) AS highest_probability
FROM messages
GROUP BY site, device
ORDER BY fault_rate DESC, site, device""",
    ),
    NamedQuery(
        "open-alerts",
        "Alerts whose latest message of the last 30 days says active, the oldest first",
        f"""{_once(Alert.kind, 30)}, latest AS (
  SELECT *, row_number() OVER (PARTITION BY site, dedupe_key ORDER BY raised_at DESC, state DESC) AS age FROM messages
)
SELECT site, device, cause, severity, raised_at, text
FROM latest
WHERE age = 1 AND state = 'active'
ORDER BY raised_at, site, device""",
    ),
    NamedQuery(
        "late-data",
        "Readings that arrived in the last 30 days: how many days after the measurement, by device",
        f"""WITH arrivals AS (
  SELECT site, device, message_id, min(CAST(event_time AS DATE)) AS event_day, min(CAST(ingest_day AS DATE)) AS arrival
  FROM ({_both_readings(30)}) AS readings
  GROUP BY site, device, message_id
)
SELECT site, device, date_diff('day', event_day, arrival) AS days_late, count(*) AS readings
FROM arrivals
GROUP BY site, device, date_diff('day', event_day, arrival)
ORDER BY days_late DESC, site, device""",
    ),
    NamedQuery(
        "arrived-twice",
        "Readings of the last week that the lake holds more than once; deliveries are at least once, so there may be "
        "some",
        f"""SELECT site, device, message_id, count(*) AS copies
FROM ({_both_readings(7)}) AS readings
GROUP BY site, device, message_id
HAVING count(*) > 1
ORDER BY copies DESC, site, device, message_id""",
    ),
)
