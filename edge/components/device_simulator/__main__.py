"""Plays a site's devices on the reading channel, when the `simulate` command asks for it."""

import sys

from edge.devices.player import Player
from edge.runtime.component import Component, main
from edge.runtime.settings import parse_settings
from pm_contracts import topics

NAME = "pm.DeviceSimulator"


def work(component: Component) -> None:
    """Play what commands ask for, until the component is stopped."""
    player = Player(component, "simulate", topics.READING, verdicts=False)
    player.start()
    component.run(player.finish)


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("edge.components.device_simulator", __doc__ or ""), work, state="idle"))
