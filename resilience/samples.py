"""Good messages of each kind, of which damaged input and forged messages are made."""

import datetime as dt
import functools
from typing import Any

from pm_contracts.measurements import (
    AIR_QUALITY_MEASUREMENTS,
    MACHINE_MEASUREMENTS,
    AirQualityMeasurements,
    MachineMeasurements,
)
from pm_contracts.messages import (
    CAUSE_FAULT,
    AirQualityReading,
    Alert,
    Command,
    Contribution,
    DeadLetter,
    FaultScore,
    Forecast,
    MachineReading,
    Message,
    Outcome,
    Status,
    TrialOutcome,
)

SITE, STATION, MACHINE = "lindau", "air-1", "machine-01"
_TIME = dt.datetime(2014, 3, 1, 5, tzinfo=dt.UTC)
_LATER = _TIME + dt.timedelta(hours=1)


@functools.cache
def messages() -> tuple[Message, ...]:
    """A good message of each type."""
    measured = dict.fromkeys(AIR_QUALITY_MEASUREMENTS, 1.5) | {"press": 1000.0}
    of_machine = dict.fromkeys(MACHINE_MEASUREMENTS[:5], 3.0) | {MACHINE_MEASUREMENTS[5]: None}
    forecast: dict[str, Any] = {
        "site": SITE, "device": STATION, "issued_at": _TIME, "target_time": _LATER, "horizon_hours": 1, "value": 10.0,
        "lower": 9.0, "upper": 11.0, "interval_level": 0.9, "last_value": 9.5, "model_version": "1.140301.7",
    }  # fmt: skip
    came_true: dict[str, Any] = {"actual": 12.0, "inside_interval": False}
    return (
        AirQualityReading(
            site=SITE, device=STATION, sequence=7, event_time=_TIME, measurements=AirQualityMeasurements(**measured)
        ),
        MachineReading(
            site=SITE, device=MACHINE, sequence=7, event_time=_TIME, faulty=True,
            measurements=MachineMeasurements(**of_machine),
        ),
        Forecast(**forecast),
        Outcome(**forecast, **came_true),
        TrialOutcome(**forecast, **came_true),
        FaultScore(
            site=SITE, device=MACHINE, sequence=7, event_time=_TIME, probability=0.7, threshold=0.5, faulty=True,
            model_version="1.140301.7",
            top_contributions=[Contribution(measurement=MACHINE_MEASUREMENTS[0], log_odds_change=1.5)],
        ),
        Alert(
            site=SITE, device=MACHINE, cause=CAUSE_FAULT, severity="critical", state="active", raised_at=_TIME,
            dedupe_key=f"{CAUSE_FAULT}/{MACHINE}", text="Machine 01 at lindau is about to fail.",
        ),
        Command(site=SITE, name="replay", issued_at=_TIME, parameters={"start": "2010-01-02", "per_second": 3}),
        Status(site=SITE, component="pm.Uplink", reported_at=_TIME, state="running", counters={"refused": 1}),
        DeadLetter(
            site=SITE, component="pm.Uplink", refused_at=_TIME, topic=f"pm/{SITE}/x/reading", reason="no such device",
            payload="eA==",
        ),
    )  # fmt: skip
