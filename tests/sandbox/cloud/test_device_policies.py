"""AWS IoT policies in the emulated AWS: whose count on which way, which variables they know, what a nucleus needs.

The rules are AWS's by its documentation; not proved here: that AWS decides as it documents.
"""

import json
import ssl
import threading
import urllib.error
import urllib.request
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from pm_components.aws.limits import IOT_SUBSCRIPTIONS_PER_CONNECTION
from pm_components.greengrass_site import device_policies
from pm_contracts.site_devices import thing_name
from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device.identity import Identity, enroll
from tests.sandbox.cloud.conftest import Account, connected, document

SITE = "trier"
_LIMIT = 60.0


def request(cloud: Cloud, identity: Identity, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    """The HTTP status that a device's request is answered with."""
    context = ssl.create_default_context(cafile=str(identity.root_certificate))
    context.load_cert_chain(identity.certificate, identity.private_key)
    asked = urllib.request.Request(
        f"https://127.0.0.1:{cloud.device_port()}{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
    )
    try:
        with urllib.request.urlopen(asked, context=context, timeout=_LIMIT) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def client(cloud: Cloud, identity: Identity, client_id: str, will: str = "") -> mqtt.Client:
    """A connection, with a will for the topic `will`. Raises ConnectionError where the broker refuses."""
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv311)
    made.tls_set(str(cloud.certificate_authority), str(identity.certificate), str(identity.private_key))
    if will:
        made.will_set(will, b"{}", qos=1)
    return connected(made, cloud)


def subscribed(connection: mqtt.Client, topic_filter: str) -> bool:
    """Return whether a subscription is taken; one that is not ends the connection."""
    taken: list[bool] = []
    answered = threading.Event()

    def answer(is_taken: bool) -> None:
        taken.append(is_taken)
        answered.set()

    connection.on_subscribe = lambda *heard: answer(not any(code.is_failure for code in heard[3]))
    connection.on_disconnect = lambda *_: answer(False)
    connection.subscribe(topic_filter, 1)
    assert answered.wait(_LIMIT)
    return taken[0]


def published(connection: mqtt.Client, topic: str) -> bool:
    """Return whether a message is taken; one that is not ends the connection."""
    taken: list[bool] = []
    answered = threading.Event()

    def answer(is_taken: bool) -> None:
        taken.append(is_taken)
        answered.set()

    connection.on_publish = lambda *_: answer(True)
    connection.on_disconnect = lambda *_: answer(False)
    connection.publish(topic, b"{}", qos=1)
    assert answered.wait(_LIMIT)
    return taken[0]


class Core:
    """A core device of a site, with the site's policies on its certificate."""

    def __init__(self, account: Account, thing: str, *, exclusive: bool = True, policies: Any = None) -> None:
        self.cloud, self.thing = account.cloud, thing
        iot, head = account.cloud.client("iot"), account.arn("iot", "")
        iot.create_thing(thingName=thing)
        made = policies or {
            f"{thing}-core": device_policies.core_device_policy(SITE, head, f"{head}rolealias/{SITE}"),
            f"{thing}-serving": device_policies.serving_policy(SITE, [thing], head),
        }
        for name, text in made.items():
            iot.create_policy(policyName=name, policyDocument=text)
        authority = account.cloud.certificate_authority.read_bytes()
        self.identity = enroll(account.directory / thing, thing, list(made), authority, iot)
        (principal,) = iot.list_thing_principals(thingName=thing)["principals"]
        if not exclusive:  # as fleet provisioning attaches it
            iot.detach_thing_principal(thingName=thing, principal=principal)
            iot.attach_thing_principal(thingName=thing, principal=principal)

    def connect(self, client_id: str) -> mqtt.Client:
        return client(self.cloud, self.identity, client_id)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("suffix", ["", "#2", "#17", "-uplink"])
def test_a_core_device_may_work_on_each_of_its_connections(account: Any, suffix: str, exclusive: bool) -> None:
    """A nucleus opens `thing#2` for more subscriptions than one connection takes, and publishes on all in turn."""
    core = Core(account, f"{account.prefix}-core", exclusive=exclusive)
    own = f"$aws/things/{core.thing}"
    device = f"$aws/things/{thing_name(SITE, 'air-1')}"
    connection = core.connect(f"{core.thing}{suffix}")
    for topic_filter in (f"{own}/jobs/notify-next", f"{own}/shadow/#", f"{device}/shadow/update/+"):
        assert subscribed(connection, topic_filter), topic_filter
    for topic in (
        f"{own}/jobs/1/update",
        f"{own}/greengrassv2/health/json",
        f"{own}/greengrass/health/json",
        f"{own}-gci/shadow/get",
        f"{device}/shadow/update",
        f"pm/{SITE}/air-1/reading",
    ):
        assert published(connection, topic), topic
    connection.disconnect()
    connection.loop_stop()


