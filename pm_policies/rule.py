"""A rule: what is asked of a resource or of a whole stack, why, and how a refused program is mended.

What is not known yet. In a preview, values that come from resources still to be made are unknown. A rule that needs
such a value says so as an advisory finding ("cannot be judged before the update") and goes on with the next resource;
the engine asks it again in the update, when the value is known, and then it refuses at its own level. Nothing passes
for being unknown. Only where a rule asks whether something is set at all, an unknown value counts as set.

What a resource is called. Rules speak of the types of the AWS Classic provider; a resource of a sibling type
(`pm_policies.siblings`) is shown to them as the classic resources that it amounts to, and a finding speaks in their
terms.

What a rule stumbles over. A resource that a rule cannot make sense of, as one whose policy has a text where an object
is due, is refused at the rule's own level, and the rule goes on with the next: one resource never ends a preview.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from pm_components.stack.tiers import OF_TIER
from pm_policies.inputs import at, is_set, items
from pm_policies.siblings import FORMS, Inputs


class Level(Enum):
    """The effect of a finding on an update."""

    ADVISORY = "advisory"
    """A warning."""
    MANDATORY = "mandatory"
    """The update is refused."""
    REMEDIATE = "remediate"
    """The resource is mended before it is made; what cannot be mended is refused."""


class Severity(Enum):
    """The severity of a broken rule."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Undecided(str):
    """A message that says why a rule could not judge; it is always advisory."""


class Finding(NamedTuple):
    """A rule's finding on a resource, or on the stack if `urn` is empty."""

    urn: str
    message: str

    @property
    def decided(self) -> bool:
        """True for a violation; False for an answer that is still to come."""
        return not isinstance(self.message, Undecided)


@dataclass(frozen=True, eq=False)
class Resource:
    """A resource as the engine shows it to a policy."""

    type: str
    name: str
    urn: str
    inputs: Mapping[str, Any]
    """Its inputs; of a resource in a `Stack`, its outputs too. Reading an unknown value raises UnknownValueError."""
    depends_on: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """URNs of the resources that each input comes from."""

    @property
    def stack_name(self) -> str:
        """The name of the stack it belongs to."""
        return self.urn.split("::")[0].rpartition(":")[2]


def forms(resource: Resource) -> Iterator[Resource]:
    """The classic resources that `resource` amounts to: itself where its type has no sibling.

    Raises:
        UnknownValueError: where a list of them is not known yet.
    """
    for form in FORMS.get(resource.type, ()):
        if form.only_with and not is_set(resource.inputs, form.only_with):
            continue
        written = items(at(resource.inputs, form.each)) if form.each else [resource.inputs]
        depends_on = {
            **resource.depends_on,
            **{
                key: resource.depends_on[source.path[0]]
                for key, source in form.inputs.items()
                if source.path[0] in resource.depends_on
            },
        }
        if form.owner:
            depends_on[form.owner] = [resource.urn]
        for inputs in written:
            yield replace(resource, type=form.type, inputs=Inputs(inputs, form.inputs), depends_on=depends_on)
    if resource.type not in FORMS:
        yield resource


class Stack(NamedTuple):
    """All resources of a stack."""

    resources: Sequence[Resource]

    def of_type(self, *types: str) -> list[Resource]:
        """The resources of these types."""
        return [resource for resource in self.resources if resource.type in types]

    @property
    def name(self) -> str:
        """The stack's name, empty if it has no resource."""
        return self.resources[0].stack_name if self.resources else ""


Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """The common part of rules; see `ResourceRule` and `StackRule`."""

    name: str
    severity: Severity
    level: Level
    demand: str
    """The requirement, in one sentence."""
    why: str
    mend: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON schema of each setting by its name, with its `default` unless `from_stack` has it."""
    from_stack: Mapping[str, str] = field(default_factory=dict)
    """The key of the stack's configuration that gives a setting where the pack's configuration does not."""
    as_written: bool = False
    """True for a rule that looks at resources as they are written, and not at the classic ones they amount to."""

    def with_defaults(self, given: Settings) -> Settings:
        """The settings `given`, and the defaults for the rest; None for what has neither."""
        return {**{name: schema.get("default") for name, schema in self.settings.items()}, **given}


@dataclass(frozen=True)
class ResourceRule(Rule):
    """A rule that looks at one resource at a time, before it is made."""

    check: Callable[[Resource, Settings], Iterable[str]] = field(kw_only=True)
    """Gives a message for each thing that is wrong with a resource."""
    remedy: Callable[[Resource, Settings], Mapping[str, Any]] | None = None
    """Gives the inputs to set so that the resource passes; none where it passes already or is not to be mended."""

    def findings(self, resource: Resource, given: Settings) -> Iterator[Finding]:
        """The faults of a resource, and what cannot be decided yet."""
        settings = self.with_defaults(given)
        seen = [resource] if self.as_written else forms(resource)
        yield from judged(resource, (message for one in seen for message in self.check(one, settings)))


@dataclass(frozen=True)
class StackRule(Rule):
    """A rule that looks at all resources of a stack together, once they are registered."""

    check: Callable[[Stack, Settings], Iterable[Finding]] = field(kw_only=True)
    """Gives a finding for each thing that is wrong; it uses `judged` for what it asks of one resource."""

    def findings(self, stack: Stack, given: Settings) -> Iterator[Finding]:
        """The faults of the stack, and what cannot be decided yet."""
        try:
            seen = stack if self.as_written else Stack([form for one in stack.resources for form in _forms_known(one)])
            yield from self.check(seen, self.with_defaults(given))
        except UnknownValueError as unknown:
            yield Finding("", undecided(unknown))
        except Exception as fault:
            yield Finding("", _stumbled(fault))


def _forms_known(resource: Resource) -> list[Resource]:
    """The forms of a resource; itself where they are not known yet."""
    try:
        return list(forms(resource))
    except UnknownValueError:
        return [resource]


def stack_settings(rule: Rule, configuration: Mapping[str, str]) -> Settings:
    """The settings of a rule in a stack's configuration.

    Args:
        rule: the rule.
        configuration: texts by `namespace:key`, JSON where a value is no text, as Pulumi keeps them.
    """
    # What a stack leaves to its tier is not said.
    said = {key: text for key, text in configuration.items() if text != OF_TIER}
    found = {name: said[key] for name, key in rule.from_stack.items() if key in said}
    return {name: text if rule.settings[name]["type"] == "string" else json.loads(text) for name, text in found.items()}


def judged(resource: Resource, messages: Iterable[str]) -> Iterator[Finding]:
    """Findings on a resource from lazily made `messages`; one where making them needs an unknown value, or fails."""
    try:
        for message in messages:
            yield Finding(resource.urn, message)
    except UnknownValueError as unknown:
        yield Finding(resource.urn, undecided(unknown))
    except Exception as fault:
        yield Finding(resource.urn, _stumbled(fault))


def _stumbled(fault: Exception) -> str:
    return f"its inputs are not of the form that they are documented in ({type(fault).__name__}: {fault})"


def undecided(unknown: UnknownValueError) -> Undecided:
    """A rule's answer where it met an unknown value."""
    return Undecided(f"cannot be judged before the update: {'.'.join(unknown.props)} is not known yet")


def plain(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """`properties` as rules read them: reading an unknown value in them raises UnknownValueError."""
    return unknown_checking_proxy(dict(properties))
