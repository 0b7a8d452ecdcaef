"""The dead letter of something refused, cut to what its contract and AWS IoT Core carry."""

import base64
import datetime as dt

from pm_contracts.messages import MAXIMUM_MESSAGE_BYTES, DeadLetter

#: Bytes of what was refused that a dead letter keeps: in Base64 it fits into a message beside topic and reason.
MAXIMUM_PAYLOAD_BYTES = (MAXIMUM_MESSAGE_BYTES - 16 * 1024) * 3 // 4
_MAXIMUM_TOPIC = 256
_MAXIMUM_REASON = 2000


def dead_letter(
    site: str, component: str, topic: str, payload: bytes, reason: str, refused_at: dt.datetime | None = None
) -> DeadLetter:
    """The dead letter of `payload`, which came on `topic` and was refused by `component` for `reason`; now, or then."""
    if len(payload) > MAXIMUM_PAYLOAD_BYTES:
        reason = f"{reason} (kept: the first {MAXIMUM_PAYLOAD_BYTES} of {len(payload)} bytes)"
        payload = payload[:MAXIMUM_PAYLOAD_BYTES]
    return DeadLetter(
        site=site,
        component=component,
        refused_at=refused_at or dt.datetime.now(dt.UTC),
        topic=topic[:_MAXIMUM_TOPIC],
        reason=reason[-_MAXIMUM_REASON:],
        payload=base64.b64encode(payload).decode(),
    )
