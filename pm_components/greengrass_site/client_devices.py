"""The way of a site's devices to its core devices: AWS's own components for that, each with the site's configuration.

A device finds its core device by discovery, shows its certificate there and speaks MQTT; the bridge passes on what it
says to the components. Pure: names in, configurations out. Nucleus lite runs none of these.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pm_components.greengrass_site.public_components import AUTH, BRIDGE, SHADOWS, Release
from pm_contracts import topics
from pm_contracts.site_devices import thing_name

#: As "Interact with client device shadows" of the developer guide has the bridge carry them, both ways.
_SHADOW_TOPICS = "$aws/things/+/shadow/#"
_TRUST_MINUTES = 7 * 24 * 60


class PublicComponent(NamedTuple):
    """A component that AWS publishes: a version of it, and what is merged into its configuration."""

    version: str
    configuration: dict[str, Any]


def components(site: str, devices: Mapping[str, str], releases: Mapping[str, Release]) -> dict[str, PublicComponent]:
    """The components by which `devices` connect to a core device of `site`.

    Args:
        site: the site's name.
        devices: the type of each device by its name.
        releases: the release of each component, as chosen for the site's nucleus.
    """
    configurations = _configurations(site, devices)
    return {
        component: PublicComponent(release.version, configurations.get(component, {}))
        for component, release in releases.items()
    }


def _configurations(site: str, devices: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return {
        AUTH: {
            "deviceGroups": _device_groups(site, devices),
            # While the uplink is cut, a device that was verified is let in again for a week, not for a minute.
            "security": {"clientDeviceTrustDurationMinutes": str(_TRUST_MINUTES)},
        },
        BRIDGE: {
            "mqttTopicMapping": {
                "readings": {
                    "topic": topics.device_topic(site, "+", topics.READING),
                    "source": "LocalMqtt",
                    "target": "Pubsub",
                },
                "shadowRequests": {"topic": _SHADOW_TOPICS, "source": "LocalMqtt", "target": "Pubsub"},
                "shadowAnswers": {"topic": _SHADOW_TOPICS, "source": "Pubsub", "target": "LocalMqtt"},
            }
        },
        SHADOWS: {
            "synchronize": {
                "shadowDocuments": [
                    {"thingName": thing_name(site, device), "classic": True} for device in sorted(devices)
                ]
            }
        },
    }


def _device_groups(site: str, devices: Mapping[str, str]) -> dict[str, Any]:
    """A group and a policy for each device, so that none can speak for another."""
    return {
        "formatVersion": "2021-03-05",
        "definitions": {
            device: {"selectionRule": f"thingName: {thing_name(site, device)}", "policyName": device}
            for device in sorted(devices)
        },
        "policies": {
            device: {
                "own": {
                    "statementDescription": "Connects as its thing, publishes its own readings and has its own shadow",
                    "operations": ["mqtt:connect", "mqtt:publish", "mqtt:subscribe"],
                    "resources": [
                        f"mqtt:clientId:{thing_name(site, device)}",
                        f"mqtt:topic:{topics.device_topic(site, device, topics.READING)}",
                        f"mqtt:topic:$aws/things/{thing_name(site, device)}/shadow/*",
                        f"mqtt:topicfilter:$aws/things/{thing_name(site, device)}/shadow/*",
                    ],
                }
            }
            for device in sorted(devices)
        },
    }
