"""Bad models and a bad configuration are deployed; the floor goes on with what it had.

Not proved here: what a real nucleus reports of a way back; the device's counters and its forecasts' versions say.
"""

import re

from typer.testing import CliRunner

from pm_cli import main as cli
from pm_contracts import topics
from pm_contracts.manifest import MODEL_FILE
from pm_contracts.messages import PERSISTENCE, Forecast, decode


def observe(plant, count: int) -> list[str]:
    """The model that forecasts at each of the next `count` readings, all of which come to the lake."""
    air = plant.air(count)
    plant.publish(air)

    def versions() -> list[str]:
        by_time = {m.issued_at: m.model_version for m in (decode(p, Forecast) for p in plant.on(topics.FORECAST))}
        return [by_time[reading.event_time] for reading in air if reading.event_time in by_time]

    plant.until(lambda: len(versions()) == count, f"{count} forecasts")
    plant.assert_all_in_lake(air)
    return versions()


def test_bad_models_are_refused_or_given_up_and_the_one_before_answers_also_after_a_restart(plant, make_forecast_model):
    observe(plant, 40)
    [good] = set(observe(plant, 5))
    assert good != PERSISTENCE

    damaged = make_forecast_model(2.0)
    damaged[MODEL_FILE] = damaged[MODEL_FILE][:-1] + b"\x00"
    refused = plant.counter("pm.Forecaster", "models_refused")
    result = plant.ship("pm.ForecastModel", damaged)
    assert (result["status"], result["code"]) == ("FAILED", "FAILED_ROLLBACK_COMPLETE")
    assert re.search(r"forecast model: \S+ is refused: model.onnx has SHA-256", result["cause"])
    plant.until(lambda: plant.counter("pm.Forecaster", "models_refused") == refused + 1, "its refusal")
    # What the device's log says reaches the cloud by the status.
    plant.until(
        lambda: ": model.onnx has SHA-256" in plant.reason_in_the_cloud("pm.Forecaster"), "the reason in the cloud"
    )
    assert set(observe(plant, 10)) == {good}
    plant.kill("pm.Forecaster")
    assert set(observe(plant, 10)) == {good}, "a restart finds the one before on the disk"
    plant.wait_for_report("pm.Forecaster")  # its counters are now those of the present process

    loaded = plant.counter("pm.Forecaster", "models_loaded")
    assert plant.ship("pm.ForecastModel", make_forecast_model(900.0))["status"] == "SUCCEEDED"
    plant.until(lambda: plant.counter("pm.Forecaster", "models_loaded") == loaded + 1, "it to be taken up")
    assert set(observe(plant, 10)) == {good}, "the one before answers each row that the bad one cannot"
    plant.until(lambda: plant.counter("pm.Forecaster", "models_given_up") == 1, "it to be given up")
    plant.kill("pm.Forecaster")
    assert set(observe(plant, 10)) == {good}, "what was given up stays so"
    assert "given up before" in plant.device.logs("pm.Forecaster")
    plant.wait_for_report("pm.Forecaster")

    assert plant.ship("pm.ForecastModel", make_forecast_model(3.0))["status"] == "SUCCEEDED"
    plant.until(lambda: plant.counter("pm.Forecaster", "models_loaded") >= 2, "the next good one")
    [newest] = set(observe(plant, 10))
    assert newest not in (good, PERSISTENCE)


def test_a_bad_configuration_fails_its_deployment_and_the_one_before_comes_back(plant, monkeypatch):
    before = plant.greengrass.get_deployment(deploymentId=plant.site["deployment_id"])["components"]
    air = plant.air(100)
    plant.publish(air[:50])
    merge = '{"outboxMebibytes": "lots"}'
    components = {
        name: {"componentVersion": its["componentVersion"], "configurationUpdate": its.get("configurationUpdate", {})}
        for name, its in before.items()
    }
    import json

    known = json.loads(components["pm.Uplink"]["configurationUpdate"].get("merge", "{}"))
    components["pm.Uplink"]["configurationUpdate"] = {"merge": json.dumps(known | json.loads(merge))}
    result = plant.deploy(plant.site["thing_group"], components)
    assert (result["status"], result["code"]) == ("FAILED", "FAILED_ROLLBACK_COMPLETE")
    assert "pm.Uplink" in result["detail"]
    assert "'lots': allowed are 1 to 1,000,000" in plant.device.logs("pm.Uplink")
    # The version that is back says why the other one ended.
    plant.until(lambda: "'lots': allowed" in plant.reason_in_the_cloud("pm.Uplink"), "the reason in the cloud")
    monkeypatch.setattr(cli, "attached", lambda _: plant.factory)
    shown = CliRunner().invoke(cli.app, ["status"])
    assert re.search(r"lindau pm.Uplink: it ended at .*'lots': allowed", " ".join(shown.output.split())), shown.output
    plant.publish(air[50:])
    plant.settle()
    plant.assert_all_in_lake(air)
