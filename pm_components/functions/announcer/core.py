"""The spoken text of an alert, and the place of its recording."""

from pm_contracts.messages import Alert

PREFIX = "announcements"


def spoken_text(alert: Alert) -> str:
    """The words for the floor: how bad it is, where, and what.

    Polly takes 3,000 billed characters at once (Amazon Polly quotas); an alert's text has 1,000 at most.
    """
    opening = {"critical": "Attention, please.", "warning": "Please note."}[alert.severity]
    if alert.state == "cleared":
        opening = "All clear."
    return f"{opening} {alert.text}"


def object_key(alert: Alert) -> str:
    """The recording's key in the bucket: by site and day of the alert, named by its id; a repeat replaces it."""
    return f"{PREFIX}/{alert.site}/{alert.raised_at:%Y/%m/%d}/{alert.message_id}.mp3"
