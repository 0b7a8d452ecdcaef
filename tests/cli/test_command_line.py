"""The command line teaches, and says clearly what is wrong. Runs the real `pm`.

Does not prove that a factory runs; the end-to-end test does.
"""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pm_cli.main import app
from pm_sandbox import factory

PM = Path(sys.executable).with_name("pm")


def pm(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PM), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, env={"COLUMNS": "200", "PATH": ""}
    )


def test_help_names_every_command(tmp_path: Path):
    told = pm("--help", cwd=tmp_path)
    assert told.returncode == 0
    for command in ("demo", "up", "status", "replay", "logs", "down"):
        assert f" {command} " in told.stdout


def test_what_is_wrong_is_one_line_on_stderr(tmp_path: Path):
    told = pm("status", cwd=tmp_path)
    assert told.returncode == 2
    assert told.stdout == ""
    assert told.stderr == "error: no factory runs in out/factory: start one with `pm up`\n"


HEADER = "date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow,rain\n"
ARN = "arn:aws:states:REGION:ACCOUNT:stateMachine:NAME"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("status", "`pm up`"),
        ("status --directory file", "'file' is a file"),
        ("status --directory empty", "no factory runs in empty"),
        ("down", "`pm up`"),
        ("logs pm.Uplink", "`pm up`"),
        ("replay", "`pm up`"),
        ("replay --start yesterday", "--start"),
        ("alarms list", "`pm up`"),
        ("alarms acknowledge lindau fault/machine-03", "`pm up`"),
        ("lake query late", "there is no query 'late': there are last-day-by-device,"),
        ("lake query late-data", "`pm up`"),
        ("lake query late-data --rows 0", "--rows"),
        ("up --port 70000", "--port"),
        ("up --port {busy}", "port {busy} of 127.0.0.1 cannot be used (Address already in use)"),
        ("up --directory file", "'file' is a file"),
        ("up --directory /proc/factory", "/proc/factory: "),
        ("demo --data nowhere.csv", "'nowhere.csv' does not exist"),
        ("demo --data empty", "'empty' is a directory"),
        ("demo --data file", "file: missing column 'date'"),
        ("demo --data short.csv", "short.csv: missing column 'dew'"),
        ("demo --data headed.csv", "holds no two good readings from 2010-01-02 to before 2015-01-01"),
        ("demo --data words.csv", "line 2 is refused: pollution: 'much' is no number"),
        ("demo --data binary.csv", "binary.csv: cannot be read"),
        ("demo --out file", "'file' is a file"),
        ("evaluate --data nowhere.csv", "'nowhere.csv' does not exist"),
        ("train forecast --data nowhere", "--data nowhere: there is no such file or folder"),
        ("train forecast --data s3://bucket/key", "--where sagemaker"),
        ("train fault --data empty --train-end yesterday", "--train-end"),
        ("train weather --data empty", "there is no model 'weather': there are forecast, fault"),
        ("train fault --data empty --where sagemaker", "`pm up`"),
        ("train fault --data empty --where sagemaker --state-machine foo", ARN),
        ("data fetch weather", "there is no data set 'weather': there are pollution, aps"),
        ("review nowhere", "stacks here: dev, local, prod, staging"),
        ("review dev --program empty", "empty/Pulumi.yaml"),
        ("review dev --json --markdown", "--json and --markdown"),
        ("config diff dev", "second"),
        ("clear prod --yes", "stack prod is protected"),
        ("clear dev --state nowhere.json", "nowhere.json cannot be read: No such file or directory"),
        ("clear dev --state file", "file: allowed is what `pulumi stack export` writes, or a deployment.json"),
    ],
)
def test_what_cannot_be_done_as_asked_is_said_and_ends_with_2(
    command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "empty").mkdir()
    files = {"file": "x", "short.csv": "date,pollution\n", "headed.csv": HEADER}
    files["words.csv"] = HEADER + "2010-01-02 00:00:00,much,0,0,1000,1,1,0,0\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = str(server.getsockname()[1])
        told = CliRunner().invoke(app, command.replace("{busy}", busy).split())
    assert told.exit_code == 2, told.output
    assert said.replace("{busy}", busy) in " ".join(told.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_disk_without_room_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=12_300_000))
    told = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)], env={"COLUMNS": "200"})
    assert told.exit_code == 2
    assert f"{tmp_path}: 12 MB of disk are free there, and the demo needs 300 MB" in told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("span", [("2015-01-01", "2010-01-02"), ("1999-01-01", "1999-02-01"), ("2016-01-01", "")])
def test_a_replay_of_no_reading_is_refused(span: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []
    operator = SimpleNamespace(command=lambda *said: asked.append(said))
    found = SimpleNamespace(operator=operator, deployment=SimpleNamespace(outputs={"sites": {"lindau": {}}}))
    monkeypatch.setattr(factory.Factory, "attach", lambda _directory: found)
    start, end = span
    told = CliRunner().invoke(app, ["replay", "--start", start, *(["--end", end] if end else [])])
    assert told.exit_code == 2
    assert "the data are from 2010-01-02T00:00:00+00:00 to before 2015-01-01T00:00:00+00:00" in told.stderr
    assert asked == []


def test_each_command_teaches_with_an_example():
    groups = [("pm", get_command(app))]
    while groups:
        path, group = groups.pop()
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                groups.append((f"{path} {name}", command))
            else:
                assert f"{path} {name}" in str(command.help), f"`{path} {name}` shows no example of itself"


def test_a_new_factory_forgets_the_one_before_and_nothing_of_another_folder(tmp_path: Path):
    for name in ("factory", "mine"):
        (tmp_path / name / "cloud").mkdir(parents=True)
        (tmp_path / name / "notes").touch()
    (tmp_path / "factory" / factory.STARTING_FILE).touch()
    for name in ("factory", "mine", "nowhere"):
        factory.forget(tmp_path / name)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"factory", f"factory/{factory.STARTING_FILE}", "factory/notes", "mine", "mine/cloud", "mine/notes"}
