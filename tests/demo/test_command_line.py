"""The command line teaches, and says clearly what is wrong. Runs the real `pm`.

Does not prove that a factory runs; the end-to-end test does.
"""

import subprocess
import sys
from pathlib import Path

import pytest

PM = Path(sys.executable).with_name("pm")


def pm(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PM), *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, env={"COLUMNS": "200", "PATH": ""}
    )


def test_help_names_every_command(tmp_path: Path):
    told = pm("--help", cwd=tmp_path)
    assert told.returncode == 0
    for command in ("demo", "up", "status", "replay", "logs", "down"):
        assert f" {command} " in told.stdout


@pytest.mark.parametrize("command", [["status"], ["down"], ["logs", "pm.Uplink"], ["replay"]])
def test_without_a_factory_a_command_says_how_to_start_one(command: list[str], tmp_path: Path):
    told = pm(*command, cwd=tmp_path)
    assert told.returncode == 1
    assert "pm up" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("date,pollution\n", "missing column 'dew'"),
        ("", "missing column 'date'"),
        ("date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow,rain\n", "holds no two readings"),
    ],
)
def test_a_csv_that_cannot_serve_is_refused_before_anything_starts(content: str, said: str, tmp_path: Path):
    path = tmp_path / "series.csv"
    path.write_text(content)
    told = pm("demo", "--data", str(path), cwd=tmp_path)
    assert told.returncode == 1
    assert said in told.stdout
    assert str(path) in told.stdout.replace("\n", "")
    assert not (tmp_path / "out").exists()
