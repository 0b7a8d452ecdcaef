"""The pace of each device: messages and bytes a second, saved up while it is silent, so that none starves the others.

What is beyond the pace is not lost: it leaves after all that is within.
"""

import logging
from collections.abc import Iterable

from pm_contracts import budgets

_log = logging.getLogger(__name__)

#: Seconds after which a device that is still beyond its pace is told of again.
TELL_SECONDS = 60.0
_OTHERS = ""


class Bucket:
    """A token bucket of messages, and one of bytes; each holds so many seconds of its rate, and is full at first."""

    def __init__(self, seconds: float) -> None:
        """One that holds what comes within `seconds`."""
        self._seconds = seconds
        self._messages = seconds * budgets.DEVICE_PUBLISHES_PER_SECOND
        self._bytes = seconds * budgets.DEVICE_BYTES_PER_SECOND
        self._filled_at = -1.0

    def spend(self, size: int, now: float) -> bool:
        """Take one message of `size` bytes out; false, and nothing is, if there is too little left.

        Args:
            size: bytes.
            now: seconds, on a clock that never goes back.
        """
        passed = now - self._filled_at if self._filled_at >= 0 else 0.0
        self._filled_at = now
        rate, bytes_rate = budgets.DEVICE_PUBLISHES_PER_SECOND, budgets.DEVICE_BYTES_PER_SECOND
        self._messages = min(self._messages + passed * rate, self._seconds * rate)
        self._bytes = min(self._bytes + passed * bytes_rate, self._seconds * bytes_rate)
        if self._messages < 1 or self._bytes < size:
            return False
        self._messages -= 1
        self._bytes -= size
        return True


class Paces:
    """The buckets of a site's devices, one for each kind of message; what is of no known device shares one."""

    def __init__(self, devices: Iterable[str]) -> None:
        """Buckets for `devices`; no others are ever made, so that made-up names take no room."""
        self._devices = frozenset(devices)
        self._buckets: dict[tuple[str, str], Bucket] = {}
        #: By device: until when it is said to be beyond its pace.
        self._beyond_until: dict[str, float] = {}

    def is_within(self, device: str, kind: str, size: int, now: float) -> bool:
        """True if a message is within the pace of its device; where it is not, that is logged once in `TELL_SECONDS`.

        Args:
            device: which sent it, or is spoken of.
            kind: one word of a closed list; each has a bucket of its own.
            size: bytes.
            now: seconds, on a clock that never goes back.
        """
        if device not in self._devices:
            device = _OTHERS
        bucket = self._buckets.get((device, kind))
        if bucket is None:
            bucket = self._buckets[device, kind] = Bucket(budgets.DEVICE_BURST_SECONDS)
        if bucket.spend(size, now):
            return True
        if self._beyond_until.get(device, 0.0) <= now:
            _log.warning("%s; what is beyond waits for all others, and is only counted if refused", _said(device))
            self._beyond_until[device] = now + TELL_SECONDS
        return False

    def trouble(self, now: float) -> str:
        """The devices that were beyond their pace of late, for the status; empty if there are none."""
        return "; ".join(_said(device) for device, until in sorted(self._beyond_until.items()) if now < until)


def _said(device: str) -> str:
    return (
        f"{device or 'what is of no known device'} sends more than {budgets.DEVICE_PUBLISHES_PER_SECOND:.0f} messages "
        f"or {budgets.DEVICE_BYTES_PER_SECOND / 1000:.0f} kB a second"
    )
