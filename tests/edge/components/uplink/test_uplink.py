"""The uplink as a process between a real local broker and the emulated IoT Core, over TLS with a certificate.

Not proved here: the limits of a connection to the real AWS IoT Core; `--flow-control aws` is only shown to deliver.
"""

import asyncio
import base64
import datetime as dt
import json
import resource
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
import pytest

from pm_contracts import topics
from pm_contracts.messages import (
    MAXIMUM_MESSAGE_BYTES,
    AirQualityReading,
    Alert,
    Command,
    DeadLetter,
    Message,
    Reading,
    Status,
    decode,
    encode,
)
from pm_edge.devices.simulator import sources
from pm_edge.runtime.dead_letters import dead_letter
from pm_sandbox.core_device.forwarder import Forwarder
from tests.waiting import eventually

UPLINK = "pm.Uplink"


class CloudSide:
    """A site's thing with its certificate, a cuttable way to the cloud, and a client that hears what arrives there."""

    def __init__(self, cloud, site: str, directory: Path) -> None:
        self.thing = f"{site}-core"
        self.site = site
        self.heard: list[tuple[str, bytes]] = []
        self.certificate, self.key = self._register(cloud, directory / "identity")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._forwarder = Forwarder(cloud.mqtt_host, cloud.mqtt_port)
        self.restore()
        subscribed = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, f"{self.thing}-listener")
        self._client.tls_set(str(cloud.certificate_authority), str(self.certificate), str(self.key))
        self._client.on_message = lambda _c, _u, message: self.heard.append((message.topic, message.payload))
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(cloud.mqtt_host, cloud.mqtt_port)
        self._client.loop_start()
        self._client.subscribe(f"pm/{site}/#", qos=1)
        assert subscribed.wait(60)

    def _register(self, cloud, identity: Path) -> tuple[Path, Path]:
        iot = cloud.client("iot")
        made = iot.create_keys_and_certificate(setAsActive=True)
        self.certificate_id = made["certificateId"]
        allow = [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]
        policy = json.dumps({"Version": "2012-10-17", "Statement": allow})
        iot.create_policy(policyName=self.thing, policyDocument=policy)
        iot.attach_policy(policyName=self.thing, target=made["certificateArn"])
        iot.create_thing(thingName=self.thing)
        iot.attach_thing_principal(thingName=self.thing, principal=made["certificateArn"])
        identity.mkdir()
        (identity / "certificate.pem").write_text(made["certificatePem"])
        (identity / "private-key.pem").write_text(made["keyPair"]["PrivateKey"])
        (identity / "root-ca.pem").write_bytes(cloud.certificate_authority.read_bytes())
        return identity / "certificate.pem", identity / "private-key.pem"

    def cut(self) -> None:
        asyncio.run_coroutine_threadsafe(self._forwarder.cut(), self._loop).result(60)

    def restore(self) -> None:
        asyncio.run_coroutine_threadsafe(self._forwarder.restore(), self._loop).result(60)

    @property
    def environment(self) -> dict[str, str]:
        return {"PM_IOT_ENDPOINT": f"127.0.0.1:{self._forwarder.port}", "AWS_IOT_THING_NAME": self.thing}

    def on(self, channel: str) -> list[bytes]:
        return [payload for topic, payload in list(self.heard) if topic.endswith(f"/{channel}")]

    def arrived(self, channel: str, count: int) -> list[bytes]:
        """The messages on a channel, once there are so many: the uplink may have its acknowledgement before we hear."""
        eventually(lambda: len(self.on(channel)) >= count, lambda: f"{count} {channel}, not {len(self.on(channel))}")
        return self.on(channel)

    def command(self, name: str, payload: bytes) -> None:
        self._client.publish(topics.command_topic(self.site, name), payload, qos=1).wait_for_publish(60)

    def close(self) -> None:
        self.cut()
        self._client.disconnect()
        self._client.loop_stop()
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture
def cloud_side(cloud, site, tmp_path) -> Iterator[CloudSide]:
    running = CloudSide(cloud, site, tmp_path)
    yield running
    running.close()


def start(floor, cloud_side, *arguments: str, flow_control: str = "none"):
    return floor.start(
        "pm_edge.components.uplink", "--flow-control", flow_control, *arguments, **cloud_side.environment
    )


