"""Train the fault model: whether a reading shows a fault of a machine's air-pressure system.

Runs as `python pm_ml/faults/train.py --training DIR --model-dir DIR` and, unchanged, as a SageMaker training job.

The first part of the data is trained on, and probabilities calibrated and the threshold chosen with it (see
`pm_ml.faults.model`); the second part only measures the model. `model_report.html` shows how good it is.
"""

import datetime as dt
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

if __package__ in (None, ""):  # run as a script: find the packages beside this file's folder, not the files in it
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pm_contracts.manifest import FaultManifest
from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_ml import calibration, contributions, data, evaluate, export, script_mode
from pm_ml.checkpoints import Checkpoints, identity
from pm_ml.evidence import FaultEvidence, Profile
from pm_ml.faults.model import FOLDS, PARAMETERS, train, unseen_margins
from pm_ml.report import faults

#: Fewer faulty readings than this to train on make no model.
FEWEST_FAULTY = 5
#: Readings that the exported graph is compared on, and that the report's profile is of; evenly over all.
MOST_COMPARED = 100_000
#: Of a probability: single precision adds the trees' leaves up in another order.
TOLERANCE = 1e-5

_Times = NDArray[np.datetime64]


def main(job: script_mode.Job, steps: script_mode.Steps) -> Mapping[str, float]:
    """Do the job: read, train, choose the threshold, measure, export."""
    with tempfile.TemporaryDirectory() as scratch:
        steps.begin("read the data")
        readings = data.machine_readings(ibis.duckdb.connect(), job.training, Path(scratch), job.rows_in_memory)
        return _train(readings, job, steps)


def _train(readings: data.MachineReadings, job: script_mode.Job, steps: script_mode.Steps) -> Mapping[str, float]:
    training, validation = _split(readings, job)
    rows, faulty = readings.measurements, readings.faulty
    libraries = export.versions("numpy", "onnx", "xgboost-cpu")
    machine = readings.machine[training]
    checkpoints = Checkpoints(
        job.checkpoints, identity(rows[training], faulty[training], machine, job.seed, PARAMETERS, libraries)
    )

    steps.begin("calibrate, choose the threshold", FOLDS)
    margins = unseen_margins(rows[training], faulty[training], machine, job.seed, steps.advance, checkpoints)
    calibrated = calibration.fitted(margins, faulty[training])
    unseen = calibrated(margins)
    threshold = evaluate.cheapest_threshold(faulty[training], unseen)
    steps.begin("train the fault model")
    trained = train(rows[training], faulty[training], job.seed, checkpoints=checkpoints).calibrated(calibrated)

    steps.begin("measure and export")
    figures = {"unseen_machines": evaluate.fault_figures(faulty[training], unseen, threshold)}
    measured = trained.probabilities(rows[validation])
    figures["validation"] = evaluate.fault_figures(faulty[validation], measured[:, 0].astype(np.float64), threshold)
    trees, base_margin = trained.trees
    model = export.fault_graph(trained.preparation, trees, base_margin)
    some = _evenly(len(measured), MOST_COMPARED)
    checked = export.compare(model, np.asarray(rows[validation][some]), measured[some], TOLERANCE)
    manifest = export.describe(
        FaultManifest,
        model,
        trained_from=_utc(readings.event_time[training][0]),
        trained_until=_utc(readings.event_time[training][-1]),
        trained_rows=training.stop,
        seed=job.seed,
        libraries=libraries,
        checked=checked,
        features=list(MACHINE_MEASUREMENTS),
        threshold=threshold,
    )
    export.write_model(job.model_directory, model, manifest, evaluate.rounded(figures))
    later, probability = rows[validation], measured[:, 0].astype(np.float64)
    evidence = FaultEvidence(
        faulty=faulty[validation],
        probability=probability,
        uncalibrated=calibration.Calibration()(trained.margins(later)),
        threshold=threshold,
        chosen_on=(faulty[training], unseen),
        importance=contributions.importance(trained.shap_values, later),
        flagged=contributions.flagged(
            trained.shap_values,
            later,
            probability,
            threshold,
            faulty[validation],
            readings.machine[validation].tolist(),
            [f"{_utc(time):%Y-%m-%d %H:%M}" for time in readings.event_time[validation]],
        ),
    )
    some = _evenly(len(rows), MOST_COMPARED)
    profile = Profile(pd.DataFrame(rows[some], columns=list(MACHINE_MEASUREMENTS)), meanings={})
    faults.write(job.report, manifest, evidence, profile, faulty[some])
    checkpoints.clear()
    return {f"{part}_{name}": value for part, values in figures.items() for name, value in values.items()} | {
        "threshold": threshold
    }


def _split(readings: data.MachineReadings, job: script_mode.Job) -> tuple[slice, slice]:
    time = readings.event_time
    if not len(time):
        raise data.DataRefused(f"{job.training} has no reading with a verdict (`faulty`)")
    train_end = _naive(job.train_end) if job.train_end else time[-1] - (time[-1] - time[0]) * script_mode.HELD_OUT_SHARE
    validation_end = _naive(job.validation_end) if job.validation_end else time[-1] + np.timedelta64(1, "us")
    first, end = (int(row) for row in np.searchsorted(time, [train_end, validation_end]))
    training, validation = slice(0, first), slice(first, end)
    enough = int(readings.faulty[training].sum())
    machines = len(np.unique(readings.machine[training]))
    if enough < FEWEST_FAULTY or machines < 2 or not readings.faulty[validation].any():
        raise data.DataRefused(
            f"{job.training} has {enough} faulty readings of {machines} machines before {train_end} and "
            f"{int(readings.faulty[validation].sum())} after; needed are {FEWEST_FAULTY}, 2 and 1"
        )
    return training, validation


def _evenly(rows: int, most: int) -> slice:
    """At most so many rows, evenly over all."""
    return slice(0, rows, max(1, -(-rows // most)))


def _naive(time: dt.datetime) -> np.datetime64:
    return np.datetime64(time.astimezone(dt.UTC).replace(tzinfo=None))


def _utc(time: np.datetime64) -> dt.datetime:
    return time.astype("datetime64[us]").item().replace(tzinfo=dt.UTC)


if __name__ == "__main__":
    sys.exit(script_mode.run(main))
