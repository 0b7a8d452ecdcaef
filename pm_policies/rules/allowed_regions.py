"""A stack stays in the regions of its tier."""

from collections.abc import Iterator

from pm_policies import tiers
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_PROVIDERS = ("pulumi:providers:aws", "pulumi:providers:aws-native")
_EUROPE = ["eu-central-1", "eu-west-1"]
_DEFAULT = {"dev": [*_EUROPE, "us-east-1"], "staging": _EUROPE, "prod": _EUROPE}


def check(resource: Resource, settings: Settings) -> Iterator[str]:
    """A region that is not of the tier: of a provider, or of a resource that has one of its own."""
    if resource.type not in _PROVIDERS and not resource.type.startswith("aws:"):
        return
    region = resource.inputs.get("region")
    tier = tiers.of(resource.stack_name, settings)
    allowed = settings["regions"].get(tier, [])
    if isinstance(region, str) and region and region not in allowed:
        yield f"region {region} in tier {tier}, allowed are {', '.join(allowed) or 'none'}"


RULE = ResourceRule(
    name="allowed-regions",
    severity=Severity.HIGH,
    level=Level.MANDATORY,
    demand="Providers and resources are in the regions of the stack's tier.",
    why="Data of a plant stays where its owner agreed to, and nothing runs where nobody looks.",
    mend="set aws:region to an allowed region, or have it allowed in the pack's configuration",
    settings={
        **tiers.SETTING,
        "regions": {"type": "object", "default": _DEFAULT, "description": "allowed regions by tier"},
    },
    from_stack=tiers.FROM_STACK,
    check=check,
    as_written=True,
)
