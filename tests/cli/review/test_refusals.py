"""Refusals by the provider or AWS, found without either: none in the environments and at the configuration's edges.

What the checks find is shown by planted faults: here those of cfn-lint, in the provider's tests those of its own, and
one of each through `pm review`. Not proved here: what AWS refuses beyond its models of the services' inputs and
CloudFormation's schemas.
"""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pm_cli.review.checks.cfn_lint import CfnLint
from pm_cli.review.review import not_held, provider_refusals
from pm_sandbox.recorder import Recording, Registered, record

ROOT = Path(__file__).resolve().parents[3]
REGION = "eu-central-1"
_LONG = "z" * 31
SMALLEST: dict[str, Any] = {
    "tier": "prod",
    "owner": "=",
    "cost_centre": "@",
    "retention_days": 1,
    "log_retention_days": 1,
    "voice": "Aa",
    "python": "/p/bin/python",
    "data_directory": "/d",
    "sites": [
        {
            "name": "a",
            "core_devices": ["b"],
            "serial_numbers": {"b": ":"},
            "host_instance_type": "t3.nano",
            "host_checksums": {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64},
            "devices": [{"name": "c", "type": "air_quality"}],
        }
    ],
    "alert_emails": ["a@b.c"],
    "escalation_emails": ["a@b.c"],
    "alarms": {
        "dedupe_seconds": 0,
        "escalation_seconds": 0,
        "escalation_severities": [],
        "mail_limit": 1,
        "digest_seconds": 1,
    },
    "lake": {"customer_key": False, "scan_limit_bytes": 10_485_760},
    "detector": {"window": 1, "minimum_count": 1, "maximum_share": 0, "clear_share": 0, "tolerance": 0.001},
    "training": {
        "maximum_seconds": 60,
        "minimum_skill": 0,
        "champion_margin": 0,
        "canary": {"minimum_outcomes": 1, "maximum_seconds": 1, "margin": -0.9, "interval_seconds": 1},
        "drift_cooldown_seconds": 60,
        "watch_interval_seconds": 1,
        "watch_seconds": 1,
        "schedule": "rate(1 minute)",
        "instance_type": "ml.m5.large",
        "workbench": {
            "instance_type": "ml.t3.medium",
            "volume_gibibytes": 5,
            "subnet_id": "subnet-0",
            "security_group_ids": ["sg-0"],
        },
    },
}
LARGEST: dict[str, Any] = {
    "tier": "prod",
    "owner": "o" * 256,
    "cost_centre": " _.:/=+@-" * 28,
    "retention_days": 3650,
    "log_retention_days": 3653,
    "voice": "A" + "a" * 200,
    "voice_language": "cmn-CN",
    "python": "/" + "p" * 180 + "/bin/python",
    "data_directory": "/" + "d" * 200,
    "sites": [
        {
            "name": f"{_LONG}{number}",
            "core_devices": [f"{_LONG}{number + 2}", f"{_LONG}{number + 4}"],
            "canary_devices": [f"{_LONG}{number + 4}"],
            "serial_numbers": {f"{_LONG}{number + 2}": f"{number}{'s' * 63}"},
            "host_instance_type": "m5.24xlarge",
            "host_checksums": {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64},
            "devices": [
                {"name": f"{_LONG}{index}", "type": "machine" if index % 2 else "air_quality"} for index in range(7, 10)
            ],
        }
        for number in (1, 2)
    ],
    "alert_emails": [f"{'a' * 60}@{'b' * 60}.com"],
    "escalation_emails": ["b@example.com"],
    "alarms": {
        "dedupe_seconds": 604_800,
        "escalation_seconds": 604_800,
        "escalation_severities": ["warning", "critical"],
        "mail_limit": 1000,
        "digest_seconds": 86_400,
    },
    "lake": {"customer_key": True, "scan_limit_bytes": 10**15},
    "detector": {"window": 1000, "minimum_count": 1000, "maximum_share": 1, "clear_share": 1, "tolerance": 10},
    "training": {
        "maximum_seconds": 432_000,
        "minimum_skill": 0.99,
        "champion_margin": 1,
        "canary": {"minimum_outcomes": 10_000, "maximum_seconds": 2_592_000, "margin": 1, "interval_seconds": 86_400},
        "drift_enabled": True,
        "drift_cooldown_seconds": 2_592_000,
        "watch_interval_seconds": 3600,
        "watch_seconds": 86_400,
        "schedule": "cron(0 3 ? * MON *)",
        "spot": True,
        "schedule_enabled": True,
        "workbench": {"instance_type": "ml.p4de.24xlarge", "volume_gibibytes": 16_384},
    },
}
LITE: dict[str, Any] = {
    "tier": "prod",
    "owner": "factory-platform",
    "cost_centre": "plant-operations",
    "sites": [
        {
            "name": "lindau",
            "core_devices": ["lindau-core"],
            "serial_numbers": {"lindau-core": "4711"},
            "host_instance_type": "t3.small",
            "host_checksums": {"nucleus": "0" * 64, "session_manager_agent": "0" * 64},
            "nucleus": {"kind": "lite"},
            "client_devices": False,
            "devices": [{"name": "machine-01", "type": "machine"}],
        }
    ],
    "alert_emails": ["a@example.com"],
    "lake": {"customer_key": True},
}
EDGES = {"smallest": SMALLEST, "largest": LARGEST, "lite": LITE}


