"""A review in the terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table

from pm_cli.review.report import difference_lines, place
from pm_cli.review.review import Review
from pm_sandbox.terminal import Terminal, marked

_COLOURS = {"!": "bold red", "+": "green", "-": "red", "~": "yellow"}
_LEVELS = {"mandatory": "red", "remediate": "yellow", "advisory": "cyan"}


def show(review: Review, console: Terminal) -> None:
    """Print a review, the long lists first and what needs a decision last, where a reader ends up."""
    for part in _parts(review):
        console.print(part, highlight=False)


def _parts(review: Review) -> Iterator[RenderableType]:
    yield marked("\n[bold]Stack {}[/]  tier {}, region {}", review.stack, review.tier, review.region)
    resources = Table("Component", "Resources", title="Resources", title_justify="left", show_footer=True)
    resources.columns[0].footer, resources.columns[1].footer = "Total", str(review.total)
    for name, count in review.by_component.items():
        resources.add_row(name, str(count))
    yield resources
    yield marked("\n[bold]Who may do what[/]")
    holder = ""
    for one in review.permissions:
        if one.holder != holder:
            holder = one.holder
            yield marked("  [cyan]{}[/]", holder)
        yield Padding(one.text, (0, 0, 0, 4), expand=False)
    yield ""
    costs = Table("What", "How many", "USD a month", title="Monthly cost", title_justify="left")
    costs.columns[1].justify = costs.columns[2].justify = "right"
    for line in review.costs.lines:
        costs.add_row(line.what, str(line.number), f"{line.monthly_usd:,.2f}")
    yield costs
    for text in review.costs.assumptions:
        yield marked("[dim]  {}[/]", text)
    over = review.costs.monthly_usd > review.cost_limit_usd
    yield marked(
        f"About [bold]{review.costs.monthly_usd:,.2f} USD[/] a month, limit {review.cost_limit_usd:,.0f} USD"
        + (" [red]: above the limit[/]" if over else "")
    )
    yield marked("\n[bold]Policy findings[/]")
    for finding in review.findings:
        level = f"[{_LEVELS[finding.level]}]{finding.level}[/]"
        yield marked(f"  {level} {{}}: {{}}: {{}}", finding.policy, place(finding.urn), finding.message)
    if not review.findings:
        yield "  none"
    yield marked("\n[bold]Refusals by the provider or AWS[/]")
    for refusal in review.refusals:
        yield marked("  [red]refused[/] {}: {}", place(refusal.urn), refusal.message)
    if not review.refusals:
        yield "  none"
    for text in review.not_checked:
        yield marked("[dim]  not checked: {}[/]", text)
    yield marked("\n[bold]Since the last review[/]")
    yield from _difference(review)


def _difference(review: Review) -> Iterator[RenderableType]:
    if review.difference is None:
        yield f"  there is no reviewed snapshot yet; `pm review {review.stack} --accept` makes one"
    elif review.difference.nothing:
        yield "  nothing has changed"
    else:
        for line in difference_lines(review.difference):
            yield marked(f"  [{_COLOURS[line[0]]}]{{}}[/]", line)
        yield f"  once it is as it should be: pm review {review.stack} --accept"
