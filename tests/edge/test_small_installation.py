"""The components start and answer without the files that `pm_edge/requirements.unused` lists, and with the device's
packages alone.

Not proved here: that AWS's own client, of which only the import is tried, opens none of them later; the list names
nothing of it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path, PurePath

import pytest

from bench.edge_footprint import is_unused
from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE, FaultManifest, ForecastManifest, encode_manifest
from pm_contracts.measurements import MACHINE
from pm_contracts.messages import encode
from pm_edge.devices.simulator import sources

ROOT = Path(__file__).resolve().parents[2]


def test_the_list_is_anchored_and_names_folders_whole() -> None:
    unused = ("onnxruntime/capi/libonnxruntime.so.1.31.1", "numpy/tests/test_x.py", "numpy/lib/tests/data/x.npy")
    used = ("onnxruntime/capi/onnxruntime_pybind11_state.so", "numpy/testing/x.py", "other/numpy/tests/x.py")
    assert [is_unused(PurePath(path)) for path in (*unused, *used)] == [True] * 3 + [False] * 3


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of a device's image: those of `pm_edge/requirements.txt` without the unused files."""
    directory = tmp_path_factory.mktemp("image") / "site-packages"
    locked = (line for line in (ROOT / "pm_edge" / "requirements.txt").read_text().splitlines() if "==" in line)
    for name in (line.split("==")[0] for line in locked):
        for file in distribution(name).files or ():
            if ".." in file.parts or is_unused(file) or file.suffix == ".pyc":
                continue
            target = directory / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(str(file.locate())), target)  # no link: a library looks beside the file that it is
    return directory


def python(site_packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": f"{site_packages}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    # -S: the packages of this environment are not found.
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def test_models_answer_and_a_fault_is_explained(
    site_packages: Path,
    tmp_path: Path,
    constant_forecast_model: Callable[..., tuple[ForecastManifest, bytes]],
    simple_fault_model: Callable[..., tuple[FaultManifest, bytes]],
) -> None:
    for kind, (manifest, content) in (("forecast", constant_forecast_model(3.0)), ("fault", simple_fault_model())):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / MODEL_FILE).write_bytes(content)
        (tmp_path / kind / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    reading = tmp_path / "reading.json"
    reading.write_bytes(encode(next(iter(sources.readings("ulm", {"machine-1": MACHINE})))))
    script = f"""
import sys
from pathlib import Path
import pm_edge.runtime.greengrass_bus, pm_edge.runtime.mqtt_bus, pm_edge.components.uplink.__main__
from pm_edge.components.fault_detector.contributions import TreeContributions
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.models import load_model
import numpy as np
model = load_model(Path({str(tmp_path / "fault")!r}), FaultModel)
assert load_model(Path({str(tmp_path / "forecast")!r}), ForecastModel).answer([0.0] * 60) is not None
assert model.probability([1e6] * 170) > 0.5
assert TreeContributions(model.content)(np.full(170, 1e6, np.float32))[0] > 0
assert not [name for name in sys.modules if name.split(".")[0] in ("pandas", "xgboost", "keras", "onnx")]
"""
    done = python(site_packages, "-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    scored = python(
        site_packages, "-m", "bench.edge_first_answer", "fault_detector", str(tmp_path / "fault"), str(reading)
    )
    assert scored.stdout.startswith("answered\n"), scored.stderr
