"""The wheel in a clean environment and an empty folder registers what the checkout does, in each Python that it takes.

Not proved here: that Pulumi's engine reads it so (tests/engine/test_wheel_by_engine.py), that newer releases of the
declared dependencies do than the locked ones, and that the sandbox runs on other Pythons than 3.11.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.requirements import Requirement

from tests.wheel import installed

ROOT = installed.ROOT
EXAMPLE = ROOT / "examples" / "python"
OURS = ("pm_cli", "pm_components", "pm_contracts", "pm_edge", "pm_ml", "pm_policies", "pm_sandbox")
#: The names of the example, and those of its second copy.
OTHER_NAMES = {
    '"lake"': '"lake-2"', '"alerting"': '"alerting-2"', '"pipeline"': '"pipeline-2"', '"lindau': '"bregenz',
    "air-1": "air-2", "machine-01": "machine-02",
}  # fmt: skip
#: The part of the extra `sandbox` that the recorder imports.
OF_THE_RECORDER = ("cryptography", "regex")
_IMPORT_ALL = """
import importlib, pkgutil
import pm_cli.main, pm_components, pm_contracts
walked = (pkgutil.walk_packages(each.__path__, each.__name__ + ".") for each in (pm_components, pm_contracts))
found = [one.name for each in walked for one in each]
for name in found:
    importlib.import_module(name)
print(len(found))
"""


class Library(NamedTuple):
    """An interpreter that finds the library, and the folder to run in."""

    python: Path
    folder: Path
    path: str = ""

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run Python."""
        environment = {**os.environ, "PYTHONPATH": self.path}
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.folder, env=environment, input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def recorded(self, program: Path) -> dict[str, Any]:
        """The resources that the program registers by URN, and its outputs."""
        request = {"program": str(program), "stack": "dev", "config": {}, "only_config": True}
        ran = self.run("-m", "pm_sandbox.recorder", given=json.dumps({**request, "preview": False, "checked": False}))
        assert ran.returncode == 0, ran.stderr
        return {one["urn"]: one for one in json.loads(ran.stdout)["resources"]}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def checkout(empty: Path) -> Library:
    return Library(Path(sys.executable), empty, str(ROOT))


@pytest.fixture(scope="module")
def clean(wheel: Path, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(installed.clean(wheel, tmp_path_factory.mktemp("clean") / "venv"), empty)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's program, and the same once more under other names."""
    folder = tmp_path_factory.mktemp("twice")
    text = second = (EXAMPLE / "__main__.py").read_text()
    for name, other in OTHER_NAMES.items():
        assert name in second
        second = second.replace(name, other)
    (folder / "__main__.py").write_text(text + second)
    (folder / "Pulumi.yaml").write_text((EXAMPLE / "Pulumi.yaml").read_text())
    return folder


@pytest.fixture(scope="module")
def of_the_checkout(checkout: Library, twice: Path) -> dict[str, Any]:
    return checkout.recorded(twice)


def test_it_has_every_file_of_the_packages_and_takes_no_name_that_is_not_ours(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == set(OURS)
    assert {f"{package}/py.typed" for package in OURS} <= set(names)
    ours = {name for name in installed.tracked(*OURS) if not name.endswith("README.md")}
    assert not ours - set(names), "pyproject.toml lists the files that are no code"


def test_every_module_of_the_library_finds_what_it_imports(clean: Library) -> None:
    ran = clean.run("-c", _IMPORT_ALL)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 100


def test_the_locked_releases_are_those_that_the_declared_ranges_begin_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["sandbox"], *extras["ml"], *extras["policies"]]
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==([^ ]+)", lock, re.MULTILINE))
    inputs = "\n".join(path.read_text() for path in (ROOT / "requirements").glob("*.in")).lower()
    for requirement in map(Requirement, declared):
        if requirement.name != project["name"]:
            assert f"\n{requirement.name}" in inputs, requirement
            (first,) = (one.version for one in requirement.specifier if one.operator in (">=", "=="))
            assert requirement.specifier.contains(locked[requirement.name]), requirement
            assert locked[requirement.name].startswith(first), requirement


def test_it_registers_what_the_checkout_does_and_under_other_names_again(
    wheel: Path, empty: Path, twice: Path, of_the_checkout: dict[str, Any], tmp_path: Path
) -> None:
    of_the_wheel = Library(installed.with_every_extra(wheel, tmp_path / "venv"), empty).recorded(twice)
    assert of_the_wheel == of_the_checkout
    layers = [one for one in of_the_wheel.values() if one["type"] == "aws:lambda/layerVersion:LayerVersion"]
    assert len({json.dumps(layer["inputs"]["code"]) for layer in layers}) == 1, "one layer, whichever component has it"


def test_it_registers_the_same_under_pulumis_mocks(clean: Library, checkout: Library) -> None:
    script = str(Path(__file__).with_name("under_mocks.py"))
    wheels, checkouts = (library.run(script, str(EXAMPLE / "__main__.py")) for library in (clean, checkout))
    assert wheels.returncode == 0, wheels.stderr
    assert json.loads(wheels.stdout) == json.loads(checkouts.stdout)
    assert len(json.loads(wheels.stdout)) > 200


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_a_later_python_registers_the_same(
    version: str, wheel: Path, empty: Path, of_the_checkout: dict[str, Any], tmp_path: Path
) -> None:
    python = installed.python_of(version)
    if python is None:
        pytest.skip(f"there is no python{version} here: install it, or `pyenv install {version}`")
    interpreter = installed.clean(wheel, tmp_path / "venv", python, OF_THE_RECORDER)
    recorded = Library(interpreter, empty).recorded(EXAMPLE)
    assert len(recorded) > 200
    assert recorded.items() <= of_the_checkout.items()
    assert "predictive-maintenance" in Library(interpreter, empty).run("-m", "pm_cli.main", "--help").stdout


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["demo"], "sandbox"),
        (["review", "dev"], "sandbox"),
        (["evaluate", "--data", __file__], "ml"),
        (["train", "fault", "--data", "."], "ml"),
    ],
)
def test_a_command_without_its_packages_names_the_extra(command: list[str], extra: str, clean: Library) -> None:
    ran = clean.run("-m", "pm_cli.main", *command)
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.endswith(f" is not installed: pip install 'predictive-maintenance[{extra}]'")


def test_the_example_is_what_the_readme_shows_in_fifteen_lines() -> None:
    text = (EXAMPLE / "__main__.py").read_text()
    assert len(text.splitlines()) <= 15
    code = text.partition('"""\n\n')[2]
    assert code in (ROOT / "README.md").read_text()
