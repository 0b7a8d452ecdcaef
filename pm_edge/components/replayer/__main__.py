"""Replays the past of a site's devices on the history channel, when the `replay` command asks for it."""

import sys

from pm_contracts import topics
from pm_edge.devices.player import run_player
from pm_edge.runtime.settings import parse_settings

NAME = "pm.Replayer"

if __name__ == "__main__":
    settings = parse_settings("pm_edge.components.replayer", __doc__ or "")
    sys.exit(run_player(NAME, settings, "replay", topics.HISTORY, verdicts=True))
