"""A site's list of devices, read and taken up by components that run as processes.

Not proved here: that a real nucleus leaves the process alone when its program begins anew.
"""

import datetime as dt
import signal

from pm_contracts import topics
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements
from pm_contracts.messages import AirQualityReading, Forecast, decode, encode

START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


def _read(ear, device: str, hour: int) -> None:
    measurements = AirQualityMeasurements(**{**dict.fromkeys(AIR_QUALITY_MEASUREMENTS, 1.0), "press": 1000.0})
    reading = AirQualityReading(
        site=ear.site, device=device, sequence=hour, event_time=START + dt.timedelta(hours=hour),
        measurements=measurements,
    )  # fmt: skip
    ear.bus.publish(topics.device_topic(ear.site, device, topics.READING), encode(reading))


def _forecast_devices(ear) -> set[str]:
    return {decode(payload, Forecast).device for payload in ear.on(topics.FORECAST)}


def test_a_list_that_has_changed_is_taken_up_in_the_same_process(ear, floor):
    floor.list_devices({"air-1": "air_quality", "machine-01": "machine"})
    process = floor.start("pm_edge.components.forecaster")
    ear.wait_for_state("pm.Forecaster", "running")
    _read(ear, "air-1", 0)
    ear.wait(lambda: _forecast_devices(ear) == {"air-1"}, "a forecast of the station that was listed first")

    floor.list_devices({"air-1": "air_quality", "air-2": "air_quality"})
    ear.wait_for_state("pm.Forecaster", "stopping")
    ear.wait_for_state("pm.Forecaster", "running")
    _read(ear, "air-2", 0)
    ear.wait(lambda: _forecast_devices(ear) == {"air-1", "air-2"}, "a forecast of the station that came to it")
    assert "pm.Forecaster begins anew: the site has other devices" in floor.log("pm_edge.components.forecaster")
    # What it knew of the other station is still there.
    _read(ear, "air-1", 1)
    ear.wait_for_counter("pm.Forecaster", "outcomes", 1)

    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM


def test_a_component_that_starts_before_its_list_waits_for_it(ear, floor):
    floor.list_devices({"machine-01": "machine"})
    (floor.directory / "devices.json").write_text("{}")
    process = floor.start("pm_edge.components.fault_detector")
    floor.list_devices({"machine-01": "machine"})
    ear.wait_for_state("pm.FaultDetector", "running")
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
