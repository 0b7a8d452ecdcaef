"""The project's own rules: import rules, documented dependencies, every test file collected, none skipped in CI.

Does not prove that the rules are wise.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_import_rules_hold():
    linted = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout
    assert "0 broken" in linted.stdout


def test_every_direct_dependency_is_documented():
    page = (ROOT / "docs/dependencies.md").read_text()
    documented = {name.strip() for row in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE) for name in row.split(",")}
    for path in sorted((ROOT / "requirements").glob("*.in")):
        for line in path.read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                name = re.split(r"[=\[<>~ ]", line)[0].lower()
                assert name in documented, f"{path.name}: {name} is not in docs/dependencies.md"


def test_every_lock_has_hashes_and_names_no_index():
    locks = sorted((ROOT / "requirements").glob("*.txt")) + sorted(ROOT.glob("pm_*/**/requirements.txt"))
    assert len(locks) == 6
    for path in [*locks, ROOT / "component_provider" / "requirements.txt"]:
        text = path.read_text()
        pinned = re.findall(r"^[a-z0-9][^ ]*==[^ ]+ \\$", text, re.MULTILINE)
        assert pinned, path
        assert text.count("--hash=sha256:") >= len(pinned), path
        assert "://" not in text, path


def _openings(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring, also those below a field, and of each comment that begins with `#:`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for before, one in zip([None, *node.body], node.body, strict=False):
                is_text = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
                if is_text and (before is None or isinstance(before, ast.Assign | ast.AnnAssign)):
                    yield one.lineno, str(one.value.value)
    above = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#: ") and not above.startswith("#:"):
            yield number, line.lstrip().removeprefix("#: ")
        above = line.lstrip()


def test_every_docstring_opens_with_a_noun_phrase_or_an_imperative():
    clause = re.compile(r"(What|Who|Whose|Whom|Where|How|Whether|When|Why|Which|That|They|It) ")
    others = {"build", "out", "__pycache__"}
    folders = [one for one in ROOT.iterdir() if one.is_dir() and one.name not in others and one.name[0] != "."]
    opened = []
    for path in sorted(
        path for folder in folders for path in folder.rglob("*.py") if not {".venv", "lambda_layer"} & set(path.parts)
    ):
        for line, text in _openings(path.read_text()):
            if clause.match(text):
                opened.append(f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}")
    assert opened == []


def test_every_test_file_is_collected_and_no_helper_hides_a_test():
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-m", ""], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.returncode == 0, listed.stdout[-3000:]
    collected = {line.split("::")[0] for line in listed.stdout.splitlines() if "::" in line}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if re.search(r"^\s*(async )?def test_", path.read_text(), re.MULTILINE):
            assert str(path.relative_to(ROOT)) in collected, f"{path} has tests that nobody runs"


#: Folders of tests of the whole, which no single package holds.
_OF_THE_WHOLE = {"contract_library", "drills", "end_to_end", "engine", "environments", "wheel"}


def test_the_tests_lie_as_the_packages_do():
    misplaced = []
    for path in sorted((ROOT / "tests").glob("*/**/test_*.py")):
        top, *below = path.parent.relative_to(ROOT / "tests").parts
        package = next((one for one in (f"pm_{top}", top) if (ROOT / one).is_dir()), None)
        if not (top in _OF_THE_WHOLE and not below) and not (package and ROOT.joinpath(package, *below).is_dir()):
            misplaced.append(str(path.relative_to(ROOT)))
    assert misplaced == []


def test_no_pattern_of_ours_takes_a_line_break_after_its_end():
    """`$` matches before a trailing line break too: patterns end with `\\Z`, or are held to the whole text."""
    folders = [one for one in ROOT.iterdir() if one.is_dir() and (one.name.startswith("pm_") or one.name == "examples")]
    found = []
    for path in sorted(path for folder in folders for path in folder.rglob("*.py") if "lambda_layer" not in path.parts):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            texts = [one.value for one in node.keywords if one.arg == "pattern"]
            if called.startswith("re.") or called == "regex.compile":
                texts += node.args[:1]
            written = [ast.unparse(text) for text in texts]
            found += [f"{path.relative_to(ROOT)}:{node.lineno}: {one}" for one in written if one.endswith(("$'", '$"'))]
    assert found == []


_SKIPS = """
import pytest

@pytest.fixture
def absent():
    pytest.skip("nothing to set up")

@pytest.mark.skipif(True, reason="not here")
def test_marked(): ...

def test_within():
    pytest.skip("nothing to run")

def test_of_a_fixture(absent): ...

@pytest.mark.xfail(reason="known")
def test_known_to_fail():
    assert False

def test_that_runs(): ...
"""


@pytest.mark.parametrize(
    ("ci", "told"), [("", "1 passed, 4 skipped, 1 xfailed"), ("true", "1 failed, 1 passed, 1 xfailed, 3 errors")]
)
def test_a_skipped_test_fails_in_ci_alone(ci: str, told: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin("tests.no_skips")
    (tmp_path / "test_some.py").write_text(_SKIPS)
    (tmp_path / "test_whole_file.py").write_text('import pytest\npytest.importorskip("no_such_module")\n')
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-p", "no:cacheprovider", "-c", os.devnull,
         "--rootdir", tmp_path, "--continue-on-collection-errors", tmp_path],
        cwd=ROOT, env={**os.environ, "CI": ci, "PYTEST_ADDOPTS": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert told in ran.stdout
    assert ran.returncode == (1 if ci else 0)
    assert not ci or "In CI no test may be skipped" in ran.stdout
