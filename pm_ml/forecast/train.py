"""Train the forecast model: next-hour PM2.5 of an air-quality station.

Runs as `python pm_ml/forecast/train.py --training DIR --model-dir DIR` and, unchanged, as a SageMaker training job.

The first part of the data is trained on, and of it the last hours are kept to decide when to stop and how wide
the intervals begin; then the trees are grown once more, with the kept hours. The second part only measures the model.
Means and scales are of the first part alone.
"""

import datetime as dt
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

if __package__ in (None, ""):  # run as a script: find the packages beside this file's folder, not the files in it
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import ibis
import numpy as np
import pandas as pd
from ibis.expr.types import Table

from pm_contracts.forecast_features import FEATURES
from pm_contracts.manifest import ForecastManifest, Interval
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements, limits_of
from pm_ml import data, evaluate, export, script_mode
from pm_ml.checkpoints import Checkpoints, identity
from pm_ml.contributions import permutation_importance
from pm_ml.evidence import ForecastEvidence, Profile
from pm_ml.forecast import blend as forecast_blend
from pm_ml.forecast import skill
from pm_ml.forecast.blend import Blend, fitted_and_kept
from pm_ml.forecast.features import HOURS_PER_DAY, SECONDS_PER_HOUR, forecast_features, hourly
from pm_ml.forecast.model import EPOCHS, TrainedForecaster, train
from pm_ml.forecast.scaling import Scaling
from pm_ml.forecast.trees import LOSSES, grown
from pm_ml.intervals import INTERVAL_LEVEL
from pm_ml.report import forecast

#: Beside the report: rows of CSV files that are not of the schema, with their reasons.
REFUSED_FILE = "refused_rows.csv"
#: Fewer hours than this make no model.
FEWEST_HOURS = 24 * 30
#: Scores that travel with the model, evenly over the kept hours.
SCORES = 500
#: Changes are divided by it, ug/m3: about the standard deviation of the real series' hourly changes.
TARGET_SCALE = 25.0
#: An answer of more than so many times the largest change trained on is nonsense.
NONSENSE_FACTOR = 2.0
#: ug/m3; single precision adds up to about a tenth of it.
TOLERANCE = 2.5e-3

Advance = Callable[[], None]


class Hours:
    """Hours of which a model can be asked and whose next hour is known, in the order of time."""

    def __init__(self, frame: pd.DataFrame) -> None:
        #: The first hour of the data and the one after its last, whatever can be learned from them.
        self.span = (int(frame["hour"].min()), int(frame["hour"].max()) + 1) if len(frame) else (0, 0)
        known = frame[frame["complete"].to_numpy(dtype=bool) & frame["target"].notna().to_numpy()]
        known = known.sort_values(["hour", "device"], kind="stable")
        self.hour = known["hour"].to_numpy(dtype=np.int64)
        self.features = known[list(FEATURES)].to_numpy(dtype=np.float64)
        self.value = known["value"].to_numpy(dtype=np.float64)
        self.target = known["target"].to_numpy(dtype=np.float64)
        at = frame.set_index(["device", "hour"])["value"]
        before = at.reindex(pd.MultiIndex.from_arrays([known["device"], known["hour"] + 1 - HOURS_PER_DAY])).to_numpy()
        #: PM2.5 a day before the next hour; the latest where there was none.
        self.day_before = np.where(np.isnan(before), self.value, before)

    def between(self, first: float, end: float) -> slice:
        """The rows whose next hour, which is what is learned, lies from `first` to before `end`; hours since 1970."""
        return slice(*(int(row) for row in np.searchsorted(self.hour + 1, [first, end])))


class Trained(NamedTuple):
    """The results of a run beside the model's directory."""

    figures: dict[str, dict[str, float]]  #: `pm_ml.evaluate.forecast_figures` of each part
    manifest: ForecastManifest
    evidence: ForecastEvidence
    profile: Profile


def main(job: script_mode.Job, steps: script_mode.Steps) -> Mapping[str, float]:
    """Do the job, and write its report."""
    done = run(job, steps)
    forecast.write(job.report, done.manifest, done.evidence, done.profile)
    return {f"{part}_{name}": value for part, values in done.figures.items() for name, value in values.items()}


def run(job: script_mode.Job, steps: script_mode.Steps) -> Trained:
    """Read, train, measure, export."""
    steps.begin("read the data and its features")
    connection = ibis.duckdb.connect()
    readings, refused = data.air_quality_readings(connection, job.training)
    if len(refused):
        file = job.report.with_name(REFUSED_FILE)
        file.parent.mkdir(parents=True, exist_ok=True)
        refused.to_csv(file, index=False)
        first = refused.iloc[0]
        print(f"{len(refused)} rows refused: {file}; the first: {first.file}:{first.line}, {first.reason}", flush=True)
    hours = Hours(connection.to_pyarrow(forecast_features(hourly(readings))).to_pandas())
    training, validation = _split(hours, job)
    fitted, kept = fitted_and_kept(training)

    scaling = Scaling(hours.features[training])
    inputs = scaling(hours.features)
    targets = ((hours.target - hours.value) / TARGET_SCALE).astype(np.float32)
    libraries = export.versions("jax", "keras", "numpy", "onnx", "xgboost-cpu")
    hours_used = (inputs[fitted], targets[fitted], inputs[kept], targets[kept])
    checkpoints = Checkpoints(job.checkpoints, identity(*hours_used, job.seed, EPOCHS, libraries))
    steps.begin("train the forecast model", EPOCHS)
    nets = train(*hours_used, job.seed, steps.advance, checkpoints)

    steps.begin("grow the trees", len(LOSSES))
    calibrating, blend = _blends(nets, scaling, hours, fitted, kept, job.seed, steps.advance)

    steps.begin("measure and export")
    figures, scores = _measure(calibrating, blend, hours, kept, {"training": training, "validation": validation})
    model = blend.graph()
    rows = hours.features[validation].astype(np.float32)
    checked = export.compare(model, rows, blend.answers(hours.features[validation]), TOLERANCE)
    largest = float(np.max(np.abs(hours.target[training] - hours.value[training])))
    manifest = export.describe(
        ForecastManifest,
        model,
        trained_from=_time(hours.hour[training.start]),
        trained_until=_time(hours.hour[training.stop - 1] + 1),
        trained_rows=training.stop - training.start,
        seed=job.seed,
        libraries=libraries,
        checked=checked,
        horizon_hours=1,
        features=list(FEATURES),
        maximum_change=NONSENSE_FACTOR * largest,
        interval=Interval(level=INTERVAL_LEVEL, scores=scores),
    )
    export.write_model(job.model_directory, model, manifest, evaluate.rounded(figures))
    checkpoints.clear()
    evidence = _evidence(blend, hours, training, validation, scores)
    return Trained(figures, manifest, evidence, _profile(connection, readings, manifest))


