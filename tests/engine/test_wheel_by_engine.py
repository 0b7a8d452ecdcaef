"""Pulumi's own engine previews the example in Python by the installed wheel, and judges it by the wheel's policy pack.

The environment links to the checkout's packages: `tests/wheel` installs what the wheel declares.

Not proved: that Pulumi's own language host, which is published in no Go module, finds the environment of the pack.
"""

import json
from pathlib import Path

import pytest

from pm_sandbox.recorder import record
from tests.engine.by_hand import ByHand, python_project
from tests.engine.conftest import Served
from tests.engine.engine import ROOT, EngineError
from tests.wheel import installed

EXAMPLE = ROOT / "examples" / "python"
pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def test_the_installed_library_previews_what_is_recorded_in_the_checkout(
    cli: Path, served: Served, wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    interpreter = installed.with_every_extra(wheel, environment)
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("__main__.py", "Pulumi.yaml"):
        (empty / name).write_text((EXAMPLE / name).read_text())
    example = ByHand(
        cli, tmp_path / "hand", served.port, python_project(empty, tmp_path / "project", "dev", environment), "dev"
    )
    example.run("config", "set", "aws:region", served.cloud.region)
    log = tmp_path / "events.json"
    example.run("preview", "--event-log", str(log))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    made = {step["urn"] for step in steps if step["op"] == "create" and not step["type"].startswith("pulumi:")}
    assert made == {one.urn for one in record(EXAMPLE, "dev", only_config=True).resources}
    # The example leaves out whose its resources are.
    (pack,) = interpreter.parents[1].glob("lib/python*/site-packages/pm_policies")
    with pytest.raises(EngineError, match="required-tags"):
        example.run("preview", "--policy-pack", str(pack))
