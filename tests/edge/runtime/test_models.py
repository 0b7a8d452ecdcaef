"""The store of a device's models, on real files and links.

Not proved here: that the model component's install script turns the link (see the core device's tests), nor that a
trained model is good (see tests/ml).
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pm_contracts.forecast_features import FEATURES
from pm_contracts.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    FaultManifest,
    ForecastManifest,
    Manifest,
    encode_manifest,
)
from pm_contracts.messages import Refused
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.model_store import REFUSED, ModelStore
from pm_edge.runtime.model_trust import ModelTrust
from pm_edge.runtime.models import load_model
from pm_ml.export import describe
from resilience.signing import sign_directory, trust

ForecastFiles = Callable[..., tuple[ForecastManifest, bytes]]
FaultFiles = Callable[..., tuple[FaultManifest, bytes]]


def put(directory: Path, manifest: Manifest, content: bytes) -> Path:
    directory.mkdir(parents=True)
    (directory / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    (directory / MODEL_FILE).write_bytes(content)
    sign_directory(directory, "ulm")
    return directory


def store_of(models: Path) -> ModelStore[ForecastModel]:
    """The store of a component's start, which trusts the key of this run."""
    trust(models)
    return ModelStore(models, ForecastModel, ModelTrust("ulm", models))


def turn(models: Path, kind: str, version: str) -> None:
    """Move a new link over the old one, as the model component does."""
    new = models / kind / "new"
    new.symlink_to(version)
    os.replace(new, models / kind / "current")  # noqa: PTH105


def test_a_store_gives_each_model_once(tmp_path: Path, constant_forecast_model: ForecastFiles) -> None:
    store = store_of(tmp_path)
    assert store.poll() is None, "there is no model yet"

    for change in (3.0, 4.0):
        manifest, content = constant_forecast_model(change)
        put(tmp_path / "forecast" / manifest.version, manifest, content)
        turn(tmp_path, "forecast", manifest.version)
        model = store.poll()
        assert isinstance(model, ForecastModel)
        assert model.version == manifest.version
        answer = model.answer([float("nan")] * len(FEATURES))
        assert answer is not None
        assert answer == pytest.approx((change, 10.0), rel=1e-5)
        assert store.poll() is None, "nothing has changed"
    assert store.refused == 0


def test_a_cut_model_is_refused_once_and_the_next_one_is_taken(
    tmp_path: Path, constant_forecast_model: ForecastFiles
) -> None:
    store = store_of(tmp_path)
    manifest, content = constant_forecast_model(1.0)
    put(tmp_path / "forecast" / "cut", manifest, content[:-100])
    turn(tmp_path, "forecast", "cut")
    assert store.poll() is None
    assert store.poll() is None
    assert store.refused == 1
    reason = f"model.onnx has {len(content) - 100} bytes, and the manifest says {len(content)}"
    assert reason in store.reason
    assert (tmp_path / "forecast" / "cut" / REFUSED).read_text() == reason, "for the model component"

    put(tmp_path / "forecast" / "whole", manifest, content)
    turn(tmp_path, "forecast", "whole")
    assert store.poll() is not None
    assert store.refused == 1

    turn(tmp_path, "forecast", "cut")
    assert store.poll() is None
    assert store.refused == 2, "in a later deployment it is tried again"
    turn(tmp_path, "forecast", "whole")
    assert store.poll() is None, "it is in use, as it was"


def ship(models: Path, manifest: Manifest, content: bytes, kind: str = "forecast") -> Path:
    directory = put(models / kind / manifest.version, manifest, content)
    turn(models, kind, manifest.version)
    return directory


def test_a_model_that_is_given_up_stays_so_and_the_one_before_comes_back_also_after_restarts(
    tmp_path: Path, constant_forecast_model: ForecastFiles
) -> None:
    store = store_of(tmp_path)
    good = ship(tmp_path, *constant_forecast_model(3.0))
    assert store.poll() is not None
    bad = ship(tmp_path, *constant_forecast_model(4.0))
    assert store.poll() is not None
    back = store.give_up("three bad answers in a row")
    assert back is not None
    assert back.version == good.name
    assert store.poll() is None, "the link still says the bad one, which is not tried again"
    assert store.refused == 0
    for _ in range(2):
        restarted = store_of(tmp_path)
        found = restarted.poll()
        assert found is not None
        assert found.version == good.name
        assert restarted.refused == 1
        assert "given up before: three bad answers in a row" in restarted.reason
        assert restarted.poll() is None
    assert (tmp_path / "forecast" / "in-use").readlink() == Path(good.name)
    newest = ship(tmp_path, *constant_forecast_model(5.0))
    assert (model := restarted.poll()) is not None
    assert model.version == newest.name
    assert bad.exists()


