"""The connection to the local bus that the environment names."""

import os
import re

from pm_edge.runtime.bus import BROKER_VARIABLE, GREENGRASS_VARIABLE, Bus, BusError


def connect(site: str, component: str) -> Bus:
    """Connect to the bus that the environment names.

    Args:
        site: the site; on a broker, which may serve several, part of the client id.
        component: Greengrass name of the component that connects.

    Raises:
        BusError: if the environment names none, or it cannot be reached.
    """
    if os.environ.get(GREENGRASS_VARIABLE):
        # Whichever it is, the other one's library is not loaded.
        from pm_edge.runtime.greengrass_bus import GreengrassBus

        return GreengrassBus(component)
    address = os.environ.get(BROKER_VARIABLE, "")
    if address:
        matched = re.fullmatch(r"(?P<host>[^\s:]+):(?P<port>[0-9]{1,5})", address)
        if not matched:
            raise BusError(f"{BROKER_VARIABLE} is {address!r}, and must be HOST:PORT")
        from pm_edge.runtime.mqtt_bus import MqttBus

        return MqttBus(matched["host"], int(matched["port"]), f"{site}-{component}")
    raise BusError(
        f"no local bus: a Greengrass nucleus sets {GREENGRASS_VARIABLE}; "
        f"without one, set {BROKER_VARIABLE}=HOST:PORT of an MQTT broker"
    )
