"""The policy pack's findings on a program, without the engine that asks it in an update."""

import json
from dataclasses import replace
from typing import NamedTuple

import msgspec

from pm_components.stack.config import NAMESPACE, Config
from pm_policies.pack import judge, told
from pm_policies.rule import Finding as Judgement
from pm_policies.rule import Level, Resource, ResourceRule, Rule, Settings, Stack, plain, stack_settings
from pm_policies.rules import RULES
from pm_sandbox.recorder import Recording


class Finding(NamedTuple):
    """A rule that is not kept."""

    policy: str
    level: str
    """`advisory`, `mandatory`, or `remediate` where the engine mends it by itself."""
    urn: str
    """The resource; empty if it is the stack as a whole."""
    message: str


def findings(stack: Stack, config: Config) -> list[Finding]:
    """All that the rules of the pack have against a stack.

    Args:
        stack: its resources.
        config: its configuration, from which rules take the tier and the limits that hold.
    """
    values = msgspec.to_builtins(config)
    texts = {
        f"{NAMESPACE}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }
    settings = {rule.name: stack_settings(rule, texts) for rule in RULES}
    by_urn = {one.urn: one for one in stack.resources}
    found = [
        Finding(
            rule.name,
            _level(rule, finding, by_urn.get(finding.urn), settings[rule.name]).value,
            finding.urn,
            told(rule, finding),
        )
        for rule, finding in judge(RULES, stack, settings)
    ]
    return sorted(found)


def _level(rule: Rule, finding: Judgement, resource: Resource | None, settings: Settings) -> Level:
    """The effect that a finding has in an update: what a rule would mend, and cannot, is refused."""
    if not finding.decided:
        return Level.ADVISORY
    if rule.level is not Level.REMEDIATE or (resource is not None and _mended(rule, resource, settings)):
        return rule.level
    return Level.MANDATORY


def _mended(rule: Rule, resource: Resource, settings: Settings) -> bool:
    if not isinstance(rule, ResourceRule) or rule.remedy is None:
        return False
    changes = rule.remedy(resource, rule.with_defaults(settings))
    after = replace(resource, inputs=plain({**resource.inputs, **changes}))
    return not any(left.decided for left in rule.findings(after, settings))


def as_stack(recording: Recording, region: str) -> Stack:
    """A program's resources as the rules read them, with the provider that the engine adds for the stack's region."""
    stack_urn = recording.resources[0].urn.split("::")
    provider_type = "pulumi:providers:aws"
    provider_urn = "::".join([*stack_urn[:2], provider_type, "default"])
    resources = [
        Resource(one.type, one.name, one.urn, plain({**one.outputs, **one.inputs}), one.input_dependencies)
        for one in recording.resources
        if one.custom
    ]
    return Stack([Resource(provider_type, "default", provider_urn, plain({"region": region})), *resources])
