"""The devices of the sites, as the registry of AWS IoT has them: who may be spoken of.

The registry itself, since it is what a site's deployment makes and no device can write: a list of our own would have to
be brought to the function each time that a device comes or goes.
"""

import time
from collections.abc import Callable
from typing import Any

from pm_contracts.messages import Refused
from pm_contracts.site_devices import thing_name

#: A device that is gone is spoken of for so long; DescribeThing is asked once in it for a device, and not an alert.
KNOWN_SECONDS = 300


class RegisteredDevices:
    """Looks devices up, and remembers those that it found.

    Args:
        client: a boto3 client of AWS IoT.
        clock: seconds that only grow.
    """

    def __init__(self, client: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known_until: dict[tuple[str, str], float] = {}

    def require(self, site: str, device: str) -> None:
        """Refuse a device that the site does not have.

        Raises:
            Refused: if there is no such thing, or it is of another site or device.
        """
        if self._clock() < self._known_until.get((site, device), 0.0):
            return
        try:
            thing = self._client.describe_thing(thingName=thing_name(site, device))
        except self._client.exceptions.ResourceNotFoundException:
            thing = {}
        found = thing.get("attributes", {})
        if (found.get("site"), found.get("device")) != (site, device):
            raise Refused(f"device {device!r}: site {site!r} has none of that name in the registry of AWS IoT")
        self._known_until[site, device] = self._clock() + KNOWN_SECONDS
