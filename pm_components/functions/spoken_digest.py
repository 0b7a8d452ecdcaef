"""A digest of alarms as it is spoken: what the alarm keeper writes and the announcer reads."""

from typing import Annotated

import msgspec
from msgspec import Meta

from pm_contracts.messages import Name, Text, Time

#: The attribute `kind` of a notification that is a digest.
DIGEST = "digest"


class SpokenDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One announcement for the many alarms of a site."""

    site: Name
    digest_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    """32 hex digits, the same for the same alarms."""
    made_at: Time
    urgent: bool
    """True if an alarm of them is critical and active."""
    text: Text
