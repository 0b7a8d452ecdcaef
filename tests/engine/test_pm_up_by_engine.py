"""`pm up` by Pulumi's own engine, and Pulumi's commands as README has them, word by word, in a shell.

Not proved: Pulumi's own language host for Python (the tests have one of their own), other versions of the command, and
what a terminal shows to a person, who is asked before each change.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pm_sandbox.deployer import DeploymentError
from pm_sandbox.engine.deploy import PulumiDeployer
from pm_sandbox.factory import Factory
from pm_sandbox.provider import InputError
from pm_sandbox.provider.registry import HANDLERS, Creation
from tests.end_to_end.test_interruption import assert_nothing_runs
from tests.engine.conftest import Served
from tests.engine.engine import ROOT

HEADING = "## With the Pulumi CLI: `pm up`, then `pulumi up -s local`"
#: Answers that a person gives by hand, and these tests do not.
UNASKED = {"PULUMI_OPTION_YES": "true"}
SMALL = ROOT / "tests" / "sandbox" / "deployer" / "programs" / "small"
TABLE = "aws:dynamodb/table:Table"
pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


@pytest.fixture
def shell(cli: Path, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Runs words in a shell, in a folder whose .venv is the checkout's; what is run there at the end is stopped."""
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, **UNASKED, "HOME": str(home), "PATH": f"{cli.parent}:{os.environ['PATH']}"}

    def run(words: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    before = checkout()
    yield run
    subprocess.run([".venv/bin/pm", "down"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert_nothing_runs(tmp_path)
    written = {path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()}
    assert written <= {(".cache", "predictive-maintenance")}, "nothing of the user's is written but our own cache"
    assert checkout() == before, "the tracked files stay clean"


def checkout() -> dict[str, bytes | str]:
    """The stacks' files, and what git says of the checkout."""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {"git status": status.stdout, **{path.name: path.read_bytes() for path in ROOT.glob("Pulumi*.yaml")}}


def words_of_readme() -> str:
    _, _, section = (ROOT / "README.md").read_text().partition(f"\n{HEADING}\n")
    (words,) = re.findall(r"^```\n(.*?)^```$", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    return str(words)


def test_the_words_of_readme_fill_a_cloud_by_hand_and_empty_it(shell: Callable[[str], str]) -> None:
    words = words_of_readme()
    for word in ("pm up --cloud-only", "pulumi up -s local", "pulumi preview -s local", "pulumi destroy -s local"):
        assert word in words
    said = shell(words)
    up, rest = said.split("Previewing update (local)", 2)[1:]
    created = re.search(r"\+ (\d+) created", up)
    assert created is not None
    assert int(created.group(1)) > 200
    assert f"{created.group(1)} unchanged" in rest
    assert f"- {created.group(1)} deleted" in rest


def test_pm_up_takes_the_command_and_the_factory_is_that_of_the_commands_by_hand(
    shell: Callable[[str], str], cli: Path, tmp_path: Path
) -> None:
    said = shell(".venv/bin/pm up")
    assert re.search(rf"Engine: Pulumi \d+\.\d+\.\d+, {cli} \(found on the PATH\)", said)
    assert "source out/factory/pulumi/environment.sh, then pulumi preview -s dev" in said
    assert "By hand:" not in said, "the language host is beside the command"
    factory = Factory.attach(tmp_path / "out" / "factory")
    assert "pm.Forecaster" in factory.core_devices["lindau-core"].status()["components"]
    by_hand = shell(
        "source out/factory/pulumi/environment.sh\n"
        "pulumi preview -s dev --expect-no-changes\n"
        "pulumi stack init another\n"
        "pulumi config set pm:owner somebody -s dev\n"
    )
    assert f"{len(factory.deployment.resources) + 1} unchanged" in by_hand, (
        "the stack itself is a resource to the engine"
    )


def test_a_program_that_fails_is_one_line_with_its_own_words(cli: Path, served: Served, tmp_path: Path) -> None:
    said = r"\Apm:voice: found '7'; .*, allowed is a voice of Amazon Polly\n\(the whole story is in .*/up\.log\)\Z"
    with PulumiDeployer(cli, tmp_path) as deployer, pytest.raises(DeploymentError, match=said):
        deployer(ROOT, "dev", served.cloud, {"voice": 7}, lambda _: None)


def test_a_resource_that_fails_is_one_line_with_its_name_and_the_clouds_answer(
    cli: Path, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise InputError("refused for once")

    monkeypatch.setitem(HANDLERS, TABLE, Creation(refuses, {}))
    said = r"\Aaws:dynamodb:Table 'table': .*refused for once\n\(the whole story is in .*/up\.log\)\Z"
    with PulumiDeployer(cli, tmp_path) as deployer, pytest.raises(DeploymentError, match=said):
        deployer(SMALL, "dev", served.cloud, {}, lambda _: None)
