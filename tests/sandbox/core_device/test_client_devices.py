"""Sensors as client devices of a core device: discovery, TLS, bridge, shadows, and who is turned away.

Real processes and sockets throughout. It does not prove that AWS's own client device components read the same
configurations the same way.
"""

import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from pm_components.greengrass_site import client_devices, device_policies, public_components
from pm_contracts.messages import Reading, decode
from pm_contracts.site_devices import thing_name
from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device import CoreDevice, CoreDeviceError
from pm_sandbox.core_device.identity import enroll
from pm_sandbox.sensor import Sensor, run
from tests.waiting import eventually

SITE = "jena"
CORE = "jena-core"
DEVICES = {
    "air-1": "air_quality",
    "air-2": "air_quality",
    "air-3": "air_quality",
    "air-4": "air_quality",
    "machine-01": "machine",
}
LIMIT = 120.0
HOURS = ("--start", "2010-01-02", "--end", "2010-01-04", "--per-second", "0")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of its own, for its log and what is cut off here."""
    with Cloud.start(tmp_path_factory.mktemp("client-devices-cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def core(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoreDevice]:
    iot, iam, greengrass = cloud.client("iot"), cloud.client("iam"), cloud.client("greengrassv2")
    head = f"arn:aws:iot:{cloud.region}:{cloud.account_id}:"
    group = iot.create_thing_group(thingGroupName=SITE)["thingGroupArn"]
    iot.create_thing(thingName=CORE)
    iot.add_thing_to_thing_group(thingName=CORE, thingGroupName=SITE)
    for device in DEVICES:
        iot.create_thing(thingName=thing_name(SITE, device))
    for name, document in (
        ("core", device_policies.core_device_policy(SITE, head, f"{head}rolealias/{SITE}")),
        ("serving", device_policies.serving_policy(SITE, [CORE], head)),
        ("device", device_policies.client_device_policy(SITE, head)),
    ):
        iot.create_policy(policyName=f"{SITE}-{name}", policyDocument=document)
    trust = {"Effect": "Allow", "Principal": {"Service": "credentials.iot.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=f"{SITE}-exchange",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    output = {
        "device_policy": f"{SITE}-core",
        "serving_policy": f"{SITE}-serving",
        "token_exchange_role_arn": role,
    }
    with CoreDevice.start(cloud, tmp_path_factory.mktemp("devices") / CORE, CORE, output) as running:
        releases = public_components.chosen(running.status()["nucleus"]["version"])
        components = {
            name: {
                "componentVersion": component.version,
                "configurationUpdate": {"merge": json.dumps(component.configuration)},
            }
            for name, component in client_devices.components(SITE, DEVICES, releases).items()
        }
        deployment = greengrass.create_deployment(targetArn=group, components=components)
        running.wait_for_deployment(deployment["deploymentId"], LIMIT)
        eventually(lambda: greengrass.get_connectivity_info(thingName=CORE).get("connectivityInfo"), "it is announced")
        yield running


class Bus:
    """The components' bus, listened to as a component would."""

    def __init__(self, port: int) -> None:
        self.readings: dict[str, list[int]] = {device: [] for device in DEVICES}
        # A kept session, as a component has.
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "listener", clean_session=False)
        ready = threading.Event()
        self._client.on_connect = lambda *_: self._client.subscribe(f"pm/{SITE}/#", 1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(LIMIT)

    def close(self) -> None:
        gone = threading.Event()
        self._client.on_unsubscribe = lambda *_: gone.set()
        self._client.unsubscribe(f"pm/{SITE}/#")
        assert gone.wait(LIMIT), "nobody must wait for a listener that has left"
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _client: object, _user: object, message: mqtt.MQTTMessage) -> None:
        reading = decode(message.payload, Reading)
        self.readings[reading.device].append(reading.sequence)


@pytest.fixture
def bus(core: CoreDevice) -> Iterator[Bus]:
    listening = Bus(core.status()["broker_port"])
    yield listening
    listening.close()


@pytest.fixture
def start(cloud: Cloud, core: CoreDevice, tmp_path: Path) -> Iterator[Callable[..., Sensor]]:
    """Start a sensor of the site by its name, with more arguments."""
    sensors: list[Sensor] = []

    def make(device: str, *arguments: str) -> Sensor:
        sensor = Sensor.start(
            cloud,
            core,
            tmp_path / device,
            site=SITE,
            device=device,
            device_type=DEVICES[device],
            policy=f"{SITE}-device",
            arguments=arguments or HOURS,
        )
        sensors.append(sensor)
        return sensor

    yield make
    for sensor in sensors:
        sensor.stop()


