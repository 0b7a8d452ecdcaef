"""The field of a drill: what faults are injected into, and what is noted of them meanwhile."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from resilience.drill.arrivals import Arrivals
from resilience.drill.connection import Connection
from resilience.drill.sensors import Enrolled, Sensor
from resilience.plant import Plant


@dataclass
class Field:
    """A plant under attack.

    Attributes:
        plant: The running factory.
        dice: The drill's chance.
        sensors: Its healthy devices by name.
        broken: A device that is not.
        arrivals: What came to the cloud.
        forged: The `message_id` of each message that nobody may take, and the keys of such alerts.
        starved: Healthy readings that did not come in time while the broken device talked.
        spans: The faults so far: kind, begin and end on the monotonic clock.
        number: Counts what is said by attackers, so that no two say the same.
    """

    plant: Plant
    dice: random.Random
    sensors: Mapping[str, Sensor]
    broken: Enrolled
    arrivals: Arrivals
    forged: set[str] = field(default_factory=set)
    starved: set[str] = field(default_factory=set)
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    number: int = 0

    @property
    def sent(self) -> dict[str, float]:
        """All readings of healthy devices so far, with their times."""
        return {reading: at for sensor in self.sensors.values() for reading, at in list(sensor.sent.items())}

    def during(self, readings: Iterable[str]) -> Counter[str]:
        """The faults during which readings were sent, or before which, where it was between two."""
        sent = self.sent
        return Counter(
            next((kind for kind, _, end in self.spans if sent[reading] <= end), "the end") for reading in readings
        )

    def next_number(self) -> int:
        """A number that no attacker has used in this drill."""
        self.number += 1
        return self.number

    def wait(self, seconds: float) -> None:
        """Let it hurt for so long."""
        time.sleep(seconds)

    @contextlib.contextmanager
    def broken_device(self) -> Iterator[Connection]:
        """A connection of the broken device to the core device's gateway.

        Raises:
            ConnectionError: if it is not taken in.
        """
        [core, *_] = self.broken.discovery.cores()
        host, port = core.addresses[0]
        identity = self.broken.directory / "identity"
        with Connection(host, port, self.broken.thing, identity, core.authorities) as connection:
            yield connection

    @contextlib.contextmanager
    def core_device(self) -> Iterator[Connection]:
        """A connection of the core device's certificate to the cloud, beside those of its nucleus and its uplink.

        Raises:
            ConnectionError: if it is not taken in.
        """
        cloud, device = self.plant.cloud, self.plant.device
        # A client id of further connections of a nucleus, which the core device's policy allows.
        client_id = f"{device.thing_name}#7"
        authority = cloud.certificate_authority.read_text()
        identity = device.directory / "identity"
        with Connection(cloud.mqtt_host, cloud.mqtt_port, client_id, identity, authority) as connection:
            yield connection

    def on_the_floor(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish as a component of the core device that is not to be trusted would."""
        for topic, payload in messages:
            self.plant.mouth.publish(topic, payload)
