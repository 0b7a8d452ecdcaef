"""Plays a site's devices on the reading channel, when the `simulate` command asks for it."""

import sys

from pm_contracts import topics
from pm_edge.devices.player import run_player
from pm_edge.runtime.settings import parse_settings

NAME = "pm.DeviceSimulator"

if __name__ == "__main__":
    settings = parse_settings("pm_edge.components.device_simulator", __doc__ or "")
    sys.exit(run_player(NAME, settings, "simulate", topics.READING, verdicts=False))
