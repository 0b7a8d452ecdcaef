"""The pack behind the protocol that Pulumi's engine speaks, on the resources of every environment of this project.

The pack runs in a process of its own, started by the module that the command line starts. Not proved here: the command
line itself, which these tests do without (tests/engine has it).
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi_policy.policy import _PolicyAnalyzerServicer

from pm_cli.review.findings import findings
from pm_cli.review.settings import read
from pm_policies.pack import SEAMS, judge
from pm_policies.rule import Level, Resource, ResourceRule, Stack, plain
from pm_policies.rules import RULES
from pm_sandbox.recorder import Recording, Registered

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
KEY = "urn:pulumi:dev::pm::aws:kms/key:Key::key"
ENCRYPTS = {"description": "Encrypts", "tags": dict.fromkeys(("Project", "Stack", "Tier", "Owner", "CostCentre"), "x")}


def _configuration(stack: str) -> dict[str, str]:
    """The stack's configuration as the engine hands it to a pack: texts."""
    values = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key: value if isinstance(value, str) else str(value) for key, value in values.items()}


def _provider(stack: str) -> Registered:
    """The default provider, which the engine registers and a recorder does not see."""
    region = _configuration(stack)["aws:region"]
    urn = f"urn:pulumi:{stack}::pm::pulumi:providers:aws::default_7_51_1"
    return Registered(type="pulumi:providers:aws", name="default_7_51_1", urn=urn, parent="", inputs={"region": region})


def test_there_are_environments() -> None:
    assert "dev" in ENVIRONMENTS


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_an_environment_passes_and_nothing_in_it_has_to_be_mended(
    engine: Any, recorded: Callable[..., Recording], stack: str
) -> None:
    resources = [_provider(stack), *recorded(stack).resources]
    assert len(resources) > 100
    engine.configure_stack(stack, _configuration(stack))
    review = engine.review(resources)
    assert review.diagnostics == []
    assert review.mended == []


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_in_a_preview_what_is_unknown_is_told_and_refuses_nothing(
    engine: Any, recorded: Callable[..., Recording], stack: str
) -> None:
    engine.configure_stack(stack, _configuration(stack))
    preview = recorded(stack, preview=True)
    assert len(preview.resources) == len(recorded(stack).resources)
    review = engine.review([_provider(stack), *preview.resources])
    assert review.refusals() == set()
    assert review.mended == []
    assert review.decided() == set()
    assert {one.level for one in review.diagnostics} == {"ADVISORY"}
    # Rules that wait for the same input tell it once, together, for all resources that they wait for.
    (permissions,) = (
        one for one in review.diagnostics if "policy is not known" in one.message and "(also least-priv" in one.message
    )
    assert permissions.rule == "discontinued-services"
    for name in recorded(stack).of_type("aws:iam/rolePolicy:RolePolicy"):
        assert name in permissions.message
    assert len({(one.rule, one.message) for one in review.diagnostics}) == len(review.diagnostics) < 40


def test_what_waits_is_told_once_and_not_again_in_the_next_operation(engine: Any) -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    type_, urn = "aws:iam/rolePolicy:RolePolicy", "urn:pulumi:dev::pm::aws:iam/rolePolicy:RolePolicy::"

    def roles(policy: str) -> list[Registered]:
        inputs = {"role": "delivery", "policy": policy}
        return [Registered(type=type_, name=name, urn=urn + name, parent="", inputs=inputs) for name in ("a", "b")]

    (told,) = engine.review(roles(unknown)).diagnostics
    assert (told.rule, told.level) == ("discontinued-services", "ADVISORY")
    assert told.message == (
        "cannot be judged before the update: policy is not known yet, of 2: a, b"
        " (also least-privilege, readable-documents)"
    )
    assert engine.review(roles("{}")).diagnostics == []


_SHAPES = (
    "text",
    '["a list"]',
    '{"Statement": [7]}',
    '{"Statement": [{"Effect": "Allow", "Action": 7, "Resource": 7, "Principal": 7}]}',
    '{"Statement": [{"Effect": "Deny", "Condition": "none"}]}',
)


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize(
    ("type_", "key"),
    [
        ("aws:iam/rolePolicy:RolePolicy", "policy"),
        ("aws:iam/role:Role", "assumeRolePolicy"),
        ("aws:s3/bucketPolicy:BucketPolicy", "policy"),
        ("aws:sqs/queue:Queue", "redrivePolicy"),
        ("aws:sfn/stateMachine:StateMachine", "definition"),
        ("aws-native:greengrassv2:ComponentVersion", "inlineRecipe"),
    ],
)
def test_no_text_ends_the_whole_preview(engine: Any, type_: str, key: str, shape: str) -> None:
    bucket = {"bucket": "lake"} if type_ == "aws:s3/bucketPolicy:BucketPolicy" else {}
    resources = [
        Registered(type=token, name="one", urn=f"urn:pulumi:dev::pm::{token}::one", parent="", inputs=inputs)
        for token, inputs in ((type_, {key: shape, **bucket}), ("aws:s3/bucket:Bucket", {"bucket": "lake"}))
    ]
    review = engine.review(resources)
    assert "private-buckets" in review.refusals(), "the rules go on with the rest"
    assert ("readable-documents" in review.refusals()) == (shape[0] != "{")