def readings(site: str, floor, count: int) -> list[Reading]:
    stream = sources.readings(site, floor.devices, verdicts=True)
    return [next(stream) for _ in range(count)]


def wait_until_empty(ear) -> None:
    """Wait until the outbox is: what was published leaves it a moment later."""
    ear.wait(lambda: ear.status(UPLINK).counters["buffered"] == 0, "an empty outbox")


def publish(ear, messages: list[Message], channel: str) -> None:
    for message in messages:
        ear.bus.publish(topics.device_topic(message.site, message.device, channel), encode(message))
    assert ear.bus.flush(60)


def test_what_the_floor_says_arrives_once_and_in_order_and_its_bytes_are_of_the_contract(ear, floor, cloud_side, site):
    process = start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    sent = readings(site, floor, 500)
    publish(ear, sent, topics.HISTORY)
    ear.wait_for_counter(UPLINK, "published", 500)
    assert [decode(payload, Reading) for payload in cloud_side.arrived(topics.HISTORY, 500)] == sent
    wait_until_empty(ear)
    status = ear.status(UPLINK)
    assert (status.counters["accepted"], status.counters["buffered"], status.counters["refused"]) == (500, 0, 0)
    ear.wait(lambda: any(decode(p, Status).component == UPLINK for p in cloud_side.on(topics.STATUS)), "its status")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    ear.wait_for_state(UPLINK, "stopping")


def test_an_outage_in_the_middle_loses_nothing_and_is_logged_once(ear, floor, cloud_side, site):
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    sent = readings(site, floor, 3000)
    publish(ear, sent[:1000], topics.READING)
    ear.wait_for_counter(UPLINK, "published", 100)
    cloud_side.cut()
    ear.wait_for_state(UPLINK, "offline")
    publish(ear, sent[1000:], topics.READING)
    ear.wait_for_counter(UPLINK, "accepted", 3000)
    assert ear.status(UPLINK).counters["buffered"] >= 2000
    cloud_side.restore()
    ear.wait_for_state(UPLINK, "running")
    wait_until_empty(ear)

    def heard() -> list[str]:
        return [decode(payload, Reading).message_id for payload in cloud_side.on(topics.READING)]

    eventually(lambda: len(set(heard())) == len(sent), "all to be heard")
    arrived = heard()
    assert set(arrived) == {reading.message_id for reading in sent}
    # What was under way when the plug was pulled may come twice; no more than the window can be.
    assert len(arrived) - len(set(arrived)) <= 400
    log = floor.log("pm_edge.components.uplink")
    assert log.count("no uplink: ") == 1
    assert log.count("uplink is back") == 1


def test_a_killed_uplink_delivers_what_it_had_accepted_at_its_next_start(ear, floor, cloud_side, site):
    cloud_side.cut()
    process = start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "offline")
    sent = readings(site, floor, 300)
    publish(ear, sent, topics.READING)
    ear.wait_for_counter(UPLINK, "accepted", 300)
    process.kill()
    process.wait()
    cloud_side.restore()
    start(floor, cloud_side)
    ear.wait_for_counter(UPLINK, "published", 300)
    assert [decode(payload, Reading) for payload in cloud_side.arrived(topics.READING, 300)] == sent


def test_a_revoked_certificate_stops_the_uplink_and_a_new_one_is_taken_up_without_a_restart(
    ear, floor, cloud, cloud_side, site, tmp_path
):
    process = start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    sent = readings(site, floor, 300)
    publish(ear, sent[:100], topics.READING)
    ear.wait_for_counter(UPLINK, "published", 100)
    wait_until_empty(ear)
    iot = cloud.client("iot")
    iot.update_certificate(certificateId=cloud_side.certificate_id, newStatus="REVOKED")
    cloud_side.cut()
    cloud_side.restore()
    ear.wait_for_state(UPLINK, "offline")
    publish(ear, sent[100:], topics.READING)
    ear.wait_for_counter(UPLINK, "accepted", 300)
    assert ear.status(UPLINK).counters["buffered"] == 200

    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=cloud_side.thing, target=made["certificateArn"])
    iot.attach_thing_principal(thingName=cloud_side.thing, principal=made["certificateArn"])
    (tmp_path / "identity" / "certificate.pem").write_text(made["certificatePem"])
    ear.wait(
        lambda: (
            "the device's identity has changed" in floor.log("pm_edge.components.uplink")
            or "the new identity is not usable" in floor.log("pm_edge.components.uplink")
        ),
        "a look at half of the new identity",
    )
    (tmp_path / "identity" / "private-key.pem").write_text(made["keyPair"]["PrivateKey"])
    ear.wait_for_counter(UPLINK, "published", 300)
    ear.wait_for_state(UPLINK, "running")
    assert process.poll() is None
    wait_until_empty(ear)