@pytest.mark.parametrize("other", ["2", "-other", "-uplink#2", "#", "+"])
def test_it_may_not_call_itself_another(account: Any, other: str) -> None:
    core = Core(account, f"{account.prefix}-core")
    if other == "#":
        core.connect(f"{core.thing}#").disconnect()  # nobody's: no thing's name has one
        return
    with pytest.raises(ConnectionError):
        core.connect(f"{core.thing}{other}")


def test_it_may_not_speak_for_another_core_device(account: Any) -> None:
    core = Core(account, f"{account.prefix}-core")
    for topic in (f"$aws/things/{core.thing}2/jobs/1/update", f"$aws/things/{core.thing}2/greengrass/health/json"):
        assert not published(core.connect(f"{core.thing}#2"), topic), topic


@pytest.mark.parametrize("suffix", ["", "#2", "-uplink"])
def test_it_hears_the_commands_of_its_site_and_gives_none(account: Any, suffix: str) -> None:
    core = Core(account, f"{account.prefix}-core", exclusive=False)
    command = f"pm/{SITE}/command/replay"
    for topic in (command, f"pm/{SITE}/command/x", "pm/other/command/replay", "pm/other/air-1/reading"):
        assert not published(core.connect(f"{core.thing}{suffix}"), topic), topic
    with pytest.raises(ConnectionError):
        client(core.cloud, core.identity, f"{core.thing}{suffix}", will=command)
    connection = core.connect(f"{core.thing}{suffix}")
    assert subscribed(connection, f"pm/{SITE}/command/+")
    heard = threading.Event()
    connection.on_message = lambda *_: heard.set()
    account.cloud.client("iot-data").publish(topic=command, qos=1, payload=b"{}")
    assert heard.wait(_LIMIT)
    connection.disconnect()
    connection.loop_stop()


def test_the_policies_of_a_group_count_on_mqtt_and_not_over_https(account: Any) -> None:
    iot, greengrass = account.cloud.client("iot"), account.cloud.client("greengrassv2")
    thing = f"{account.prefix}-core"
    serving = document(
        {"Effect": "Allow", "Action": "greengrass:*", "Resource": "*"},
        {"Effect": "Allow", "Action": ["iot:GetThingShadow", "iot:UpdateThingShadow"], "Resource": "*"},
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": "*"},
    )
    connect = document({"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"})
    core = Core(account, thing, policies={f"{thing}-connect": connect}, exclusive=False)
    group = iot.create_thing_group(thingGroupName=f"{thing}-group")["thingGroupArn"]
    iot.add_thing_to_thing_group(thingName=thing, thingGroupName=f"{thing}-group")
    iot.create_policy(policyName=f"{thing}-of-group", policyDocument=serving)
    iot.attach_policy(policyName=f"{thing}-of-group", target=group)
    asked = [
        ("PUT", f"/greengrass/things/{thing}/connectivityInfo", {"ConnectivityInfo": []}),
        ("POST", "/greengrass/certificate-authorities", {"coreDeviceThingName": thing, "certificates": []}),
        ("GET", f"/greengrass/discover/thing/{thing}", None),
        ("POST", f"/things/{thing}/shadow", {"state": {"reported": {}}}),
        ("GET", f"/things/{thing}/shadow", None),
    ]
    assert [request(account.cloud, core.identity, *one) for one in asked] == [403] * 5
    # A connection whose thing is known has the group's policies, one that bears another name has not.
    assert published(core.connect(thing), "a/b")
    assert not published(core.connect(f"{thing}-uplink"), "a/b")
    (principal,) = iot.list_thing_principals(thingName=thing)["principals"]
    iot.attach_policy(policyName=f"{thing}-of-group", target=principal)
    greengrass.batch_associate_client_device_with_core_device(coreDeviceThingName=thing, entries=[{"thingName": thing}])
    assert [request(account.cloud, core.identity, *one) for one in asked] == [200] * 5


def test_the_variables_of_things_have_no_value_over_https(account: Any) -> None:
    thing = f"{account.prefix}-core"
    for number, (variable, status) in enumerate(
        [("iot:Connection.Thing.ThingName", 403), ("iot:Certificate.Subject.CommonName", 200)]
    ):
        name = f"{thing}-{number}"
        allowed = {
            "Effect": "Allow",
            "Action": "iot:UpdateThingShadow",
            "Resource": account.arn("iot", f"thing/${{{variable}}}"),
        }
        core = Core(account, name, policies={name: document(allowed)})
        body = {"state": {"reported": {}}}
        assert request(account.cloud, core.identity, "POST", f"/things/{name}/shadow", body) == status


def test_one_connection_takes_no_more_subscriptions_than_aws_lets_it(account: Any) -> None:
    core = Core(account, f"{account.prefix}-core")
    connection = core.connect(core.thing)
    for number in range(IOT_SUBSCRIPTIONS_PER_CONNECTION):
        assert subscribed(connection, f"$aws/things/{SITE}_{number}/shadow/update/accepted"), number
    assert not subscribed(connection, f"$aws/things/{SITE}_more/shadow/update/accepted")
    # As a nucleus does: the next ones go by a connection of their own.
    assert subscribed(core.connect(f"{core.thing}#2"), f"$aws/things/{SITE}_more/shadow/update/accepted")