@pytest.fixture(scope="module")
def configurations(recorded: Callable[..., Recording]) -> dict[str, Recording]:
    """Each environment, and the edges of what a configuration may be, as stacks of their own."""
    environments = {stack: recorded(stack) for stack in ("dev", "local", "prod", "staging")}
    edges = {name: record(ROOT, name, config, only_config=True, checked=True) for name, config in EDGES.items()}
    return {**environments, **edges}


def _recording(resources: list[Registered]) -> Recording:
    return Recording(resources=resources, outputs={}, calls={}, seconds=0.0)


def _judged(resources: list[Registered]) -> list[tuple[str, str]]:
    with CfnLint() as cfn_lint:
        assert cfn_lint.left_out == []
        return cfn_lint.judge(_recording(resources), REGION)


def test_the_sdk_and_the_services_models_have_nothing_against_any_configuration(
    configurations: dict[str, Recording],
) -> None:
    for name, recording in configurations.items():
        assert len(recording.resources) > 100, name
        assert provider_refusals(recording) == [], name
        assert not_held(recording) == [], name


def test_what_is_not_known_before_the_first_update_passes(recorded: Callable[..., Recording]) -> None:
    assert provider_refusals(recorded("prod", preview=True)) == []


def test_cfn_lint_has_nothing_against_any_configuration(configurations: dict[str, Recording]) -> None:
    # All in one template: their names differ, since their stacks do.
    assert _judged([one for recording in configurations.values() for one in recording.resources]) == []


def _statement(document: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = document["Statement"][0]
    return statement


#: Type, input, what is done to a copy of the document in it, and what cfn-lint says.
FAULTS: list[tuple[str, str, Callable[[Any], Any], str]] = [
    (
        "aws:iam/rolePolicy:RolePolicy",
        "policy",
        lambda policy: _statement(policy).update(Efect=_statement(policy).pop("Effect")),
        "PolicyDocument.Statement[0].Efect: Additional properties are not allowed",
    ),
    (
        "aws:iam/role:Role",
        "assumeRolePolicy",
        lambda policy: _statement(policy).update(Effect="Alow"),
        "AssumeRolePolicyDocument.Statement[0].Effect: 'Alow' is not one of ['Allow', 'Deny']",
    ),
    (
        "aws:iot/policy:Policy",
        "policy",
        lambda policy: policy.update(Version="2012-10-18"),
        "PolicyDocument.Version: '2012-10-18' is not one of",
    ),
    (
        "aws:sqs/queuePolicy:QueuePolicy",
        "policy",
        lambda policy: _statement(policy).pop("Principal"),
        "PolicyDocument.Statement[0]: Only one of ['Principal', 'NotPrincipal'] is a required property",
    ),
    (
        "aws:sns/topicPolicy:TopicPolicy",
        "policy",
        lambda policy: _statement(policy).update(Action="sns:Publsh"),
        "PolicyDocument.Statement[0].Action: 'publsh' is not one of",
    ),
    (
        "aws:s3/bucketPolicy:BucketPolicy",
        "policy",
        lambda policy: _statement(policy).pop("Resource"),
        "PolicyDocument.Statement[0]: Only one of ['Resource', 'NotResource'] is a required property",
    ),
    (
        "aws:kms/key:Key",
        "policy",
        lambda policy: _statement(policy).update(Conditions={}),
        "KeyPolicy.Statement[0].Conditions: Additional properties are not allowed",
    ),
    (
        "aws:sfn/stateMachine:StateMachine",
        "definition",
        lambda machine: machine.update(StartAt="Nowhere"),
        "Definition.StartAt: Missing 'Next' target 'Nowhere'",
    ),
    (
        "aws-native:greengrassv2:Deployment",
        "components",
        lambda components: components["pm.Uplink"].update(configuration_update={}),
        "Components.pm.Uplink.configuration_update: Additional properties are not allowed",
    ),
]


def test_cfn_lint_finds_each_planted_fault_and_nothing_else(configurations: dict[str, Recording]) -> None:
    planted = [_with_fault(configurations["largest"], type_, key, fault) for type_, key, fault, _ in FAULTS]
    found = _judged(planted)
    assert {urn for urn, _ in found} == {one.urn for one in planted}
    for one, (_, _, _, text) in zip(planted, FAULTS, strict=True):
        messages = [message for urn, message in found if urn == one.urn]
        assert any(message.startswith(text) for message in messages), messages


def _with_fault(recording: Recording, type_: str, key: str, fault: Callable[[Any], Any]) -> Registered:
    one = next(one for one in recording.resources if one.type == type_ and key in one.inputs)
    value = one.inputs[key]
    document = json.loads(value if isinstance(value, str) else json.dumps(value))
    fault(document)
    return replace(one, inputs={**one.inputs, key: json.dumps(document) if isinstance(value, str) else document})


def test_a_review_without_cfn_lint_says_what_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with CfnLint() as cfn_lint:
        (line,) = cfn_lint.left_out
        assert line.startswith(
            "cfn-lint is not installed: policies, state machines and the types of aws-native are not"
        )
        assert cfn_lint.judge(_recording([]), REGION) == []
