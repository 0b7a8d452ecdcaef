"""The dead letter of something refused, cut to what its contract carries, and what it goes over."""

import base64
import datetime as dt

from pm_contracts.messages import MAXIMUM_MESSAGE_BYTES, DeadLetter, encode

#: Of a dead letter as a message: with room for what goes around it to AWS IoT Core and into the lake.
MAXIMUM_BYTES = MAXIMUM_MESSAGE_BYTES - 16 * 1024
_MAXIMUM_TOPIC = 256
_MAXIMUM_REASON = 2000
#: Characters of a reason that are left for the note of what was cut.
_NOTE = 64
#: Part of a message that its reason takes at most, in characters a byte: most are one byte, a control character six.
_SHARE_OF_REASON = 1 / 16


def dead_letter(
    site: str,
    component: str,
    topic: str,
    payload: bytes,
    reason: str,
    refused_at: dt.datetime | None = None,
    maximum_bytes: int = MAXIMUM_BYTES,
) -> DeadLetter:
    """The dead letter of `payload`, which came on `topic` and was refused by `component` for `reason`; now, or then.

    Args:
        site: of the component.
        component: which refused it.
        topic: cut at its end where it is too long.
        payload: cut at its end where it is too long; the reason says so.
        reason: cut at its beginning where it is too long.
        refused_at: UTC; now where left out.
        maximum_bytes: of the dead letter as a message.
    """
    moment = refused_at or dt.datetime.now(dt.UTC)
    reason = reason[-(min(_MAXIMUM_REASON, int(maximum_bytes * _SHARE_OF_REASON)) - _NOTE) :]

    def letter(note: str, kept: bytes) -> DeadLetter:
        return DeadLetter(
            site=site,
            component=component,
            refused_at=moment,
            topic=topic[:_MAXIMUM_TOPIC],
            reason=reason + note,
            payload=base64.b64encode(kept).decode(),
        )

    # Base64 makes four bytes of three.
    if len(payload) <= (maximum_bytes - len(encode(letter("", b"")))) // 4 * 3:
        return letter("", payload)
    room = (maximum_bytes - _NOTE - len(encode(letter("", b"")))) // 4 * 3
    return letter(f" (kept: the first {room} of {len(payload)} bytes)", payload[:room])
