"""Forecaster and fault detector as processes: readings in, answers out, models that come and go, and restarts.

The models are tiny graphs made here, with answers known beforehand. Not proved here: how good a real model is, and what
the cores decide (`test_forecaster_core.py`, `test_fault_detector_core.py`).
"""

import base64
import datetime as dt
import hashlib
import json
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from pm_contracts import topics
from pm_contracts.forecast_features import FEATURES
from pm_contracts.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    CheckedAnswers,
    FaultManifest,
    ForecastManifest,
    Interval,
    Manifest,
    encode_manifest,
)
from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_contracts.messages import (
    PERSISTENCE,
    AirQualityReading,
    Alert,
    DeadLetter,
    FaultScore,
    Forecast,
    MachineReading,
    Outcome,
    decode,
    encode,
)
from pm_edge.devices.simulator import sources
from pm_edge.runtime.journal import Journal
from pm_edge.runtime.state_file import decode_state
from resilience.signing import sign_directory, trust

FORECASTER, DETECTOR = "pm.Forecaster", "pm.FaultDetector"


def constant_model(width: int, answer: list[float]) -> bytes:
    """A graph that gives `answer` for each row, whatever the row holds."""
    zeros = numpy_helper.from_array(np.zeros((width, len(answer)), np.float32), "zeros")
    bias = numpy_helper.from_array(np.array(answer, np.float32), "bias")
    graph = helper.make_graph(
        [
            helper.make_node("IsNaN", ["x"], ["missing"]),
            helper.make_node("Cast", ["missing"], ["finite"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["finite", "zeros"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["y"]),
        ],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", len(answer)])],
        [zeros, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def common(version: str, content: bytes, width: int, answer: list[float]) -> dict[str, object]:
    day = dt.datetime(2010, 1, 2, tzinfo=dt.UTC)
    return {
        "version": version,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "model_bytes": len(content),
        "trained_from": day,
        "trained_until": day,
        "trained_rows": 1,
        "seed": 0,
        "libraries": {},
        "checked": CheckedAnswers(inputs=[[0.5] * width], outputs=[answer], tolerance=1e-6),
    }


def ship(directory: Path, site: str, kind: str, manifest: Manifest, content: bytes) -> None:
    """Put a signed model where its component would, and turn the link to it."""
    trust(directory)
    models = directory / "models" / kind
    version = models / manifest.version
    version.mkdir(parents=True)
    (version / MODEL_FILE).write_bytes(content)
    (version / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    sign_directory(version, site)
    (models / "current.new").symlink_to(manifest.version)
    (models / "current.new").rename(models / "current")


def ship_forecast(directory: Path, site: str, version: str, change: float, cut: bool = False) -> None:
    answer = [change, 10.0]
    content = constant_model(len(FEATURES), answer)
    manifest = ForecastManifest(
        **common(version, content, len(FEATURES), answer),
        horizon_hours=1,
        features=list(FEATURES),
        maximum_change=500.0,
        interval=Interval(level=0.9, scores=[1.0] * 20),
    )
    ship(directory, site, "forecast", manifest, content[:-10] if cut else content)


def ship_fault(directory: Path, site: str, version: str, probability: float, threshold: float = 0.5) -> None:
    content = constant_model(len(MACHINE_MEASUREMENTS), [probability])
    manifest = FaultManifest(
        **common(version, content, len(MACHINE_MEASUREMENTS), [probability]),
        features=list(MACHINE_MEASUREMENTS),
        threshold=threshold,
    )
    ship(directory, site, "fault", manifest, content)


@pytest.fixture
def air(site, floor) -> list[AirQualityReading]:
    end = sources.START + dt.timedelta(days=10)
    stream = sources.readings(site, {"air-1": "air_quality"}, end=end)
    return [reading for reading in stream if isinstance(reading, AirQualityReading)]


@pytest.fixture
def machine(site, floor) -> list[MachineReading]:
    stream = sources.readings(site, {"machine-01": "machine"}, end=sources.START + dt.timedelta(days=30))
    return [reading for reading in stream if isinstance(reading, MachineReading)]


def feed(ear, readings: list[AirQualityReading] | list[MachineReading]) -> None:
    for reading in readings:
        ear.bus.publish(topics.device_topic(reading.site, reading.device, topics.READING), encode(reading))
    assert ear.bus.flush(60)


def forecasts(ear) -> list[Forecast]:
    return [decode(payload, Forecast) for payload in ear.on(topics.FORECAST)]


def outcomes(ear) -> list[Outcome]:
    return [decode(payload, Outcome) for payload in ear.on(topics.OUTCOME)]


def test_it_forecasts_by_persistence_then_by_the_model_that_comes_and_keeps_it_when_the_next_is_cut(
    ear, floor, tmp_path, air, site
):
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_state(FORECASTER, "running")
    feed(ear, air[:100])
    ear.wait(lambda: len(forecasts(ear)) == 100, "a forecast for each reading")
    ear.wait(lambda: len(outcomes(ear)) == 99, "an outcome for each forecast but the last")
    assert {forecast.model_version for forecast in forecasts(ear)} == {PERSISTENCE}

    ship_forecast(tmp_path, site, "1.0.1", 5.0)
    ear.wait_for_counter(FORECASTER, "models_loaded", 1)
    feed(ear, air[100:110])
    ear.wait(lambda: len(forecasts(ear)) == 110, "forecasts by the model")
    for forecast in forecasts(ear)[100:]:
        assert forecast.model_version == "1.0.1"
        assert forecast.value == pytest.approx(forecast.last_value + 5.0)
    assert outcomes(ear)[99].model_version == PERSISTENCE, "the forecast before the change was persistence's"

    ship_forecast(tmp_path, site, "1.0.2", 7.0, cut=True)
    ear.wait_for_counter(FORECASTER, "models_refused", 1)
    feed(ear, air[110:115])
    ear.wait(lambda: len(forecasts(ear)) == 115, "forecasts by the model that stayed")
    assert {forecast.model_version for forecast in forecasts(ear)[110:]} == {"1.0.1"}
    assert "bytes, and the manifest says" in floor.log("pm_edge.components.forecaster")


def test_a_restart_keeps_the_window_and_the_forecast_that_waits_for_its_outcome(ear, floor, tmp_path, air, site):
    ship_forecast(tmp_path, site, "1.0.1", 5.0)
    first = floor.start("pm_edge.components.forecaster")
    ear.wait_for_counter(FORECASTER, "models_loaded", 1)
    feed(ear, air[:100])
    ear.wait(lambda: len(forecasts(ear)) == 100, "forecasts")
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == -signal.SIGTERM
    ear.heard.clear()
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_state(FORECASTER, "running")
    feed(ear, air[100:101])
    ear.wait(lambda: len(forecasts(ear)) == 1 and len(outcomes(ear)) == 1, "a forecast and an outcome")
    assert outcomes(ear)[0].issued_at == air[99].event_time
    assert forecasts(ear)[0].model_version == "1.0.1", "a model answers at once only if the window was kept"


def test_a_state_that_cannot_be_read_is_put_aside_and_the_forecasts_go_on(ear, floor, tmp_path, air):
    state = tmp_path / "state" / "forecaster.json"
    state.parent.mkdir()
    state.write_text('{"air-1": {"hours": "none"}}')
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_state(FORECASTER, "running")
    feed(ear, air[:3])
    ear.wait(lambda: len(forecasts(ear)) == 3, "forecasts")
    assert "the forecaster's state" in floor.log("pm_edge.components.forecaster")
    assert (tmp_path / "state" / "forecaster.json.damaged").exists()
    ear.wait_for_counter(FORECASTER, "readings", 3)
    ear.wait(state.exists, "the new state")
    assert set(decode_state(state.read_bytes())) == {"air-1"}
    ear.wait_for_counter(FORECASTER, "damaged_files", 1)
    [letter] = [decode(payload, DeadLetter) for payload in ear.on(topics.DEAD_LETTER)]
    assert (letter.topic, base64.b64decode(letter.payload)) == ("forecaster.json", b'{"air-1": {"hours": "none"}}')


def test_what_is_no_reading_is_counted_and_the_good_ones_are_answered(ear, floor, site, air):
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_state(FORECASTER, "running")
    topic = topics.device_topic(site, "air-1", topics.READING)
    ear.bus.publish(topic, b"{}")
    foreign = AirQualityReading(
        site=site, device="air-2", sequence=0, event_time=air[0].event_time, measurements=air[0].measurements
    )
    ear.bus.publish(topic, encode(foreign))
    in_2099 = msgspec.structs.replace(air[0], event_time=dt.datetime(2099, 1, 1, tzinfo=dt.UTC), message_id="")
    ear.bus.publish(topic, encode(in_2099))
    feed(ear, [air[0], air[0], air[1]])
    ear.wait_for_counter(FORECASTER, "refused", 3)
    ear.wait_for_counter(FORECASTER, "repeated", 1)
    ear.wait(lambda: len(forecasts(ear)) == 2, "forecasts of the good readings")


def test_a_reading_of_a_time_to_come_stands_in_nobody_s_way_after_a_kill(ear, floor, tmp_path, site, air):
    last_hour = dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC)
    bad = msgspec.structs.replace(air[0], event_time=last_hour, message_id="")
    left = Journal(tmp_path / "journal", "forecaster")
    left.append(0.0, topics.device_topic(site, "air-1", topics.READING), encode(bad))
    left.close()
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_counter(FORECASTER, "recovered", 1)
    ear.wait_for_counter(FORECASTER, "refused", 1)
    assert "ahead of its arrival" in floor.log("pm_edge.components.forecaster")


def test_where_nothing_but_garbage_comes_the_journal_does_not_grow(ear, floor, site, tmp_path):
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_state(FORECASTER, "running")
    for number in range(1, 4):
        ear.bus.publish(topics.device_topic(site, "air-1", topics.READING), b"{}")
        ear.wait_for_counter(FORECASTER, "refused", number)
    ear.wait(lambda: not list((tmp_path / "journal").glob("forecaster-*")), "an empty journal")


def test_the_fault_detector_scores_from_its_first_model_on_and_raises_the_alert_once_also_over_a_restart(
    ear, floor, tmp_path, machine, site
):
    def scores() -> list[FaultScore]:
        return [decode(payload, FaultScore) for payload in ear.on(topics.FAULT)]

    def alerts() -> list[Alert]:
        return [decode(payload, Alert) for payload in ear.on(topics.ALERT)]

    first = floor.start("pm_edge.components.fault_detector")
    ear.wait_for_state(DETECTOR, "running")
    feed(ear, machine[:5])
    ear.wait_for_counter(DETECTOR, "without_model", 5)
    assert scores() == []
    ship_fault(tmp_path, site, "1.0.1", 0.9)
    ear.wait_for_counter(DETECTOR, "models_loaded", 1)
    feed(ear, machine[5:8])
    ear.wait(lambda: len(scores()) == 3, "scores")
    assert [score.faulty for score in scores()] == [True] * 3
    [alert] = alerts()
    assert (alert.state, alert.raised_at, alert.device) == ("active", machine[5].event_time, "machine-01")

    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == -signal.SIGTERM
    ear.heard.clear()
    floor.start("pm_edge.components.fault_detector")
    ear.wait_for_state(DETECTOR, "running")
    feed(ear, machine[8:10])
    ear.wait(lambda: len(scores()) == 2, "scores after the restart")
    assert alerts() == [], "the alert was raised before the restart"
    ship_fault(tmp_path, site, "1.0.2", 0.1)
    ear.wait_for_counter(DETECTOR, "models_loaded", 2)
    feed(ear, machine[10:14])
    ear.wait(lambda: len(alerts()) == 1, "the alert's end")
    assert alerts()[0].state == "cleared"


@pytest.mark.parametrize("component", [FORECASTER, DETECTOR])
def test_a_model_that_answers_nonsense_is_given_up_once_and_the_one_before_it_answers_the_same_rows(
    component, ear, floor, tmp_path, air, machine, site
):
    module, channel, kind, ship_model, readings = {
        FORECASTER: ("pm_edge.components.forecaster", topics.FORECAST, "forecast", ship_forecast, air),
        DETECTOR: ("pm_edge.components.fault_detector", topics.FAULT, "fault", ship_fault, machine),
    }[component]

    def versions() -> list[str]:
        return [json.loads(payload)["model_version"] for payload in ear.on(channel)]

    good, bad = (5.0, 900.0) if component == FORECASTER else (0.1, 2.0)
    ship_model(tmp_path, site, "1.0.1", good)
    first = floor.start(module)
    ear.wait_for_counter(component, "models_loaded", 1)
    before = len(readings) // 2
    feed(ear, readings[:before])
    ear.wait(lambda: len(versions()) == before, "answers by the good model")
    ship_model(tmp_path, site, "1.0.2", bad)
    ear.wait_for_counter(component, "models_loaded", 2)
    feed(ear, readings[before : before + 5])
    ear.wait(lambda: len(versions()) == before + 5, "an answer to each reading")
    assert versions()[before:] == ["1.0.1"] * 5
    ear.wait_for_counter(component, "models_given_up", 1)
    models = tmp_path / "models" / kind
    ear.wait((models / "1.0.2" / "given-up").exists, "the mark that it is given up")
    assert "3 bad answers in a row, the latest nonsense" in (models / "1.0.2" / "given-up").read_text()
    ear.wait(lambda: "model 1.0.2 is given up" in ear.status(component).reason, "the reason in its status")
    assert floor.log(module).count("model 1.0.2 is given up") == 1
    assert (models / "in-use").readlink() == Path("1.0.1")

    first.send_signal(signal.SIGTERM)
    first.wait(60)
    floor.start(module)
    ear.wait(lambda: "given up before" in floor.log(module), "the bad model to be refused")
    ear.wait_for_state(component, "running")
    feed(ear, readings[before + 5 : before + 6])
    ear.wait(lambda: len(versions()) == before + 6, "an answer after the restart")
    assert versions()[-1] == "1.0.1"


def test_the_model_of_another_kind_is_refused(ear, floor, tmp_path, site):
    ship_fault(tmp_path, site, "1.0.1", 0.9)
    (tmp_path / "models" / "fault").rename(tmp_path / "models" / "forecast")
    floor.start("pm_edge.components.forecaster")
    ear.wait_for_counter(FORECASTER, "models_refused", 1)
    assert "release.json is of a fault model, allowed is a forecast model" in floor.log("pm_edge.components.forecaster")
