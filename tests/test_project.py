"""The project's own rules: import rules, documented dependencies, every test file collected.

Does not prove that the rules are wise.
"""

import re
import subprocess
import sys
from pathlib import Path

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
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text()
        pinned = re.findall(r"^[a-z0-9][^ ]*==[^ ]+ \\$", text, re.MULTILINE)
        assert pinned, path
        assert text.count("--hash=sha256:") >= len(pinned), path
        assert "://" not in text, path


def test_every_test_file_is_collected_and_no_helper_hides_a_test():
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-m", ""], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.returncode == 0, listed.stdout[-3000:]
    collected = {line.split("::")[0] for line in listed.stdout.splitlines() if "::" in line}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if re.search(r"^\s*(async )?def test_", path.read_text(), re.MULTILINE):
            assert str(path.relative_to(ROOT)) in collected, f"{path} has tests that nobody runs"
