"""One answer of each model: ours on the device against the original's path, with the same model where there is one.

`forecast_model`: a row of features to a forecast. The reference makes a pandas row of it, scales it as a
`MinMaxScaler` does and calls `predict` of the same net in Keras on JAX, with the weights read from our ONNX file.

`forecast_features`: a reading to a forecast, the features of the latest 144 hours included. The reference computes the
same features with pandas and asks an XGBoost model of 200 trees by a DMatrix. We ship no such model: ours is the net.

`fault_score`: 170 values in a list to a probability. The reference asks the same 200 trees by a DMatrix. Ours does the
preparation of the values inside the model; the reference is given prepared values, so its time is without it.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import edge_models
from bench.edge_pandas_features import pandas_features
from bench.edge_timing import Advance, in_turns, one_processor, silent
from bench.figure import Figure, less_is_better
from edge.forecaster.features import FeatureWindow
from edge.runtime.models import FaultModel, ForecastModel, load_model
from ml import fault_model
from ml.scaling import SCALED_LIMIT
from ml.train_forecast import TARGET_SCALE
from pm_contracts.forecast_features import FEATURES, MEMORY_HOURS
from pm_contracts.manifest import MODEL_FILE
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS

ROUNDS = 30
#: "At least" of the issue's table.
_FORECAST_MODEL, _FORECAST_FEATURES, _FAULT_SCORE = 100.0, 100.0, 15.0
#: What two ways to the same answer may differ by, in single precision.
_TOLERANCE = 1e-4
_MICROSECONDS = 1e6
_SECONDS_PER_HOUR = 3600
_ROWS = 500

_Array = NDArray[np.float64]
Hours = list[tuple[int, tuple[float | None, ...]]]


class Different(AssertionError):
    """Ours and the reference do not answer the same: their times cannot be compared."""


def forecast_model_figure(rounds: int = ROUNDS, advance: Advance = silent) -> Iterator[Figure]:
    """A row of features to a forecast, model only."""
    directory = edge_models.model_directory("forecast")
    model = load_model(directory, "forecast")
    assert isinstance(model, ForecastModel)  # noqa: S101 - `load_model` was asked for it
    rows = [window.features() for window in _windows(_hours(MEMORY_HOURS + 100), MEMORY_HOURS)]
    net, offset, factor = same_net_in_keras(directory / MODEL_FILE)
    shift = -offset * factor

    def reference(call: int) -> float:
        frame = pd.DataFrame([rows[call % len(rows)]], columns=list(FEATURES))
        # MinMaxScaler.transform: X * scale_ + min_, without scikit-learn's checks of its input.
        scaled = np.clip(frame.to_numpy() * factor + shift, -SCALED_LIMIT, SCALED_LIMIT)
        return float(net.predict(scaled, verbose=0)[0, :, 0].mean()) * TARGET_SCALE

    def ours(call: int) -> float:
        answer = model.answer(rows[call % len(rows)])
        return answer[0] if answer else np.nan

    _same("forecast_model", ours, reference, TARGET_SCALE)
    with one_processor():
        seconds = in_turns(ours, reference, rounds=rounds, ours_calls=500, reference_calls=3, advance=advance)
    yield _microseconds("forecast_model", *seconds, _FORECAST_MODEL)


def forecast_features_figure(rounds: int = ROUNDS, advance: Advance = silent) -> Iterator[Figure]:
    """A reading to a forecast, all features."""
    model = load_model(edge_models.model_directory("forecast"), "forecast")
    assert isinstance(model, ForecastModel)  # noqa: S101 - `load_model` was asked for it
    hours = _hours(MEMORY_HOURS + _ROWS)
    frame = pd.DataFrame(
        [values for _, values in hours], columns=list(AIR_QUALITY_MEASUREMENTS), index=[hour for hour, _ in hours]
    ).astype(float)
    import xgboost

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
        window.add(latest + 1 + call, 0, values)
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
    directory = edge_models.model_directory("fault")
    model = load_model(directory, "fault")
    assert isinstance(model, FaultModel)  # noqa: S101 - `load_model` was asked for it
    booster, preparation = booster_of_device_model(directory.parent)
    lists = [list(msgspec.structs.astuple(each.measurements)) for each in edge_models.machine_readings(200)]
    prepared = [preparation(np.array([values], dtype=np.float32))[0].tolist() for values in lists]
    import xgboost

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


def same_net_in_keras(file: Path) -> tuple[Any, _Array, _Array]:
    """The forecast model of an ONNX file as the Keras model that it was exported from, with the file's weights.

    Returns:
        The net, which gives each member's change and raw spread, and what its inputs are scaled with: offset, factor.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")  # read when Keras is imported; TensorFlow is not installed
    import keras
    import onnx
    from onnx import helper, numpy_helper

    graph = onnx.load(file).graph
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    scaler = next(node for node in graph.node if node.op_type == "Scaler")
    scales = {each.name: np.array(helper.get_attribute_value(each)) for each in scaler.attribute}
    features, first_units = weights["first_weights"].shape
    third_units, columns = weights["third_weights"].shape
    members = columns - 2  # two of them carry the mean change; see `ml.export.ensemble_graph`
    units, second_units = first_units // members, third_units // members
    third_weights = weights["third_weights"].reshape(members, second_units, columns)
    own = np.arange(members)
    rows = keras.Input((features,))
    first = keras.layers.Dense(members * units, activation="relu")
    second = keras.layers.EinsumDense("bmi,mio->bmo", (members, second_units), bias_axes="mo", activation="relu")
    third = keras.layers.EinsumDense("bmi,mio->bmo", (members, 2), bias_axes="mo")
    net = keras.Model(rows, third(second(keras.layers.Reshape((members, units))(first(rows)))))
    first.set_weights([weights["first_weights"], weights["first_biases"]])
    second_weights = weights["second_weights"].reshape(members, second_units, units).transpose(0, 2, 1)
    second.set_weights([second_weights, weights["second_biases"].reshape(members, second_units)])
    change_biases = np.full(members, weights["third_biases"][0])
    third.set_weights(
        [
            np.stack([third_weights[..., 0] * members, third_weights[own, :, 2 + own]], axis=2),
            np.stack([change_biases, weights["third_biases"][2:]], axis=1),
        ]
    )
    return net, scales["offset"], scales["scale"]


