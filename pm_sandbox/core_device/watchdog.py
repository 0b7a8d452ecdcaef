"""Ends what a core device has started when the device itself is gone, however it went.

The device writes a line for each process group that it starts (`+PGID`) and for each that has ended (`-PGID`). The end
of that input is the device's end: what is left then gets SIGTERM, and SIGKILL two seconds later.
"""

import os
import signal
import sys
import time

#: Seconds between SIGTERM and SIGKILL.
GRACE = 2.0


def watch() -> None:
    """Read the device's lines until they end, then end what is left of its process groups."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    left = {group for group in groups if _signal(group, signal.SIGTERM)}
    deadline = time.monotonic() + GRACE
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if _signal(group, 0)}
    for group in left:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Signal a process; False if it is gone."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    # A terminal's Ctrl-C and a plain kill reach the device, which decides what ends; this process ends last.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watch()
