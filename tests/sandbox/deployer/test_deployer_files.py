"""Assets as bytes, and a project's files as configuration. Not proved: that the Pulumi command reads them likewise."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pm_sandbox.deployer.project import read_project
from pm_sandbox.deployer.records import Deployment, DeploymentError
from pm_sandbox.provider.assets import archive_bytes, asset_bytes, described


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "b.py").write_text("b")
    (root / "sub" / "a.py").write_text("a")
    return root


def _archive(tree: Path) -> pulumi.AssetArchive:
    return pulumi.AssetArchive(
        {
            "z.txt": pulumi.StringAsset("z"),
            "code": pulumi.FileArchive(str(tree)),
            "one.py": pulumi.FileAsset(str(tree / "b.py")),
        }
    )


def test_an_archive_is_the_same_to_the_byte_whenever_its_files_were_written(tree: Path) -> None:
    first = archive_bytes(_archive(tree))
    os.utime(tree / "b.py", (1_000_000_000, 1_000_000_000))
    assert archive_bytes(_archive(tree)) == first
    with zipfile.ZipFile(io.BytesIO(first)) as file:
        assert {name: file.read(name) for name in file.namelist()} == {
            "code/b.py": b"b",
            "code/sub/a.py": b"a",
            "one.py": b"b",
            "z.txt": b"z",
        }
        assert file.namelist() == sorted(file.namelist())
        assert {info.external_attr >> 16 for info in file.infolist()} == {0o644}


def test_an_archive_that_is_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "made.zip").write_bytes(b"made elsewhere")
    assert archive_bytes(pulumi.FileArchive(str(tmp_path / "made.zip"))) == b"made elsewhere"


def test_what_is_not_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="RemoteAsset cannot be read here"):
        asset_bytes(pulumi.RemoteAsset("https://example.com"))
    with pytest.raises(TypeError, match="RemoteArchive cannot be read here"):
        archive_bytes(pulumi.RemoteArchive("https://example.com"))
    with pytest.raises(FileNotFoundError):
        archive_bytes(pulumi.FileArchive(str(tmp_path / "nowhere")))


def test_records_tell_an_asset_by_its_hash(tree: Path) -> None:
    told = described({"code": _archive(tree), "list": [pulumi.StringAsset("x")]})
    assert json.loads(json.dumps(told)) == told
    assert told["list"][0]["bytes"] == 1
    assert told["code"]["kind"] == "AssetArchive"


def _project(directory: Path, project: str, stack: str) -> Path:
    (directory / "Pulumi.yaml").write_text(project)
    (directory / "Pulumi.dev.yaml").write_text(stack)
    return directory


def test_configuration_is_as_the_pulumi_command_gives_it(tmp_path: Path) -> None:
    project = """
name: plant
config:
  days: {type: integer, default: 365}
  voice: {value: Joanna}
  plant:short: yes
  sites: {type: array}
"""
    stack = "config:\n  plant:sites: [{name: a}]\n  aws:region: eu-west-1\n  days: 30\n  plant:flag: true\n"
    read = read_project(_project(tmp_path, project, stack), "dev", {"voice": "Vicki", "aws:region": "eu-central-1"})
    assert read.name == "plant"
    assert read.config == {
        "plant:days": "30",
        "plant:voice": "Vicki",
        "plant:short": "true",
        "plant:sites": '[{"name": "a"}]',
        "plant:flag": "true",
        "aws:region": "eu-central-1",
    }


def test_a_date_and_a_letter_of_any_language_are_texts(tmp_path: Path) -> None:
    stack = "config: {p:cost_centre: 2026-10-01, p:owner: Müller, p:at: 2026-10-01T12:00:00Z, p:days: [2026-10-01]}"
    assert read_project(_project(tmp_path, "name: p", stack), "dev", {}).config == {
        "p:cost_centre": "2026-10-01",
        "p:owner": "Müller",
        "p:at": "2026-10-01T12:00:00Z",
        "p:days": '["2026-10-01"]',
    }


def test_an_override_wins_over_a_key_that_the_file_encrypts(tmp_path: Path) -> None:
    stack = "config: {'p:password': {secure: xyz}}"
    assert read_project(_project(tmp_path, "name: p", stack), "dev", {"password": "x"}).config == {"p:password": "x"}


@pytest.mark.parametrize(
    ("project", "stack", "overrides", "message"),
    [
        ("runtime: python", "", {}, "name is None, a text is needed"),
        ("name: p\nconfig: {sites: {type: array}}", "", {}, "p:sites must be set"),
        ("name: p", "config: {'p:password': {secure: xyz}}", {}, "p:password is encrypted"),
        ("name: p", "config: {'p:mails': [a, {secure: xyz}]}", {}, r"p:mails\[1\] is encrypted"),
        ("name: p", "config: {'p:a': {b: [{c: {secure: xyz}}]}}", {}, r"p:a\.b\[0\]\.c is encrypted"),
        ("name: p", "config:\n  p:a: 1\n  p:b: 2\n  p:a: 3\n", {}, "'p:a' is there twice, in lines 2 and 4, allowed"),
        ("name: p", "config:\n  p:a: {x: 1,\n    x: 2}\n", {}, "'x' is there twice, in lines 2 and 3"),
        ("name: p", "config:\n  p:a: 1\nconfig:\n  p:b: 2\n", {}, "'config' is there twice, in lines 1 and 3"),
        ("name: p", "config: {a: 1, 'p:a': 2}", {}, "p:a is there twice, as p:a too, allowed is once"),
        ("name: p", "config: {a: .nan}", {}, "p:a: found nan; allowed are texts, finite numbers"),
        ("name: p", "config: {a: !!binary aGFsbG8=}", {}, "p:a: found b'hallo'; allowed are"),
        ("name: p", "config: {a: !!set {b}}", {}, "p:a: found {'b'}; allowed are"),
        ("name: p", "config: {a: " + "[" * 2000 + "]" * 2000 + "}", {}, "cannot be read: maximum recursion"),
        ("name: p", "config: {a: !!python/object:os.system x}", {}, "could not determine a constructor"),
        ("name: p", "- 1", {}, "holds a list, a mapping is needed"),
        ("name: [", "", {}, "cannot be read"),
    ],
)
def test_a_project_that_cannot_be_run_says_why(
    tmp_path: Path, project: str, stack: str, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeploymentError, match=message):
        read_project(_project(tmp_path, project, stack), "dev", overrides)


def test_a_stack_file_that_is_no_utf8_says_so_in_one_line(tmp_path: Path) -> None:
    program = _project(tmp_path, "name: p", "")
    (program / "Pulumi.dev.yaml").write_bytes("config: {p:owner: Müller}".encode("latin-1"))
    with pytest.raises(DeploymentError, match="cannot be read: 'utf-8' codec") as refused:
        read_project(program, "dev", {})
    (program / "Pulumi.dev.yaml").write_text("config:\n  a: [\n  b: {")
    with pytest.raises(DeploymentError, match="cannot be read") as broken:
        read_project(program, "dev", {})
    assert len([*str(refused.value).splitlines(), *str(broken.value).splitlines()]) == 2


def test_an_unknown_stack_names_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"stack 'prod' has no file .*; stacks here: dev"):
        read_project(_project(tmp_path, "name: p", ""), "prod", {})


class _Place:
    def __init__(self, directory: Path) -> None:
        self.directory = directory


def test_a_spoilt_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deployment.json").write_text('{"stack": "dev"}')
    with pytest.raises(DeploymentError, match="is not a deployment's record"):
        Deployment.load(_Place(tmp_path))
