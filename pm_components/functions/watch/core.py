"""The progress of a release, from each core device's status of its deployment."""

import datetime as dt
from collections.abc import Mapping

from pm_components.functions.core_devices import BAD, GOOD

SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
IN_PROGRESS = "IN_PROGRESS"
PENDING = "PENDING"
"""Some core devices have not answered in time, as one that is offline; they take the deployment when they are back."""


def progress(devices: Mapping[str, str], released_at: dt.datetime, now: dt.datetime, watch_seconds: int) -> str:
    """The state of a release.

    Args:
        devices: the deployment's state by core device, or NOT_SEEN.
        released_at: when the deployments were made, UTC.
        now: UTC.
        watch_seconds: how long devices are waited for.
    """
    states = set(devices.values())
    if states & BAD:
        return FAILED
    if states <= GOOD:
        return SUCCEEDED
    return PENDING if (now - released_at).total_seconds() > watch_seconds else IN_PROGRESS
