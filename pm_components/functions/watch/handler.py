"""Ask Greengrass how a release's deployments fare on each core device."""

import datetime as dt
import functools
import os
from collections.abc import Mapping
from typing import Any

import boto3

from pm_components.functions.watch.core import NOT_SEEN, progress


class Watch:
    """A look at a release.

    Args:
        iot: client that lists the things of a group.
        greengrass: client of `greengrassv2`.
        watch_seconds: how long devices are waited for.
    """

    def __init__(self, iot: Any, greengrass: Any, watch_seconds: int) -> None:
        self._iot = iot
        self._greengrass = greengrass
        self._watch_seconds = watch_seconds

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The release's `status` and the state of each core device in `devices`.

        Args:
            event: what the release answered.
        """
        devices: dict[str, str] = {}
        for deployment in event["deployments"]:
            for thing in self._things(deployment["thing_group"]):
                devices[thing] = self._state(thing, deployment["deployment_id"])
        released_at = dt.datetime.fromisoformat(event["released_at"])
        status = progress(devices, released_at, dt.datetime.now(dt.UTC), self._watch_seconds)
        return {"status": status, "devices": devices}

    def _things(self, group: str) -> list[str]:
        pages = self._iot.get_paginator("list_things_in_thing_group").paginate(thingGroupName=group)
        return [thing for page in pages for thing in page["things"]]

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


@functools.cache
def _watch() -> Watch:
    return Watch(boto3.client("iot"), boto3.client("greengrassv2"), int(os.environ["WATCH_SECONDS"]))


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return _watch().handle(event)
