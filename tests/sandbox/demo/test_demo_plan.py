"""The demo's data on its way to the core device: the name in the command, the file where components look for it.

Not proved here: that the demo as a whole plays it, which `make demo` does.
"""

from pathlib import Path

from pm_contracts import csv_readings
from pm_edge.devices.player import RECORDINGS, Play
from pm_sandbox.demo.plan import Plan


def test_a_user_s_file_is_handed_to_the_device_and_named_in_the_command(tmp_path: Path) -> None:
    file = tmp_path / "Mein Werk, Süd (1).csv"
    rows = [f"2010-01-05 {hour:02d}:00:00,1,-5,1,1020,1,3,0,0" for hour in range(10)]
    file.write_text("\n".join([",".join(csv_readings.COLUMNS), *rows]) + "\n")
    plan = Plan.of(file)
    plan.hand_over(tmp_path / "device")
    for live in (False, True):
        named = Play.of(plan.command_parameters(live=live)).data
        assert (tmp_path / "device" / RECORDINGS / named).read_bytes() == file.read_bytes()


def test_without_a_file_nothing_is_handed_over(tmp_path: Path) -> None:
    plan = Plan.of(None)
    plan.hand_over(tmp_path / "device")
    assert Play.of(plan.command_parameters(live=True)).data == ""
    assert not (tmp_path / "device").exists()
