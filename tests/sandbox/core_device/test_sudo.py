"""Each recipe's scripts through Debian's sudo, as a classic nucleus starts them, and what the emulated one makes of it.

Not proved here: another user than the one who runs the tests, to whom sudo passes on the same variables; sudo-rs, which
passes on fewer and which no component of ours runs under (pm_edge/README.md).
"""

import getpass
import grp
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pm_components.aws import recipes
from pm_contracts import site_devices
from pm_contracts.measurements import AIR_QUALITY
from pm_sandbox.core_device.interpreter import make_interpreter
from pm_sandbox.core_device.recipes import interpolate
from pm_sandbox.core_device.sudo import REMOVED_NAMES, passed_on

CODE = sorted(
    path.parent.name
    for path in (recipes.EDGE / recipes.COMPONENTS).glob("*/recipe.yaml")
    if (path.parent / "__main__.py").exists()
)
#: Passed on by sudo, and refused by a component before it connects: so it has imported all that it needs.
NO_BROKER = "PM_LOCAL_BROKER is 'nowhere', and must be HOST:PORT"
ENVIRONMENT = {"PATH": os.defpath, "AWS_IOT_THING_NAME": "lindau-core", "PM_LOCAL_BROKER": "nowhere"}


def sudo(*command: str, environment: Mapping[str, str], work: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command as `SudoDecorator` of a classic nucleus has it run (its class `UnixPlatform`)."""
    group = grp.getgrgid(os.getgid()).gr_name
    return subprocess.run(
        ["sudo", "-n", "-E", "-H", "-u", getpass.getuser(), "-g", group, "--", *command],
        cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


needs_sudo = pytest.mark.skipif(
    shutil.which("sudo") is None or sudo("true", environment=ENVIRONMENT).returncode != 0,
    reason="needs sudo without a password: apt-get install sudo",
)


def unpacked(folder: str, root: Path) -> Path:
    """The component's artifact, unpacked as a nucleus does."""
    for name, content in recipes.load(folder).files.items():
        path = root / "component" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_interpreter(tmp_path_factory.mktemp("interpreter"))


SCRIPTS = [
    pytest.param(folder, step, id=f"{folder}-{number}-{name}")
    for folder in CODE
    for number, manifest in enumerate(recipes.load(folder).recipe["Manifests"])
    for name, step in manifest["Lifecycle"].items()
]


@needs_sudo
@pytest.mark.parametrize(("folder", "step"), SCRIPTS)
def test_each_component_finds_its_code_when_sudo_starts_it(
    folder: str, step: dict[str, Any], interpreter: str, tmp_path: Path
) -> None:
    values = {
        "/site": "lindau", "/python": interpreter, "/dataDirectory": str(tmp_path),
        "/flowControl": "none", "/outboxMebibytes": "1", "/endpoint": "", "thingName": "lindau-core",
        "decompressedPath": str(unpacked(folder, tmp_path)),
    }  # fmt: skip
    given = {name: interpolate(value, lambda _, key: values[key]) for name, value in step.get("Setenv", {}).items()}
    script = interpolate(step["Script"], lambda _, key: values[key])
    work, data = tmp_path / "work", tmp_path / "lindau-core"
    for directory in (work, data):
        directory.mkdir()
    (data / site_devices.FILE_NAME).write_bytes(site_devices.encode("lindau", {"air-1": AIR_QUALITY}))
    ended = sudo("sh", "-c", script, environment={**ENVIRONMENT, **given}, work=work)
    assert NO_BROKER in ended.stdout, ended.stderr
    assert ended.returncode == 1


@needs_sudo
def test_the_emulated_nucleus_passes_on_what_sudo_does() -> None:
    samples = {name.replace("*", "SAMPLE"): "x" for name in REMOVED_NAMES}
    kept = {"AWS_IOT_THING_NAME": "lindau-core", "SVCUID": "token", "PYTHONUNBUFFERED": "1"}
    given = {"PATH": os.environ["PATH"], **samples, **kept, "BASH_FUNC_ls%%": "() { echo; }"}
    said = sudo("env", "-0", environment=given).stdout
    found = dict(line.split("=", 1) for line in said.split("\0") if line)
    assert kept.items() <= found.items()
    assert not (found.keys() & given.keys()) - passed_on(given).keys()
    assert not (passed_on(given).keys() - found.keys())


@needs_sudo
@pytest.mark.skipif(os.getuid() != 0, reason="sudo tells root alone what it removes")
def test_the_list_is_sudo_s_own() -> None:
    said = subprocess.run(["sudo", "-V"], capture_output=True, text=True, check=True).stdout
    section = said.split("Environment variables to remove:\n")[1]
    names = [line.strip() for line in section.splitlines()]
    listed = names[: next(index for index, line in enumerate(names) if line.endswith(":"))]
    assert set(listed) == {*REMOVED_NAMES, "*=()*"}
