"""The `pulumi` command runs a program through the Python language host of these tests (pyhost).

Not proved: Pulumi's own language host, which is published in no Go module, nor those of other languages.
"""

from pathlib import Path

import pytest

from tests.engine.by_hand import ByHand, python_project
from tests.engine.conftest import Served
from tests.engine.engine import ROOT, EngineError

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def test_a_program_is_made_and_destroyed_by_hand(cli: Path, served: Served, tmp_path: Path) -> None:
    program = ROOT / "tests" / "sandbox" / "deployer" / "programs" / "small"
    small = ByHand(cli, tmp_path, served.port, python_project(program, tmp_path / "small", "dev"), "dev")
    small.run("config", "set", "aws:region", served.cloud.region)
    small.run("config", "set", "--secret", "greeting", "moin")
    up = small.run("up", "--yes", "--skip-preview")
    assert "a program may print" in up
    assert "29 created" in up
    assert "29 unchanged" in small.run("preview")
    assert "29 deleted" in small.run("destroy", "--yes", "--skip-preview")


def test_an_error_of_the_program_is_told_with_its_line(cli: Path, served: Served, tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.mkdir()
    (program / "Pulumi.yaml").write_text("name: broken\nruntime: python\n")
    (program / "__main__.py").write_text("import pulumi\n\nraise KeyError('no such plant')\n")
    with pytest.raises(EngineError, match=r"(?s)__main__.py\", line 3.*KeyError: 'no such plant'") as told:
        ByHand(cli, tmp_path, served.port, python_project(program, tmp_path / "project", "dev"), "dev").run("preview")
    assert "ended with" not in str(told.value), "told once"
