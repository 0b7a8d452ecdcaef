"""A review as Markdown for a pull request, and as JSON for machines; the terminal has a module of its own."""

from collections.abc import Iterator, Sequence
from typing import Any

from pm_cli.review.review import Review
from pm_cli.review.snapshot import Difference, name_of

_SHOWN_CHANGES = 50


def as_json(review: Review) -> dict[str, Any]:
    """The review as plain data; `difference` is null where the stack has no snapshot yet."""
    difference = review.difference
    return {
        "stack": review.stack,
        "tier": review.tier,
        "region": review.region,
        "resources": {"total": review.total, "by_component": review.by_component},
        "permissions": [{"holder": one.holder, "text": one.text} for one in review.permissions],
        "findings": [finding._asdict() for finding in review.findings],
        "refusals": [refusal._asdict() for refusal in review.refusals],
        "not_checked": review.not_checked,
        "monthly_cost_usd": review.costs.monthly_usd,
        "cost_limit_usd": review.cost_limit_usd,
        "component_versions": [one._asdict() for one in review.component_versions],
        "service_limits": {site: [use._asdict() for use in uses] for site, uses in review.service_limits.items()},
        "difference": None
        if difference is None
        else {**difference._asdict(), "changed": [change._asdict() for change in difference.changed]},
    }


def as_markdown(review: Review) -> str:
    """The review as a comment for a pull request: what changed and what is refused first, the long lists folded."""
    parts = [
        f"## Review of stack `{review.stack}`",
        f"Tier {review.tier}, region {review.region}: {review.total} resources, "
        f"about {review.costs.monthly_usd:,.2f} USD a month (limit {review.cost_limit_usd:,.0f}), "
        f"{len(review.findings)} policy findings, {len(review.refusals)} refusals by the provider or AWS.",
        "### Since the last review",
        *_difference(review.difference),
        "### Policy findings",
        *(
            _table(
                ("Level", "Policy", "Resource", "Finding"),
                [(one.level, f"`{one.policy}`", place(one.urn), one.message) for one in review.findings],
            )
            if review.findings
            else ["None."]
        ),
        "### Refusals by the provider or AWS",
        *(
            _table(("Resource", "Refusal"), [(place(one.urn), one.message) for one in review.refusals])
            if review.refusals
            else ["None."]
        ),
        *(f"Not checked: {text}." for text in review.not_checked),
        "### Resources by component",
        *_table(("Component", "Resources"), [(name, str(count)) for name, count in review.by_component.items()]),
        f"### Monthly cost: about {review.costs.monthly_usd:,.2f} USD",
        *_table(
            ("What", "How many", "USD a month"),
            [(line.what, str(line.number), f"{line.monthly_usd:,.2f}") for line in review.costs.lines],
        ),
        *_folded("Assumptions", [f"- {text}" for text in review.costs.assumptions]),
        "### Who may do what",
        *_folded(
            f"{len(review.permissions)} statements",
            _table(("Held by", "Says"), [(f"`{one.holder}`", one.text) for one in review.permissions]),
        ),
    ]
    return "\n".join(_spaced(parts)) + "\n"


def difference_lines(difference: Difference) -> Iterator[str]:
    """The changes, a line each: `+` for an addition, `-` for a removal, `~` for a change."""
    for urn in difference.losing_data:
        yield f"! {name_of(urn)} holds data and is gone: it will be deleted (a rename needs an alias)"
    yield from (f"+ {name_of(urn)}" for urn in difference.added)
    yield from (f"- {name_of(urn)}" for urn in difference.removed)
    for change in difference.changed:
        before, after = (value if value is not None else "(not set)" for value in (change.before, change.after))
        yield f"~ {name_of(change.urn)} {change.key}: {before} -> {after}"
    yield from (f"+ {text}" for text in difference.permissions_added)
    yield from (f"- {text}" for text in difference.permissions_removed)
    if difference.monthly_cost_usd:
        yield f"~ monthly cost: {difference.monthly_cost_usd:+,.2f} USD"


def place(urn: str) -> str:
    """The resource of a URN, or the stack where it is empty."""
    return name_of(urn) if urn else "the stack"


def _difference(difference: Difference | None) -> list[str]:
    if difference is None:
        return ["This stack has no reviewed snapshot yet: all of it is new."]
    if difference.nothing:
        return ["Nothing has changed."]
    lines = list(difference_lines(difference))
    shown = ["```diff", *lines[:_SHOWN_CHANGES], "```"]
    if len(lines) > _SHOWN_CHANGES:
        shown.append(f"... and {len(lines) - _SHOWN_CHANGES} more: `pm review` shows all.")
    return shown


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"

    return [row(head), row(["---"] * len(head)), *(row(cells) for cells in rows)]


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    # An empty line first, or what follows a table becomes a row of it.
    return ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


def _spaced(parts: Sequence[str]) -> Iterator[str]:
    """The lines with an empty one around each heading."""
    for number, line in enumerate(parts):
        if line.startswith("#") and number:
            yield ""
        yield line
        if line.startswith("#"):
            yield ""
