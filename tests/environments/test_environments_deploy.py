"""Production deploys into an embedded cloud as development does (tests/sandbox/deployer), with IAM enforced.

Not proved here: that data flows in it, and that AWS's quotas hold it.
"""

from collections.abc import Callable
from pathlib import Path

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import deploy
from pm_sandbox.recorder import Recording

ROOT = Path(__file__).resolve().parents[2]


def test_it_deploys_all_that_it_registers(recorded: Callable[[str], Recording], tmp_path: Path) -> None:
    with Cloud.start(tmp_path) as cloud:
        deployment = deploy(ROOT, "prod", cloud)
        assert {one.urn for one in deployment.resources} == {one.urn for one in recorded("prod").resources}
        made = {group["groupName"] for group in cloud.client("iot").list_thing_groups()["thingGroups"]}
        assert {site["thing_group"] for site in deployment.outputs["sites"].values()} <= made
