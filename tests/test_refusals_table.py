"""The tables of `docs/sandbox.md` that name tests: for what only the world showed, and for what either engine does.

Not proved here: that a test does what its row says.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEADING = "## What only the world showed"
_ENGINES = "## Pulumi's engine, and ours"
_NAMED = re.compile(r"`(?P<file>[\w/]+\.py)?(?:::(?P<test>\w+))?`")
#: Faults by number, as the table counts them.
_FAULTS = 22


def _rows(heading: str = _HEADING) -> list[list[str]]:
    section = (ROOT / "docs" / "sandbox.md").read_text().split(heading)[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:2] == "| "]


def _tests_of(cell: str) -> int:
    """Number of tests that a cell names, each of which there is."""
    file, found = "", list(_NAMED.finditer(cell))
    assert found, f"{cell!r} names no test"
    for one in found:
        file = one["file"] or file
        text = (ROOT / "tests" / file).read_text()
        assert one["test"] is None or f"def {one['test']}(" in text, f"{file} has no {one['test']}"
    return len(found)


def test_each_row_names_tests_that_there_are() -> None:
    assert sum(_tests_of(row[-1]) for row in _rows() if row[0].isdigit()) >= _FAULTS


def test_each_row_on_the_engines_names_tests_that_there_are() -> None:
    rows = [row for row in _rows(_ENGINES) if len(row) == 4 and row[0] != "Behaviour"]
    assert sum(_tests_of(row[-1]) for row in rows) > len(rows)


def test_each_fault_has_a_row() -> None:
    assert {int(row[0]) for row in _rows() if row[0].isdigit()} == set(range(_FAULTS))