def test_the_pack_without_an_engine_says_the_same(engine: Any, recorded: Callable[..., Recording]) -> None:
    registered = recorded("dev").resources
    stack = Stack(
        [
            Resource(one.type, one.name, one.urn, plain({**one.inputs, **one.outputs}), one.input_dependencies)
            for one in registered
        ]
    )
    settings = {
        "log-retention": {"maximum_days": 1},
        "monthly-cost": {"limit_usd": 1},
        "ends-of-support": {"today": "2025-01-01"},
    }
    engine.configure(settings)
    told = {(one.rule, one.urn) for one in engine.review(registered).diagnostics}
    assert {(rule.name, finding.urn) for rule, finding in judge(RULES, stack, settings)} == told
    assert {rule for rule, _ in told} == {"log-retention", "monthly-cost"}


def test_a_review_says_refused_of_what_no_rule_can_mend(make: Callable[..., Resource]) -> None:
    mended, refused = make("aws:sqs/queue:Queue", "mended"), make("aws:sns/topic:Topic", "refused")
    found = findings(Stack([mended, refused]), read(ROOT, "dev")[0])
    levels = {one.urn.rpartition("::")[2]: one.level for one in found if one.policy == "encryption-at-rest"}
    assert levels == {"mended": "remediate", "refused": "mandatory"}


def test_the_pack_names_its_rules_with_level_severity_kind_and_schema(pack_process: Any) -> None:
    info = pack_process.GetAnalyzerInfo(empty_pb2.Empty())
    assert (info.name, info.supportsConfig) == ("predictive-maintenance", True)
    described = {policy.name: policy for policy in info.policies}
    assert sorted(described) == sorted(rule.name for rule in RULES)
    for rule in RULES:
        policy = described[rule.name]
        assert proto.EnforcementLevel.Name(policy.enforcementLevel) == rule.level.name
        assert proto.PolicySeverity.Name(policy.severity) == f"POLICY_SEVERITY_{rule.severity.name}"
        assert policy.policy_type == (1 if isinstance(rule, ResourceRule) else 2)
        assert sorted(policy.configSchema.properties) == sorted(rule.settings)
        assert policy.remediation_steps == rule.mend
    assert {rule.level for rule in RULES} == set(Level)


def _key(engine: Any, inputs: dict[str, Any]) -> Any:
    return engine.review([Registered(type="aws:kms/key:Key", name="key", urn=KEY, parent="", inputs=inputs)])


def test_a_rule_set_to_mandatory_refuses_what_it_would_have_mended(engine: Any) -> None:
    assert _key(engine, ENCRYPTS).mended == [("key-rotation", KEY)]
    engine.configure(levels={"key-rotation": "MANDATORY"})
    review = _key(engine, ENCRYPTS)
    assert review.mended == []
    (refused,) = review.diagnostics
    assert (refused.rule, refused.level, refused.severity) == ("key-rotation", "MANDATORY", "POLICY_SEVERITY_MEDIUM")
    assert "enableKeyRotation is not true. To mend it: set enableKeyRotation to true" in refused.message


def test_a_rule_that_is_disabled_says_nothing_and_mends_nothing(engine: Any) -> None:
    engine.configure(levels={"key-rotation": "DISABLED"})
    review = _key(engine, ENCRYPTS)
    assert (review.diagnostics, review.mended) == ([], [])


def test_settings_of_the_pack_go_before_those_of_the_stack(engine: Any) -> None:
    engine.configure_stack("dev", {"pm:cost_limit_usd": "1", "pm:tier": "dev"})
    assert _key(engine, {**ENCRYPTS, "enableKeyRotation": True}).refusals() == {"monthly-cost"}
    engine.configure({"monthly-cost": {"limit_usd": 5}})
    assert _key(engine, {**ENCRYPTS, "enableKeyRotation": True}).refusals() == set()


def test_mending_leaves_assets_secrets_and_unknown_values_as_they_came(engine: Any) -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "arn:of:secret"}
    asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "text"}
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    given = {**ENCRYPTS, "policy": unknown, "secret": secret, "asset": asset}
    assert _key(engine, given).mended_inputs[KEY] == {**given, "enableKeyRotation": True}


def test_the_analyzer_that_is_extended_has_the_seams_that_are_used() -> None:
    assert [name for name in SEAMS if not callable(getattr(_PolicyAnalyzerServicer, name, None))] == []
    report = inspect.signature(_PolicyAnalyzerServicer._create_report_violation)
    assert list(report.parameters) == ["self", "diagnostics", "policy_name", "policy_description", "enforcement_level"]