def _split(hours: Hours, job: script_mode.Job) -> tuple[slice, slice]:
    if not len(hours.hour):
        raise data.DataRefused(f"{job.training} has no hour with enough before it and a known hour after it")
    first, end = hours.span
    # Of a short series more than its share measures, so that gaps leave enough of it.
    held_out = max((end - first) * script_mode.HELD_OUT_SHARE, min(2 * FEWEST_HOURS, (end - first) / 2))
    train_end = job.train_end.timestamp() / SECONDS_PER_HOUR if job.train_end else end - held_out
    validation_end = job.validation_end.timestamp() / SECONDS_PER_HOUR if job.validation_end else math.inf
    parts = hours.between(-math.inf, train_end), hours.between(train_end, validation_end)
    for name, part in zip(("train on", "measure with"), parts, strict=True):
        if part.stop - part.start < FEWEST_HOURS:
            raise data.DataRefused(
                f"{job.training} has {part.stop - part.start} hours to {name}, from {_time(first)} to {_time(end)} "
                f"split at {_time(math.ceil(train_end))}; at least {FEWEST_HOURS} are needed"
            )
    return parts


def _blends(
    nets: TrainedForecaster, scaling: Scaling, hours: Hours, fitted: slice, kept: slice, seed: int, advance: Advance
) -> tuple[Blend, Blend]:
    """The nets with trees that have not seen the kept hours, and with as many that have: the ones that ship."""
    pairs = []
    for loss in LOSSES:
        pairs.append(grown(loss, hours.features, hours.target - hours.value, fitted, kept, seed))
        advance()
    calibrating, shipped = zip(*pairs, strict=True)
    return Blend(nets, scaling, TARGET_SCALE, calibrating), Blend(nets, scaling, TARGET_SCALE, shipped)


def _measure(
    calibrating: Blend, blend: Blend, hours: Hours, kept: slice, parts: Mapping[str, slice]
) -> tuple[dict[str, dict[str, float]], list[float]]:
    """The figures of each part, and the scores that intervals begin with: of hours that `calibrating` has not seen."""
    change, spread = calibrating.answers(hours.features[kept]).T
    score = np.abs(hours.target[kept] - np.maximum(hours.value[kept] + change, 0.0)) / spread
    rank = math.ceil((len(score) + 1) * INTERVAL_LEVEL)
    answers = blend.answers(hours.features)
    forecast = np.maximum(hours.value + answers[:, 0], 0.0)
    half_width = np.sort(score)[rank - 1] * answers[:, 1]
    figures = {
        name: evaluate.forecast_figures(hours.target[part], forecast[part], hours.value[part], half_width[part])
        for name, part in parts.items()
    }
    chosen = np.linspace(0, len(score) - 1, min(SCORES, len(score))).astype(int)
    return figures, [float(f"{value:.6g}") for value in score[chosen]]


def _evidence(blend: Blend, hours: Hours, training: slice, validation: slice, scores: list[float]) -> ForecastEvidence:
    change, spread = blend.answers(hours.features[validation]).T
    actual, last, due = hours.target[validation], hours.value[validation], hours.hour + 1
    said = np.maximum(last + change, 0.0)
    others = {
        "seasonal_naive": hours.day_before[validation],
        "climatology": skill.climatology(due, hours.target, training)[validation],
    }
    return ForecastEvidence(
        name=forecast_blend.NAME,
        horizon_hours=1,
        issued=hours.hour[validation],
        actual=actual,
        last_value=last,
        forecast=said,
        spread=spread,
        earlier_scores=scores,
        entries={"validation": skill.forecast_entry(actual, said, last, others, due[validation])},
        importance=permutation_importance(
            lambda rows: blend.answers(rows)[:, 0], hours.features[validation], actual - last, FEATURES
        ),
    )


def _profile(connection: ibis.BaseBackend, readings: Table, manifest: ForecastManifest) -> Profile:
    read = hourly(readings)
    frame = connection.to_pyarrow(read.filter(read.was_read).order_by("hour")).to_pandas()
    return Profile(
        columns=frame[list(AIR_QUALITY_MEASUREMENTS)],
        meanings={name: each.description for name, each in limits_of(AirQualityMeasurements).items()},
        time=pd.to_datetime(frame["hour"] * SECONDS_PER_HOUR, unit="s"),
        parts={
            "training": f"{manifest.trained_from:%Y-%m-%d %H:%M}",
            "validation": f"{manifest.trained_until:%Y-%m-%d %H:%M}",
        },
    )


def _time(hour: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(hour) * SECONDS_PER_HOUR, dt.UTC)


if __name__ == "__main__":
    sys.exit(script_mode.run(main))
