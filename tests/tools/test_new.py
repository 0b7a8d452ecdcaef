"""A new component and a new policy, made in a copy of the tree: they pass the checks and their own tests as they are.

Not proved here: their types, for which mypy would read the whole tree; `make check` does that.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.new import NotMadeError, component, policy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A copy of the tree with a component and a policy, and their files."""
    copy = tmp_path_factory.mktemp("tree")
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    files = [*component(copy, "line_counter"), *policy(copy, "queue_retention")]
    return copy, [str(path.relative_to(copy)) for path in files]


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTEST_ADDOPTS": ""}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


def test_they_pass_lint_format_and_import_rules(made: tuple[Path, list[str]]) -> None:
    copy, _ = made
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."]):
        checked = run(copy, *command)
        assert checked.returncode == 0, (checked.stdout, checked.stderr)
    linted = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True,
    )  # fmt: skip
    assert linted.returncode == 0, linted.stdout


def test_their_tests_pass(made: tuple[Path, list[str]]) -> None:
    copy, files = made
    tests = [file for file in files if "/test_" in file]
    tested = run(copy, "pytest", "-q", *tests, "tests/policies/test_policy_catalogue.py")
    assert tested.returncode == 0, tested.stdout
    broken = run(copy, "pytest", "-q", "tests/policies/test_bad_programs.py", "-k", "queue_retention or every_rule")
    assert broken.returncode == 0, broken.stdout


def test_a_component_that_is_listed_keeps_to_what_both_nuclei_read(made: tuple[Path, list[str]]) -> None:
    copy, _ = made
    recipes = copy / "tests" / "edge" / "test_edge_recipes.py"
    listed = recipes.read_text().replace("CODE = {", 'CODE = {"line_counter": "pm.LineCounter",', 1)
    recipes.write_text(listed)
    tested = run(copy, "pytest", "-q", str(recipes), "-k", "line_counter or no_recipe_is_missed")
    assert tested.returncode == 0, tested.stdout


@pytest.mark.parametrize("name", ["", "Line", "line-counter", "_line", "a/b", "line__counter"])
def test_a_name_that_is_none_of_a_module_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotMadeError, match=re.escape(repr(name))):
        component(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(made: tuple[Path, list[str]]) -> None:
    copy, files = made
    (copy / files[0]).write_text("mine")
    with pytest.raises(NotMadeError, match="__init__\\.py is there already"):
        component(copy, "line_counter")
    assert (copy / files[0]).read_text() == "mine"
