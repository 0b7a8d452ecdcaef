"""Programs that must not deploy, each through the real child process: the error names the resource and the reason.

Not proved: going on from a program that failed half-way (see test_behaviours.py).
"""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, DeploymentError, deploy
from tests.waiting import eventually, has_ended


@pytest.fixture(scope="module")
def empty_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud.start(tmp_path_factory.mktemp("failures")) as cloud:
        yield cloud


def _program(directory: Path, code: str) -> Path:
    (directory / "Pulumi.yaml").write_text("name: bad\nruntime: python\n")
    (directory / "Pulumi.dev.yaml").write_text("config: {}\n")
    (directory / "__main__.py").write_text(f"import pulumi\nimport pulumi_aws as aws\n{code}")
    return directory


CASES = {
    "the program's own error": ("raise ValueError('no such plant')", "ended with ValueError: no such plant"),
    "what the cloud refuses": (
        "aws.iam.RolePolicy('lost', name='x', role='nobody', policy='{}')",
        r"aws:iam/rolePolicy:RolePolicy 'lost': .*NoSuchEntity",
    ),
    "a look-up of what exists already": (
        "aws.s3.Bucket.get('old', 'old-bucket')",
        r"aws:s3/bucket:Bucket old: looks up a resource that exists already",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_program_says_what_is_wrong(empty_cloud: Cloud, tmp_path: Path, case: str) -> None:
    code, message = CASES[case]
    with pytest.raises(DeploymentError, match=message):
        deploy(_program(tmp_path, code), "dev", empty_cloud)
    assert Deployment.load(empty_cloud).resources == []


def test_ctrl_c_ends_the_program_too(empty_cloud: Cloud, tmp_path: Path) -> None:
    running: list[psutil.Process] = []

    def stop(_: object) -> None:
        # A child that has ended, of a test before this one, has no command line any more.
        children = [one for one in psutil.Process().children() if not has_ended(one)]
        running.extend(one for one in children if "pm_sandbox.deployer" in one.cmdline())
        raise KeyboardInterrupt

    slow = "import time\naws.sqs.Queue('q', name='slow-q').id.apply(lambda _: time.sleep(600))"
    with pytest.raises(KeyboardInterrupt):
        deploy(_program(tmp_path, slow), "dev", empty_cloud, on_step=stop)
    assert running
    eventually(lambda: all(map(has_ended, running)), f"the end of {running}")
