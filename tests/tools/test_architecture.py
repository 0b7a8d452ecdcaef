"""The architecture picture is that of the recipes, the registered resources and the imports.

Not proved here: that it is a good picture; look at it after `make architecture`.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable

from pm_sandbox.recorder import Recording
from tools import architecture


def test_the_committed_picture_is_that_of_the_system(recorded: Callable[..., Recording]) -> None:
    drawn = architecture.draw(
        architecture.edge_components(), architecture.components(recorded("dev")), architecture.packages()
    )
    ET.fromstring(drawn)
    assert architecture.PICTURE.read_text() == drawn, "it has changed: make architecture"
