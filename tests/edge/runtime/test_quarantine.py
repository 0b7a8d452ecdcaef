"""Models made to do harm, given to a device: each is refused in its time, and the process that asks lives on.

The limits are real ones of the system, lowered where a test would wait for them. Not proved here: that the limits suit
the smallest device (docs/performance.md has what was measured), and that onnxruntime has no fault that a plain graph
of known operators reaches.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE, FaultManifest, Manifest, encode_manifest
from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_contracts.messages import Refused
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.runtime import quarantine
from pm_edge.runtime.models import load_model
from pm_ml.export import describe
from resilience.signing import sign_directory, trust
from tests import crafted_models

WIDTH = len(MACHINE_MEASUREMENTS)
Files = Callable[..., tuple[FaultManifest, bytes]]


def put(directory: Path, like: FaultManifest, content: bytes) -> Path:
    """A directory with the model `content` and a manifest that fits to it."""
    unfit = ("version", "model_sha256", "model_bytes")
    fields = {name: value for name, value in msgspec.structs.asdict(like).items() if name not in unfit}
    directory.mkdir()
    (directory / MODEL_FILE).write_bytes(content)
    (directory / MANIFEST_FILE).write_bytes(encode_manifest(describe(FaultManifest, content, **fields)))
    return directory


@pytest.mark.parametrize("name", [name for name in crafted_models.REFUSED if name != "no graph"])
def test_a_hostile_model_is_refused_by_a_device(tmp_path: Path, simple_fault_model: Files, name: str) -> None:
    make, reason = crafted_models.REFUSED[name]
    directory = put(tmp_path / "m", simple_fault_model()[0], make(WIDTH))
    with pytest.raises(Refused, match=rf"model\.onnx: .*(?:{reason})"):
        load_model(directory, FaultModel)


@pytest.mark.parametrize("name", crafted_models.BAD_AT_WORK)
def test_a_model_that_is_bad_at_work_is_killed_and_not_the_component(
    tmp_path: Path, simple_fault_model: Files, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PROCESSOR_SECONDS", 1)
    make, reason = crafted_models.BAD_AT_WORK[name]
    directory = put(tmp_path / "m", simple_fault_model()[0], make(WIDTH))
    # Tests of this run may have processes of their own.
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(Refused, match=reason):
        load_model(directory, FaultModel)
    assert not set(psutil.Process().children(recursive=True)) - before


def test_a_process_that_does_not_answer_is_killed_with_its_group(
    simple_fault_model: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest, content = simple_fault_model()
    program = tmp_path / "interpreter"
    program.write_text(f"#!/bin/sh\nsleep 1000 & echo $! > {tmp_path}/child\nwait\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(quarantine, "SECONDS", 2)
    with pytest.raises(Refused, match=r"model\.onnx takes more than 2 s to be loaded and to answer"):
        quarantine.examine(encode_manifest(manifest), content, FaultModel)
    child = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_cannot_be_started_or_breaks_is_a_refusal(
    simple_fault_model: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, content = simple_fault_model()
    for program, said in (("/nowhere", "No such file"), ("/bin/false", "the process ended with 1")):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(Refused, match=rf"model\.onnx cannot be tried: .*{said}"):
            quarantine.examine(encode_manifest(manifest), content, FaultModel)


class Telling:
    """In the place of a model: it refuses itself, and tells so what the process in quarantine may do."""

    def __init__(self, manifest: Manifest, content: bytes) -> None:
        try:
            Path(__file__).read_bytes()
            opened = True
        except OSError:
            opened = False
        limits = {name: resource.getrlimit(getattr(resource, name))[0] for name in ("RLIMIT_FSIZE", "RLIMIT_CORE")}
        told = {"environment": dict(os.environ), "opened": opened, "path": sys.path, "session": os.getsid(0), **limits}
        raise Refused(json.dumps(told))


def test_a_process_in_quarantine_has_nothing_of_the_component(
    simple_fault_model: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SVCUID", "a secret of the nucleus")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('somebody else')")
    manifest, content = simple_fault_model()
    with pytest.raises(Refused) as refusal:
        quarantine.examine(encode_manifest(manifest), content, Telling)  # type: ignore[arg-type]
    told = json.loads(str(refusal.value))
    assert set(told["environment"]) <= {"OPENBLAS_NUM_THREADS", "LD_LIBRARY_PATH", "LC_CTYPE"}
    assert (told["opened"], told["RLIMIT_FSIZE"], told["RLIMIT_CORE"]) == (False, 0, 0)
    assert str(tmp_path) not in told["path"]
    assert told["session"] != os.getsid(0)


def test_external_data_of_the_working_directory_is_not_read(
    tmp_path: Path, simple_fault_model: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(4 * WIDTH))
    monkeypatch.chdir(tmp_path)
    make, _ = crafted_models.REFUSED["data outside the file"]
    directory = put(tmp_path / "m", simple_fault_model()[0], make(WIDTH))
    with pytest.raises(Refused, match="data outside the file"):
        load_model(directory, FaultModel)


def test_a_component_that_meets_a_model_which_ends_its_process_goes_on(
    tmp_path: Path, simple_fault_model: Files
) -> None:
    manifest, content = simple_fault_model()
    make, _ = crafted_models.BAD_AT_WORK["a quotient of constants"]
    models = tmp_path / "models" / "fault"
    models.mkdir(parents=True)
    trust(tmp_path)
    for directory in (put(models / "good", manifest, content), put(models / "bad", manifest, make(WIDTH))):
        sign_directory(directory, "ulm")
    program = f"""
from pathlib import Path
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.runtime.model_store import ModelStore
from pm_edge.runtime.model_trust import ModelTrust
store = ModelStore(Path({str(models.parent)!r}), FaultModel, ModelTrust("ulm", Path({str(tmp_path)!r})))
(Path({str(models)!r}) / "current").symlink_to("bad")
model = store.poll()
print(store.refused, store.reason.partition("model.onnx")[2], model.probability([0.0] * {WIDTH}) is not None)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1  ends the process that loads it, by SIGFPE True\n"), done.stderr
