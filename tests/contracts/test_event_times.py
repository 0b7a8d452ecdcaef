"""Event times ahead of the arrival are refused, by one tolerance; on a core device a device that insists is believed.

Not proved here: that every reader asks (the tests of the readers do).
"""

import datetime as dt

import pytest

from pm_contracts.event_times import PATIENCE, TOLERANCE, PatientClock, require_past
from pm_contracts.messages import MESSAGE_TYPES, Alert, Command, DeadLetter, Refused, Status

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def alert(ahead: dt.timedelta, device: str = "machine-01") -> Alert:
    return Alert(
        site="lindau",
        device=device,
        cause="fault",
        severity="critical",
        state="active",
        raised_at=NOW + ahead,
        dedupe_key="fault/machine-01",
        text="Look!",
    )


def test_every_message_that_is_ordered_by_time_says_by_which_field() -> None:
    unordered = {Command, Status, DeadLetter}
    for message in MESSAGE_TYPES:
        assert (message.time_field == "") == (message in unordered), message
        assert message in unordered or message.time_field in message.__struct_fields__
    assert alert(TOLERANCE).happened_at == NOW + TOLERANCE
    assert Command(site="lindau", name="replay", issued_at=NOW).happened_at is None


def test_a_message_may_be_as_old_as_it_likes_and_a_little_ahead() -> None:
    for ahead in (-dt.timedelta(days=365 * 50), dt.timedelta(0), TOLERANCE):
        require_past(alert(ahead), NOW)
    require_past(Command(site="lindau", name="replay", issued_at=NOW + dt.timedelta(days=1)), NOW)
    for ahead in (TOLERANCE + dt.timedelta(seconds=1), dt.timedelta(days=365 * 73)):
        with pytest.raises(Refused, match=r"raised_at is .* ahead of its arrival at 2026-01-01T00:00:00.*30 minutes"):
            require_past(alert(ahead), NOW)


def test_a_device_that_keeps_to_its_time_is_believed_in_the_end() -> None:
    clock, ahead = PatientClock(), alert(dt.timedelta(days=1))
    for _ in range(PATIENCE - 1):
        with pytest.raises(Refused):
            clock.require_past(ahead, NOW)
    with pytest.raises(Refused):
        clock.require_past(alert(dt.timedelta(days=1), "machine-02"), NOW)
    clock.require_past(ahead, NOW)
    clock.require_past(ahead, NOW)
    clock.require_past(alert(dt.timedelta(0)), NOW)  # its clock was set
    with pytest.raises(Refused):
        clock.require_past(ahead, NOW)
