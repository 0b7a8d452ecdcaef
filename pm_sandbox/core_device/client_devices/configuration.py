"""The configurations of AWS's components for client devices, from deployments, checked. No I/O.

Source of the configurations: "Client device auth", "MQTT bridge" and "Shadow manager" in the list of AWS-provided
components, AWS IoT Greengrass V2 developer guide. What is not on it here and would change something is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pm_sandbox.core_device import mqtt

AUTH = "aws.greengrass.clientdevices.Auth"
BROKER = "aws.greengrass.clientdevices.mqtt.Moquette"
BRIDGE = "aws.greengrass.clientdevices.mqtt.Bridge"
DETECTOR = "aws.greengrass.clientdevices.IPDetector"
SHADOWS = "aws.greengrass.ShadowManager"
#: The components that the gateway plays; it runs where the first two are deployed.
PLAYED = (AUTH, BROKER, BRIDGE, DETECTOR, SHADOWS)

#: The topics of the shadows of client devices, as AWS's documentation has the bridge carry them, both ways.
SHADOW_FILTER = "$aws/things/+/shadow/#"
OPERATIONS = ("mqtt:connect", "mqtt:publish", "mqtt:subscribe")
_DEFAULT_TRUST_MINUTES = 1
_THING = "${iot:Connection.Thing.ThingName}"


class ConfigurationError(ValueError):
    """A configuration that cannot be honoured; the text names component and key, what was found and what is allowed."""


@dataclass(frozen=True)
class Rule:
    """Things whose names match are allowed operations on resources; `*` stands for any text in each."""

    things: tuple[str, ...]
    operations: tuple[str, ...]
    resources: tuple[str, ...]

    def allows(self, thing: str, operation: str, resource: str) -> bool:
        """True if `thing` may do `operation` on `resource`, `mqtt:topic:pm/gera/air-1/reading` for one."""
        return (
            any(_like(pattern, thing) for pattern in self.things)
            and any(_like(pattern, operation) for pattern in self.operations)
            and any(_like(pattern.replace(_THING, thing), resource) for pattern in self.resources)
        )


@dataclass(frozen=True)
class Configuration:
    """The gateway's configuration.

    Attributes:
        rules: Who may do what; all else is refused.
        trust_seconds: How long a device that the cloud has verified is trusted without it.
        bridged: Topic filters of what goes from the devices to the components' bus.
        local_shadows: Whether devices reach their shadows on the core device.
        synchronized: Things whose classic shadow is kept in step with the cloud's.
    """

    rules: tuple[Rule, ...]
    trust_seconds: float
    bridged: tuple[str, ...]
    local_shadows: bool
    synchronized: frozenset[str]

    def allows(self, thing: str, operation: str, resource: str) -> bool:
        """True if `thing` may do `operation` on `resource`, `mqtt:topic:pm/gera/air-1/reading` for one."""
        return any(rule.allows(thing, operation, resource) for rule in self.rules)


def parse(configurations: Mapping[str, Mapping[str, Any]]) -> Configuration:
    """Read the configurations of the components by their names; a component that is missing is not deployed.

    Raises:
        ConfigurationError: for what cannot be honoured here.
    """
    auth = _only(AUTH, configurations.get(AUTH, {}), "deviceGroups", "security")
    security = _only(f"{AUTH}: security", auth.get("security", {}), "clientDeviceTrustDurationMinutes")
    _only(BROKER, configurations.get(BROKER, {}))
    _only(DETECTOR, configurations.get(DETECTOR, {}))
    bridged, local_shadows = _bridge(configurations.get(BRIDGE, {}))
    if local_shadows and SHADOWS not in configurations:
        raise ConfigurationError(f"{BRIDGE}: it carries shadows, and {SHADOWS} is not deployed")
    return Configuration(
        rules=_rules(auth.get("deviceGroups", {})),
        trust_seconds=60.0 * _minutes(security.get("clientDeviceTrustDurationMinutes", _DEFAULT_TRUST_MINUTES)),
        bridged=bridged,
        local_shadows=local_shadows,
        synchronized=_synchronized(configurations.get(SHADOWS, {})),
    )


def _rules(groups: Mapping[str, Any]) -> tuple[Rule, ...]:
    where = f"{AUTH}: deviceGroups"
    _only(where, groups, "formatVersion", "definitions", "policies")
    policies = groups.get("policies", {})
    rules = []
    for name, definition in groups.get("definitions", {}).items():
        _only(f"{where}.definitions.{name}", definition, "selectionRule", "policyName")
        things = _selected(f"{where}.definitions.{name}", str(definition.get("selectionRule", "")))
        policy = policies.get(definition.get("policyName"))
        if policy is None:
            raise ConfigurationError(
                f"{where}.definitions.{name}: policyName {definition.get('policyName')!r}; there are "
                f"{', '.join(sorted(policies)) or 'none'}"
            )
        for key, statement in policy.items():
            place = f"{where}.policies.{definition['policyName']}.{key}"
            _only(place, statement, "statementDescription", "operations", "resources", "effect")
            if str(statement.get("effect", "ALLOW")).upper() != "ALLOW":
                raise ConfigurationError(f"{place}: effect {statement['effect']!r}; allowed here is ALLOW")
            operations = tuple(statement.get("operations", ()))
            unknown = [each for each in operations if each not in (*OPERATIONS, "*", "mqtt:*")]
            if unknown:
                raise ConfigurationError(f"{place}: operation {unknown[0]!r}; allowed are {', '.join(OPERATIONS)}")
            rules.append(Rule(things, operations, tuple(statement.get("resources", ()))))
    return tuple(rules)


def _selected(where: str, rule: str) -> tuple[str, ...]:
    """The patterns of thing names in a selection rule, `thingName: air-1 OR thingName: machine-*`."""
    things = []
    for part in re.split(r"\s+OR\s+", rule.strip()):
        match = re.fullmatch(r"thingName:\s*([A-Za-z0-9_*-]+)", part)
        if match is None:
            raise ConfigurationError(f"{where}: selectionRule {rule!r}; allowed here is thingName: NAME OR ...")
        things.append(match[1])
    return tuple(things)


def _bridge(configuration: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    _only(BRIDGE, configuration, "mqttTopicMapping")
    bridged, shadows = [], set()
    for name, mapping in configuration.get("mqttTopicMapping", {}).items():
        where = f"{BRIDGE}: mqttTopicMapping.{name}"
        _only(where, mapping, "topic", "source", "target")
        topic, way = mapping.get("topic", ""), (mapping.get("source"), mapping.get("target"))
        if not mqtt.is_filter(topic):
            raise ConfigurationError(f"{where}: topic {topic!r} is no topic filter")
        if topic == SHADOW_FILTER and set(way) == {"LocalMqtt", "Pubsub"}:
            shadows.add(way)
        elif way == ("LocalMqtt", "Pubsub"):
            bridged.append(topic)
        else:
            raise ConfigurationError(
                f"{where}: {topic} from {way[0]} to {way[1]}; allowed here are LocalMqtt to Pubsub, and "
                f"{SHADOW_FILTER} between LocalMqtt and Pubsub"
            )
    if len(shadows) == 1:
        raise ConfigurationError(f"{BRIDGE}: {SHADOW_FILTER} goes one way only; a shadow's answers need the other too")
    return tuple(bridged), bool(shadows)


def _synchronized(configuration: Mapping[str, Any]) -> frozenset[str]:
    _only(SHADOWS, configuration, "synchronize")
    synchronize = _only(f"{SHADOWS}: synchronize", configuration.get("synchronize", {}), "shadowDocuments", "direction")
    allowed = ("betweenDeviceAndCloud", "deviceToCloud")
    if synchronize.get("direction", allowed[0]) not in allowed:
        raise ConfigurationError(
            f"{SHADOWS}: synchronize.direction {synchronize['direction']!r}; allowed here are {', '.join(allowed)}"
        )
    things = set()
    for document in synchronize.get("shadowDocuments", []):
        _only(f"{SHADOWS}: synchronize.shadowDocuments", document, "thingName", "classic")
        if document.get("classic", True):
            things.add(str(document["thingName"]))
    return frozenset(things)


def _minutes(value: Any) -> float:
    try:
        minutes = float(value)
    except (TypeError, ValueError):
        minutes = -1.0
    if minutes < 0:
        raise ConfigurationError(
            f"{AUTH}: security.clientDeviceTrustDurationMinutes {value!r}; allowed are numbers from 0"
        )
    return minutes


def _only(where: str, found: Mapping[str, Any], *allowed: str) -> Mapping[str, Any]:
    unknown = sorted(set(found) - set(allowed))
    if unknown:
        raise ConfigurationError(
            f"{where}: {', '.join(unknown)} cannot be honoured here; allowed are {', '.join(allowed) or 'no keys'}"
        )
    return found


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
