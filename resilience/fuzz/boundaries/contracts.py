"""Messages, topics, lists of devices and CSV files, and what the uplink admits."""

import functools
from pathlib import Path
from typing import Any

from resilience.fuzz.boundary import Boundary, Opened

_DEVICES = {"air-1": "air_quality", "machine-01": "machine"}
#: Between topic and payload of an input that has both.
_BETWEEN = b"\0"


def _messages(as_type: Any, _folder: Path) -> Opened:
    from pm_contracts.messages import Refused, decode, encode
    from resilience.samples import messages

    def door(content: bytes) -> None:
        message = decode(content, as_type)
        try:
            encoded = encode(message)
        except ValueError:  # larger in our spelling than AWS IoT Core takes, which the uplink refuses too
            return
        assert decode(encoded, as_type) == message, "another message after a way over the wire"

    return Opened(door, [encode(message) for message in messages()], (Refused,))


def _topics(_folder: Path) -> Opened:
    from pm_contracts import topics
    from pm_contracts.messages import Refused

    def door(content: bytes) -> None:
        text = content.decode(errors="replace")
        parsed = topics.parse_topic(text)
        levels = (topics.ROOT, parsed.site, parsed.device, parsed.channel, parsed.command)
        assert text == "/".join(level for level in levels if level), f"taken for {parsed}"

    samples = ["pm/lindau/air-1/reading", "pm/lindau/alert", "pm/lindau/command/replay", "pm/lindau/air-1/trial"]
    return Opened(door, [sample.encode() for sample in samples], (Refused,))


def _admission(_folder: Path) -> Opened:
    from pm_contracts import topics
    from pm_contracts.messages import encode
    from pm_edge.components.uplink.admission import Admission
    from resilience.samples import SITE, messages

    admission = Admission(SITE, _DEVICES)

    def door(content: bytes) -> None:
        topic, _, payload = content.partition(_BETWEEN)
        message, route = admission.check(topic.decode(errors="replace"), payload)
        encode(message)
        assert message.site == SITE, "a message of another site is admitted"
        if route.device:
            assert message.device == route.device, "a message of another device is admitted"  # type: ignore[union-attr]

    samples = []
    for message in messages():
        for channel in topics.DEVICE_CHANNELS:
            device = getattr(message, "device", "air-1")
            samples.append(topics.device_topic(SITE, device, channel).encode() + _BETWEEN + encode(message))
        for channel in topics.SITE_CHANNELS:
            samples.append(topics.site_topic(SITE, channel).encode() + _BETWEEN + encode(message))
        samples.append(topics.command_topic(SITE, "replay").encode() + _BETWEEN + encode(message))
    # The uplink makes a dead letter of both: a refusal, and a message that cannot be encoded.
    return Opened(door, samples, (ValueError,))


def _site_devices(_folder: Path) -> Opened:
    from pm_contracts import site_devices
    from pm_contracts.messages import Refused

    def door(content: bytes) -> None:
        found = site_devices.decode(content)
        site_devices.encode(found.site, found.devices)

    return Opened(door, [site_devices.encode("lindau", _DEVICES)], (Refused,))


def _csv(folder: Path) -> Opened:
    from pm_contracts.csv_readings import COLUMNS, CsvRefused, rows

    file = folder / "readings.csv"

    def door(content: bytes) -> None:
        file.write_bytes(content)
        for _ in rows(file):
            pass

    line = ",".join("1.5" for _ in COLUMNS[1:])
    times = ("2010-01-02 00:00:00", "2010-01-02T01:00:00+01:00", '"2010-01-02T01:30Z"', "2010-01-02")
    text = "\n".join([",".join(COLUMNS), *(f"{time},{line}" for time in times), f"2010-01-03,{'NA,' * 9}", ""])
    return Opened(door, [text.encode(), b"\xef\xbb\xbf" + text.encode()], (CsvRefused,))


def _message_boundaries() -> list[Boundary]:
    from pm_contracts.messages import MESSAGE_TYPES, Reading

    named = {message.kind: message for message in MESSAGE_TYPES} | {"reading": Reading}
    return [
        Boundary(f"message_{name}", functools.partial(_messages, as_type), 0.5 if name == "reading" else 1.0)
        for name, as_type in named.items()
    ]


BOUNDARIES = (
    *_message_boundaries(),
    Boundary("topic", _topics),
    Boundary("admission", _admission),
    Boundary("site_devices", _site_devices),
    Boundary("csv", _csv, 0.3),
)