def test_alerts_overtake_readings_after_an_outage(ear, floor, cloud_side, site):
    cloud_side.cut()
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "offline")
    publish(ear, readings(site, floor, 300), topics.READING)
    alert = Alert(
        site=site, device="machine-01", cause="fault", severity="critical", state="active",
        raised_at=dt.datetime.now(dt.UTC), dedupe_key="fault/machine-01", text="machine-01 is faulty.",
    )  # fmt: skip
    ear.bus.publish(topics.site_topic(site, topics.ALERT), encode(alert))
    ear.wait_for_counter(UPLINK, "accepted", 301)
    cloud_side.restore()
    ear.wait_for_counter(UPLINK, "published", 301)
    cloud_side.arrived(topics.ALERT, 1)
    stored = [topic for topic, _ in cloud_side.heard if not topic.endswith("/status")]
    assert stored[0] == topics.site_topic(site, topics.ALERT)


def test_started_on_a_full_disk_it_waits_for_room(ear, floor, cloud_side, site):
    infinite = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, infinite))  # inherited: no file of the uplink grows beyond it
    process = start(floor, cloud_side)
    resource.setrlimit(resource.RLIMIT_FSIZE, (infinite, infinite))
    ear.wait(
        lambda: "the disk takes nothing" in floor.log("pm_edge.components.uplink") or process.poll() is not None,
        "its complaint",
    )
    assert process.poll() is None, floor.log("pm_edge.components.uplink")
    psutil.Process(process.pid).rlimit(psutil.RLIMIT_FSIZE, (infinite, infinite))
    ear.wait_for_state(UPLINK, "running")
    sent = readings(site, floor, 20)
    publish(ear, sent, topics.READING)
    ear.wait_for_counter(UPLINK, "published", 20)
    assert [decode(payload, Reading) for payload in cloud_side.on(topics.READING)] == sent


def _alert(site: str, device: str) -> bytes:
    fields = {"site": site, "device": device, "cause": "fault", "severity": "critical", "state": "active"}
    return json.dumps({**fields, "raised_at": "2014-01-01T00:00:00Z", "dedupe_key": "fault", "text": "Look!"}).encode()


def _broken(reading: AirQualityReading, **changes: object) -> bytes:
    return json.dumps(json.loads(encode(reading)) | changes).encode()


