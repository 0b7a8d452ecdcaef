"""The result of a drill, and the promises that it shows broken. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

_MEBIBYTE = 1024 * 1024


class Result(NamedTuple):
    """The content of `out/drill.json`.

    Attributes:
        seconds: Of the attack.
        readings: Of healthy devices, sent.
        lost: Of these, not in the lake after all was mended.
        doubled: Of these, in the lake as more than one reading. What a connection that breaks makes go out again has
            the `message_id` that it had, and is the same reading.
        forged: Messages taken as somebody else's.
        starved: Readings that did not come in time while a broken device talked.
        faults: Times that each kind was injected.
        peak_bytes: Resident memory by process, at most.
        budgets: What each may take.
    """

    seconds: float
    readings: int
    lost: int
    doubled: int
    forged: int
    starved: int
    faults: dict[str, int]
    peak_bytes: dict[str, int]
    budgets: dict[str, int]

    @property
    def broken(self) -> list[str]:
        """The promises that are broken, a line each."""
        counts = {
            "readings are lost": self.lost,
            "readings are doubled": self.doubled,
            "forged messages were taken": self.forged,
            f"of {self.readings:,} readings were starved": self.starved,
        }
        lines = [f"{count:,} {what}" for what, count in counts.items() if count]
        if not self.readings:
            lines.append("no reading was sent")
        for process, peak in self.peak_bytes.items():
            if peak > self.budgets[process]:
                budget = self.budgets[process] / _MEBIBYTE
                lines.append(f"{process} took {peak / _MEBIBYTE:.0f} MiB, and may take {budget:.0f}")
        return lines


def doubled(sent: set[str], readings: Mapping[str, tuple[str, int]]) -> int:
    """Readings that are in the lake as more than one.

    Args:
        sent: The `message_id` of each reading sent.
        readings: Device and sequence number of each reading in the lake, by its `message_id`.
    """
    identities = Counter(readings.values())
    return sum(identities[readings[message_id]] > 1 for message_id in sent if message_id in readings)