def gateway(core: CoreDevice) -> dict[str, Any]:
    status: dict[str, Any] = core.status()["client_devices"]
    return status


def refused(core: CoreDevice, code: str) -> int:
    return int(gateway(core)["admission"].get(f"refused_{code}", 0))


def discover(core: CoreDevice, identity: Path, thing: str) -> tuple[int, dict[str, Any]]:
    context = ssl.create_default_context(cafile=str(identity / "root-ca.pem"))
    context.load_cert_chain(identity / "certificate.pem", identity / "private-key.pem")
    url = f"https://127.0.0.1:{core.status()['device_port']}/greengrass/discover/thing/{thing}"
    try:
        with urllib.request.urlopen(url, context=context, timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def client_of(core: CoreDevice, identity: Path, client_id: str) -> tuple[mqtt.Client, "threading.Event", list[Any]]:
    """A client of the core device's broker as any MQTT library makes one, with what it was answered."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id)
    answered, reasons = threading.Event(), []
    # What discovery would have told it to trust.
    authority = core.directory / "nucleus" / "client-devices" / "authority.pem"
    client.tls_set(str(authority), str(identity / "certificate.pem"), str(identity / "private-key.pem"))

    def connected(_client: object, _user: object, _flags: object, reason: Any, _properties: object) -> None:
        reasons.append(str(reason))
        answered.set()

    client.on_connect = connected
    client.reconnect_delay_set(60, 60)
    client.connect("127.0.0.1", gateway(core)["port"])
    client.loop_start()
    return client, answered, reasons


def test_a_sensor_discovers_publishes_and_updates_its_shadow(
    cloud: Cloud, core: CoreDevice, bus: Bus, start: Callable[..., Sensor]
) -> None:
    sensor = start("air-1")
    assert sensor.process.wait(LIMIT) == 0, sensor.log()
    assert bus.readings["air-1"] == list(range(48))
    shadow = eventually(lambda: _reported(cloud, sensor.thing_name, "idle"), "its last report is in the cloud")
    assert shadow["published"] == 48
    assert shadow["last_sequence"] == 47
    assert (sensor.directory / "identity" / "private-key.pem").stat().st_mode & 0o777 == 0o600
    status, answer = discover(core, sensor.directory / "identity", sensor.thing_name)
    assert status == 200
    [group] = answer["GGGroups"]
    assert group["GGGroupId"] == f"greengrassV2-coreDevice-{CORE}"
    assert group["Cores"][0]["Connectivity"][0]["PortNumber"] == gateway(core)["port"]
    associated = cloud.client("greengrassv2").list_client_devices_associated_with_core_device(coreDeviceThingName=CORE)
    assert sensor.thing_name in [each["thingName"] for each in associated["associatedClientDevices"]]


def _reported(cloud: Cloud, thing: str, state: str) -> Any:
    try:
        payload = cloud.client("iot-data").get_thing_shadow(thingName=thing)["payload"].read()
    except cloud.client("iot-data").exceptions.ResourceNotFoundException:
        return None
    reported = json.loads(payload)["state"]["reported"]
    return reported.get("state") == state and reported


def test_a_sensor_that_is_killed_goes_on_where_it_was(core: CoreDevice, bus: Bus, start: Callable[..., Sensor]) -> None:
    sensor = start("machine-01", "--start", "2010-01-02", "--end", "2010-03-02", "--per-second", "30")
    eventually(lambda: len(bus.readings["machine-01"]) > 10, sensor.log)
    sensor.process.kill()
    sensor.process.wait()
    again = run(
        sensor.directory,
        SITE,
        "machine-01",
        "machine",
        core.status()["device_port"],
        ("--start", "2010-01-02", "--end", "2010-03-02", "--per-second", "0"),
    )
    assert again.wait(LIMIT) == 0
    assert sorted(set(bus.readings["machine-01"])) == list(range(59))


def test_with_the_uplink_cut_a_known_sensor_is_served_and_its_shadow_follows_later(
    cloud: Cloud, core: CoreDevice, bus: Bus, start: Callable[..., Sensor], tmp_path: Path
) -> None:
    sensor = start("air-2", "--start", "2010-01-02", "--end", "2010-01-03", "--per-second", "0")
    assert sensor.process.wait(LIMIT) == 0, sensor.log()
    eventually(lambda: _reported(cloud, sensor.thing_name, "idle"), "its shadow is in the cloud")
    core.cut_uplink()
    try:
        trusted = gateway(core)["admission"].get("trusted", 0)
        port = core.status()["device_port"]
        offline = run(sensor.directory, SITE, "air-2", "air_quality", port, HOURS)
        assert offline.wait(LIMIT) == 0, sensor.log()
        assert bus.readings["air-2"] == list(range(48))
        assert gateway(core)["admission"]["trusted"] > trusted
        # One that the cloud has never verified here is not let in.
        stranger = tmp_path / "air-4"
        enroll(
            stranger / "identity",
            "jena_air-4",
            [f"{SITE}-device"],
            cloud.certificate_authority.read_bytes(),
            cloud.client("iot"),
        )
        before = refused(core, "Unverified")
        client, answered, reasons = client_of(core, stranger / "identity", "jena_air-4")
        assert answered.wait(LIMIT)
        assert reasons == ["Not authorized"]
        assert refused(core, "Unverified") == before + 1
        client.loop_stop()
        assert _reported(cloud, sensor.thing_name, "idle")["last_sequence"] == 23
    finally:
        core.restore_uplink()
    eventually(
        lambda: (_reported(cloud, sensor.thing_name, "idle") or {}).get("last_sequence") == 47, "the shadow to follow"
    )


def test_who_is_not_associated_or_not_who_it_says_is_refused(cloud: Cloud, core: CoreDevice, tmp_path: Path) -> None:
    identity = tmp_path / "lonely" / "identity"
    cloud.client("iot").create_thing(thingName="jena_lonely")
    enroll(identity, "jena_lonely", [f"{SITE}-device"], cloud.certificate_authority.read_bytes(), cloud.client("iot"))
    status, answer = discover(core, identity, "jena_lonely")
    assert (status, answer["message"]) == (404, "thing jena_lonely is associated with no core device")
    status, answer = discover(core, identity, "jena_air-1")
    assert (status, answer["message"]) == (403, "the certificate is not attached to thing jena_air-1")
    for client_id, code in (("jena_lonely", "NotAssociated"), ("jena_air-1", "NotAttached")):
        before = refused(core, code)
        client, answered, reasons = client_of(core, identity, client_id)
        assert answered.wait(LIMIT)
        assert reasons == ["Not authorized"]
        client.loop_stop()
        eventually(lambda: refused(core, code) == before + 1, f"{code} is counted")  # noqa: B023
    assert "is associated with core device" not in core.logs("aws.greengrass.clientdevices.mqtt.Moquette")
    assert "is not associated with core device" in core.logs("aws.greengrass.clientdevices.mqtt.Moquette")
    sensor = run(tmp_path / "lonely", SITE, "lonely", "air_quality", core.status()["device_port"], HOURS)
    log = tmp_path / "lonely" / "sensor.log"
    eventually(lambda: "may not discover (404): it is associated with no core device" in log.read_text(), log.read_text)
    sensor.send_signal(signal.SIGTERM)
    assert sensor.wait(LIMIT) == 0


def test_a_certificate_of_another_authority_gets_no_connection(core: CoreDevice, tmp_path: Path) -> None:
    identity = tmp_path / "forged"
    identity.mkdir()
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=jena_air-1"
    subprocess.run(
        [*make.split(), "-keyout", "private-key.pem", "-out", "certificate.pem"],
        cwd=identity,
        check=True,
        capture_output=True,
    )
    shutil.copy(core.directory / "identity" / "root-ca.pem", identity)
    before = refused(core, "Certificate")
    client, answered, _ = client_of(core, identity, "jena_air-1")
    eventually(lambda: refused(core, "Certificate") == before + 1, "it is counted")
    assert not answered.is_set()
    client.loop_stop()


def test_a_revoked_certificate_ends_the_connection_and_a_new_one_is_taken_up(
    cloud: Cloud, core: CoreDevice, bus: Bus, start: Callable[..., Sensor]
) -> None:
    iot = cloud.client("iot")
    sensor = start("air-3", "--start", "2010-01-02", "--end", "2010-02-02", "--per-second", "20")
    eventually(lambda: len(bus.readings["air-3"]) > 5, sensor.log)
    [principal] = iot.list_thing_principals(thingName=sensor.thing_name)["principals"]
    iot.update_certificate(certificateId=principal.rsplit("/")[-1], newStatus="REVOKED")
    eventually(lambda: sensor.thing_name not in gateway(core)["connected"], "it is let go of")
    assert refused(core, "NotActive") >= 1
    eventually(lambda: "(403)" in sensor.log(), sensor.log)
    sensor.process.kill()
    sensor.process.wait()
    iot.detach_thing_principal(thingName=sensor.thing_name, principal=principal)
    shutil.rmtree(sensor.directory / "identity")
    again = start("air-3", "--start", "2010-01-02", "--end", "2010-02-02", "--per-second", "0")
    assert again.process.wait(LIMIT) == 0, again.log()
    assert sorted(set(bus.readings["air-3"])) == list(range(31 * 24))


def test_a_device_speaks_for_itself_alone(core: CoreDevice, bus: Bus, start: Callable[..., Sensor]) -> None:
    sensor = start("air-1", "--start", "2010-01-02", "--end", "2010-01-02")
    assert sensor.process.wait(LIMIT) == 0, sensor.log()
    client, answered, reasons = client_of(core, sensor.directory / "identity", sensor.thing_name)
    assert answered.wait(LIMIT)
    assert reasons == ["Success"]
    acknowledged: list[int] = []
    client.on_publish = lambda _client, _user, packet_id, *_: acknowledged.append(packet_id)
    before = refused(core, "Publish")
    not_its_own = client.publish(f"pm/{SITE}/air-2/reading", b"not mine", qos=1)
    its_own = client.publish(f"$aws/things/{sensor.thing_name}/shadow/update", b'{"state": {"reported": {}}}', qos=1)
    # Moquette says nothing of the first, and goes on with the connection.
    its_own.wait_for_publish(LIMIT)
    assert its_own.is_published()
    assert not_its_own.mid not in acknowledged
    assert client.is_connected()
    eventually(lambda: refused(core, "Publish") == before + 1, "it is counted")
    client.disconnect()
    client.loop_stop()
    assert bus.readings["air-2"] == []


def test_what_the_cloud_desires_reaches_the_device(
    cloud: Cloud, core: CoreDevice, start: Callable[..., Sensor]
) -> None:
    sensor = start("air-1", "--start", "2010-01-02", "--end", "2010-01-02")
    assert sensor.process.wait(LIMIT) == 0, sensor.log()
    client, answered, _ = client_of(core, sensor.directory / "identity", sensor.thing_name)
    assert answered.wait(LIMIT)
    heard: list[dict[str, Any]] = []
    client.on_message = lambda _client, _user, message: heard.append(json.loads(message.payload))
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe(f"$aws/things/{sensor.thing_name}/shadow/update/delta", 1)
    assert subscribed.wait(LIMIT), "a delta that nobody hears does not come again"
    desired = json.dumps({"state": {"desired": {"per_second": 5}}})
    cloud.client("iot-data").update_thing_shadow(thingName=sensor.thing_name, payload=desired)
    [delta] = eventually(lambda: heard, "the delta")
    assert delta["state"] == {"per_second": 5}
    client.disconnect()
    client.loop_stop()


def test_a_killed_gateway_is_back_on_its_port_and_nothing_is_lost(
    core: CoreDevice, bus: Bus, start: Callable[..., Sensor]
) -> None:
    port = gateway(core)["port"]
    sensor = start("air-1", "--start", "2010-01-02", "--end", "2010-01-12", "--per-second", "60")
    eventually(lambda: len(bus.readings["air-1"]) > 20, sensor.log)
    os.kill(core.status()["components"]["aws.greengrass.clientdevices.mqtt.Moquette"]["pid"], signal.SIGKILL)
    eventually(lambda: len(bus.readings["air-1"]) > 100, sensor.log)
    os.kill(core.status()["broker_pid"], signal.SIGKILL)
    assert sensor.process.wait(LIMIT) == 0, sensor.log()
    eventually(lambda: set(bus.readings["air-1"]) == set(range(240)), lambda: str(len(set(bus.readings["air-1"]))))
    assert gateway(core)["port"] == port


def test_a_configuration_that_cannot_be_honoured_fails_the_deployment(cloud: Cloud, core: CoreDevice) -> None:
    greengrass = cloud.client("greengrassv2")
    thing = f"arn:aws:iot:{cloud.region}:{cloud.account_id}:thing/{CORE}"
    mapping = {"mqttTopicMapping": {"x": {"topic": "a/b", "source": "LocalMqtt", "target": "IotCore"}}}
    bad = {"componentVersion": "2.3.2", "configurationUpdate": {"merge": json.dumps(mapping)}}
    deployment = greengrass.create_deployment(
        targetArn=thing, components={"aws.greengrass.clientdevices.mqtt.Bridge": bad}
    )
    with pytest.raises(CoreDeviceError, match=r"FAILED_NO_STATE_CHANGE.*mqttTopicMapping.x: a/b from LocalMqtt to Iot"):
        core.wait_for_deployment(deployment["deploymentId"], LIMIT)
    assert core.status()["components"]["aws.greengrass.clientdevices.mqtt.Moquette"]["state"] == "RUNNING"
