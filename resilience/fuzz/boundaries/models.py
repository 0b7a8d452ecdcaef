"""Models on their way to a device: archive, manifest, metrics, and the graph itself."""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

from pm_contracts.model_signature import KEYS_FILE, RELEASE_FILE, SIGNATURE_FILE
from resilience.fuzz.boundary import Boundary, Opened


def _files() -> dict[str, bytes]:
    """A small model as a training job leaves it."""
    from pm_contracts.manifest import METRICS_FILE
    from resilience.small_models import forecast_model

    figures = {"rmse": 10.0, "persistence_rmse": 12.0, "skill": 0.16, "coverage": 0.9}
    return {**forecast_model(1.0), METRICS_FILE: json.dumps({"validation": figures}).encode()}


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _manifest(_folder: Path) -> Opened:
    from pm_contracts.manifest import MANIFEST_FILE, encode_manifest
    from pm_contracts.messages import Refused
    from pm_contracts.model_kinds import decode_manifest
    from resilience.small_models import fault_model, forecast_model

    def door(content: bytes) -> None:
        encode_manifest(decode_manifest(content))

    return Opened(door, [files[MANIFEST_FILE] for files in (forecast_model(1.0), fault_model())], (Refused,))


def _archive(is_unpacked: bool, _folder: Path) -> Opened:
    from pm_components.functions import model_archive
    from pm_contracts.messages import Refused

    def door(content: bytes) -> None:
        # Damage below gzip's checksum is what somebody means; damage above it is what happens.
        model_archive.read(gzip.compress(content, 1) if is_unpacked else content)

    packed = _packed(_files())
    return Opened(door, [packed if is_unpacked else gzip.compress(packed, mtime=0)], (Refused,))


def _metrics(_folder: Path) -> Opened:
    from pm_components.functions import model_archive
    from pm_components.functions.gate.core import Champion, Policy, judge
    from pm_contracts.manifest import METRICS_FILE
    from pm_contracts.messages import Refused

    files = _files()
    policy = Policy(minimum_skill=0.0, champion_margin=0.1, on_trial=["forecast"])

    def door(content: bytes) -> None:
        archive = gzip.compress(_packed({**files, METRICS_FILE: content}), 1)
        model = model_archive.read(archive)
        champion = Champion(arn="arn:x", version="1.0.0", figures=dict(model.metrics))
        for before in (None, champion):
            verdict = judge(model, "forecast", policy, before)
            text = json.dumps(verdict.metrics, allow_nan=False)
            assert len(text) < 1 << 18, "a verdict larger than a state machine takes"

    return Opened(door, [files[METRICS_FILE]], (Refused,))


def _graph(_folder: Path) -> Opened:
    from pm_contracts import model_graph
    from pm_contracts.manifest import MODEL_FILE
    from pm_contracts.messages import Refused

    return Opened(model_graph.check, [files[MODEL_FILE] for files in _by_kind().values()], (Refused,))


def _model(folder: Path) -> Opened:
    from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE
    from pm_contracts.messages import Refused
    from pm_edge.components.fault_detector.model import FaultModel
    from pm_edge.forecasting.model import ForecastModel
    from pm_edge.runtime.models import load_model

    directory = folder / "model"
    types: dict[str, Any] = {"forecast": ForecastModel, "fault": FaultModel}
    manifests = {kind: json.loads(files[MANIFEST_FILE]) for kind, files in _by_kind().items()}

    def door(content: bytes) -> None:
        """Load it as a device does, with the manifest of each kind and the checksum that an attacker would write."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / MODEL_FILE).write_bytes(content)
        for kind, manifest in manifests.items():
            matching = {**manifest, "model_sha256": hashlib.sha256(content).hexdigest(), "model_bytes": len(content)}
            (directory / MANIFEST_FILE).write_text(json.dumps(matching))
            with contextlib.suppress(Refused):
                load_model(directory, types[kind])

    return Opened(door, [files[MODEL_FILE] for files in _by_kind().values()])


def _release(name: str, folder: Path) -> Opened:
    from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE
    from pm_contracts.messages import Refused
    from pm_edge.runtime.model_trust import ModelTrust
    from resilience.signing import signed, trust

    files = signed(_files(), "lindau")
    trust(folder)
    for each, content in files.items():
        (folder / each).write_bytes(content)
    trusting, whole = ModelTrust("lindau", folder), (folder / name).read_bytes()

    def door(content: bytes) -> None:
        (folder / name).write_bytes(content)
        found = trusting.release(folder, "forecast", files[MANIFEST_FILE], files[MODEL_FILE])
        assert name != RELEASE_FILE or content == whole, f"a release that nobody has signed: {found}"

    return Opened(door, [whole], (Refused,))


def _by_kind() -> dict[str, dict[str, bytes]]:
    from resilience.small_models import fault_model, forecast_model

    return {"forecast": forecast_model(1.0), "fault": fault_model()}


BOUNDARIES = (
    Boundary("manifest", _manifest, 0.5),
    Boundary("model_archive", functools.partial(_archive, False), 0.1),
    Boundary("model_archive_unpacked", functools.partial(_archive, True), 0.1),
    Boundary("metrics", _metrics, 0.1),
    Boundary("model_graph", _graph, 0.3),
    Boundary("model_file", _model, 0.01),
    Boundary("release_file", functools.partial(_release, RELEASE_FILE), 0.3),
    Boundary("release_signature", functools.partial(_release, SIGNATURE_FILE), 0.3),
    Boundary("model_keys", functools.partial(_release, KEYS_FILE), 0.3),
)