def test_what_is_refused_becomes_a_dead_letter_here_and_in_the_cloud_and_the_good_goes_on(
    ear, floor, cloud_side, site, tmp_path
):
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    good, other = (r for r in readings(site, floor, 30) if isinstance(r, AirQualityReading) and r.sequence < 2)
    measurements = json.loads(encode(good))["measurements"]
    topic = topics.device_topic(site, "air-1", topics.READING)
    bad = [
        (topic, b"\xff\xfe no JSON", "malformed"),
        (topic, encode(good)[:100], "truncated"),
        (topic, _broken(good, measurements=measurements | {"pollution": 5000}), "$.measurements.pollution"),
        (topic, _broken(good, measurements=measurements | {"noise": 1}), "unknown field `noise`"),
        (topic, _broken(good, message_id="0" * 32), "does not belong"),
        (topic, _broken(good, message_id="", device="air-2"), "'air-2'"),
        (topic, _broken(good, message_id="", site="elsewhere"), "'elsewhere'"),
        (f"pm/{site}/air-7/reading", _broken(good, message_id="", device="air-7"), "known are air-1"),
        (f"pm/{site}/machine-01/reading", _broken(good, message_id="", device="machine-01"), "$.device_type"),
        (f"pm/{site}/air-1/gossip", b"{}", "allowed are"),
        (topic, b'{"x":"' + b"y" * 200_000 + b'"}', "at most 131072"),
        (topic, _broken(good, message_id="", event_time="0001-01-01T00:00:00+10:00"), "out of range"),
        (topic, _broken(good, message_id="", event_time="2099-01-01T00:00:00+00:00"), "ahead of its arrival"),
        (topics.site_topic(site, topics.ALERT), _alert(site, "air-7"), "device 'air-7' in an alert: known are air-1"),
    ]
    ear.bus.publish(topic, encode(good))
    for bad_topic, payload, _ in bad:
        ear.bus.publish(bad_topic, payload)
    ear.bus.publish(topic, encode(other))
    ear.bus.publish(topic, encode(good))  # twice: no dead letter, but a counter
    ear.wait_for_counter(UPLINK, "published", len(bad) + 2)
    ear.wait_for_counter(UPLINK, "repeated", 1)
    assert [decode(p, Reading) for p in cloud_side.arrived(topics.READING, 2)] == [good, other]
    letters = [decode(payload, DeadLetter) for payload in cloud_side.arrived(topics.DEAD_LETTER, len(bad))]
    assert [letter.topic for letter in letters] == [bad_topic for bad_topic, _, _ in bad]
    for letter, (_, _, said) in zip(letters, bad, strict=True):
        assert said in letter.reason
    assert ear.status(UPLINK).counters["refused"] == len(bad)
    with sqlite3.connect(tmp_path / "dead-letters.sqlite") as database:
        rows = database.execute("SELECT message FROM dead_letter ORDER BY id").fetchall()
    kept = [decode(message.encode(), DeadLetter) for (message,) in rows]
    assert kept == letters


def test_a_message_that_no_packet_holds_is_a_dead_letter_here_and_is_not_tried_for_ever(
    ear, floor, cloud_side, site, tmp_path
):
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    # Within the contract, and with its topic more than the emulator announces as the largest packet.
    huge = dead_letter(site, "pm.Test", "t", b"x" * 10**6, "why", maximum_bytes=MAXIMUM_MESSAGE_BYTES)
    ear.bus.publish(topics.site_topic(site, topics.DEAD_LETTER), encode(huge))
    good = readings(site, floor, 1)[0]
    ear.bus.publish(topics.device_topic(site, good.device, topics.READING), encode(good))
    ear.wait_for_counter(UPLINK, "published", 1)
    ear.wait_for_counter(UPLINK, "rejected", 1)
    with sqlite3.connect(tmp_path / "dead-letters.sqlite") as database:
        *_, (last,) = database.execute("SELECT message FROM dead_letter ORDER BY id").fetchall()
    assert "do not fit into a packet" in decode(last.encode(), DeadLetter).reason


def test_a_reading_without_an_id_or_in_another_time_zone_reaches_the_lake_in_one_form(ear, floor, cloud_side, site):
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    good = next(r for r in readings(site, floor, 30) if isinstance(r, AirQualityReading))
    fields = json.loads(encode(good))
    del fields["message_id"]
    fields["event_time"] = good.event_time.astimezone(dt.timezone(dt.timedelta(hours=8))).isoformat()
    ear.bus.publish(topics.device_topic(site, "air-1", topics.READING), json.dumps(fields).encode())
    ear.wait_for_counter(UPLINK, "published", 1)
    assert cloud_side.arrived(topics.READING, 1) == [encode(good)]


def test_commands_come_down_and_those_that_no_one_obeys_do_not(ear, floor, cloud_side, site):
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    now = dt.datetime.now(dt.UTC)
    command = Command(site=site, name="replay", issued_at=now, parameters={"per_second": 5})
    cloud_side.command("explode", encode(Command(site=site, name="explode", issued_at=now)))
    cloud_side.command("replay", b"{}")
    cloud_side.command("replay", encode(command))
    ear.wait_for_counter(UPLINK, "commands", 1)
    assert [t for t, _ in ear.heard if "/command/" in t] == [topics.command_topic(site, "replay")]
    assert ear.on("replay") == [encode(command)]
    assert ear.status(UPLINK).counters["refused"] == 2


