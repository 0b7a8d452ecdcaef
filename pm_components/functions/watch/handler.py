"""Ask Greengrass how a release's deployments fare on each core device."""

import datetime as dt
import functools
import os
from collections.abc import Mapping
from typing import Any

import boto3

from pm_components.functions.core_devices import CoreDevices
from pm_components.functions.watch.core import progress


class Watch:
    """A look at a release.

    Args:
        core_devices: looks at them.
        watch_seconds: how long devices are waited for.
    """

    def __init__(self, core_devices: CoreDevices, watch_seconds: int) -> None:
        self._core_devices = core_devices
        self._watch_seconds = watch_seconds

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The release's `status` and the state of each core device in `devices`.

        Args:
            event: what the release answered.
        """
        devices = self._core_devices.states(event["deployments"])
        released_at = dt.datetime.fromisoformat(event["released_at"])
        status = progress(devices, released_at, dt.datetime.now(dt.UTC), self._watch_seconds)
        return {"status": status, "devices": devices}


@functools.cache
def _watch() -> Watch:
    core_devices = CoreDevices(boto3.client("iot"), boto3.client("greengrassv2"))
    return Watch(core_devices, int(os.environ["WATCH_SECONDS"]))


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return _watch().handle(event)
