"""The gate and what reads a trained model, on real archives: whole ones, cut ones, changed ones, none at all.

Not proved here: that the function may read the archive in S3
(tests/components/forecast_pipeline/test_pipeline_execution.py), and that the training scripts write such archives
(tests/ml).
"""

import datetime as dt
import hashlib
import io
import json
import tarfile
import uuid
from typing import Any
from unittest import mock

import botocore.exceptions
import pytest

from pm_components.functions import component_recipes, model_archive, registry_texts
from pm_components.functions.gate.core import Champion, Policy, judge
from pm_components.functions.gate.handler import Gate
from pm_components.functions.register.core import model_package
from pm_components.functions.release import core as release
from pm_contracts import manifest as contract
from pm_contracts.messages import Refused
from pm_sandbox.cloud import Cloud
from tests import crafted_models

MODEL = crafted_models.identity()
TIME = dt.datetime(2012, 1, 1, tzinfo=dt.UTC)
FORECAST = {"rmse": 20.0, "persistence_rmse": 25.0, "skill": 0.2}
FAULT = {"cost": 100.0, "never_alarm_cost": 500.0, "always_alarm_cost": 900.0}


def files(kind: str = "forecast", *, model: bytes = MODEL, **validation: Any) -> dict[str, bytes]:
    """The files of a model that is in order."""
    common = {
        "version": "1.120101.42",
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "model_bytes": len(model),
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
            features=["pollution"],
            maximum_change=500.0,
            interval=contract.Interval(level=0.9, scores=[1.0] * 20),
            **common,  # type: ignore[arg-type]
        )
    else:
        made = contract.FaultManifest(features=["aa_000"], threshold=0.5, **common)  # type: ignore[arg-type]
    figures = {**(FORECAST if kind == "forecast" else FAULT), **validation}
    return {
        contract.MODEL_FILE: model,
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


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (b'{"validation": {"rmse": NaN}}', r"metrics\.json is no JSON"),
        (b'{"validation": {"rmse": 1e999}}', r"metrics\.json is no JSON: Number out of range"),
        (b'{"validation": ' + b"[" * 60_000 + b"]" * 60_000 + b"}", r"metrics\.json is no JSON: maximum recursion"),
        (b'{"validation": ' + b"[" * 21 + b"]" * 21 + b"}", r"metrics\.json is nested 22 deep, allowed are 20"),
        (b"\xff", r"metrics\.json is no JSON"),
        (b"[]", r"metrics\.json is no JSON: Expected `object`"),
    ],
)
def test_metrics_that_no_state_machine_could_carry_are_refused(metrics: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said):
        model_archive.read(packed({**files(), contract.METRICS_FILE: metrics}))


