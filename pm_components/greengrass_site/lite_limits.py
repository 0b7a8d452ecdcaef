"""The room that nucleus lite has for a deployment. Pure: the limits are constants of its source (`limits`).

Lite keeps all in buffers of fixed size. A deployment that does not fit reaches it and is dropped, or fails half-way; so
a site that does not fit is refused before, and so does the sandbox's nucleus in its lite mode.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pm_components.aws import limits

_ID = "00000000-0000-0000-0000-000000000000"
_TIME = 1_700_000_000
#: Bytes of an MQTT packet beside topic and payload: header, two lengths, packet identifier ("PUBLISH", MQTT 3.1.1).
_PACKET_OVERHEAD = 9


class LiteComponent(NamedTuple):
    """A component in a deployment."""

    version: str
    merge: Mapping[str, Any]
    """The part that the deployment merges into its configuration."""
    reset: tuple[str, ...]
    """JSON pointers of what it sets back to the default."""
    configuration: Mapping[str, Any]
    """The configuration that it comes to, defaults included."""


class LiteDeployment(NamedTuple):
    """A deployment to the core devices of a thing group."""

    name: str
    thing_group: str
    thing_name: str
    """The core device; the longest name where there are more."""
    components: Mapping[str, LiteComponent]


class Use(NamedTuple):
    """The use that a deployment makes of one of lite's buffers."""

    what: str
    used: int
    limit: int
    """Both in bytes."""


def uses(deployment: LiteDeployment) -> Iterator[Use]:
    """The use of each buffer by a deployment; of values and grants, the largest of each component."""
    document = _document(deployment)
    answer = _answer(document)
    topic = f"$aws/things/{deployment.thing_name}/jobs/$next/get/accepted"
    yield Use(
        "the MQTT packet of the deployment",
        len(topic) + len(_json(answer)) + _PACKET_OVERHEAD,
        limits.LITE_MQTT_PACKET_BYTES,
    )
    yield Use("the objects of the deployment's job", _structure_bytes(answer), limits.LITE_JOB_OBJECT_BYTES)
    copied = (_ID, _ID, document["components"], document["configurationArn"], deployment.thing_group)
    yield Use("the deployment", sum(map(_copied_bytes, copied)), limits.LITE_DEPLOYMENT_BYTES)
    for name, component in sorted(deployment.components.items()):
        largest = max(_values(component.configuration), key=lambda value: value[1], default=("", 0))
        if largest[1]:
            what = f"the configuration value {largest[0]} of {name}"
            yield Use(what, largest[1], limits.LITE_CONFIGURATION_VALUE_BYTES)
        for service, policies in sorted(component.configuration.get("accessControl", {}).items()):
            what = f"the grants of {name} for {service}"
            yield Use(what, _copied_bytes(policies), limits.LITE_GRANT_BYTES)


def document_bytes(deployment: LiteDeployment) -> int:
    """The bytes of a deployment's document, as any nucleus reads it."""
    return len(_json(_document(deployment)))


def problems(deployment: LiteDeployment) -> list[str]:
    """The limits of nucleus lite that a deployment exceeds, by name and size; empty if there are none."""
    return [
        f"{use.what} has {use.used:,} bytes, and nucleus lite has room for {use.limit:,}"
        for use in uses(deployment)
        if use.used > use.limit
    ]


def _document(deployment: LiteDeployment) -> dict[str, Any]:
    """The deployment as the device reads it.

    Its form is that of the documents in the tests of https://github.com/aws-greengrass/aws-greengrass-nucleus; AWS does
    not document it. Region and revision are as long as they get.
    """
    arn = f"arn:aws:greengrass:ap-southeast-1:123456789012:configuration:thinggroup/{deployment.thing_group}:1000"
    return {
        "deploymentId": _ID,
        "deploymentName": deployment.name,
        "configurationArn": arn,
        "creationTimestamp": _TIME * 1000,
        "components": {name: _specification(one) for name, one in sorted(deployment.components.items())},
        "failureHandlingPolicy": "ROLLBACK",
        "componentUpdatePolicy": {"timeout": 60, "action": "SKIP_NOTIFY_COMPONENTS"},
        "configurationValidationPolicy": {"timeout": 60},
    }


def _specification(component: LiteComponent) -> dict[str, Any]:
    update = {"merge": dict(component.merge), "reset": list(component.reset)}
    filled = {key: value for key, value in update.items() if value}
    return {"version": component.version, **({"configurationUpdate": filled} if filled else {})}


def _answer(document: Mapping[str, Any]) -> dict[str, Any]:
    """AWS IoT's answer to a device that asks for its next job ("DescribeJobExecution", Jobs device MQTT API)."""
    return {
        "clientToken": "jobs-nucleus-lite",
        "timestamp": _TIME,
        "execution": {
            "jobId": _ID,
            "status": "QUEUED",
            "queuedAt": _TIME,
            "lastUpdatedAt": _TIME,
            "versionNumber": 1,
            "executionNumber": 1,
            "jobDocument": dict(document),
        },
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _structure_bytes(value: Any) -> int:
    """The memory of objects and lists; texts stay where they were read."""
    if isinstance(value, Mapping):
        return sum(limits.LITE_OBJECT_ITEM_BYTES + _structure_bytes(item) for item in value.values())
    if isinstance(value, list):
        return sum(limits.LITE_LIST_ITEM_BYTES + _structure_bytes(item) for item in value)
    return 0


def _copied_bytes(value: Any) -> int:
    """The memory of a copy: objects and lists, and the texts in them."""
    if isinstance(value, Mapping):
        return sum(
            limits.LITE_OBJECT_ITEM_BYTES + len(key.encode()) + _copied_bytes(item) for key, item in value.items()
        )
    if isinstance(value, list):
        return sum(limits.LITE_LIST_ITEM_BYTES + _copied_bytes(item) for item in value)
    return len(value.encode()) if isinstance(value, str) else 0


def _values(configuration: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, int]]:
    """Each value that is no object, by its JSON pointer, with its bytes as JSON."""
    for key, value in configuration.items():
        pointer = f"{path}/{key}"
        if isinstance(value, Mapping):
            yield from _values(value, pointer)
        else:
            yield pointer, len(_json(value))
