"""The gateway's reading of deployments' rules for client devices; no processes.

That the gateway obeys it is in `test_client_devices.py`.
"""

from typing import Any

import pytest

from pm_components.greengrass_site import client_devices, public_components
from pm_sandbox.core_device.client_devices.configuration import (
    AUTH,
    BRIDGE,
    BROKER,
    SHADOWS,
    Configuration,
    ConfigurationError,
    parse,
)

DEVICES = {"air-1": "air_quality", "machine-01": "machine"}


def of_the_site() -> Configuration:
    components = client_devices.components("gera", DEVICES, public_components.chosen("2.16.1"))
    return parse({name: component.configuration for name, component in components.items()})


@pytest.mark.parametrize(
    ("thing", "operation", "resource", "allowed"),
    [
        ("gera_air-1", "mqtt:connect", "mqtt:clientId:gera_air-1", True),
        ("gera_air-1", "mqtt:connect", "mqtt:clientId:gera_machine-01", False),
        ("gera_air-1", "mqtt:publish", "mqtt:topic:pm/gera/air-1/reading", True),
        ("gera_air-1", "mqtt:publish", "mqtt:topic:pm/gera/machine-01/reading", False),
        ("gera_air-1", "mqtt:publish", "mqtt:topic:pm/gera/alert", False),
        ("gera_air-1", "mqtt:publish", "mqtt:topic:pm/gera/command/replay", False),
        ("gera_air-1", "mqtt:publish", "mqtt:topic:$aws/things/gera_air-1/shadow/update", True),
        ("gera_air-1", "mqtt:publish", "mqtt:topic:$aws/things/gera_machine-01/shadow/update", False),
        ("gera_air-1", "mqtt:subscribe", "mqtt:topicfilter:$aws/things/gera_air-1/shadow/update/delta", True),
        ("gera_air-1", "mqtt:subscribe", "mqtt:topicfilter:pm/#", False),
        ("gera_air-10", "mqtt:connect", "mqtt:clientId:gera_air-1", False),
    ],
)
def test_a_device_of_the_site_has_its_own_and_nothing_else(
    thing: str, operation: str, resource: str, allowed: bool
) -> None:
    assert of_the_site().allows(thing, operation, resource) == allowed


def test_the_site_s_configuration_is_understood_as_a_whole() -> None:
    site = of_the_site()
    assert site.bridged == ("pm/gera/+/reading",)
    assert site.local_shadows
    assert site.synchronized == {"gera_air-1", "gera_machine-01"}
    assert site.trust_seconds == 7 * 24 * 3600


def groups(rule: str, **statement: Any) -> dict[str, Any]:
    policy = {"operations": ["mqtt:connect"], "resources": ["*"], **statement}
    return {
        AUTH: {
            "deviceGroups": {
                "formatVersion": "2021-03-05",
                "definitions": {"some": {"selectionRule": rule, "policyName": "any"}},
                "policies": {"any": {"all": policy}},
            }
        }
    }


def test_wildcards_and_the_variable_of_the_thing() -> None:
    rules = parse(
        groups("thingName: air-* OR thingName: lamp", resources=["mqtt:clientId:${iot:Connection.Thing.ThingName}"])
    )
    assert rules.allows("air-7", "mqtt:connect", "mqtt:clientId:air-7")
    assert rules.allows("lamp", "mqtt:connect", "mqtt:clientId:lamp")
    assert not rules.allows("lamp-2", "mqtt:connect", "mqtt:clientId:lamp-2")
    assert not rules.allows("air-7", "mqtt:connect", "mqtt:clientId:air-8")
    assert not rules.allows("air-7", "mqtt:publish", "mqtt:clientId:air-7")
    assert rules.trust_seconds == 60


def bridge(topic: str, source: str, target: str) -> dict[str, Any]:
    return {BRIDGE: {"mqttTopicMapping": {"way": {"topic": topic, "source": source, "target": target}}}}


@pytest.mark.parametrize(
    ("configurations", "complaint"),
    [
        (
            groups("thingName: a AND thingName: b"),
            r"definitions.some: selectionRule 'thingName: a AND.*allowed here",
        ),
        (groups("thingName: a", effect="DENY"), r"policies.any.all: effect 'DENY'; allowed here is ALLOW"),
        (groups("thingName: a", operations=["mqtt:retain"]), r"operation 'mqtt:retain'; allowed are mqtt:connect"),
        ({AUTH: {"deviceGroups": {"definitions": {"x": {"selectionRule": "thingName: a"}}}}}, "policyName None"),
        ({AUTH: {"security": {"clientDeviceTrustDurationMinutes": "long"}}}, "'long'; allowed are numbers from 0"),
        ({AUTH: {"performance": {}}}, "Auth: performance cannot be honoured here; allowed are deviceGroups, security"),
        ({BROKER: {"moquette": {"ssl_port": "9000"}}}, "Moquette: moquette cannot be honoured here"),
        (
            bridge("a/b", "LocalMqtt", "IotCore"),
            r"way: a/b from LocalMqtt to IotCore; allowed here are Local",
        ),
        (bridge("a/#/b", "LocalMqtt", "Pubsub"), r"way: topic 'a/#/b' is no topic filter"),
        (bridge("$aws/things/+/shadow/#", "LocalMqtt", "Pubsub"), "goes one way only"),
        ({SHADOWS: {"synchronize": {"direction": "cloudToDevice"}}}, "direction 'cloudToDevice'; allowed here are"),
        ({SHADOWS: {"synchronize": {"shadowDocuments": [{"thingName": "a", "namedShadows": []}]}}}, "namedShadows"),
    ],
)
def test_what_cannot_be_honoured_is_named(configurations: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse(configurations)


def test_shadows_that_nobody_answers_are_refused() -> None:
    both = {
        "up": {"topic": "$aws/things/+/shadow/#", "source": "LocalMqtt", "target": "Pubsub"},
        "down": {"topic": "$aws/things/+/shadow/#", "source": "Pubsub", "target": "LocalMqtt"},
    }
    with pytest.raises(ConfigurationError, match=r"carries shadows, and aws.greengrass.ShadowManager is not deployed"):
        parse({BRIDGE: {"mqttTopicMapping": both}})
