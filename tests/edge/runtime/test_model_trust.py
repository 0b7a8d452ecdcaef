"""The trust of a core device in models: signature, files, kind, site, age and order, on real files and links.

Not proved here: that AWS KMS makes such signatures (tests/components/forecast_pipeline/test_signed_releases.py has them
of the emulated one), nor how a model is loaded that is trusted (test_models.py).
"""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pm_contracts import model_signature
from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE, FaultManifest, ForecastManifest, Manifest, encode_manifest
from pm_contracts.messages import Refused
from pm_contracts.model_signature import KEYS_FILE, RELEASE_FILE, SIGNATURE_FILE
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime import model_store, models
from pm_edge.runtime.model_store import OLDER, REFUSED, ModelStore
from pm_edge.runtime.model_trust import ModelTrust
from resilience.signing import ISSUED_AT, public_pem, sign_directory, trust

ForecastFiles = Callable[..., tuple[ForecastManifest, bytes]]
FaultFiles = Callable[..., tuple[FaultManifest, bytes]]
SITE = "ulm"
LATER = [ISSUED_AT + dt.timedelta(days=days) for days in range(5)]


def put(directory: Path, manifest: Manifest, content: bytes) -> Path:
    """A model that nobody has signed."""
    directory.mkdir(parents=True)
    (directory / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    (directory / MODEL_FILE).write_bytes(content)
    return directory


def turn(data: Path, directory: Path) -> None:
    """Turn the link to a model, as its component does, which forgets why it was refused before."""
    for name in (REFUSED, OLDER):
        (directory / name).unlink(missing_ok=True)
    (data / "models" / "forecast" / "new").symlink_to(directory.name)
    os.replace(data / "models" / "forecast" / "new", data / "models" / "forecast" / "current")  # noqa: PTH105


def store_of(data: Path) -> ModelStore[ForecastModel]:
    return ModelStore(data / "models", ForecastModel, ModelTrust(SITE, data))


@pytest.fixture
def ship(tmp_path: Path, constant_forecast_model: ForecastFiles) -> Callable[..., Path]:
    """Ships a signed model of its own; `said` is what its release says otherwise."""
    trust(tmp_path)

    def shipped(change: float, *sites: str, key: str = "test", **said: object) -> Path:
        manifest, content = constant_forecast_model(change)
        directory = put(tmp_path / "models" / "forecast" / manifest.version, manifest, content)
        sign_directory(directory, *(sites or (SITE,)), key=key, **said)
        turn(tmp_path, directory)
        return directory

    return shipped


def refused(data: Path) -> str:
    """The reason for which the current model is refused."""
    store = store_of(data)
    assert store.poll() is None
    assert store.refused == 1
    return store.reason


def test_a_signed_model_is_taken_up(tmp_path: Path, ship: Callable[..., Path]) -> None:
    shipped = ship(1.0)
    model = store_of(tmp_path).poll()
    assert model is not None
    assert model.version == shipped.name


@pytest.mark.parametrize("missing", [RELEASE_FILE, SIGNATURE_FILE])
def test_a_model_without_a_release_is_refused(tmp_path: Path, ship: Callable[..., Path], missing: str) -> None:
    (ship(1.0) / missing).unlink()
    assert f"{missing} cannot be read: No such file" in refused(tmp_path)


def test_a_device_without_keys_refuses_every_model_and_says_why(tmp_path: Path, ship: Callable[..., Path]) -> None:
    ship(1.0)
    (tmp_path / KEYS_FILE).unlink()
    assert "no key is trusted to sign models, pm.SiteDevices installs them: model-keys.json cannot be read" in (
        refused(tmp_path)
    )
    trust(tmp_path, keys=())
    assert "by none of the 0 keys" in refused(tmp_path)


def test_a_signature_by_a_key_that_is_not_trusted_is_refused(tmp_path: Path, ship: Callable[..., Path]) -> None:
    ship(1.0, key="stranger")
    assert "release.sig is by none of the 1 keys" in refused(tmp_path)


def test_a_release_with_a_changed_byte_is_refused_wherever_it_is(tmp_path: Path, ship: Callable[..., Path]) -> None:
    shipped = ship(1.0)
    for name in (RELEASE_FILE, SIGNATURE_FILE):
        whole = (shipped / name).read_bytes()
        for at in range(0, len(whole), 29):
            (shipped / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert "release.sig is" in refused(tmp_path)
        (shipped / name).write_bytes(whole)
    assert store_of(tmp_path).poll() is not None


@pytest.mark.parametrize("name", [MODEL_FILE, MANIFEST_FILE])
def test_a_file_that_was_not_signed_is_refused_before_anything_of_it_is_parsed(
    tmp_path: Path, ship: Callable[..., Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ship(1.0)
    (shipped / name).write_bytes((shipped / name).read_bytes() + b" ")

    def parsing(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(models, "decode_manifest", parsing)
    assert f"{name} has SHA-256" in refused(tmp_path)


def test_a_model_of_another_kind_is_refused_also_where_it_lies_in_the_place_of_this_one(
    tmp_path: Path, ship: Callable[..., Path], simple_fault_model: FaultFiles
) -> None:
    manifest, content = simple_fault_model()
    other = put(tmp_path / "models" / "forecast" / "other", manifest, content)
    sign_directory(other, SITE)
    turn(tmp_path, other)
    assert "release.json is of a fault model, allowed is a forecast model" in refused(tmp_path)


def test_a_model_for_other_sites_is_refused(tmp_path: Path, ship: Callable[..., Path]) -> None:
    ship(1.0, "gera", "lindau")
    assert "release.json is for other sites, 2 of them, and not for ulm" in refused(tmp_path)


def test_a_model_on_trial_takes_nobodys_place_and_one_in_charge_is_not_tried(
    tmp_path: Path, ship: Callable[..., Path]
) -> None:
    tried = ship(1.0, on_trial=True)
    assert "release.json is of a model on trial, allowed is one of a model in charge" in refused(tmp_path)
    files = [(tried / name).read_bytes() for name in (MANIFEST_FILE, MODEL_FILE)]
    assert ModelTrust(SITE, tmp_path, on_trial=True).release(tried, "forecast", *files).on_trial
    sign_directory(tried, SITE)
    with pytest.raises(Refused, match="of a model in charge, allowed is one of a model on trial"):
        ModelTrust(SITE, tmp_path, on_trial=True).release(tried, "forecast", *files)


def test_an_expired_model_is_refused_and_one_in_use_stays_in_use(tmp_path: Path, ship: Callable[..., Path]) -> None:
    now = dt.datetime.now(dt.UTC)
    used = ship(1.0, expires_at=now + dt.timedelta(hours=1))
    assert store_of(tmp_path).poll() is not None
    sign_directory(used, SITE, expires_at=now - dt.timedelta(hours=1))
    assert store_of(tmp_path).poll() is not None, "in use it stays, also after a restart"

    expired = ship(2.0, issued_at=LATER[1], expires_at=now - dt.timedelta(hours=1))
    store = store_of(tmp_path)
    model = store.poll()
    assert model is not None
    assert model.version == used.name
    assert "release.json has expired at" in (expired / REFUSED).read_text()


def test_a_clock_that_is_behind_knows_the_time_of_the_newest_release(
    tmp_path: Path, ship: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_the_epoch(path: Path) -> model_store.Newest:
        return newest(path, now=lambda: dt.datetime(1970, 1, 1, tzinfo=dt.UTC))

    newest = model_store.Newest
    monkeypatch.setattr(model_store, "Newest", at_the_epoch)
    ship(1.0, issued_at=LATER[3])
    assert store_of(tmp_path).poll() is not None
    ship(2.0, issued_at=LATER[4], expires_at=LATER[2])
    assert store_of(tmp_path).poll() is not None, "the one before"
    assert "has expired" in next((tmp_path / "models" / "forecast").glob("*/refused")).read_text()


def test_a_release_from_before_the_newest_in_use_is_refused_as_is_a_model_made_before_it(
    tmp_path: Path, ship: Callable[..., Path]
) -> None:
    store = store_of(tmp_path)
    ship(1.0, made_at=LATER[2], issued_at=LATER[2])
    assert store.poll() is not None
    for change, made, issued, said in (
        (2.0, LATER[1], LATER[1], "release.json was issued at 2024-01-02T00:00:00+00:00"),
        (3.0, LATER[1], LATER[3], "release.json is no rollback"),
    ):
        older = ship(change, made_at=made, issued_at=issued)
        assert store.poll() is None
        assert said in store.reason
        assert (older / OLDER).exists()


def test_a_signed_rollback_is_taken_up_once_and_its_replay_is_refused(
    tmp_path: Path, ship: Callable[..., Path]
) -> None:
    store = store_of(tmp_path)
    bad = ship(1.0, made_at=LATER[1], issued_at=LATER[1])
    assert store.poll() is not None
    back = ship(2.0, made_at=LATER[0], issued_at=LATER[2], rollback=True)
    assert store.poll() is not None
    turn(tmp_path, bad)
    assert store.poll() is None, "the one that was rolled back does not come again by its old release"
    ship(3.0, made_at=LATER[3], issued_at=LATER[3])
    assert store.poll() is not None
    turn(tmp_path, back)
    assert store.poll() is None
    assert "release.json was issued at" in store.reason


def test_greengrass_goes_back_from_a_model_that_was_never_in_use(tmp_path: Path, ship: Callable[..., Path]) -> None:
    store = store_of(tmp_path)
    good = ship(1.0, issued_at=LATER[1])
    assert store.poll() is not None
    (broken := ship(2.0, issued_at=LATER[2])).joinpath(SIGNATURE_FILE).write_bytes(b"AA==")
    assert store.poll() is None
    assert (broken / REFUSED).exists()
    turn(tmp_path, good)
    assert store.poll() is None, "it is in use, as it was"
    assert store.refused == 1
    restarted = store_of(tmp_path).poll()
    assert restarted is not None
    assert restarted.version == good.name


def test_greengrass_goes_back_from_a_model_that_was_in_use_and_the_newer_one_stays(
    tmp_path: Path, ship: Callable[..., Path]
) -> None:
    store = store_of(tmp_path)
    older, newer = ship(1.0, issued_at=LATER[1]), None
    assert store.poll() is not None
    newer = ship(2.0, made_at=LATER[2], issued_at=LATER[2])
    assert store.poll() is not None
    turn(tmp_path, older)
    assert store.poll() is None
    assert (older / OLDER).exists(), "by which the model component lets the way back succeed"
    restarted = store_of(tmp_path).poll()
    assert restarted is not None
    assert restarted.version == newer.name


def test_the_device_s_own_way_back_is_not_judged_by_age_or_order(tmp_path: Path, ship: Callable[..., Path]) -> None:
    store = store_of(tmp_path)
    good = ship(1.0, issued_at=LATER[1], expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    assert store.poll() is not None
    sign_directory(good, SITE, issued_at=LATER[1], expires_at=LATER[1])
    ship(2.0, issued_at=LATER[2])
    assert store.poll() is not None
    back = store.give_up("nonsense")
    assert back is not None
    assert back.version == good.name
    ship(3.0, issued_at=LATER[1])
    assert store.poll() is None, "the newest that was in use counts, also where it was given up"


def test_a_model_that_was_refused_is_nothing_to_go_back_to(tmp_path: Path, ship: Callable[..., Path]) -> None:
    store = store_of(tmp_path)
    good = ship(1.0, issued_at=LATER[1])
    assert store.poll() is not None
    bad = ship(2.0, issued_at=LATER[3])
    assert store.poll() is not None
    ship(3.0, issued_at=LATER[2])
    assert store.poll() is None
    turn(tmp_path, bad)
    back = store.give_up("nonsense")
    assert back is not None
    assert back.version == good.name


def test_keys_are_changed_without_a_gap(tmp_path: Path, ship: Callable[..., Path]) -> None:
    store = store_of(tmp_path)
    trust(tmp_path, ["old"])
    ship(1.0, key="old", issued_at=LATER[0])
    assert store.poll() is not None
    ship(2.0, key="new", issued_at=LATER[1])
    assert store.poll() is None, "not trusted yet"
    trust(tmp_path, ["old", "new"])
    ship(3.0, key="old", issued_at=LATER[2])
    assert store.poll() is not None, "keys are read at each model, without a restart"
    last = ship(4.0, key="new", issued_at=LATER[3])
    assert store.poll() is not None
    trust(tmp_path, ["new"])
    ship(5.0, key="old", issued_at=LATER[4])
    assert store.poll() is None, "trusted no more"
    restarted = store_of(tmp_path).poll()
    assert restarted is not None
    assert restarted.version == last.name


def test_an_unsigned_model_from_before_stays_in_use_until_the_first_signed_one(
    tmp_path: Path, ship: Callable[..., Path], constant_forecast_model: ForecastFiles
) -> None:
    manifest, content = constant_forecast_model(1.0)
    old = put(tmp_path / "models" / "forecast" / manifest.version, manifest, content)
    turn(tmp_path, old)
    assert "release.json cannot be read" in refused(tmp_path), "it was never in use"
    (tmp_path / "models" / "forecast" / "in-use").symlink_to(old.name)
    store = store_of(tmp_path)
    assert store.poll() is not None
    assert store_of(tmp_path).poll() is not None
    ship(2.0)
    assert store.poll() is not None
    turn(tmp_path, old)
    assert store.poll() is None
    (tmp_path / "models" / "forecast" / "in-use").unlink()
    (tmp_path / "models" / "forecast" / "in-use").symlink_to(old.name)
    restarted = store_of(tmp_path).poll()
    assert restarted is not None
    assert restarted.version != old.name


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"keys": ["x"]}', b'{"keys": [1]}', b"[" * 100_000])
def test_files_of_any_content_raise_nothing_but_a_refusal(
    tmp_path: Path, ship: Callable[..., Path], content: bytes
) -> None:
    (tmp_path / KEYS_FILE).write_bytes(content)
    ship(1.0)
    assert "no key is trusted" in refused(tmp_path)
    trust(tmp_path)
    (tmp_path / "models" / "forecast-newest.json").write_bytes(content)
    turn(tmp_path, next((tmp_path / "models" / "forecast").glob("1.*")))
    assert store_of(tmp_path).poll() is not None, "a record that cannot be read is none"


def test_only_public_rsa_keys_of_3072_bits_are_trusted_and_two_at_most() -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    short = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = short.public_bytes(serialization.Encoding.PEM, form).decode()
    for wrong in (pem, "", "no key", public_pem()[:-40], public_pem().replace("\n", "!")):
        with pytest.raises(Refused):
            model_signature.encode_keys([wrong])
    with pytest.raises(Refused, match="3 keys of models, allowed are 2 at most"):
        model_signature.encode_keys([public_pem()] * 3)
    assert len(model_signature.decode_keys(model_signature.encode_keys([public_pem(), public_pem("next")]))) == 2