def test_a_sparse_member_is_not_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of its segments may be 100 MB long, and is read to its end by whoever looks for the next member."""
    unfolded: list[str] = []

    def unfolding(self: Any, *_: Any) -> Any:
        unfolded.append(self.name)
        raise tarfile.HeaderError("unfolded")

    for way in ("_proc_sparse", "_proc_gnusparse_00", "_proc_gnusparse_01", "_proc_gnusparse_10", "_proc_pax"):
        monkeypatch.setattr(tarfile.TarInfo, way, unfolding)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files().items():
            entry = tarfile.TarInfo(name)
            # Python's own archives have such a header for a time with a fraction.
            entry.size, entry.pax_headers = len(content), {"mtime": "1.5", "GNU.sparse.map": "0,1," * 1000}
            archive.addfile(entry, io.BytesIO(content))
    assert model_archive.read(buffer.getvalue()).files == files()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files().items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if name == contract.MODEL_FILE:
                entry.type = tarfile.GNUTYPE_SPARSE
            archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(Refused, match=r"'model\.onnx' in the model archive is a sparse file"):
        model_archive.read(buffer.getvalue())
    assert unfolded == []


def test_an_archive_of_very_many_members_is_refused() -> None:
    many = {f"f{number}": b"" for number in range(1001)}
    with pytest.raises(Refused, match="has more than 1000 members"):
        model_archive.read(packed({**many, **files()}))


@pytest.mark.parametrize("uri", ["https://bucket/key", "s3://bucket", "s3:///key", ""])
def test_an_address_outside_s3_is_refused(uri: str) -> None:
    with pytest.raises(Refused, match="allowed is s3://BUCKET/KEY"):
        model_archive.fetch(None, uri)


@pytest.mark.parametrize("version", [{}, {"VersionId": "null"}])
def test_an_object_that_may_be_overwritten_in_its_place_is_refused(version: dict[str, str]) -> None:
    s3 = mock.MagicMock()
    s3.get_object.return_value = {"ContentLength": 1, "Body": io.BytesIO(b"x"), "LastModified": TIME, **version}
    with pytest.raises(Refused, match="no version of its own, allowed is an object of a versioned bucket"):
        model_archive.fetch(s3, "s3://bucket/key")


def champion(**figures: Any) -> Champion:
    return Champion(arn="arn:aws:sagemaker:model-package/forecast/3", version="1.110101.7", figures=figures)


def verdict(
    kind: str = "forecast",
    minimum_skill: float = 0.0,
    expected: str = "",
    beside: Champion | None = None,
    margin: float = 0.0,
    **validation: Any,
) -> Any:
    found = model_archive.read(packed(files(kind, **validation)))
    return judge(found, expected or kind, Policy(minimum_skill=minimum_skill, champion_margin=margin), beside)


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


@pytest.mark.parametrize("value", [None, "20", True, float("nan"), float("inf"), 10**400])
def test_a_figure_that_is_no_number_fails_and_is_named(value: Any) -> None:
    found = model_archive.read(packed(files()))
    found.metrics["validation"]["rmse"] = value
    answer = judge(found, "forecast", Policy(minimum_skill=0.0, champion_margin=0.0), None)
    assert not answer.passed
    assert answer.reasons == ["metrics.json has no number for validation.rmse"]


@pytest.mark.parametrize(
    ("kind", "figure"),
    [("forecast", "rmse"), ("forecast", "persistence_rmse"), ("fault", "cost"), ("fault", "never_alarm_cost")],
)
def test_an_error_or_a_cost_below_zero_fails_and_is_named(kind: str, figure: str) -> None:
    found = verdict(kind, **{figure: -1.0})
    assert not found.passed
    assert found.reasons == [f"metrics.json has -1 for validation.{figure}, allowed are numbers from 0"]


def test_a_skill_below_zero_is_a_figure_like_any_other() -> None:
    assert "does not beat persistence" in verdict(rmse=26.0, skill=-0.04).reasons[0]


def test_a_champion_with_a_figure_below_zero_keeps_nobody_at_home() -> None:
    found = verdict("fault", beside=champion(cost=-10.0, never_alarm_cost=100.0, always_alarm_cost=900.0))
    assert found.passed
    assert "the registry has no cost of it" in found.reasons[1]


def test_figures_that_a_state_machine_cannot_carry_fail_the_model_alone() -> None:
    found = verdict(curve=[0.123456] * 10_000)
    assert (found.passed, found.metrics) == (False, {})
    assert found.reasons[0].startswith("metrics.json has 90,0")
    assert found.reasons[0].endswith("bytes below validation, allowed are 32,768")


def test_the_wrong_kind_of_model_fails() -> None:
    found = verdict("fault", expected="forecast")
    assert not found.passed
    assert found.reasons == ["a fault model, and the job was to make a forecast model"]


@pytest.mark.parametrize(
    ("rmse", "margin", "passed"),
    [(20.0, 0.0, True), (20.1, 0.0, False), (20.1, 0.01, True), (20.5, 0.01, False), (15.0, 0.0, True)],
)
def test_a_model_must_keep_up_with_the_champion(rmse: float, margin: float, passed: bool) -> None:
    # The champion was measured in a year of half the errors: what counts is the share of persistence's error it saves.
    found = verdict(rmse=rmse, margin=margin, beside=champion(rmse=10.0, persistence_rmse=12.5, skill=0.2))
    assert found.passed is passed
    assert found.champion == "1.110101.7"
    assert found.reasons[1].startswith(f"{'keeps up with' if passed else 'falls behind'} champion 1.110101.7: skill")


def test_a_fault_model_is_compared_by_the_share_of_the_cost_that_it_saves() -> None:
    beside = champion(cost=10.0, never_alarm_cost=100.0, always_alarm_cost=900.0)
    assert verdict("fault", cost=50.0, beside=beside).passed
    assert not verdict("fault", cost=51.0, beside=beside).passed


def test_a_model_that_beats_a_bad_champion_but_not_persistence_fails() -> None:
    assert not verdict(rmse=26.0, beside=champion(rmse=30.0, persistence_rmse=25.0, skill=-0.2)).passed


def test_a_champion_without_figures_keeps_nobody_at_home_and_is_named() -> None:
    found = verdict(beside=champion(rmse=None, skill=0.2))
    assert found.passed
    assert "the registry has no rmse, persistence_rmse of it" in found.reasons[1]


def test_a_kind_that_is_tried_first_is_marked_where_it_passed() -> None:
    policy = Policy(minimum_skill=0.0, champion_margin=0.0, on_trial=["forecast"])
    good, bad = (model_archive.read(packed(files(rmse=rmse))) for rmse in (20.0, 26.0))
    assert judge(good, "forecast", policy, None).on_trial
    assert not judge(bad, "forecast", policy, None).on_trial
    assert not judge(model_archive.read(packed(files("fault"))), "fault", policy, None).on_trial


def test_the_champion_is_the_package_approved_last(cloud: Cloud) -> None:
    sagemaker, group = cloud.client("sagemaker"), f"group-{uuid.uuid4().hex[:8]}"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    gate = Gate(None, sagemaker, {"forecast": group}, Policy(minimum_skill=0.0, champion_margin=0.0))
    assert gate.champion("forecast") is None
    for version, status in (("1", "Approved"), ("2", "Approved"), ("3", "Rejected"), ("4", "PendingManualApproval")):
        sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus=status,
            CustomerMetadataProperties={"version": version, "validation.rmse": "20.5", "validation.skill": "what"},
        )
    found = gate.champion("forecast")
    assert found is not None
    assert (found.version, found.figures) == ("2", {"rmse": 20.5, "skill": None})


def test_the_registry_keeps_verdict_and_figures() -> None:
    judged = {
        "kind": "forecast",
        "model_data": "s3://b/k",
        "version_id": "v.1",
        "sha256": "ab12",
        "made_at": "2012-01-01T00:00:00+00:00",
        "training_job": "job-1",
        "version": "1.2.3",
        "passed": False,
        "on_trial": False,
        "champion": "1.2.2",
        "reasons": ["too bad"],
        "metrics": {"validation": FORECAST},
    }
    request = model_package(judged, "group", "image")
    assert request["ModelApprovalStatus"] == "Rejected"
    assert request["ModelPackageDescription"] == "too bad"
    assert request["CustomerMetadataProperties"] == {
        "champion": "1.2.2",
        "kind": "forecast",
        "made_at": "2012-01-01T00:00:00+00:00",
        "sha256": "ab12",
        "training_job": "job-1",
        "version_id": "v.1",
        "validation.persistence_rmse": "25",
        "validation.rmse": "20",
        "validation.skill": "0.2",
        "version": "1.2.3",
    }
    assert model_package({**judged, "passed": True}, "group", "image")["ModelApprovalStatus"] == "Approved"
    waiting = model_package({**judged, "passed": True, "on_trial": True}, "group", "image")
    assert waiting["ModelApprovalStatus"] == "PendingManualApproval"
    # Asked again, it is the same request; for another model, another one.
    assert request["ClientToken"] == model_package(judged, "group", "image")["ClientToken"]
    for change in ({"model_data": "s3://b/l"}, {"version_id": "v.2"}):
        assert request["ClientToken"] != model_package({**judged, **change}, "group", "image")["ClientToken"]


def test_the_registry_takes_whatever_a_verdict_and_its_figures_say(cloud: Cloud) -> None:
    sagemaker, group = cloud.client("sagemaker"), f"group-{uuid.uuid4().hex[:8]}"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    judged = {
        "kind": "forecast",
        "model_data": "s3://b/k",
        "training_job": "job-1",
        "version": "1.2.3",
        "passed": False,
        "on_trial": False,
        "champion": "",
        "reasons": ["first\nsecond\tline \x1b[31mred\x1b[0m", "größer; 5 % < 6 %", "x" * 2000],
        "metrics": {"validation": {f"f1 (part {number})": 1 / 3 for number in range(60)}},
    }
    request = model_package(judged, group, "image")
    del request["InferenceSpecification"]  # there is no such model
    arn = sagemaker.create_model_package(**request)["ModelPackageArn"]
    kept = sagemaker.describe_model_package(ModelPackageName=arn)
    assert kept["ModelPackageDescription"].startswith("first second line [31mred [0m; größer; 5 % < 6 %; xxx")
    metadata = kept["CustomerMetadataProperties"]
    assert len(metadata) == 50
    assert (metadata["version"], metadata["training_job"], metadata["figures_left_out"]) == ("1.2.3", "job-1", "14")
    assert metadata["validation.f1 -part 0-"] == "0.333333"


@pytest.mark.parametrize(
    "change", [{"ModelPackageDescription": "a\nb"}, {"CustomerMetadataProperties": {"version": "1 (one)"}}]
)
def test_sagemaker_refuses_what_its_model_does_not_allow(cloud: Cloud, change: dict[str, Any]) -> None:
    sagemaker, group = cloud.client("sagemaker"), f"group-{uuid.uuid4().hex[:8]}"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(botocore.exceptions.ClientError, match="failed to satisfy constraint: Member must satisfy reg"):
        sagemaker.create_model_package(ModelPackageGroupName=group, **change)


def test_an_approval_is_described_in_one_line(cloud: Cloud) -> None:
    sagemaker, group = cloud.client("sagemaker"), f"group-{uuid.uuid4().hex[:8]}"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    broken = "trial broke:\nTraceback"
    with pytest.raises(botocore.exceptions.ClientError, match="regular expression pattern"):
        sagemaker.update_model_package(ModelPackageArn=arn, ApprovalDescription=broken)
    sagemaker.update_model_package(ModelPackageArn=arn, ApprovalDescription=registry_texts.description(broken))
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ApprovalDescription"] == "trial broke: Traceback"


def test_an_artifact_has_the_same_bytes_for_the_same_model() -> None:
    one, other = (model_archive.read(packed(files())) for _ in range(2))
    assert component_recipes.zipped(one.files) == component_recipes.zipped(other.files)


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
