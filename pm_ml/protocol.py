"""The whole protocol: forecasts at each horizon, intervals, fault decisions, as one dictionary and what plots need."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from pm_ml import export
from pm_ml.data import read_air_quality
from pm_ml.evaluate import rounded
from pm_ml.faults import protocol as fault_protocol
from pm_ml.forecast import library as forecast_library
from pm_ml.forecast import protocol as forecast_protocol
from pm_ml.forecast.protocol import Advance, Answers, Begin, Series

#: In hours; the first is what the device asks for.
HORIZONS = (1, 12)


@dataclass
class Findings:
    """The findings of the protocol."""

    figures: dict[str, Any]  #: what models.json holds
    air_quality: pd.DataFrame  #: the good rows
    refused: pd.DataFrame
    forecasts: dict[int, tuple[Series, Answers, Any]] = field(default_factory=dict)  #: by horizon; half widths last
    faults: fault_protocol.Judged | None = None


def evaluate(
    file: Path,
    fault_readings: fault_protocol.LabelledReadings,
    *,
    fault_source: str,
    faults: Sequence[fault_protocol.Fault] = (),
    readings_before_failure: int = 0,
    horizons: Sequence[int] = HORIZONS,
    seed: int = 1,
    begin: Begin,
    advance: Advance,
) -> Findings:
    """Run it.

    Args:
        file: CSV of hourly air quality of one station.
        fault_readings: of machines, with verdicts.
        fault_source: where these come from, for the report.
        faults: of a simulator.
        readings_before_failure: see `pm_ml.faults.protocol.judge`.
        horizons: hours, each 1 to 24.
        seed: of all that is random.
        begin: called as a step begins.
        advance: called as a part of it is done.

    Raises:
        DataRefused: if the data cannot be evaluated.
    """
    started = time.monotonic()
    begin("read and check the data", 0)
    checked = read_air_quality(file)
    connection = ibis.duckdb.connect()
    readings = ibis.memtable(checked.good)
    figures: dict[str, Any] = {"forecast": {}, "library": {}, "choice": {}, "intervals": {}}
    findings = Findings(figures, checked.good, checked.refused)
    for horizon in horizons:
        data = forecast_protocol.series(readings, connection, horizon)
        given = forecast_protocol.answers(data, seed, begin, advance)
        entries, choice = forecast_protocol.judge(data, given)
        figures["forecast"][f"h{horizon}"], figures["choice"][f"h{horizon}"] = entries, choice
        found, half_width = forecast_protocol.intervals(data, given, choice["chosen"])
        if horizon == horizons[0]:
            figures["intervals"] |= found
        else:
            figures["intervals"][f"h{horizon}"] = found
        findings.forecasts[horizon] = data, given, half_width
        if horizon == 1:
            begin("h1: ask a forecasting library", 2)
            figures["library"]["h1"] = forecast_library.judge(data, advance)
    begin("judge the fault decisions", len(fault_protocol.CANDIDATES) + 1)
    findings.faults = fault_protocol.judge(fault_readings, seed, faults, readings_before_failure, advance)
    figures["fault"] = findings.faults.figures | {"source": fault_source}
    findings.figures = _tidy(figures) | {
        "data": {"file": file.name, "rows": len(checked.good), "refused": len(checked.refused)}
        | {"from": f"{checked.good['event_time'].min()}", "until": f"{checked.good['event_time'].max()}"},
        "seed": seed,
        "libraries": export.versions("jax", "keras", "numpy", "statsmodels", "xgboost-cpu"),
        "seconds": round(time.monotonic() - started, 1),
    }
    return findings


def _tidy(figures: Any) -> Any:
    """Numbers to eight digits, text and whole numbers as they are."""
    match figures:
        case dict():
            return {name: _tidy(value) for name, value in figures.items()}
        case list():
            return [_tidy(value) for value in figures]
        case float():
            return rounded(figures)
        case _:
            return figures
