"""A stack costs no more than its tier may."""

from collections.abc import Iterator

from pm_components.stack.tiers import DEFAULTS
from pm_policies import costs, tiers
from pm_policies.rule import Finding, Level, Settings, Severity, Stack, StackRule, Undecided


def check(stack: Stack, settings: Settings) -> Iterator[Finding]:
    """An estimate above the limit, and types that have no price in the table."""
    tier = tiers.of(stack.name, settings)
    limit = settings["limit_usd"] or DEFAULTS[tier]["cost_limit_usd"]
    estimate = costs.estimate(stack.resources)
    if estimate.total_usd > limit:
        largest = ", ".join(f"{item.what} {item.usd:.2f}" for item in estimate.largest(3))
        yield Finding(
            "", f"USD {estimate.total_usd:.2f} a month in tier {tier}, allowed are {limit:g}; most: {largest}"
        )
    for urn, reason in estimate.unpriced:
        yield Finding(urn, Undecided(f"its cost is not in the estimate: {reason}"))


RULE = StackRule(
    name="monthly-cost",
    severity=Severity.MEDIUM,
    level=Level.MANDATORY,
    demand="The estimate of a stack's cost in a month stays below its limit.",
    why="A bill comes weeks after the mistake; the estimate comes before the update.",
    mend="take out or make smaller what the finding names, or raise pm:cost_limit_usd in a reviewed change",
    settings={
        **tiers.SETTING,
        "limit_usd": {
            "type": "number",
            "description": "US dollars a month, by default `pm:cost_limit_usd`, and where that is not set the tier's",
        },
    },
    from_stack={**tiers.FROM_STACK, "limit_usd": "pm:cost_limit_usd"},
    check=check,
    as_written=True,
)