def test_after_a_restart_a_model_that_turns_bad_goes_for_the_one_that_lies_beside_it(
    tmp_path: Path, constant_forecast_model: ForecastFiles
) -> None:
    good = ship(tmp_path, *constant_forecast_model(3.0))
    assert store_of(tmp_path).poll() is not None
    ship(tmp_path, *constant_forecast_model(4.0))
    assert store_of(tmp_path).poll() is not None
    restarted = store_of(tmp_path)
    assert restarted.poll() is not None
    back = restarted.give_up("nonsense")
    assert back is not None
    assert back.version == good.name
    assert restarted.give_up("nonsense too") is None, "there is none left"
    assert store_of(tmp_path).poll() is None


def test_a_model_that_came_damaged_while_the_component_was_away_leaves_the_one_before_in_use(
    tmp_path: Path, constant_forecast_model: ForecastFiles
) -> None:
    good = ship(tmp_path, *constant_forecast_model(3.0))
    assert store_of(tmp_path).poll() is not None
    manifest, content = constant_forecast_model(4.0)
    ship(tmp_path, manifest, damaged(content))
    restarted = store_of(tmp_path)
    found = restarted.poll()
    assert found is not None
    assert (found.version, restarted.refused) == (good.name, 1)


def test_a_model_slower_than_its_manifest_allows_is_refused(
    tmp_path: Path, constant_forecast_model: ForecastFiles
) -> None:
    manifest, content = constant_forecast_model(3.0)
    slow = msgspec.structs.replace(manifest, maximum_answer_milliseconds=1e-6)
    with pytest.raises(Refused, match=r"more than 1e-06 ms of processor time for an answer"):
        load_model(put(tmp_path / "m", slow, content), ForecastModel)


def test_an_answer_that_takes_too_long_is_told(simple_fault_model: FaultFiles) -> None:
    model = FaultModel(*simple_fault_model())
    row = [0.0] * 170
    assert model.probability(row) is not None
    assert not model.too_slow
    model._allowed_seconds = 0.0
    assert model.probability(row) is not None
    assert model.too_slow


def damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def test_a_changed_model_is_refused(tmp_path: Path, constant_forecast_model: ForecastFiles) -> None:
    manifest, content = constant_forecast_model(1.0)
    with pytest.raises(Refused, match=r"SHA-256 [0-9a-f]{64}, and the manifest says"):
        load_model(put(tmp_path / "m", manifest, damaged(content)), ForecastModel)


def test_bytes_that_are_no_model_are_refused_even_with_the_right_checksum(
    tmp_path: Path, constant_forecast_model: ForecastFiles
) -> None:
    manifest, _ = constant_forecast_model(1.0)
    content = b"not a model at all"
    fields = {
        name: value
        for name, value in msgspec.structs.asdict(manifest).items()
        if name not in ("version", "model_sha256", "model_bytes")
    }
    with pytest.raises(Refused, match=r"model\.onnx: "):
        load_model(put(tmp_path / "m", describe(ForecastManifest, content, **fields), content), ForecastModel)


def test_a_model_that_answers_otherwise_than_where_it_was_trained_is_refused(
    tmp_path: Path, constant_forecast_model: ForecastFiles
) -> None:
    manifest, content = constant_forecast_model(1.0, checked_change=2.0)
    with pytest.raises(Refused, match=r"they differ by 1, and 0\.0001 is allowed"):
        load_model(put(tmp_path / "m", manifest, content), ForecastModel)


def test_a_model_of_other_features_is_refused(tmp_path: Path, constant_forecast_model: ForecastFiles) -> None:
    manifest, content = constant_forecast_model(1.0)
    features = ["moon", *manifest.features[1:]]
    wrong = msgspec.structs.replace(manifest, features=features)
    with pytest.raises(Refused, match=r"not those that this device computes.*moon"):
        load_model(put(tmp_path / "m", wrong, content), ForecastModel)


def test_a_model_of_another_width_than_its_manifest_is_refused(
    tmp_path: Path, constant_forecast_model: ForecastFiles, simple_fault_model: FaultFiles
) -> None:
    manifest, _ = constant_forecast_model(1.0)
    _, content = simple_fault_model()
    wrong = msgspec.structs.replace(
        manifest, model_sha256=hashlib.sha256(content).hexdigest(), model_bytes=len(content)
    )
    with pytest.raises(Refused, match="must take one float input of 60 columns, and takes"):
        load_model(put(tmp_path / "m", wrong, content), ForecastModel)


def test_a_model_of_another_kind_is_refused(tmp_path: Path, simple_fault_model: FaultFiles) -> None:
    with pytest.raises(Refused, match="a model of another kind than 'forecast'"):
        load_model(put(tmp_path / "m", *simple_fault_model()), ForecastModel)


@pytest.mark.parametrize("missing", [MANIFEST_FILE, MODEL_FILE])
def test_a_missing_file_is_refused_by_name(tmp_path: Path, simple_fault_model: FaultFiles, missing: str) -> None:
    directory = put(tmp_path / "m", *simple_fault_model())
    (directory / missing).unlink()
    with pytest.raises(Refused, match=f"{missing} cannot be read: No such file"):
        load_model(directory, FaultModel)


