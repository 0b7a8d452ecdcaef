"""One answer of each model: ours on the device against the original's path, with the same model where there is one.

`forecast_model`: a row of features to a forecast. The reference makes a pandas row of it, scales it as a
`MinMaxScaler` does, calls `predict` of the same nets in Keras on JAX and asks the same trees by a DMatrix: weights and
trees are read from our ONNX file.

`forecast_features`: a reading to a forecast, the features of the latest 144 hours included. The reference computes the
same features with pandas and asks an XGBoost model of 200 trees by a DMatrix; ours are the nets and trees that ship.

`fault_score`: 170 values in a list to a probability. The reference asks the same 200 trees by a DMatrix. Ours does the
preparation of the values inside the model; the reference is given prepared values, so its time is without it.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import xgboost

from bench import edge_models
from bench.edge_pandas_features import pandas_features
from bench.edge_references import nets_factor, nets_in_keras, trees_in_xgboost, what_trees_see
from bench.edge_timing import Advance, in_turns, one_processor, silent
from bench.figure import Figure, less_is_better
from pm_contracts.forecast_features import FEATURES, MEMORY_HOURS
from pm_contracts.manifest import MODEL_FILE
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS
from pm_contracts.model_kinds import FAULT, FORECAST
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.forecasting.features import FeatureWindow
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.models import load_model
from pm_ml.faults import model as fault_model
from pm_ml.forecast.scaling import SCALED_LIMIT
from pm_ml.forecast.train import TARGET_SCALE

ROUNDS = 30
#: "At least" of the issue's table.
_FORECAST_MODEL, _FORECAST_FEATURES, _FAULT_SCORE = 100.0, 100.0, 15.0
#: Tolerance between two ways to the same answer, in single precision.
_TOLERANCE = 1e-4
_MICROSECONDS = 1e6
_SECONDS_PER_HOUR = 3600
_ROWS = 500

Hours = list[tuple[int, tuple[float | None, ...]]]


class Different(AssertionError):
    """Ours and the reference do not answer the same: their times cannot be compared."""


def forecast_model_figure(rounds: int = ROUNDS, advance: Advance = silent) -> Iterator[Figure]:
    """A row of features to a forecast, model only."""
    directory = edge_models.model_directory(FORECAST)
    model = load_model(directory, ForecastModel)
    rows = [window.features() for window in _windows(_hours(MEMORY_HOURS + 100), MEMORY_HOURS)]
    net, offset, factor = nets_in_keras(directory / MODEL_FILE)
    shift, net_factor = -offset * factor, nets_factor(directory / MODEL_FILE)
    trees = trees_in_xgboost(directory / MODEL_FILE, "reg:squarederror")

    def reference(call: int) -> float:
        frame = pd.DataFrame([rows[call % len(rows)]], columns=list(FEATURES))
        # MinMaxScaler.transform: X * scale_ + min_, without scikit-learn's checks of its input.
        scaled = np.clip(frame.to_numpy() * factor + shift, -SCALED_LIMIT, SCALED_LIMIT)
        said = float(net.predict(scaled, verbose=0)[0, :, 0].mean()) * net_factor
        return said + float(trees.predict(xgboost.DMatrix(frame.to_numpy(), nthread=1))[0])

    def ours(call: int) -> float:
        answer = model.answer(rows[call % len(rows)])
        return answer[0] if answer else np.nan

    _same("forecast_model", ours, reference, TARGET_SCALE)
    with one_processor():
        seconds = in_turns(ours, reference, rounds=rounds, ours_calls=500, reference_calls=3, advance=advance)
    yield _microseconds("forecast_model", *seconds, _FORECAST_MODEL)


def forecast_features_figure(rounds: int = ROUNDS, advance: Advance = silent) -> Iterator[Figure]:
    """A reading to a forecast, all features."""
    model = load_model(edge_models.model_directory(FORECAST), ForecastModel)
    hours = _hours(MEMORY_HOURS + _ROWS)
    frame = pd.DataFrame(
        [values for _, values in hours], columns=list(AIR_QUALITY_MEASUREMENTS), index=[hour for hour, _ in hours]
    ).astype(float)
    features = pandas_features(frame).iloc[MEMORY_HOURS:-1]
    change = frame["pollution"].diff().iloc[MEMORY_HOURS + 1 :]
    booster = xgboost.train(
        {"max_depth": 5, "nthread": 1}, xgboost.DMatrix(features, change.to_numpy()), fault_model.ROUNDS
    )
    _same_features(hours, frame)

    def reference(call: int) -> float:
        end = MEMORY_HOURS + call % _ROWS + 1
        row = pandas_features(frame.iloc[end - MEMORY_HOURS - 1 : end]).iloc[-1:]
        return float(booster.predict(xgboost.DMatrix(row, nthread=1))[0])

    first, latest = hours[0][0], hours[-1][0]
    window = FeatureWindow([(hour, 0, values) for hour, values in hours])

    def ours(call: int) -> object:
        # The series over and over again, its hours going on: a window only looks at how they follow one another.
        values = hours[call % len(hours)][1]
        window.place(latest + 1 + call, 0, values)
        return model.answer(window.features())

    assert latest - first + 1 == len(hours)  # noqa: S101 - the simulator leaves no hour out
    position = iter(range(10**9))
    with one_processor():
        seconds = in_turns(
            lambda _: ours(next(position)), reference, rounds=rounds, ours_calls=500, reference_calls=2, advance=advance
        )
    yield _microseconds("forecast_features", *seconds, _FORECAST_FEATURES)


def fault_score_figure(rounds: int = ROUNDS, advance: Advance = silent) -> Iterator[Figure]:
    """170 values in a list to a probability."""
    directory = edge_models.model_directory(FAULT)
    model = load_model(directory, FaultModel)
    booster = trees_in_xgboost(directory / MODEL_FILE, "binary:logistic")
    lists = [list(msgspec.structs.astuple(each.measurements)) for each in edge_models.machine_readings(200)]
    prepared = what_trees_see(directory / MODEL_FILE, np.array(lists, dtype=np.float32)).tolist()

    def reference(call: int) -> float:
        values = prepared[call % len(prepared)]
        return float(booster.predict(xgboost.DMatrix([values], missing=np.nan, nthread=1))[0])

    def ours(call: int) -> float:
        answer = model.probability(lists[call % len(lists)])
        return np.nan if answer is None else answer

    _same("fault_score", ours, reference, 1.0)
    with one_processor():
        seconds = in_turns(ours, reference, rounds=rounds, ours_calls=500, reference_calls=20, advance=advance)
    yield _microseconds("fault_score", *seconds, _FAULT_SCORE)


def _hours(count: int) -> Hours:
    return [
        (int(each.event_time.timestamp()) // _SECONDS_PER_HOUR, msgspec.structs.astuple(each.measurements))
        for each in edge_models.air_readings(count)
    ]


def _windows(hours: Hours, skipped: int) -> Iterator[FeatureWindow]:
    window = FeatureWindow()
    for number, (hour, values) in enumerate(hours):
        window.place(hour, 0, values)
        if number >= skipped:
            yield window


def _same(name: str, ours: Any, reference: Any, scale: float) -> None:
    for call in range(20):
        mine, other = ours(call), reference(call)
        if not abs(mine - other) <= _TOLERANCE * scale:
            raise Different(f"{name}: ours answers {mine!r} and the reference {other!r}")


def _same_features(hours: Hours, frame: pd.DataFrame) -> None:
    expected = pandas_features(frame)
    for number, window in enumerate(_windows(hours, MEMORY_HOURS)):
        other = expected.iloc[MEMORY_HOURS + number].to_numpy()
        if not np.allclose(window.features(), other, rtol=1e-9, atol=1e-9, equal_nan=True):
            raise Different(f"forecast_features: hour {hours[MEMORY_HOURS + number][0]} differs")


def _microseconds(name: str, ours: list[float], reference: list[float], limit: float) -> Figure:
    return less_is_better(
        name, "us", [_MICROSECONDS * each for each in ours], [_MICROSECONDS * each for each in reference], limit
    )
