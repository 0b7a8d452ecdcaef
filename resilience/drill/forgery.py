"""Messages that somebody sends as somebody else: another site, or another device. Pure.

Each is of the contract, and bears a mark by which its acceptance is found out: its `message_id`, and for alerts a
`dedupe_key` of this drill.
"""

import datetime as dt
import typing
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from pm_contracts import topics
from pm_contracts.messages import Alert, Message, encode
from resilience.samples import MACHINE, STATION, messages

#: The site that is not ours, a device that nobody has, and the beginning of the forged alerts' keys.
OTHER_SITE, NOBODY, MARK = "gera", "nobody-1", "drill-forged"


class Forged(NamedTuple):
    """A forged message, and the topic that it is sent on."""

    topic: str
    message: Message

    @property
    def payload(self) -> bytes:
        """The message as it is sent."""
        return encode(self.message)


def forged(site: str, at: dt.datetime, number: int) -> Iterator[Forged]:
    """Messages on the topics of `site`: each channel as another site, and as another device than the topic's.

    Args:
        site: Whose topics.
        at: Event time of all; of an own forgery another one, so that no two are the same message.
        number: Of the forgery, likewise.
    """
    for message in messages():
        for topic, own in _channels(site, message):
            yield Forged(topic, _said(message, at, number, site=OTHER_SITE, device=own))
            if own:
                other = MACHINE if own == STATION else STATION
                yield Forged(topic, _said(message, at, number, site=site, device=other))


def of_nobody(site: str, at: dt.datetime, number: int) -> Forged:
    """An alert of a device that the site has not: of its site's topic, and to be told to nobody."""
    [alert] = [message for message in messages() if isinstance(message, Alert)]
    return Forged(topics.site_topic(site, topics.ALERT), _said(alert, at, number, site=site, device=NOBODY))


def _channels(site: str, message: Message) -> Iterator[tuple[str, str]]:
    """The topics that carry a type of message, with the device that each names."""
    device = getattr(message, "device", "")
    for channel, carried in topics.DEVICE_CHANNELS.items():
        if device and type(message) in (typing.get_args(carried) or (carried,)):
            yield topics.device_topic(site, device, channel), device
    for channel, carried in topics.SITE_CHANNELS.items():
        if type(message) is carried:
            yield topics.site_topic(site, channel), ""


def _said(message: Message, at: dt.datetime, number: int, *, site: str, device: str) -> Message:
    """The message as another says it, with the identity that follows."""
    fields = {"site": site, "message_id": "", "device": device, "sequence": number}
    fields |= dict.fromkeys(("event_time", "issued_at", "raised_at", "reported_at", "refused_at"), at)
    fields |= {"dedupe_key": f"{MARK}/{site}/{device}/{number}"}
    known = {field.name for field in msgspec.structs.fields(type(message))}
    if not device:
        fields.pop("device")
    changes = {name: value for name, value in fields.items() if name in known}
    changed: Message = msgspec.structs.replace(message, **changes)
    return changed
