"""The MQTT topics of a site, and the names that the original samples used for them.

`pm/{site}/{device}/{channel}` carries what a device says or what is said of it, `pm/{site}/{channel}` what concerns the
site, `pm/{site}/command/{name}` what someone asks of it. `pm-cloud/{site}/drift` is the cloud's own.
"""

import re
from typing import Any, NamedTuple

from pm_contracts import model_kinds
from pm_contracts.messages import NAME_PATTERN, Alert, Command, DeadLetter, Reading, Refused, Status

ROOT = "pm"
CLOUD_ROOT = "pm-cloud"
"""The root of what parts of the cloud say to one another: no policy of a device names it."""

READING = "reading"
HISTORY = "history"
"""A reading of the past, replayed: it goes into the lake like any other, but is neither forecast from nor scored."""
FORECAST = model_kinds.FORECAST.channel
OUTCOME = model_kinds.FORECAST_TRIAL.outcome_channel
TRIAL = model_kinds.FORECAST_TRIAL.trial_channel
"""An outcome of a model on trial: it goes into a table of its own, and forecast quality does not count it."""
FAULT = model_kinds.FAULT.channel
ALERT = "alert"
STATUS = "status"
DEAD_LETTER = "dead-letter"
COMMAND = "command"

#: The content of each channel.
DEVICE_CHANNELS: dict[str, Any] = {READING: Reading, HISTORY: Reading} | {
    channel: message for kind in model_kinds.MODEL_KINDS.values() for channel, message in kind.channels.items()
}
SITE_CHANNELS = {ALERT: Alert, STATUS: Status, DEAD_LETTER: DeadLetter}

#: The original samples' topics and what they have become, for those who come from there.
ALIASES = {
    "pollution/data": "pm/{site}/{device}/reading",
    "pollution/data/infer": "pm/{site}/{device}/forecast",
    "pollution/data/ingest/trigger": "pm/{site}/command/replay",
    "pollution/data/infer/trigger": "pm/{site}/command/simulate",
    "pollution/data/model/accuracy": "pm/{site}/{device}/outcome",
    "xgboost/offline": "pm/{site}/{device}/fault",
}

_NAME = re.compile(NAME_PATTERN)
_COMMAND_NAME = re.compile(r"[a-z][a-z_]{0,31}")


class Topic(NamedTuple):
    """A topic taken apart. `device` is empty if it concerns the site; `command` only names a command."""

    site: str
    device: str
    channel: str
    command: str = ""

    @property
    def message_type(self) -> type:
        """The message type (or union) that the topic carries."""
        if self.channel == COMMAND:
            return Command
        return (DEVICE_CHANNELS if self.device else SITE_CHANNELS)[self.channel]


def device_topic(site: str, device: str, channel: str) -> str:
    """The topic of a device's channel; `+` for site or device makes it a filter.

    Raises:
        ValueError: for a channel that devices do not have, or a device by whose name the topic would be a command's.
    """
    if device == COMMAND:
        raise ValueError(f"device {device!r}: allowed is a name that is no level of the site's own topics")
    if channel not in DEVICE_CHANNELS:
        raise ValueError(f"channel {channel!r} of a device: allowed are {', '.join(DEVICE_CHANNELS)}")
    return f"{ROOT}/{site}/{device}/{channel}"


def site_topic(site: str, channel: str) -> str:
    """The topic of a site's channel."""
    if channel not in SITE_CHANNELS:
        raise ValueError(f"channel {channel!r} of a site: allowed are {', '.join(SITE_CHANNELS)}")
    return f"{ROOT}/{site}/{channel}"


def command_topic(site: str, name: str) -> str:
    """The topic that asks a site to do `name`; `+` makes it a filter for all commands."""
    return f"{ROOT}/{site}/{COMMAND}/{name}"


def drift_topic(site: str) -> str:
    """The topic on which forecast quality says, by its alert, that the site's forecasts have left the acceptable range.

    It is not the site's alert topic, on which its core devices may publish, too: none of them is to start a training.
    """
    return f"{CLOUD_ROOT}/{site}/drift"


def parse_topic(topic: str) -> Topic:
    """Take a topic apart.

    Raises:
        Refused: if it is none of ours; the text says what is allowed.
    """
    match topic.split("/"):
        case [root, site, "command", name] if root == ROOT and _NAME.fullmatch(site) and _COMMAND_NAME.fullmatch(name):
            return Topic(site, "", COMMAND, name)
        case [root, site, device, channel] if (
            root == ROOT and _NAME.fullmatch(site) and _NAME.fullmatch(device) and channel in DEVICE_CHANNELS
        ):
            return Topic(site, device, channel)
        case [root, site, channel] if root == ROOT and _NAME.fullmatch(site) and channel in SITE_CHANNELS:
            return Topic(site, "", channel)
    raise Refused(
        f"topic {topic!r} is none of ours: allowed are {ROOT}/SITE/DEVICE/({'|'.join(DEVICE_CHANNELS)}), "
        f"{ROOT}/SITE/({'|'.join(SITE_CHANNELS)}) and {ROOT}/SITE/{COMMAND}/NAME"
    )