def deny(cloud, cloud_side, topic_filter: str) -> None:
    """Give the device's policy a version that denies it to publish there, or nothing if the filter is empty."""
    statements = [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]
    if topic_filter:
        denied = f"arn:aws:iot:{cloud.region}:{cloud.account_id}:topic/{topic_filter}"
        statements.append({"Effect": "Deny", "Action": "iot:Publish", "Resource": denied})
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    cloud.client("iot").create_policy_version(policyName=cloud_side.thing, policyDocument=document, setAsDefault=True)


def test_a_policy_that_lets_nothing_through_is_an_outage_and_loses_nothing(ear, floor, cloud, cloud_side, site):
    deny(cloud, cloud_side, f"pm/{site}/*/reading")
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    sent = readings(site, floor, 80)
    publish(ear, sent, topics.READING)
    ear.wait_for_counter(UPLINK, "accepted", 80)
    ear.wait_for_counter(UPLINK, "denied", 81)  # some of them more than once
    assert ear.status(UPLINK).counters["buffered"] == 80
    deny(cloud, cloud_side, "")
    # The emulated IoT Core looks at the policy of a device when it connects.
    cloud_side.cut()
    cloud_side.restore()
    assert [decode(payload, Reading) for payload in cloud_side.arrived(topics.READING, 80)] == sent
    ear.wait_for_counter(UPLINK, "published", 80)
    wait_until_empty(ear)
    assert ear.status(UPLINK).counters["rejected"] == 0
    assert floor.log("pm_edge.components.uplink").count("lets nothing through") == 1


def test_what_the_cloud_s_policy_refuses_is_kept_on_the_device_and_the_rest_goes_on(
    ear, floor, cloud, cloud_side, site, tmp_path
):
    deny(cloud, cloud_side, f"pm/{site}/machine-01/*")
    start(floor, cloud_side)
    ear.wait_for_state(UPLINK, "running")
    sent = readings(site, floor, 60)
    publish(ear, sent, topics.READING)
    refused = [reading for reading in sent if reading.device == "machine-01"]
    assert refused
    assert sent[-1] not in refused, "only where another gets through is it the message's own fault"
    ear.wait_for_counter(UPLINK, "rejected", len(refused))
    ear.wait_for_counter(UPLINK, "published", len(sent) - len(refused))
    wait_until_empty(ear)
    with sqlite3.connect(tmp_path / "dead-letters.sqlite") as database:
        rows = database.execute("SELECT message FROM dead_letter ORDER BY id").fetchall()
    kept = [decode(message.encode(), DeadLetter) for (message,) in rows]
    assert [decode(base64.b64decode(letter.payload), Reading) for letter in kept] == refused
    assert {letter.reason for letter in kept} == {"the cloud does not take it: NOT_AUTHORIZED"}


def test_with_the_limits_of_aws_it_delivers_too(ear, floor, cloud_side, site):
    start(floor, cloud_side, flow_control="aws")
    ear.wait_for_state(UPLINK, "running")
    sent = readings(site, floor, 150)
    publish(ear, sent, topics.READING)
    ear.wait_for_counter(UPLINK, "published", 150)
    assert [decode(payload, Reading) for payload in cloud_side.arrived(topics.READING, 150)] == sent


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AWS_IOT_THING_NAME": ""}, "AWS_IOT_THING_NAME is not set"),
        ({"PM_IOT_ENDPOINT": "https://x:1"}, "endpoint 'https://x:1': it must be HOST or HOST:PORT"),
        ({"PM_LOCAL_BROKER": "nowhere"}, "PM_LOCAL_BROKER is 'nowhere', and must be HOST:PORT"),
        ({"PM_LOCAL_BROKER": ""}, "a Greengrass nucleus sets AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"),
    ],
)
def test_an_environment_that_cannot_work_ends_it_with_the_reason(floor, change, said):
    environment = {"AWS_IOT_THING_NAME": "x-core", "PM_IOT_ENDPOINT": "127.0.0.1:1", **change}
    assert floor.start("pm_edge.components.uplink", **environment).wait(60) == 1
    assert said in floor.log("pm_edge.components.uplink")


def test_a_missing_identity_ends_it_with_the_file_named(floor):
    environment = {"AWS_IOT_THING_NAME": "x-core", "PM_IOT_ENDPOINT": "127.0.0.1:1"}
    assert floor.start("pm_edge.components.uplink", **environment).wait(60) == 1
    assert "identity/certificate.pem" in floor.log("pm_edge.components.uplink")
