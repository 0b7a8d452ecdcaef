"""A digest of alarms as it is spoken: what the alarm keeper writes and the announcer reads."""

import datetime as dt

import msgspec

#: The attribute `kind` of a notification that is a digest.
DIGEST = "digest"


class SpokenDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One announcement for the many alarms of a site."""

    site: str
    digest_id: str
    """32 hex digits, the same for the same alarms."""
    made_at: dt.datetime
    urgent: bool
    """True if an alarm of them is critical and active."""
    text: str
