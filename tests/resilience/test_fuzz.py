"""The fuzzer finds planted faults, keeps what failed, and a short run of it on the product finds none.

Not proved here: that a longer run, or another seed, finds none either; `make fuzz` tries that.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.fuzz import corpus
from resilience.fuzz.boundaries import BOUNDARIES
from resilience.fuzz.boundary import Opened

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 6


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )


def test_a_short_run_tries_each_boundary_and_finds_nothing(tmp_path):
    file, kept = tmp_path / "fuzz.json", tmp_path / "corpus"
    known = {boundary.name: corpus.kept(boundary.name) for boundary in BOUNDARIES}
    for name, inputs in known.items():
        for content in inputs:
            corpus.keep(name, content, "it once failed", kept)
    ended = python("-m", "resilience.fuzz", "--seconds", str(SECONDS), "--file", str(file), "--corpus", str(kept))
    found = json.loads(file.read_text())
    assert found["failures"] == 0, ended.stdout
    assert ended.returncode == 0
    assert set(found["boundaries"]) == set(known)
    too_few = {name for name, cases in found["boundaries"].items() if cases <= len(known[name])}
    assert not too_few, "inputs of the corpus come first, and another whatever the time"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The findings at planted boundaries, and the corpus that is left of them."""
    folder = tmp_path_factory.mktemp("corpus")
    ended = python("-m", "tests.resilience.planted", str(folder), "3")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout), folder


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("hangs", "it takes more than 0.3 s of the processor"),
        ("grows", "MemoryError in grows, planted.py"),
        ("crashes", "the process was ended by SIGSEGV"),
        ("raises_another", "KeyError in raises_another, planted.py"),
        ("never_opens", "OSError in never_opens, planted.py"),
    ],
)
def test_a_fault_is_found_once_and_its_input_kept(planted, name, place):
    found, folder = planted
    [[found_place, content]] = found[name]["failures"]
    assert found_place == place
    assert corpus.kept(name, folder) == [bytes.fromhex(content)]
    [reason] = (folder / name).glob("*.reason")
    assert reason.read_text().strip()


def test_the_inputs_after_one_that_ends_the_process_are_tried_too(planted):
    found, _ = planted
    assert {name: found[name]["cases"] for name in ("hangs", "crashes", "refuses")} == {
        "hangs": 4,
        "crashes": 4,
        "refuses": 4,
    }


def test_a_declared_refusal_is_no_failure(planted):
    assert planted[0]["refuses"]["failures"] == []


def test_a_seed_gives_the_same_cases_and_another_gives_others():
    def cases(seed: int) -> list[bytes]:
        opened = Opened(len, [b'{"a": [1, "x", null]}', b"\x00\x01"])
        return [opened.case(random.Random(f"{seed}/{number}")) for number in range(200)]

    assert cases(1) == cases(1) != cases(2)
    assert len(set(cases(1))) > 150
