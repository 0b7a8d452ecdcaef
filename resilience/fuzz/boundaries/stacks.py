"""Texts of operators: the configuration of a stack, and the documents that policies judge."""

import json
from pathlib import Path
from typing import Any

from resilience.fuzz.boundary import Boundary, Opened

_ALLOW = {
    "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::pm-dev-lake/*",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Condition": {"Bool": {"aws:SecureTransport": "true"}, "StringEquals": {"aws:SourceAccount": ["123456789012"]}},
}  # fmt: skip


def _configuration(_folder: Path) -> Opened:
    from pm_components.stack.config import parse
    from pm_components.stack.refusals import ConfigError

    def door(content: bytes) -> None:
        try:
            keys = json.loads(content)
        except (ValueError, RecursionError):
            return
        if isinstance(keys, dict):
            # As Pulumi keeps them: a text as it is, anything else as JSON.
            parse({key: value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()})

    site = {
        "name": "lindau", "core_devices": ["lindau-core", "lindau-canary"], "canary_devices": ["lindau-canary"],
        "devices": [{"name": "air-1", "type": "air_quality"}, {"name": "machine-01", "type": "machine"}],
        "configuration": {"pm.Uplink": {"outboxMebibytes": 64}},
    }  # fmt: skip
    keys: dict[str, Any] = {
        "tier": "dev", "owner": "factory", "cost_centre": "engineering", "sites": [site],
        "alert_emails": ["operator@example.com"], "flow_control": "none", "cost_limit_usd": 100.0, "disposable": True,
        "detector": {"window": 48, "minimum_count": 24, "maximum_share": 0.25, "clear_share": 0.1, "tolerance": None},
        "training": {"watch_interval_seconds": 1, "canary": {}, "hyperparameters": {"forecast": {"epochs": 3}}},
        "alarms": {"dedupe_seconds": 60, "escalation_seconds": 60, "escalation_severities": ["critical"]},
    }  # fmt: skip
    return Opened(door, [json.dumps(keys).encode()], (ConfigError,))


def _policies(_folder: Path) -> Opened:
    from pm_policies.pack import judge
    from pm_policies.policy_documents import INLINE_POLICIES, POLICY_KEYS, RESOURCE_POLICY_KEYS
    from pm_policies.rule import Resource, Stack
    from pm_policies.rules import RULES

    def door(content: bytes) -> None:
        try:
            written = json.loads(content)
        except (ValueError, RecursionError):
            return
        if not isinstance(written, dict) or not isinstance(written.get("inputs"), dict):
            return
        type_ = written.get("type")
        if isinstance(type_, str):
            urn = f"urn:pulumi:dev::pm::{type_}::it"
            judge(RULES, Stack([Resource(type_, "it", urn, written["inputs"])]), {})

    document = {"Version": "2012-10-17", "Statement": [_ALLOW]}
    samples: list[dict[str, Any]] = []
    for type_, keys in {**POLICY_KEYS, **RESOURCE_POLICY_KEYS}.items():
        for given in (document, json.dumps(document)):
            samples.append({"type": type_, "inputs": dict.fromkeys(keys, given)})
    for type_, (policies, key) in INLINE_POLICIES.items():
        samples.append({"type": type_, "inputs": {policies: [{"name": "it", key: json.dumps(document)}]}})
    samples += [
        {"type": "aws:s3/bucketAclV2:BucketAclV2", "inputs": {"acl": "public-read", "bucket": "it"}},
        {"type": "aws-native:s3:Bucket", "inputs": {"accessControl": "Private", "bucketEncryption": {}}},
        {"type": "aws-native:iam:Role", "inputs": {"policies": [{"policyName": "it", "policyDocument": document}]}},
        {"type": "aws:lambda/function:Function", "inputs": {"timeout": 3, "memorySize": 128, "runtime": "python3.11"}},
        {"type": "aws:iot/topicRule:TopicRule", "inputs": {"sql": "SELECT * FROM 'pm/#'", "errorAction": {}}},
    ]
    return Opened(door, [json.dumps(sample).encode() for sample in samples])


BOUNDARIES = (Boundary("stack_configuration", _configuration, 0.3), Boundary("policy_documents", _policies, 0.1))
