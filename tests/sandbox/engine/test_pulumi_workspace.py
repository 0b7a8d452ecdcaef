"""The folder that Pulumi's own engine works in: nothing of the program's or the user's is written to or taken over.

Does not prove that the command line keeps to it; `make test-engine` does.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pm_sandbox.deployer.records import DeploymentError
from pm_sandbox.engine.deploy import deployment_of
from pm_sandbox.engine.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
ARCHIVE = {"4dabf18193072939515e22adb298388d": "0def7320c3a5731c473e5ecbe6d01bc7", "path": "/a", "hash": "12"}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the small program, whose stack is kept by the user's own passphrase."""
    copy = tmp_path / "program"
    shutil.copytree(ROOT / "tests" / "sandbox" / "deployer" / "programs" / "small", copy)
    with (copy / "Pulumi.dev.yaml").open("a") as file:
        file.write("encryptionsalt: v1:mine\n")
    return copy


@pytest.fixture
def workspace(program: Path, tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "engine", program)


def stack_file(workspace: Workspace, stack: str = "dev") -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((workspace.project / f"Pulumi.{stack}.yaml").read_text())
    return content


def test_the_passphrase_is_made_once_and_for_its_owner_alone(workspace: Workspace, program: Path) -> None:
    file = workspace.folder / "passphrase"
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.read_text()
    assert len(first) >= 32
    Workspace(workspace.folder, program)
    assert file.read_text() == first
    assert first not in "\n".join(workspace.shell_lines(1))


def test_the_projects_file_names_the_program_and_its_environment(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "engine", ROOT)
    own, ours = (yaml.safe_load((folder / "Pulumi.yaml").read_text()) for folder in (ROOT, workspace.project))
    assert ours.pop("main") == str(ROOT)
    assert ours["runtime"]["options"].pop("virtualenv") == str(ROOT / own["runtime"]["options"].pop("virtualenv"))
    assert ours == own


def test_a_stacks_file_is_a_copy_with_values_over_it_and_a_salt_of_its_own(workspace: Workspace, program: Path) -> None:
    before = {path: path.read_bytes() for path in program.rglob("*") if path.is_file()}
    workspace.write_stack("dev", "dev", {"greeting": "moin", "aws:region": "eu-central-1"})
    limits = {"seconds": 30, "names": ["a", "b"]}
    config = {"small:limits": limits, "small:greeting": "moin", "aws:region": "eu-central-1"}
    assert stack_file(workspace) == {"config": config}
    # As the command line leaves it.
    with (workspace.project / "Pulumi.dev.yaml").open("a") as file:
        file.write("encryptionsalt: v1:ours\n")
    workspace.write_stack("dev", "dev")
    assert stack_file(workspace) == {"config": {"small:limits": limits}, "encryptionsalt": "v1:ours"}
    assert {path: path.read_bytes() for path in program.rglob("*") if path.is_file()} == before


def test_a_stack_that_cannot_be_deployed_is_refused_by_name(workspace: Workspace, program: Path) -> None:
    with pytest.raises(DeploymentError, match=r"stack 'prod' has no file .*Pulumi.prod.yaml; stacks here: dev"):
        workspace.write_stack("prod", "prod")
    (program / "Pulumi.prod.yaml").write_text("config: {'small:limits': {secure: v1:abc}}")
    with pytest.raises(DeploymentError, match="small:limits is encrypted, and the sandbox has no key to it"):
        workspace.write_stack("prod", "prod")


def test_a_shell_takes_the_lines_whatever_it_was_told_before(tmp_path: Path, program: Path) -> None:
    workspace = Workspace(tmp_path / "with a space", program)
    script = "\n".join(["export PULUMI_CONFIG_PASSPHRASE=mine", *workspace.shell_lines(4711), "env"])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env={"PULUMI_STACK": "x"})
    seen = {key: value for key, _, value in (line.partition("=") for line in done.stdout.splitlines())}
    told = {key: value for key, value in seen.items() if key.startswith("PULUMI_")}
    assert told == {**workspace.environment(4711), "PULUMI_OPTION_CWD": str(workspace.project)}
    assert told["PULUMI_DEBUG_PROVIDERS"] == "aws:4711,aws-native:4711"
    assert all(str(workspace.folder) in told[f"PULUMI_{key}"] for key in ("HOME", "BACKEND_URL", "OPTION_CWD"))


def test_a_deployment_is_read_from_the_engines_state_and_its_secrets_are_masked() -> None:
    urn = "urn:pulumi:dev::small::"
    stack = f"{urn}pulumi:pulumi:Stack::small-dev"
    resources = [
        {"urn": stack, "type": "pulumi:pulumi:Stack", "outputs": {"url": "https://q", "key": SECRET}},
        {"urn": f"{urn}pulumi:providers:aws::default_7_51_1", "type": "pulumi:providers:aws", "id": "1"},
        {
            "urn": f"{urn}aws:lambda/function:Function::function",
            "type": "aws:lambda/function:Function",
            "id": "small-function",
            "parent": stack,
            "inputs": {"code": ARCHIVE, "environment": {"variables": [SECRET]}},
            "outputs": {"arn": "arn:x"},
        },
    ]
    deployment = deployment_of("dev", {"version": 3, "deployment": {"resources": resources}})
    assert deployment.outputs == {"url": "https://q", "key": "[secret]"}
    (function,) = deployment.resources
    assert deployment.physical_id("aws:lambda/function:Function", "function") == "small-function"
    assert function.parent == stack
    assert function.inputs == {"code": {"sha256": "12"}, "environment": {"variables": ["[secret]"]}}
