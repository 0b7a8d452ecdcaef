"""The table of `docs/sandbox.md` that names a test for each fault that only the world showed.

Not proved here: that a test does what its row says.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEADING = "## What only the world showed"
_NAMED = re.compile(r"`(?P<file>[\w/]+\.py)?(?:::(?P<test>\w+))?`")
#: Faults by number, as the table counts them.
_FAULTS = 22


def _rows() -> list[list[str]]:
    section = (ROOT / "docs" / "sandbox.md").read_text().split(_HEADING)[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:2] == "| "]


def test_each_row_names_tests_that_there_are() -> None:
    checked = 0
    for number, _, _, tests in (row for row in _rows() if row[0].isdigit()):
        file, found = "", list(_NAMED.finditer(tests))
        assert found, f"row {number} names no test"
        for one in found:
            file = one["file"] or file
            text = (ROOT / "tests" / file).read_text()
            assert one["test"] is None or f"def {one['test']}(" in text, f"row {number}: {file} has no {one['test']}"
            checked += 1
    assert checked >= _FAULTS


def test_each_fault_has_a_row() -> None:
    assert {int(row[0]) for row in _rows() if row[0].isdigit()} == set(range(_FAULTS))
