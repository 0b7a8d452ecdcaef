"""Replays the past of a site's devices on the history channel, when the `replay` command asks for it."""

import sys

from pm_contracts import topics
from pm_edge.devices.player import Player
from pm_edge.runtime.component import Component, main
from pm_edge.runtime.settings import parse_settings

NAME = "pm.Replayer"


def work(component: Component) -> None:
    """Play what commands ask for, until the component is stopped."""
    player = Player(component, "replay", topics.HISTORY, verdicts=True)
    player.start()
    component.run(player.finish)


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("pm_edge.components.replayer", __doc__ or ""), work, state="idle"))
