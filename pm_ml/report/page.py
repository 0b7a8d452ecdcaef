"""A page of sections with tables and plots: self-contained, in light and dark, each plot also as numbers."""

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

#: Of the frame, and of the page of models.
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Tile:
    """A figure that stands for a section."""

    figure: str
    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text; all columns but the first few are numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1
    kind = "table"


@dataclass(frozen=True)
class Plot:
    """A plot with what it shows, in words; its numbers are listed below it."""

    title: str
    text: str
    figure: go.Figure
    kind = "plot"

    @property
    def drawn(self) -> Markup:
        """The plot, for its place in the page."""
        return drawn(self.figure)

    @property
    def numbers(self) -> Table:
        """The plotted numbers: a row for each place on the axis of categories or of x, a column for each line."""
        lines: dict[str, dict[str, str]] = {}
        places: dict[str, None] = {}
        for number, trace in enumerate(self.figure.data):
            at, values = (trace.y, trace.x) if getattr(trace, "orientation", None) == "h" else (trace.x, trace.y)
            line = lines.setdefault(trace.name or f"line {number + 1}", {})
            for place, value in zip(at, values, strict=True):
                name = _text(place)
                places[name] = None
                line[name] = _text(value)
        axis = self.figure.layout.yaxis if self.figure.data[0].orientation == "h" else self.figure.layout.xaxis
        return Table(
            [axis.title.text or "", *lines], [[at, *(line.get(at, "") for line in lines.values())] for at in places]
        )


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    text: str = ""
    blocks: Sequence[Table | Plot] = ()


def write(
    path: Path,
    title: str,
    lead: str,
    tiles: Sequence[Tile],
    sections: Sequence[Section],
    cards: Mapping[str, Mapping[str, str]],
) -> None:
    """Write the page; its folder is made where there is none.

    Args:
        path: of the HTML file.
        title: of the page.
        lead: what it is about.
        tiles: the figures that stand first.
        sections: what follows.
        cards: model cards by title, each a list of terms and what they stand for.
    """
    page = rendered("page.html.j2", title=title, lead=lead, tiles=tiles, sections=sections, cards=cards)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def rendered(template: str, folder: Path = FOLDER, **values: object) -> str:
    """A page in the frame that all reports share: it opens anywhere, without a network.

    Args:
        template: name of the template, which extends `frame.html.j2`.
        folder: of the template.
        values: that the template shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, FOLDER]), autoescape=True, undefined=jinja2.StrictUndefined
    )
    # The same bytes each time: without the time of packing.
    packed = gzip.compress(get_plotlyjs().encode(), compresslevel=9, mtime=0)
    return environment.get_template(template).render(plotly=base64.b64encode(packed).decode(), **values)


def drawn(figure: go.Figure) -> Markup:
    """The data in a `<div class="plot">` of the frame, for its script to draw."""
    # Plotly writes `<`, `>` and `/` as escapes, so no text in a figure can end the element.
    return Markup(f'<script type="application/json">{figure.to_json()}</script>')  # noqa: S704


def _text(value: object) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else str(value)


def number(value: float) -> str:
    """A number as people read it: four digits, or whole and with its thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
