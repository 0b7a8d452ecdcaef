"""The helpers that every component shares: names, permissions, archives, checks, and the schema for other languages.

Not proved here: that AWS's limits are what `limits.py` says; each names its source.
"""

import asyncio
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from pm_components.analytics_store.component import AnalyticsStore
from pm_components.aws import naming, packaging
from pm_components.aws.checking import checked
from pm_components.aws.permissions import actions_of, allow, excess, resources_of
from pm_components.fault_alerting.component import FaultAlerting


def test_a_name_that_fits_stays_and_a_longer_one_keeps_its_head_and_stays_distinct() -> None:
    assert naming.shortened("pm-dev-lake", 11) == "pm-dev-lake"
    first, second = naming.shortened("a" * 70, 64), naming.shortened("a" * 71, 64)
    assert len(first) == len(second) == 64
    assert first.startswith("a" * 55 + "-")
    assert first != second


def _factory(*providers: str) -> dict[str, Any]:
    """Two components under each provider, by its logical name; none: the default one."""
    arns = {}
    for name in providers:
        provider = aws.Provider(name, region="eu-west-1") if name else None
        for word in ("a", "b"):
            component = pulumi.ComponentResource(
                "pm:test:Component", f"{name}{word}", None, pulumi.ResourceOptions(provider=provider)
            )
            inner = pulumi.ComponentResource(
                "pm:test:Component", f"{name}{word}-inner", None, pulumi.ResourceOptions(parent=component)
            )
            arns[f"{name}{word}"] = pulumi.Output.concat(
                naming.arn("iot", "thing/one", component), naming.arn("sqs", "two", inner)
            )
    return arns


@pytest.mark.parametrize("providers", [[""], ["plant"], ["", "plant", "office"]])
def test_each_provider_is_asked_once_in_a_program(providers: list[str], record: Any) -> None:
    # The last case has the default provider as the first one: another program in the same process asks anew.
    recording = record(lambda: _factory(*providers))
    functions = ("getCallerIdentity", "getPartition", "getRegion")
    assert sorted(recording.calls) == sorted(
        (f"aws:index/{function}:{function}", provider) for provider in providers for function in functions
    )
    assert len(recording.outputs) == 2 * len(providers)
    of_one = "arn:aws:iot:eu-central-1:123456789012:thing/onearn:aws:sqs:eu-central-1:123456789012:two"
    assert set(recording.outputs.values()) == {of_one}


@pytest.mark.parametrize("action", ["s3:*", "*", "s3:Get*", "GetObject"])
def test_an_action_with_a_wildcard_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match="without a wildcard"):
        allow([action], ["arn:aws:s3:::lake/*"])


def test_the_resource_star_is_for_actions_that_know_no_resource() -> None:
    assert allow(["polly:SynthesizeSpeech"], ["*"])["Resource"] == ["*"]
    with pytest.raises(ValueError, match=r"resource '\*' for s3:GetObject: name the resources"):
        allow(["polly:SynthesizeSpeech", "s3:GetObject"], ["*"])


def test_all_of_a_service_is_no_resource() -> None:
    with pytest.raises(ValueError, match="this is all of a service"):
        allow(["sqs:SendMessage"], ["arn:aws:sqs:eu-central-1:123456789012:*"])
    assert not excess(["logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/gate:*"])


def test_all_that_is_in_excess_is_told_and_a_statement_may_hold_one_text() -> None:
    statement = {"Action": "s3:*", "Resource": "*"}
    assert excess(actions_of(statement), resources_of(statement)) == [
        "action 's3:*': allowed is service:Action, without a wildcard"
    ]
    assert len(excess(["s3:*", "s3:GetObject"], ["*"])) == 2
    assert actions_of({}) == []


def test_an_archive_has_no_caches_and_says_where_files_are_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no files"):
        packaging.files_below(tmp_path)
    for path in ("b.py", "a/c.py", "__pycache__/b.pyc", "a/__pycache__/c.pyc", "README.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert list(packaging.files_below(tmp_path)) == ["a/c.py", "b.py"]


def test_the_layer_is_the_same_whoever_installed_its_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered = []
    for installer in ("pip", "uv"):
        monkeypatch.setattr(packaging, "LAMBDA_LAYER", tmp_path / installer)
        information = tmp_path / installer / "python" / "msgspec-1.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text("Name: msgspec")
        (information / "INSTALLER").write_text(installer)
        (information / "RECORD").write_text(f"of {installer}")
        if installer == "uv":
            (information.parent / ".lock").touch()
        registered.append({path: file.read_bytes() for path, file in packaging.contracts_layer_files().items()})
    assert registered[0] == registered[1]
    assert "python/msgspec-1.dist-info/METADATA" in registered[0]


def test_a_missing_layer_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "LAMBDA_LAYER", tmp_path)
    with pytest.raises(FileNotFoundError, match="run `make setup`"):
        packaging.contracts_layer_files()


def test_a_known_value_is_checked_at_once_and_a_later_one_later() -> None:
    assert checked({"a": 1}, sorted) == ["a"]
    with pytest.raises(ValueError, match="invalid literal"):
        checked("x", int)

    async def later() -> str:
        return await checked(pulumi.Output.from_input("x"), str.upper).future()

    assert asyncio.run(later()) == "X"


def test_other_languages_see_the_arguments_as_they_are() -> None:
    components = Analyzer("pm").analyze([AnalyticsStore, FaultAlerting])["component_definitions"]
    store, alerting = components["AnalyticsStore"], components["FaultAlerting"]
    assert {name: definition.optional for name, definition in store.inputs.items()} == {
        "ownership": True,
        "sites": False,
        "retentionDays": True,
        "scanLimitBytes": True,
        "alarmTopicArns": True,
        "disposable": True,
        "customerKey": True,
    }
    assert set(store.outputs) == {
        "lakeBucket",
        "lakeBucketArn",
        "database",
        "workgroup",
        "streams",
        "deadLetterQueueUrl",
        "replayFunction",
    }
    assert set(alerting.inputs) == {
        "ownership",
        "emails",
        "sites",
        "escalationEmails",
        "voice",
        "voiceEngine",
        "voiceLanguage",
        "announcementDays",
        "detector",
        "alarms",
        "reservedConcurrency",
        "disposable",
    }
    assert set(alerting.outputs) == {
        "topicArn",
        "announcementsBucket",
        "detectorTable",
        "alarmTable",
        "alarmQueueUrl",
        "deadLetterQueueUrls",
    }
