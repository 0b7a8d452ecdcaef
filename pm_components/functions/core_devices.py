"""The progress of a deployment on the core devices of a thing group, as Greengrass reports it."""

from collections.abc import Mapping
from typing import Any

#: EffectiveDeploymentExecutionStatus, AWS IoT Greengrass V2 API reference: those after which nothing more comes.
GOOD = frozenset({"SUCCEEDED", "COMPLETED"})
BAD = frozenset({"FAILED", "REJECTED", "TIMED_OUT", "CANCELED"})
NOT_SEEN = "NOT_SEEN"
"""Of a core device that has not heard of the deployment yet."""


class CoreDevices:
    """Looks at core devices.

    Args:
        iot: client that lists the things of a group.
        greengrass: client of `greengrassv2`.
    """

    def __init__(self, iot: Any, greengrass: Any) -> None:
        self._iot = iot
        self._greengrass = greengrass

    def of_group(self, group: str) -> list[str]:
        """The names of the things in a thing group."""
        pages = self._iot.get_paginator("list_things_in_thing_group").paginate(thingGroupName=group)
        return [thing for page in pages for thing in page["things"]]

    def states(self, deployments: list[Mapping[str, Any]]) -> dict[str, str]:
        """The state of each core device that one of `deployments` (thing_group, deployment_id) is for."""
        return {
            thing: self._state(thing, deployment["deployment_id"])
            for deployment in deployments
            for thing in self.of_group(deployment["thing_group"])
        }

    def _state(self, thing: str, deployment_id: str) -> str:
        try:
            pages = self._greengrass.get_paginator("list_effective_deployments").paginate(coreDeviceThingName=thing)
            for page in pages:
                for deployment in page["effectiveDeployments"]:
                    if deployment["deploymentId"] == deployment_id:
                        return str(deployment["coreDeviceExecutionStatus"])
        except self._greengrass.exceptions.ResourceNotFoundException:
            return NOT_SEEN  # Greengrass knows a core device once it has reported for the first time.
        return NOT_SEEN
