"""Queries that come with the lake, for whoever opens the Athena console first.

Each counts a message once however often it arrived, and each is of the SQL that Trino (Athena) and DuckDB share.
"""

from typing import NamedTuple

from pm_contracts.messages import AirQualityReading, FaultScore, Outcome


class NamedQuery(NamedTuple):
    """A query with the name and the description that the console shows."""

    name: str
    description: str
    statement: str


def _once(table: str) -> str:
    """The rows of `table`, each message once: the copy that came first."""
    return f"""WITH numbered AS (
  SELECT *, row_number() OVER (PARTITION BY message_id ORDER BY ingest_day) AS copy_number FROM {table}
), messages AS (
  SELECT * FROM numbered WHERE copy_number = 1
)"""


NAMED_QUERIES: tuple[NamedQuery, ...] = (
    NamedQuery(
        "last-day-by-device",
        "Air quality: the latest 24 hours that each device measured",
        f"""{_once(AirQualityReading.kind)}, dated AS (
  SELECT *, max(event_time) OVER (PARTITION BY site, device) AS latest FROM messages
)
SELECT site, device, event_time, measurements.pollution AS pollution, measurements.temp AS temperature
FROM dated
WHERE event_time > latest - INTERVAL '1' DAY
ORDER BY site, device, event_time""",
    ),
    NamedQuery(
        "forecast-error-by-hour",
        "Forecasts: error by hour of the day, beside that of persistence, and how often the interval held",
        f"""{_once(Outcome.kind)}
SELECT site, device, model_version, hour(target_time) AS hour_of_day, count(*) AS forecasts,
  sqrt(avg((value - actual) * (value - actual))) AS root_mean_square_error,
  sqrt(avg((last_value - actual) * (last_value - actual))) AS persistence_root_mean_square_error,
  avg(CASE WHEN inside_interval THEN 1.0 ELSE 0.0 END) AS share_inside_interval
FROM messages
GROUP BY site, device, model_version, hour(target_time)
ORDER BY site, device, model_version, hour_of_day""",
    ),
    NamedQuery(
        "fault-rate-by-machine",
        "Machines: share of reports that the fault model called faulty, the worst first",
        f"""{_once(FaultScore.kind)}
SELECT site, device, count(*) AS reports, sum(CASE WHEN faulty THEN 1 ELSE 0 END) AS faults,
  avg(CASE WHEN faulty THEN 1.0 ELSE 0.0 END) AS fault_rate, max(probability) AS highest_probability
FROM messages
GROUP BY site, device
ORDER BY fault_rate DESC, site, device""",
    ),
    NamedQuery(
        "late-data",
        "Air quality: how many days after the measurement the readings arrived, by site",
        f"""{_once(AirQualityReading.kind)}
SELECT site, device, date_diff('day', CAST(event_time AS DATE), CAST(ingest_day AS DATE)) AS days_late,
  count(*) AS readings
FROM messages
GROUP BY site, device, date_diff('day', CAST(event_time AS DATE), CAST(ingest_day AS DATE))
ORDER BY days_late DESC, site, device""",
    ),
    NamedQuery(
        "arrived-twice",
        "Air quality: messages that the lake holds more than once; deliveries are at least once, so there may be some",
        f"""SELECT site, device, message_id, count(*) AS copies
FROM {AirQualityReading.kind}
GROUP BY site, device, message_id
HAVING count(*) > 1
ORDER BY copies DESC, site, device, message_id""",
    ),
)
