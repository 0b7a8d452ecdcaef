"""The gate and what reads a trained model, on real archives: whole ones, cut ones, changed ones, none at all.

Not proved here: that the function may read the archive in S3 (tests/components/test_pipeline_execution.py), and that
the training scripts write such archives (tests/ml).
"""

import datetime as dt
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from pm_components.functions import model_archive
from pm_components.functions.gate.core import judge
from pm_components.functions.register.core import model_package
from pm_components.functions.release import core as release
from pm_contracts import manifest as contract
from pm_contracts.messages import Refused

MODEL = b"an onnx file"
TIME = dt.datetime(2012, 1, 1, tzinfo=dt.UTC)
FORECAST = {"rmse": 20.0, "persistence_rmse": 25.0, "skill": 0.2}
FAULT = {"cost": 100.0, "never_alarm_cost": 500.0, "always_alarm_cost": 900.0}


def files(kind: str = "forecast", **validation: Any) -> dict[str, bytes]:
    """The files of a model that is in order."""
    common = {
        "version": "1.120101.42",
        "model_sha256": hashlib.sha256(MODEL).hexdigest(),
        "model_bytes": len(MODEL),
        "trained_from": TIME,
        "trained_until": TIME,
        "trained_rows": 10,
        "seed": 1,
        "libraries": {},
        "checked": contract.CheckedAnswers(inputs=[[1.0]], outputs=[[1.0]], tolerance=1e-6),
    }
    made: contract.Manifest
    if kind == "forecast":
        made = contract.ForecastManifest(
            horizon_hours=1,
            features=[contract.Feature(name="pollution", mean=0.0, scale=1.0)],
            scaled_limit=9.0,
            target_scale=1.0,
            maximum_change=500.0,
            interval=contract.Interval(level=0.9, scores=[1.0] * 20),
            **common,  # type: ignore[arg-type]
        )
    else:
        made = contract.FaultManifest(features=["aa_000"], threshold=0.5, **common)  # type: ignore[arg-type]
    figures = {**(FORECAST if kind == "forecast" else FAULT), **validation}
    return {
        contract.MODEL_FILE: MODEL,
        contract.MANIFEST_FILE: contract.encode_manifest(made),
        contract.METRICS_FILE: json.dumps({"validation": figures}).encode(),
    }