def test_an_answer_that_is_too_large_is_nonsense(constant_forecast_model: ForecastFiles) -> None:
    manifest, content = constant_forecast_model(501.0)
    assert ForecastModel(manifest, content).answer([0.0] * len(FEATURES)) is None


def test_a_fault_model_takes_missing_measurements(simple_fault_model: FaultFiles) -> None:
    model = FaultModel(*simple_fault_model())
    rows = [[first] + [None] * 169 for first in (None, 98.0, 100.0)]
    assert [model.probability(row) for row in rows] == pytest.approx([0.018, 0.018, 0.881], abs=1e-3)


def test_a_model_that_fails_at_an_answer_gives_nonsense_and_goes_on(
    simple_fault_model: FaultFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FaultModel(*simple_fault_model())

    class Broken:
        def run_with_iobinding(self, binding: object) -> None:
            raise RuntimeError("\x1b a failure of onnxruntime's own")

    whole, model._session = model._session, Broken()
    assert model.probability([0.0] * 170) is None
    model._session = whole
    assert model.probability([0.0] * 170) is not None


def odd(name: str) -> Callable[[Path], object]:
    """One oddity that a folder with a good model in it may have, given the folder of its version."""

    def pipe(path: Path) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    def linked(path: Path, target: str) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def instead(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.mkdir()

    def renamed(version: Path) -> None:
        strange = os.fsencode(version.parent) + b"/\xff\n\x1b"
        os.rename(version, strange)  # noqa: PTH104
        turn(version.parents[1], "forecast", os.fsdecode(strange))

    def current(version: Path, target: str) -> None:
        turn(version.parents[1], "forecast", target)

    oddities: dict[str, Callable[[Path], object]] = {
        "a pipe for the model": lambda version: pipe(version / MODEL_FILE),
        "a pipe for the manifest": lambda version: pipe(version / MANIFEST_FILE),
        "a pipe for a note": lambda version: pipe(version / "given-up"),
        "a device for the model": lambda version: linked(version / MODEL_FILE, "/dev/zero"),
        "a link that leads to itself": lambda version: linked(version / MODEL_FILE, MODEL_FILE),
        "a link to nowhere": lambda version: linked(version / MANIFEST_FILE, "nowhere"),
        "a folder for the model": lambda version: instead(version / MODEL_FILE),
        "a folder for the manifest": lambda version: instead(version / MANIFEST_FILE),
        "a folder for a note": lambda version: (version / "given-up").mkdir(),
        "a folder for a refusal": lambda version: [
            (version / name).mkdir() or pipe(version / MODEL_FILE) for name in (REFUSED, f"{REFUSED}.new")
        ],
        "a manifest that is no UTF-8": lambda version: (version / MANIFEST_FILE).write_bytes(b'{"kind": "\xff"}'),
        "a manifest of many brackets": lambda version: (version / MANIFEST_FILE).write_bytes(b"[" * 1_000_000),
        "a version that is no UTF-8": renamed,
        "a version elsewhere": lambda version: current(version, "../elsewhere"),
        "a version in a version": lambda version: current(version, f"{version.name}/.."),
        "a file for the version": lambda version: current(version, f"{version.name}/{MODEL_FILE}"),
        "a device for the version": lambda version: current(version, "/dev/zero"),
        "a version that leads to itself": lambda version: current(version, "current"),
        "a version that is gone": lambda version: current(version, "gone"),
        "a name that is too long": lambda version: current(version, "/".join(["x" * 250] * 10)),
    }
    return oddities[name]


ODDITIES = (
    "a pipe for the model", "a pipe for the manifest", "a pipe for a note", "a device for the model",
    "a link that leads to itself", "a link to nowhere", "a folder for the model", "a folder for the manifest",
    "a folder for a note", "a folder for a refusal", "a manifest that is no UTF-8", "a manifest of many brackets",
    "a version that is no UTF-8", "a version elsewhere", "a version in a version", "a file for the version",
    "a device for the version", "a version that leads to itself", "a version that is gone", "a name that is too long",
)  # fmt: skip
#: A good model under a strange name is one; where no version can be found, none was refused.
_NOT_REFUSED = ("a version that is no UTF-8", *ODDITIES[-3:])


@pytest.mark.parametrize("what", ODDITIES)
def test_a_folder_of_oddities_ends_no_component_and_costs_no_wait(
    tmp_path: Path, constant_forecast_model: ForecastFiles, what: str
) -> None:
    ship(tmp_path, *constant_forecast_model(3.0))
    version = ship(tmp_path, *constant_forecast_model(4.0))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    odd(what)(version)
    store = store_of(tmp_path)
    model = store.poll()
    assert store.refused == (what not in _NOT_REFUSED)
    assert store.reason.encode().decode() == store.reason, "a status can carry it"
    assert model is not None or what in _NOT_REFUSED
    assert store.poll() is None
    store.give_up("it must not raise either")
    assert not list(elsewhere.iterdir())
