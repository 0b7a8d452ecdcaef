"""Pulumi's own engine previews each environment and fills a running cloud with one of them.

Not proved: language hosts (the programs run inline), the real providers, or a real account.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.recorder import Recording
from tests.engine.conftest import Served
from tests.engine.engine import Done, Engine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


class Up:
    """An update, and how long it took."""

    def __init__(self, engine: Engine) -> None:
        begin = time.perf_counter()
        self.done: Done = engine.run("up")
        self.seconds = time.perf_counter() - begin


@pytest.fixture(scope="module")
def up(local: Engine) -> Up:
    return Up(local)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "local"])
def test_each_environment_previews_with_no_output_known(
    cli: Path,
    served: Served,
    figures: dict[str, Any],
    recorded: Callable[..., Recording],
    tmp_path: Path,
    stack: str,
) -> None:
    engine = Engine(cli, tmp_path, served.port, stack=stack, file=stack)
    done = engine.run("preview", {"aws:region": served.cloud.region, "aws-native:region": served.cloud.region})
    figures["previews"][stack] = done.changes["create"]
    # The stack itself is a resource to the engine.
    assert done.changes == {"create": len(recorded(stack).resources) + 1}


def test_an_update_fills_the_cloud(up: Up, served: Served, figures: dict[str, Any]) -> None:
    figures["up_seconds"] = round(up.seconds, 1)
    things = served.cloud.client("iot").list_things()["things"]
    assert up.done.outputs["sites"]["lindau"]["core_devices"] == ["lindau-core"]
    assert "lindau-core" in {thing["thingName"] for thing in things}


def test_a_second_preview_changes_nothing(up: Up, local: Engine, figures: dict[str, Any]) -> None:
    again = local.run("preview")
    figures["unchanged_after_up"] = again.changed == {}
    assert again.changed == {}
    assert again.changes == {"same": up.done.changes["create"]}
