"""Pulumi's own engine previews each environment.

Not proved: language hosts (the programs run inline), the real providers, or a real account.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pm_sandbox.recorder import Recording
from tests.engine.conftest import Served
from tests.engine.engine import Engine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


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
