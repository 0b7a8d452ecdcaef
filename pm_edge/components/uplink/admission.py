"""Admission to the uplink: messages of the contract, on the right topic, of its own site and known devices."""

import enum
from typing import NamedTuple

from pm_contracts import topics
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import AirQualityReading, Alert, Command, MachineReading, Message, Refused, decode
from pm_contracts.model_kinds import MODEL_KINDS


class Priority(enum.IntEnum):
    """The order in which messages leave the outbox; when it is full, the last class loses its oldest first."""

    ALERT = 0
    OUTCOME = 1
    """Outcomes: what says whether the rest can be trusted. The version before had dead letters here, too."""
    ANSWER = 2
    """Answers of models."""
    READING = 3
    LATER = 4
    """Readings of the past, and what a device sends beyond its pace."""
    DEAD_LETTER = 5


_PRIORITIES = {
    topics.ALERT: Priority.ALERT,
    topics.DEAD_LETTER: Priority.DEAD_LETTER,
    topics.READING: Priority.READING,
    topics.HISTORY: Priority.LATER,
    **{channel: Priority.ANSWER for kind in MODEL_KINDS.values() for channel in kind.channels},
    **{kind.trial.outcome_channel: Priority.OUTCOME for kind in MODEL_KINDS.values() if kind.trial},
}
_READING_TYPES = {AIR_QUALITY: AirQualityReading, MACHINE: MachineReading}


#: Commands that a site takes; its components are allowed these topics and no others.
COMMANDS = ("replay", "simulate")


class Route(NamedTuple):
    """The contents of a topic of the site; no priority for what is never stored: a status, a command."""

    message_type: type
    device: str
    priority: Priority | None


class Admission:
    """Admits to the uplink what comes from the local bus."""

    def __init__(self, site: str, devices: dict[str, str]) -> None:
        """Judge for `site` with `devices`, the type of each by its name."""
        self._site = site
        self._devices = devices
        self._routes: dict[str, Route] = {}

    def check_command(self, topic: str, payload: bytes) -> Command:
        """The command in `payload`, which came from the cloud.

        Raises:
            Refused: if it is none of this site's; the text says what was found and what is allowed.
        """
        command, _ = self.check(topic, payload)
        if not isinstance(command, Command):
            raise Refused(f"a {command.kind} came from the cloud: only commands may")
        if command.name not in COMMANDS or topic != topics.command_topic(self._site, command.name):
            raise Refused(f"command {command.name!r} on {topic}: allowed are {', '.join(COMMANDS)}, each on its topic")
        return command

    def check(self, topic: str, payload: bytes) -> tuple[Message, Route]:
        """The message in `payload`, and its route.

        Raises:
            Refused: if topic or payload is not of the contract, or of another site or an unknown device; the text
                says what was found and what is allowed.
        """
        route = self._routes.get(topic) or self._route(topic)
        message: Message = decode(payload, route.message_type)
        if message.site != self._site:
            raise Refused(f"site {message.site!r} in a message on {topic}: it must be {self._site!r}")
        if route.device and message.device != route.device:  # type: ignore[union-attr]
            raise Refused(f"device {message.device!r} in a message on {topic}: it must be {route.device!r}")  # type: ignore[union-attr]
        if isinstance(message, Alert) and message.device not in self._devices:
            raise Refused(f"device {message.device!r} in an alert: known are {', '.join(sorted(self._devices))}")
        return message, route

    def knows(self, topic: str) -> bool:
        """True if a topic is one of the site's and of a known device; of a closed list, whatever comes."""
        try:
            self._route(topic)
        except Refused:
            return False
        return topic in self._routes

    def device_of(self, topic: str) -> str:
        """The known device that a topic is of; empty if it is of none."""
        route = self._routes.get(topic)
        return route.device if route else ""

    def _route(self, topic: str) -> Route:
        parsed = topics.parse_topic(topic)
        if parsed.site != self._site:
            raise Refused(f"topic {topic!r} is of site {parsed.site!r}: this one is {self._site!r}")
        if parsed.channel == topics.COMMAND:
            return Route(parsed.message_type, "", None)
        message_type = parsed.message_type
        if parsed.device:
            device_type = self._devices.get(parsed.device)
            if device_type is None:
                raise Refused(
                    f"topic {topic!r} is of device {parsed.device!r}: known are {', '.join(sorted(self._devices))}"
                )
            if parsed.channel in (topics.READING, topics.HISTORY):
                message_type = _READING_TYPES[device_type]
        route = Route(message_type, parsed.device, _PRIORITIES.get(parsed.channel))
        # Of known devices and channels alone, so the cache stays small whatever comes; names of commands are endless.
        self._routes[topic] = route
        return route
