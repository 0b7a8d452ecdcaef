"""Bad input on the floor of a running factory: it is refused with a reason and counted, and all that was good arrives.

Each kind is tested alone where it is dealt with (tests/edge, tests/sandbox/core_device); here they come mixed, over the
real bus, uplink, rules and lake. Does not prove anything about load.
"""

import datetime as dt
import json
import shutil
import time
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest

from pm_contracts import topics
from pm_contracts.messages import encode
from pm_edge.devices.simulator import sources
from pm_sandbox.demo.local_status_ear import LocalStatusEar
from pm_sandbox.deployer import deploy
from pm_sandbox.factory import Factory

SITE = "lindau"
GOOD = list(
    sources.readings(
        SITE, {"air-1": "air_quality", "machine-01": "machine"}, end=sources.START + dt.timedelta(days=2), verdicts=True
    )
)


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    with Factory.start(tmp_path_factory.mktemp("factory"), deployer=deploy) as running:
        yield running


@pytest.fixture(scope="module")
def statuses(factory: Factory) -> Iterator[LocalStatusEar]:
    [device] = factory.core_devices.values()
    with LocalStatusEar(SITE, device.status()["broker_port"]) as listening:
        yield listening


@pytest.fixture(scope="module")
def publish(factory: Factory) -> Iterator[Callable[[str, bytes], None]]:
    [device] = factory.core_devices.values()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "a-sensor")
    client.connect("127.0.0.1", device.status()["broker_port"])
    client.loop_start()
    yield lambda topic, payload: client.publish(topic, payload, qos=1).wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def until(condition: Callable[[], bool], statuses: LocalStatusEar, what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        statuses.wait_for_news(0.5)


def test_what_is_bad_is_refused_and_counted_and_all_that_is_good_arrives(factory, statuses, publish):
    bad = [
        (topics.device_topic(SITE, "air-1", "reading"), b"{not json", "malformed"),
        (topics.device_topic(SITE, "air-1", "reading"), encode(GOOD[0]).replace(b'"press"', b'"pressure"'), "pressure"),
        (topics.device_topic(SITE, "air-9", "reading"), encode(GOOD[0]).replace(b'"air-1"', b'"air-9"'), "air-9"),
        (topics.device_topic(SITE, "machine-01", "reading"), encode(GOOD[0]), "machine-01"),
        (f"pm/{SITE}/air-1/gossip", b"{}", "gossip"),
    ]
    out_of_order = [*GOOD[5:], *GOOD[:5]]
    for number, reading in enumerate(out_of_order):
        topic = topics.device_topic(SITE, reading.device, "reading")
        publish(topic, encode(reading))
        if number % 10 == 0 and bad:
            publish(*bad.pop()[:2])
    for reading in GOOD[:3]:  # once more
        publish(topics.device_topic(SITE, reading.device, "reading"), encode(reading))
    assert not bad

    until(lambda: statuses.counter("pm.Uplink", "refused") >= 5, statuses, "the refusal of the bad")
    until(lambda: statuses.counter("pm.Uplink", "repeated") >= 3, statuses, "the recognition of the repeated")
    where = f"site = '{SITE}'"

    def stored() -> int:
        return sum(factory.operator.count(t, where)[0] for t in ("air_quality_reading", "machine_reading"))

    until(lambda: stored() >= len(GOOD), statuses, "the arrival of the good in the lake")
    assert stored() == len(GOOD)
    assert statuses.counter("pm.Uplink", "refused") == 5
    assert statuses.counter("pm.Uplink", "repeated") == 3
    until(lambda: statuses.counter("pm.Forecaster", "late") >= 1, statuses, "the forecaster's count of late readings")
    until(lambda: statuses.counter("pm.Forecaster", "repeated") >= 1, statuses, "its count of the repeated")


def test_a_truncated_model_is_refused_and_the_floor_goes_on(factory, statuses, publish):
    [device] = factory.core_devices.values()
    models = device.directory / "models" / "forecast"
    broken = models / "9.9.9"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text(json.dumps({"kind": "forecast"})[:-3])
    (broken / "model.onnx").write_bytes(b"\x08")
    pointer = models / "next"
    pointer.symlink_to("9.9.9")
    shutil.move(pointer, models / "current")
    later = next(sources.readings(SITE, {"air-1": "air_quality"}, start=sources.START + dt.timedelta(days=3)))
    forecasts = statuses.counter("pm.Forecaster", "forecasts")
    publish(topics.device_topic(SITE, "air-1", "reading"), encode(later))
    until(lambda: statuses.counter("pm.Forecaster", "models_refused") >= 1, statuses, "the refusal of the model")
    until(lambda: statuses.counter("pm.Forecaster", "forecasts") > forecasts, statuses, "the next forecast")
    until(lambda: "model refused" in device.logs("pm.Forecaster"), statuses, "the reason in its log")
