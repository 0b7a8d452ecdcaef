"""The lake's account of the live year: forecasts and outcomes, faults found and missed, alerts."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from pm_contracts.messages import CAUSE_FAULT
from pm_contracts.skill import root_mean_square, skill
from pm_sandbox.operator import Operator

#: Onset, failure and subsystem of each injected fault, by machine.
InjectedFaults = dict[str, list[tuple[dt.datetime, dt.datetime, str]]]


@dataclass(frozen=True)
class Live:
    """The rows of the live span, each message once, in the order of event time."""

    outcomes: list[dict[str, Any]]
    fault_scores: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    #: Rows that the lake holds more than once, by table: redeliveries that the readers drop by `message_id`.
    redelivered: dict[str, int]


def read_live(operator: Operator, site: str) -> Live:
    """Read the live span of a site from the lake with Athena."""
    redelivered = {}

    def rows(table: str, columns: str, order: str) -> list[dict[str, Any]]:
        # The lake is fed at least once; a message is itself, however often it was delivered.
        found = operator.query(f"SELECT message_id, {columns} FROM {table} WHERE site = '{site}' ORDER BY {order}")
        once = {row["message_id"]: row for row in found}
        redelivered[table] = len(found) - len(once)
        for row in once.values():
            row[order] = _time(row[order])
        return list(once.values())

    return Live(
        outcomes=rows("outcome", "target_time, value, lower, upper, last_value, actual, model_version", "target_time"),
        fault_scores=rows("fault_score", "device, event_time, probability, threshold, faulty", "event_time"),
        alerts=rows("alert", "device, cause, severity, state, raised_at, text", "raised_at"),
        redelivered=redelivered,
    )


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def forecast_figures(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors of the forecasts and of persistence over the same hours, and how many outcomes the interval held."""
    if not outcomes:
        return {"rmse": None, "persistence_rmse": None, "skill": None, "interval_coverage": None, "outcomes": 0}
    rmse = root_mean_square(o["actual"] - o["value"] for o in outcomes)
    persistence_rmse = root_mean_square(o["actual"] - o["last_value"] for o in outcomes)
    inside = sum(o["lower"] <= o["actual"] <= o["upper"] for o in outcomes)
    versions: dict[str, int] = {}
    for outcome in outcomes:
        versions[outcome["model_version"]] = versions.get(outcome["model_version"], 0) + 1
    return {
        "rmse": round(rmse, 3),
        "persistence_rmse": round(persistence_rmse, 3),
        "skill": round(skill(rmse, persistence_rmse), 4),
        "interval_coverage": round(inside / len(outcomes), 4),
        "outcomes": len(outcomes),
        "by_model_version": versions,
    }


def fault_figures(injected: InjectedFaults, live: Live) -> dict[str, Any]:
    """The number of injected faults that were found before the part failed, and of alerts without a fault.

    A fault is detected when a reading between its onset and its failure is called faulty; an alert is false when it was
    raised for a machine in which no part was wearing.
    """
    called = [score for score in live.fault_scores if score["faulty"]]
    found = []
    for machine, faults in injected.items():
        for onset, failure, subsystem in faults:
            first = next(
                (s["event_time"] for s in called if s["device"] == machine and onset <= s["event_time"] < failure), None
            )
            days = None if first is None else (failure - first) / dt.timedelta(days=1)
            found.append({"machine": machine, "subsystem": subsystem, "days_before_failure": days})
    raised = [alert for alert in live.alerts if alert["cause"] == CAUSE_FAULT and alert["state"] == "active"]
    false_alarms = [
        alert
        for alert in raised
        if not any(onset <= alert["raised_at"] <= failure for onset, failure, _ in injected.get(alert["device"], []))
    ]
    warned = sorted(f["days_before_failure"] for f in found if f["days_before_failure"] is not None)
    return {
        "injected": len(found),
        "detected": len(warned),
        "false_alarms": len(false_alarms),
        "alerts": len(raised),
        "scored": len(live.fault_scores),
        "median_days_before_failure": warned[len(warned) // 2] if warned else None,
    }
