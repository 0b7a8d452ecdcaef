"""The next hour by a well-kept forecasting library, judged as our own forecasts are.

statsmodels' exponential smoothing (ETS) and ARIMA, of each the form with the least corrected Akaike criterion, fitted
once on the latest training hours. Over the rest of the series the filter goes on with every hour that is known and no
parameter is fitted again, so that each forecast is of one hour ahead. It sees PM2.5 alone, as such a library is used.
"""

import itertools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pm_ml.forecast.features import HOURS_PER_DAY
from pm_ml.forecast.protocol import Advance, Series, part_entry

#: Hours fitted on, half a year: the fits' time grows faster than the hours, and their parameters hardly change.
FITTED_HOURS = 26 * 7 * HOURS_PER_DAY
#: Orders of ARIMA on the hourly changes (d = 1).
MOST_LAGS = 2
#: The default of 50 ends the search of some orders early.
MOST_ITERATIONS = 200

_Array = NDArray[np.float64]
#: The corrected Akaike criterion of a form, and what gives a forecast of each hour of a series from the hours before.
_Fitted = tuple[float, Callable[[_Array], _Array]]


class Forecasts(NamedTuple):
    """The forecasts of one kind of model."""

    form: str  #: that was chosen
    fitted_hours: int
    values: _Array  #: for each row of the series, ug/m3


def judge(data: Series, advance: Advance) -> dict[str, Any]:
    """The entries of the library's models on the validation and the test part.

    Args:
        data: of a horizon of one hour.
        advance: called after each of the two models.

    Returns:
        By model: `validation` and `test` as `pm_ml.forecast.skill.forecast_entry` gives them, `form` and
            `fitted_hours`.
    """
    return {
        name: {part: part_entry(data, found.values, part) for part in ("validation", "test")}
        | {"form": found.form, "fitted_hours": found.fitted_hours}
        for name, found in forecasts(data, advance).items()
    }


def forecasts(data: Series, advance: Advance) -> dict[str, Forecasts]:
    """The forecast of each of the library's models for each row; arguments as `judge`."""
    if data.horizon != 1:
        raise ValueError(f"horizon {data.horizon}: the library is asked for the next hour")
    first, last = int(data.issued[0]), int(data.issued[-1])
    hours = pd.Series(data.value, index=data.issued).reindex(range(first, last + 2)).ffill().to_numpy()
    fitted = hours[: data.issued[data.rows("training").stop - 1] + 1 - first][-FITTED_HOURS:]
    said = {}
    for name, forms in (("ETS", _exponential_smoothing), ("ARIMA", _arima)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of beginnings that the search itself mends
            found = forms(fitted)
            form = min(found, key=lambda each: found[each][0])
            values = np.maximum(found[form][1](hours)[data.due - first], 0.0)
        said[name] = Forecasts(form, len(fitted), values)
        advance()
    return said


def _exponential_smoothing(fitted: _Array) -> dict[str, _Fitted]:
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    found: dict[str, _Fitted] = {}
    for trend, season in itertools.product((None, "add"), (None, "add")):
        form: dict[str, Any] = {"error": "add", "trend": trend, "damped_trend": trend is not None, "seasonal": season}
        form |= {"seasonal_periods": HOURS_PER_DAY if season else None, "initialization_method": "heuristic"}
        result = ETSModel(fitted, **form).fit(disp=False)

        def forecast(hours: _Array, form: dict[str, Any] = form, parameters: Any = result.params) -> _Array:
            return np.asarray(ETSModel(hours, **form).smooth(parameters).fittedvalues)

        found[f"error additive, trend {'damped' if trend else 'none'}, day {'additive' if season else 'none'}"] = (
            float(result.aicc),
            forecast,
        )
    return found


def _arima(fitted: _Array) -> dict[str, _Fitted]:
    from statsmodels.tsa.arima.model import ARIMA

    found: dict[str, _Fitted] = {}
    for order in itertools.product(range(MOST_LAGS + 1), (1,), range(MOST_LAGS + 1)):
        result = ARIMA(fitted, order=order).fit(method_kwargs={"maxiter": MOST_ITERATIONS})

        def forecast(hours: _Array, result: Any = result) -> _Array:
            return np.asarray(result.apply(hours).fittedvalues)

        found[str(order)] = float(result.aicc), forecast
    return found
