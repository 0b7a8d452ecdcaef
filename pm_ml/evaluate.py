"""The error and the cost of a model, beside those of the naive references."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pm_contracts.skill import skill

_Array = NDArray[np.float64]

#: Cost of a needless visit of the workshop and of a fault that nobody saw: "APS Failure at Scania Trucks", UCI, the
#: challenge's cost metric (Cost_1 = 10, Cost_2 = 500).
FALSE_ALARM_COST = 10
MISSED_FAULT_COST = 500


def forecast_figures(
    actual: _Array, forecast: _Array, last_value: _Array, half_width: _Array | None = None
) -> dict[str, float]:
    """Figures of forecasts, all arrays of one length, ug/m3.

    Args:
        actual: what came true.
        forecast: what was forecast.
        last_value: the value at issue, which is what persistence forecasts.
        half_width: half the width of the interval around the forecast.

    Returns:
        `skill` is 1 - rmse / persistence_rmse. `skill_without_zeros` leaves out the hours where the actual or the last
        value is 0, which marks a gap. `coverage` is the share of actuals inside the interval.
    """
    inside = np.abs(actual - forecast) <= half_width if half_width is not None else None
    measured = (actual > 0) & (last_value > 0)
    figures = {
        "rows": float(len(actual)),
        "rmse": root_mean_square(actual - forecast),
        "persistence_rmse": root_mean_square(actual - last_value),
        "skill": rmse_skill(actual, forecast, last_value),
        "skill_without_zeros": rmse_skill(actual[measured], forecast[measured], last_value[measured]),
        "mae": mean_absolute(actual - forecast),
        "persistence_mae": mean_absolute(actual - last_value),
    }
    if inside is not None and half_width is not None:
        figures |= {"coverage": float(np.mean(inside)), "interval_width": float(2 * np.mean(half_width))}
    return figures


def root_mean_square(errors: _Array) -> float:
    """The root of the errors' mean square."""
    return float(np.sqrt(np.mean(errors**2)))


def mean_absolute(errors: _Array) -> float:
    """The mean of the errors' absolute values."""
    return float(np.mean(np.abs(errors)))


def rmse_skill(actual: _Array, forecast: _Array, last_value: _Array) -> float:
    """The share of persistence's root mean square error that the forecasts save."""
    return skill(root_mean_square(actual - forecast), root_mean_square(actual - last_value))


def fault_cost(faulty: NDArray[np.bool_], called: NDArray[np.bool_]) -> float:
    """The cost of the decisions: needless visits and missed faults."""
    return float(FALSE_ALARM_COST * np.sum(called & ~faulty) + MISSED_FAULT_COST * np.sum(faulty & ~called))


def cheapest_threshold(faulty: NDArray[np.bool_], probability: _Array) -> float:
    """The threshold that costs least; between two readings' probabilities, so that neither is on the edge.

    Args:
        faulty: the truth, both values present.
        probability: of a fault, from a model that has not seen these readings.
    """
    order = np.argsort(-probability, kind="stable")
    descending = probability[order]
    caught = np.concatenate(([0], np.cumsum(faulty[order])))
    needless = np.concatenate(([0], np.cumsum(~faulty[order])))
    cost = FALSE_ALARM_COST * needless + MISSED_FAULT_COST * (faulty.sum() - caught)
    edges = np.concatenate(([1.0], (descending[:-1] + descending[1:]) / 2, [descending[-1] / 2]))
    possible = np.concatenate(([True], descending[:-1] > descending[1:], [True]))  # equal ones cannot be told apart
    return float(edges[np.flatnonzero(possible)[np.argmin(cost[possible])]])


def fault_figures(faulty: NDArray[np.bool_], probability: _Array, threshold: float) -> dict[str, float]:
    """Figures of fault decisions.

    Returns:
        Costs by the challenge's metric, of the model and of alarming never and always; precision and recall (0 where
        nothing was called or nothing was faulty), and average precision, which needs no threshold.
    """
    called = probability >= threshold
    hits = float(np.sum(called & faulty))
    return {
        "rows": float(len(faulty)),
        "faulty_rows": float(np.sum(faulty)),
        "cost": fault_cost(faulty, called),
        "never_alarm_cost": fault_cost(faulty, np.zeros_like(faulty)),
        "always_alarm_cost": fault_cost(faulty, np.ones_like(faulty)),
        "false_alarms": float(np.sum(called & ~faulty)),
        "missed": float(np.sum(faulty & ~called)),
        "precision": hits / max(float(np.sum(called)), 1.0),
        "recall": hits / max(float(np.sum(faulty)), 1.0),
        "average_precision": _average_precision(faulty, probability),
    }


def rounded(figures: Any) -> Any:
    """Figures to eight significant digits, through all dictionaries: what a report needs, and no more to differ in."""
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    return float(f"{figures:.8g}")


def _average_precision(faulty: NDArray[np.bool_], probability: _Array) -> float:
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(faulty[order])
    precision = hits / np.arange(1, len(order) + 1)
    return float(np.sum(precision * faulty[order]) / max(float(hits[-1]), 1.0))
