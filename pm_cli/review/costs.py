"""The monthly cost of a stack, by kind of resource: the price table is that of the policy pack."""

from collections import defaultdict
from typing import NamedTuple

from pm_cli.review.snapshot import name_of
from pm_policies import costs, prices
from pm_policies.rule import Stack


class Line(NamedTuple):
    """A kind of resource and what all of it costs."""

    what: str
    number: int
    monthly_usd: float


class Estimate(NamedTuple):
    """An estimate of a month's bill, in US dollars, and what it stands on."""

    lines: list[Line]
    assumptions: list[str]

    @property
    def monthly_usd(self) -> float:
        """The sum."""
        return round(sum(line.monthly_usd for line in self.lines), 2)


def estimate(stack: Stack) -> Estimate:
    """The monthly cost of a stack's resources, the most expensive kind first."""
    usage = costs.Usage()
    found = costs.estimate(stack.resources, usage)
    kinds: defaultdict[str, list[float]] = defaultdict(list)
    for item in found.items:
        # An item without a resource, as the messages, is a kind of its own.
        kinds[item.what.partition(" ")[0] if item.urn else item.what].append(item.usd)
    lines = [Line(what, len(each), round(sum(each), 2)) for what, each in kinds.items()]
    assumed = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in usage._asdict().items())
    return Estimate(
        lines=sorted(lines, key=lambda line: (-line.monthly_usd, line.what)),
        assumptions=[
            f"List prices of US East, times {costs.REGIONAL_SURCHARGE:g}; without free tier, discount or tax.",
            f"Prices do not follow AWS: pm_policies/prices.py, compared with other sources on {prices.COMPARED_ON}. "
            f"No second source was found for: {', '.join(prices.compared_with(prices.NOTHING))}. "
            f"No source of AWS's own for: {', '.join(prices.compared_with(prices.OTHERS))}.",
            f"Not in it, whatever the stack: {', '.join(costs.NOT_IN_IT)}.",
            f"Assumed in a month: {assumed}.",
            *(f"Not in it: {name_of(urn)}: {reason}." for urn, reason in found.unpriced),
        ],
    )
