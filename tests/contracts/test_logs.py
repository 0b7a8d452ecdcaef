"""The log of a component: one line a message, whatever a device writes into it.

Not proved here: how the nucleus keeps the lines.
"""

import logging
import subprocess
import sys

import pytest

from pm_contracts.logs import OneLine


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("pm/lindau/air-1/reading", "pm/lindau/air-1/reading"),
        ("pm/Lindau-Süd/°C", "pm/Lindau-Süd/°C"),
        ("a\n2026-01-01Z ERROR pm.uplink: forged", r"a\n2026-01-01Z ERROR pm.uplink: forged"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\r\t\x85\u2028\u202eb\x9b", r"a\r\t\x85\u2028\u202eb\x9b"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_message_shows_control_characters_instead_of_obeying_them(topic: str, shown: str) -> None:
    record = logging.LogRecord("pm.uplink", logging.WARNING, "", 1, "refused, on %s: %s", (topic, "no"), None)
    assert (
        OneLine("%(levelname)s %(name)s: %(message)s").format(record) == f"WARNING pm.uplink: refused, on {shown}: no"
    )


def test_a_traceback_keeps_its_lines_and_the_error_in_it_does_not_break_them() -> None:
    program = """
import logging
from pm_edge.runtime.component import configure_log
configure_log()
try:
    raise ValueError("a\\nb\\x1b[2J")
except ValueError:
    logging.getLogger("pm").exception("a message on %s was not processed", "pm/x\\ny")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    first, *rest = said.splitlines()
    assert first.endswith(r"ERROR pm: a message on pm/x\ny was not processed")
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in rest)
    assert "\x1b" not in said
