"""The engine that `pm up` takes, by the `pulumi` on the PATH, and its error if it cannot take one.

Does not prove that Pulumi's engine deploys; `make test-engine` does. The commands here are stubs that say a version.
"""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pm_cli.main import app
from pm_sandbox.engine.command import MINIMUM, Choice, Command, EngineName, choose, missing_language_host
from tests.pulumi_stub import Stub

NEEDED = "3.208.0 or newer is needed, install it from https://www.pulumi.com/docs/install/"


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the PATH, with nothing in it."""
    folder = tmp_path / "commands"
    folder.mkdir()
    # Stubs need a shell and nothing else.
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_auto_takes_a_command_that_is_new_enough(on_path: Path) -> None:
    stub = Stub(on_path, "echo v3.274.1")
    chosen = choose(EngineName.AUTO)
    assert chosen == Choice(Command(stub.path, (3, 274, 1)), "found on the PATH")
    assert str(chosen) == f"Pulumi 3.274.1, {stub.path} (found on the PATH)"
    assert stub.runs == ["version"]


def test_the_oldest_version_that_is_taken(on_path: Path) -> None:
    version = ".".join(map(str, MINIMUM))
    Stub(on_path, f"echo v{version}")
    assert choose(EngineName.PULUMI).command is not None


CANNOT_BE_TAKEN = [
    (None, "there is no command pulumi on the PATH"),
    ("echo v3.207.9", "{path} is Pulumi 3.207.9, too old"),
    ("echo v3.99.0", "{path} is Pulumi 3.99.0, too old"),
    ("echo", "{path} does not say its version"),
    ("exit 1", "{path} does not say its version"),
]


@pytest.mark.parametrize(("says", "found"), CANNOT_BE_TAKEN)
def test_auto_takes_our_own_where_no_command_will_do_and_says_why(says: str | None, found: str, on_path: Path) -> None:
    path = Stub(on_path, says).path if says else on_path
    chosen = choose(EngineName.AUTO)
    assert chosen.command is None
    assert str(chosen) == f"our own, which needs no command line ({found.format(path=path)})"


@pytest.mark.parametrize(("says", "found"), CANNOT_BE_TAKEN)
def test_pulumi_without_a_command_that_will_do_is_one_line(says: str | None, found: str, on_path: Path) -> None:
    path = Stub(on_path, says).path if says else on_path
    told = CliRunner().invoke(app, ["up", "--engine", "pulumi", "--directory", str(on_path / "factory")])
    assert told.exit_code == 2
    assert told.stdout == ""
    assert told.stderr == (f"error: --engine pulumi: {found.format(path=path)}: {NEEDED}, or leave the option out\n")
    assert not (on_path / "factory").exists()


def test_our_own_asks_no_command(on_path: Path) -> None:
    stub = Stub(on_path, "echo v3.274.1")
    assert str(choose(EngineName.OWN)) == "our own, which needs no command line (--engine own)"
    assert stub.runs == []


def test_asking_for_the_version_touches_no_home_and_no_backend(
    on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://mine")
    # What it prints is no version: the values that it sees come first.
    stub = Stub(on_path, f'echo "$PULUMI_HOME $PULUMI_BACKEND_URL" > {tmp_path}/seen; echo v3.274.1')
    assert choose(EngineName.AUTO).command == Command(stub.path, (3, 274, 1))
    home, *backend = (tmp_path / "seen").read_text().split()
    assert home not in ("", str(tmp_path / "home"))
    assert not Path(home).exists()
    assert backend == []


def test_a_language_host_is_looked_for_beside_the_command_and_on_the_path(
    on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command(Stub(tmp_path / "pulumi", "echo v3.274.1").path, (3, 274, 1))
    said = missing_language_host(command)
    assert said.startswith(f"pulumi-language-python is neither beside {command.path} nor on the PATH: ")
    assert said.endswith("install Pulumi whole from https://www.pulumi.com/docs/install/")
    host = tmp_path / "pulumi" / "pulumi-language-python"
    host.touch(0o755)
    assert missing_language_host(command) == ""
    host.rename(on_path / host.name)
    assert missing_language_host(command) == ""
    # As package managers have it: the command on the PATH is a link to where all of them are.
    (on_path / host.name).rename(host)
    link = on_path / "pulumi"
    link.symlink_to(command.path)
    assert missing_language_host(Command(link, (3, 274, 1))) == ""


def test_an_empty_cloud_of_our_own_engine_makes_no_sense() -> None:
    told = CliRunner().invoke(app, ["up", "--engine", "own", "--cloud-only"])
    assert told.exit_code == 2
    assert told.stderr == (
        "error: --engine own and --cloud-only: our own engine has no use for an empty cloud; leave one of them out\n"
    )


def test_no_engine_is_called_otherwise() -> None:
    told = CliRunner().invoke(app, ["up", "--engine", "terraform"], env={"COLUMNS": "200", "PATH": os.defpath})
    assert told.exit_code == 2
    assert "'auto', 'pulumi', 'own'" in told.stderr
