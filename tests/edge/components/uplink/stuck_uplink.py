"""The uplink as a program whose thread stands still at its first step."""

import sys
import threading

from pm_edge.components.uplink import uplink
from pm_edge.components.uplink.__main__ import _arguments, run
from pm_edge.components.uplink.outbox import Outbox

if __name__ == "__main__":
    uplink.STALL_SECONDS = 2
    Outbox.take_damaged = lambda _: threading.Event().wait()  # type: ignore[assignment,method-assign,return-value]
    sys.exit(run(_arguments(None)))
