"""The challenger as the process that a core device runs: the pipeline's artifact, unpacked, on a local bus.

Not proved here: that Greengrass brings and removes it (tests/components/forecast_pipeline/test_model_trial.py), and how
good a model is.
"""

import datetime as dt
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pm_components.aws import recipes
from pm_components.functions.component_recipes import zipped
from pm_components.functions.trial import core
from pm_contracts import topics
from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE, encode_manifest
from pm_contracts.messages import AirQualityReading, Outcome, TrialOutcome, decode, encode
from pm_edge.devices.simulator import sources
from resilience.signing import signed, trust

CHALLENGER = "pm.ForecastChallenger"
FORECASTER = "pm.Forecaster"

Start = Callable[[bytes, bytes], subprocess.Popen[bytes]]


@pytest.fixture
def air(site) -> list[AirQualityReading]:
    stream = sources.readings(site, {"air-1": "air_quality"}, end=sources.START + dt.timedelta(days=10))
    return [reading for reading in stream if isinstance(reading, AirQualityReading)]


@pytest.fixture
def start(local_broker: int, site: str, tmp_path: Path) -> Iterator[Start]:
    """Starts the challenger from an artifact with the given manifest and model, outside this checkout."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(manifest: bytes, model: bytes) -> subprocess.Popen[bytes]:
        with zipfile.ZipFile(io.BytesIO(recipes.load("forecast_challenger").artifact())) as archive:
            code = {name: archive.read(name) for name in archive.namelist()}
        trust(tmp_path)
        model_files = {MANIFEST_FILE: manifest, MODEL_FILE: model}
        files = core.artifact_files(code, signed(model_files, site, on_trial=True))
        unpacked = tmp_path / "unpacked" / "component"
        with zipfile.ZipFile(io.BytesIO(zipped(files))) as archive:
            archive.extractall(unpacked)
        with (tmp_path / "challenger.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pm_edge.components.forecast_challenger", "--site", site),
                    *("--devices", "air-1=air_quality,machine-01=machine", "--data-directory", str(tmp_path)),
                ],
                cwd=unpacked,
                env={**os.environ, "PYTHONPATH": str(unpacked), "PM_LOCAL_BROKER": f"127.0.0.1:{local_broker}"},
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def feed(ear, readings: list[AirQualityReading]) -> None:
    for reading in readings:
        ear.bus.publish(topics.device_topic(reading.site, reading.device, topics.READING), encode(reading))
    assert ear.bus.flush(60)


def trials(ear) -> list[TrialOutcome]:
    return [decode(payload, TrialOutcome) for payload in ear.on(topics.TRIAL)]


def test_it_says_how_the_model_on_trial_did_and_nothing_else(ear, floor, start, air, tmp_path, constant_forecast_model):
    manifest, model = constant_forecast_model(5.0)
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_state(FORECASTER, "running")
    feed(ear, air[:100])
    ear.wait(lambda: len(ear.on(topics.OUTCOME)) == 99, "the forecaster's outcomes")
    ear.wait((tmp_path / "state" / "forecaster.json").exists, "the forecaster's state")
    ear.wait_for_counter(FORECASTER, "readings", 100)

    start(encode_manifest(manifest), model)
    ear.wait_for_state(CHALLENGER, "running")
    feed(ear, air[100:110])
    ear.wait(lambda: len(trials(ear)) == 9, "outcomes on trial, from the first forecast that it made itself")
    ear.wait(lambda: len(ear.on(topics.OUTCOME)) == 109, "the forecaster's outcomes go on")
    champions = {one.target_time: one for one in (decode(each, Outcome) for each in ear.on(topics.OUTCOME))}
    for trial in trials(ear):
        assert trial.model_version == manifest.version
        assert trial.value == pytest.approx(trial.last_value + 5.0, abs=1e-3)
        champion = champions[trial.target_time]
        assert (champion.actual, champion.last_value) == (trial.actual, trial.last_value)
        assert champion.model_version != trial.model_version
    # One forecast for each reading, which comes after its outcome: the forecaster's. Nobody hears those on trial.
    ear.wait(lambda: len(ear.on(topics.FORECAST)) >= 110, "the forecaster's forecasts")
    assert len(ear.on(topics.FORECAST)) == 110


def test_without_the_forecasters_window_it_waits_until_its_own_is_full(ear, start, air, constant_forecast_model):
    manifest, model = constant_forecast_model(5.0)
    start(encode_manifest(manifest), model)
    ear.wait_for_state(CHALLENGER, "running")
    feed(ear, air[:100])
    ear.wait_for_counter(CHALLENGER, "trial_outcomes", 20)
    feed(ear, air[100:101])
    ear.wait(lambda: bool(trials(ear)) and trials(ear)[-1].target_time == air[100].event_time, "the last outcome")
    assert {trial.model_version for trial in trials(ear)} == {manifest.version}
    assert len(trials(ear)) < 100, "what it answered with persistence is not on trial"


def test_a_model_that_cannot_be_used_ends_it_with_the_reason(ear, start, tmp_path, constant_forecast_model):
    manifest, model = constant_forecast_model(5.0)
    process = start(encode_manifest(manifest), model[:-10])
    assert process.wait(60) == 1
    assert "the model on trial is refused" in (tmp_path / "challenger.log").read_text()
