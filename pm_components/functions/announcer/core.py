"""The spoken text of an alert or a digest, and the place of its recording."""

import datetime as dt

from pm_components.functions.spoken_digest import SpokenDigest
from pm_contracts.messages import Alert

PREFIX = "announcements"

_ATTENTION, _NOTE = "Attention, please.", "Please note."


def spoken_text(news: Alert | SpokenDigest) -> str:
    """The words for the floor: how bad it is, where, and what.

    Polly takes 3,000 billed characters at once (Amazon Polly quotas); an alert's text has 1,000 at most, a digest names
    few devices.
    """
    if isinstance(news, SpokenDigest):
        opening = _ATTENTION if news.urgent else _NOTE
    elif news.state == "cleared":
        opening = "All clear."
    else:
        opening = {"critical": _ATTENTION, "warning": _NOTE}[news.severity]
    return f"{opening} {news.text}"


def object_key(news: Alert | SpokenDigest) -> str:
    """The recording's key in the bucket: by site and day of the alert, named by its id; a repeat replaces it."""
    if isinstance(news, SpokenDigest):
        return _key(news.site, news.made_at, news.digest_id)
    return _key(news.site, news.raised_at, news.message_id)


def _key(site: str, time: dt.datetime, name: str) -> str:
    return f"{PREFIX}/{site}/{time:%Y/%m/%d}/{name}.mp3"