def packed(contents: dict[str, bytes], prefix: str = "") -> bytes:
    """A gzipped tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_whole_archive_is_read(prefix: str) -> None:
    found = model_archive.read(packed({**files(), "notes.txt": b"left aside"}, prefix))
    assert found.kind == "forecast"
    assert found.files == files()
    assert found.manifest.version == "1.120101.42"


def test_a_cut_archive_is_refused() -> None:
    whole = packed({**files(), contract.MODEL_FILE: bytes(range(256)) * 400})
    with pytest.raises(Refused, match="is no gzipped tar archive"):
        model_archive.read(whole[: len(whole) // 2])


def test_an_archive_with_a_changed_byte_is_refused_wherever_it_is() -> None:
    whole = packed({**files(), contract.MODEL_FILE: MODEL})
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        try:
            found = model_archive.read(bytes(changed))
        except Refused:
            continue
        # The header's time and the like carry nothing.
        assert found.files == files(), place


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(Refused, match="is no gzipped tar archive"):
        model_archive.read(content)


@pytest.mark.parametrize("name", sorted(files()))
def test_a_missing_file_is_named(name: str) -> None:
    with pytest.raises(Refused, match=f"model archive lacks {name}"):
        model_archive.read(packed({key: content for key, content in files().items() if key != name}))


def test_a_model_that_was_changed_is_refused() -> None:
    with pytest.raises(Refused, match="SHA-256"):
        model_archive.read(packed({**files(), contract.MODEL_FILE: MODEL[::-1]}))


def test_a_link_in_the_place_of_a_file_counts_as_missing() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo(contract.MODEL_FILE)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(Refused, match=r"lacks manifest\.json, metrics\.json, model\.onnx"):
        model_archive.read(buffer.getvalue())


def test_metrics_that_are_none_are_refused() -> None:
    with pytest.raises(Refused, match=r"metrics\.json is no JSON"):
        model_archive.read(packed({**files(), contract.METRICS_FILE: b"{"}))


@pytest.mark.parametrize("uri", ["https://bucket/key", "s3://bucket", "s3:///key", ""])
def test_an_address_outside_s3_is_refused(uri: str) -> None:
    with pytest.raises(Refused, match="allowed is s3://BUCKET/KEY"):
        model_archive.fetch(None, uri)


def verdict(kind: str = "forecast", minimum_skill: float = 0.0, expected: str = "", **validation: Any) -> Any:
    found = model_archive.read(packed(files(kind, **validation)))
    return judge(found, expected or kind, minimum_skill)


def test_a_model_that_beats_persistence_passes() -> None:
    found = verdict()
    assert found.passed
    assert found.reasons == [
        "beats persistence by more than 0.0%: rmse 20.00, persistence 25.00, skill 20.0%",
    ]


@pytest.mark.parametrize("rmse", [25.0, 26.0])
def test_a_model_that_does_not_beat_persistence_fails_whatever_it_says_of_itself(rmse: float) -> None:
    found = verdict(rmse=rmse, skill=0.9)
    assert not found.passed
    assert found.reasons[0].startswith("does not beat persistence")


def test_skill_must_exceed_the_minimum() -> None:
    assert verdict(minimum_skill=0.19).passed
    assert not verdict(minimum_skill=0.2).passed


@pytest.mark.parametrize(("cost", "passed"), [(499.0, True), (500.0, False), (900.0, False)])
def test_a_fault_model_must_cost_less_than_alarming_never_or_always(cost: float, passed: bool) -> None:
    assert verdict("fault", cost=cost).passed is passed


@pytest.mark.parametrize("value", [None, "20", True, float("nan"), float("inf")])
def test_a_figure_that_is_no_number_fails_and_is_named(value: Any) -> None:
    found = verdict(rmse=value)
    assert not found.passed
    assert found.reasons == ["metrics.json has no number for validation.rmse"]


def test_the_wrong_kind_of_model_fails() -> None:
    found = verdict("fault", expected="forecast")
    assert not found.passed
    assert found.reasons == ["a fault model, and the job was to make a forecast model"]


def test_the_registry_keeps_verdict_and_figures() -> None:
    judged = {
        "kind": "forecast",
        "model_data": "s3://b/k",
        "training_job": "job-1",
        "version": "1.2.3",
        "passed": False,
        "reasons": ["too bad"],
        "metrics": {"validation": FORECAST},
    }
    request = model_package(judged, "group", "image")
    assert request["ModelApprovalStatus"] == "Rejected"
    assert request["ModelPackageDescription"] == "too bad"
    assert request["CustomerMetadataProperties"] == {
        "training_job": "job-1",
        "validation.persistence_rmse": "25",
        "validation.rmse": "20",
        "validation.skill": "0.2",
        "version": "1.2.3",
    }
    assert model_package({**judged, "passed": True}, "group", "image")["ModelApprovalStatus"] == "Approved"
    # Asked again, it is the same request; for another model, another one.
    assert request["ClientToken"] == model_package(judged, "group", "image")["ClientToken"]
    assert request["ClientToken"] != model_package({**judged, "model_data": "s3://b/l"}, "group", "i")["ClientToken"]


def test_an_artifact_has_the_same_bytes_for_the_same_model() -> None:
    one, other = (model_archive.read(packed(files())) for _ in range(2))
    assert release.artifact(one) == release.artifact(other)


def test_a_deployment_keeps_the_other_model() -> None:
    current = {"pm.FaultModel": {"componentVersion": "1.0.1"}, "pm.ForecastModel": {"componentVersion": "1.0.1"}}
    made = release.deployed({"pm.ForecastModel": "1.0.2"}, current, "/data")
    assert {name: component["componentVersion"] for name, component in made.items()} == {
        "pm.FaultModel": "1.0.1",
        "pm.ForecastModel": "1.0.2",
    }
    assert release.same_versions(made, made)
    assert not release.same_versions(made, current)
    assert not release.same_versions(made, {})