def booster_of_device_model(directory: Path) -> tuple[Any, fault_model.Preparation]:
    """The XGBoost model that our fault model is the export of, and what prepares its values; kept in `directory`."""
    import xgboost

    rows, faulty = _fault_training_rows()
    file = directory / "fault-booster.json"
    if edge_models.is_up_to_date(file, "fault"):
        preparation = fault_model.Preparation(rows[~faulty])
        return xgboost.Booster(params={"nthread": 1}, model_file=str(file)), preparation
    trained = fault_model.train(rows, faulty, seed=1)
    exported = edge_models.model_directory("fault") / MODEL_FILE
    file.write_text(_with_leaves_of(exported, trained._booster.save_raw("json")))
    return xgboost.Booster(params={"nthread": 1}, model_file=str(file)), trained.preparation


def _with_leaves_of(file: Path, booster: bytearray) -> str:
    """XGBoost's JSON of a model whose leaves and beginning are those of an ONNX file, which are calibrated."""
    import onnx
    from onnx import helper

    graph = onnx.load(file).graph
    node = next(each for each in graph.node if each.op_type == "TreeEnsembleRegressor")
    of = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    leaves = {
        (tree, leaf): weight
        for tree, leaf, weight in zip(of["target_treeids"], of["target_nodeids"], of["target_weights"], strict=True)
    }
    document = json.loads(booster)
    learner = document["learner"]
    for number, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        for leaf in (at for at, left in enumerate(tree["left_children"]) if left == -1):
            tree["split_conditions"][leaf] = leaves[number, leaf]
    learner["learner_model_param"]["base_score"] = f"[{1 / (1 + math.exp(-of['base_values'][0]))!r}]"
    return json.dumps(document)


def _fault_training_rows() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    before = [each for each in edge_models.past_readings("fault") if each.event_time < edge_models.TRAIN_END]
    before.sort(key=lambda each: (each.event_time, each.device))
    rows = np.array([msgspec.structs.astuple(each.measurements) for each in before], dtype=np.float32)
    return rows, np.array([bool(getattr(each, "faulty", False)) for each in before])


def _hours(count: int) -> Hours:
    return [
        (int(each.event_time.timestamp()) // _SECONDS_PER_HOUR, msgspec.structs.astuple(each.measurements))
        for each in edge_models.air_readings(count)
    ]


def _windows(hours: Hours, skipped: int) -> Iterator[FeatureWindow]:
    window = FeatureWindow()
    for number, (hour, values) in enumerate(hours):
        window.add(hour, 0, values)
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
