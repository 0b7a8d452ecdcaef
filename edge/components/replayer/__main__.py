"""Replays the past of a site's devices on the history channel, when the `replay` command asks for it."""

import sys

from edge.devices.player import Player
from edge.runtime.component import Component, main
from edge.runtime.settings import parse_settings
from pm_contracts import topics

NAME = "pm.Replayer"


def work(component: Component) -> None:
    """Play what commands ask for, until the component is stopped."""
    player = Player(component, "replay", topics.HISTORY, verdicts=True)
    player.start()
    component.run(player.finish)


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("edge.components.replayer", __doc__ or ""), work, state="idle"))
