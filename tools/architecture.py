"""The architecture picture, drawn from what is there: `python -m tools.architecture` writes docs/architecture.svg.

Its source for a core device is the recipes, for the cloud the resources that the stack `dev` registers, with their
inputs, and for the packages the imports between them.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import grimp
import yaml

from pm_sandbox.recorder import Recording, Registered, record

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGES = (
    "pm_contracts", "pm_components", "pm_edge", "pm_ml", "pm_policies", "pm_sandbox", "pm_cli", "bench", "examples",
)  # fmt: skip

#: Channels of every component, which say nothing about one of them.
_OF_ALL = {"status", "dead-letter"}
#: Type tokens by what people call the service; of another, its token stands in the picture.
_SERVICES = {
    "athena": "Athena", "cloudwatch": "CloudWatch", "dynamodb": "DynamoDB", "ec2": "EC2", "glue": "Glue",
    "greengrassv2": "Greengrass", "iam": "IAM", "iot": "IoT Core", "kinesis": "Firehose", "kms": "KMS",
    "lambda": "Lambda", "s3": "S3", "sagemaker": "SageMaker", "scheduler": "Scheduler", "sfn": "Step Functions",
    "sns": "SNS", "sqs": "SQS",
}  # fmt: skip
#: A bucket is passed on once it keeps versions.
_ALIASES = {"BucketVersioning": "bucket", "CatalogDatabase": "database", "ComponentVersion": "versions"}

_WIDTH, _MARGIN = 1000, 20
_STYLE = """
.page{fill:#ffffff}.panel{fill:#f4f6fa}.card{fill:#ffffff;stroke:#d5dbe5}.chip{fill:#eef1f6}.bus{fill:#c9d4e6}
.name{font-size:16px;font-weight:650;fill:#172033}.head{font-size:18px;font-weight:650;fill:#172033}
.text{font-size:13.5px;fill:#44506a}.small{font-size:13px;fill:#44506a}.count{font-weight:650;fill:#172033}
.line{fill:none;stroke:#8190aa;stroke-width:1.8}.tip{fill:#8190aa}
.c0{--c:#d1495b}.c1{--c:#2e7dd1}.c2{--c:#8a4fd0}.c3{--c:#b97a10}.c4{--c:#1d8a62}.c5{--c:#566279}
.fill{fill:var(--c)}.arc{fill:none;stroke:var(--c);stroke-width:2.2}.tone{fill:var(--c);font-weight:650}
@media (prefers-color-scheme:dark){
.page{fill:#0d1117}.panel{fill:#161c26}.card{fill:#1e2633;stroke:#344054}.chip{fill:#2b3545}.bus{fill:#3c4a60}
.name,.head,.count{fill:#eef2f8}.text,.small{fill:#b4bfd0}.line{stroke:#7f8da5}.tip{fill:#7f8da5}
.c0{--c:#ff8494}.c1{--c:#6db3ff}.c2{--c:#c09aff}.c3{--c:#f0b950}.c4{--c:#58cf9f}.c5{--c:#a9b5c8}
}
""".replace("\n", "")


class EdgeComponent(NamedTuple):
    """A component of a core device, and the channels of the local bus that it uses."""

    name: str
    hears: list[str]
    says: list[str]


class Component(NamedTuple):
    """A component of the library as the stack `dev` registers it."""

    name: str
    services: list[tuple[str, int]]
    """Services with the number of their resources, the most first."""
    channels: list[str]
    """Channels that its rules take from the floor."""
    inputs: dict[str, list[str]]
    """Kinds of resources that its own are given from other components, by the component's name."""
    deploys: bool

    @property
    def resources(self) -> int:
        """The number of its resources."""
        return sum(count for _, count in self.services)


class Package(NamedTuple):
    """A package of the repository."""

    name: str
    summary: str
    imports: list[str]
    """Packages that it imports, without those that it reaches through another of them."""


def _channel(topic: str) -> str:
    """The channel of a topic or topic filter: `*/reading` of `pm/SITE/*/reading`, without what stands for devices."""
    return topic.split("/", 2)[2].removeprefix("*/").removeprefix("+/")


def edge_components(folder: Path = ROOT / "pm_edge" / "components") -> list[EdgeComponent]:
    """The components of a core device, by their recipes: those of the bus, the uplink last of them, and the rest."""
    found = []
    for path in sorted(folder.glob("*/recipe.yaml")):
        recipe = yaml.safe_load(path.read_text())
        grants = recipe["ComponentConfiguration"]["DefaultConfiguration"].get("accessControl", {})
        topics: dict[str, list[str]] = {"SubscribeToTopic": [], "PublishToTopic": []}
        for policy in (one for service in grants.values() for one in service.values()):
            for operation in policy["operations"]:
                channels = map(_channel, policy["resources"])
                topics[operation.partition("#")[2]] += [one for one in channels if one not in _OF_ALL]
        name = recipe["ComponentName"].removeprefix("pm.")
        found.append(EdgeComponent(name, topics["SubscribeToTopic"], topics["PublishToTopic"]))
    return sorted(found, key=lambda one: (not one.hears, "#" in one.hears))


def _words(type_: str) -> str:
    """The words of a resource type: `Topic` of `aws:sns/topic:Topic` as `topic`."""
    last = type_.rpartition(":")[2]
    return _ALIASES.get(last, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", last).lower())


def components(recording: Recording) -> list[Component]:
    """The components of a recording, each after those that it is given something of."""
    by_urn = {one.urn: one for one in recording.resources}

    def owner(resource: Registered) -> str:
        """The outermost component of the library that a resource belongs to."""
        above = by_urn.get(resource.parent)
        outer = owner(above) if above else ""
        mine = resource.type.rpartition(":")[2] if resource.type.startswith("pm:") else ""
        return outer or mine

    found: dict[str, Any] = {}
    for resource in recording.resources:
        name = owner(resource)
        if not name or not resource.custom:
            continue
        services, channels, inputs, types = found.setdefault(name, (Counter(), set(), {}, set()))
        service = resource.type.split(":")[1].partition("/")[0]
        services[_SERVICES.get(service, service)] += 1
        types.add(resource.type.rpartition(":")[2])
        channels.update(map(_channel, re.findall(r"FROM '([^']+)'", str(resource.inputs.get("sql", "")))))
        for urn in (one for urns in resource.input_dependencies.values() for one in urns):
            giver = owner(by_urn[urn]) if urn in by_urn else ""
            if giver not in ("", name):
                inputs.setdefault(giver, set()).add(_words(by_urn[urn].type))
    made = [
        Component(
            name,
            sorted(services.items(), key=lambda one: (-one[1], one[0])),
            sorted(channels),
            {giver: sorted(kinds) for giver, kinds in sorted(inputs.items())},
            "Deployment" in types,
        )
        for name, (services, channels, inputs, types) in sorted(found.items())
    ]
    ordered: list[Component] = []
    while made:
        named = {one.name for one in ordered}
        ready = next(one for one in made if set(one.inputs) <= named)
        made.remove(ready)
        ordered.append(ready)
    return ordered


def packages(names: Sequence[str] = PACKAGES) -> list[Package]:
    """The packages, with what each imports of the others directly."""
    graph = grimp.build_graph(*names, cache_dir=None)
    imports: dict[str, set[str]] = {name: set() for name in names}
    for name in names:
        for module in {name, *graph.find_descendants(name)}:
            targets = {one.partition(".")[0] for one in graph.find_modules_directly_imported_by(module)}
            imports[name] |= targets & set(names) - {name}

    def reached(name: str) -> set[str]:
        """All that a package imports, at whatever remove."""
        return imports[name].union(*map(reached, imports[name]))

    found = []
    for name in names:
        through = set[str]().union(*map(reached, imports[name]))
        summary = (import_module(name).__doc__ or "").strip().splitlines()[0].rstrip(".").replace("`", "")
        found.append(Package(name, summary, sorted(imports[name] - through)))
    return found


class _Canvas:
    """The lines of the picture."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, style: str, radius: float = 10) -> None:
        self.lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" class="{style}"/>'
        )

    def text(self, x: float, y: float, text: str, style: str, anchor: str = "") -> None:
        where = f' text-anchor="{anchor}"' if anchor else ""
        self.lines.append(f'<text x="{x:g}" y="{y:g}" class="{style}"{where}>{escape(text)}</text>')

    def spans(self, x: float, y: float, parts: Sequence[tuple[str, str]], style: str) -> None:
        inner = "".join(f'<tspan class="{one}">{escape(text)}</tspan>' if one else escape(text) for text, one in parts)
        self.lines.append(f'<text x="{x:g}" y="{y:g}" class="{style}" xml:space="preserve">{inner}</text>')

    def path(self, path: str, style: str) -> None:
        self.lines.append(f'<path d="{path}" class="{style}"/>')

    def arrow(self, path: str, tip: tuple[float, float], direction: str, style: str, tip_style: str) -> None:
        x, y = tip
        back = {"right": (-8, 0), "left": (8, 0), "down": (0, -8), "up": (0, 8)}[direction]
        side = (0, 5) if back[1] == 0 else (5, 0)
        self.path(path, style)
        points = [
            (x, y),
            (x + back[0] + side[0], y + back[1] + side[1]),
            (x + back[0] - side[0], y + back[1] - side[1]),
        ]
        self.path("M" + " L".join(f"{a:g} {b:g}" for a, b in points) + "Z", tip_style)


def _wide(text: str, size: float = 13.5) -> float:
    """About the width of a text, generous."""
    return len(text) * size * 0.56


def _chips(services: Sequence[tuple[str, int]], width: float) -> Iterator[tuple[float, int, float, str, int]]:
    """Place a chip for each service: x, row, width, name, number."""
    x, row = 0.0, 0
    for name, count in services:
        wide = _wide(f"{count} {name}") + 18
        if x + wide > width:
            x, row = 0.0, row + 1
        yield x, row, wide, name, count
        x += wide + 6


_FLOOR_X, _FLOOR_WIDE = _MARGIN, 300
_CLOUD_X = _FLOOR_X + _FLOOR_WIDE + 24
_CLOUD_WIDE = _WIDTH - _MARGIN - _CLOUD_X
_CARD_X, _CARD_WIDE = _CLOUD_X + 28, _CLOUD_WIDE - 28 - 84
_TOP = 62


def _cloud(canvas: _Canvas, found: Sequence[Component], top: float) -> tuple[float, dict[str, tuple[float, float]]]:
    """Draw the components of the cloud; gives the lower end, and the upper and lower edge of each card."""
    y = top + _TOP
    edges: dict[str, tuple[float, float]] = {}
    tone = {one.name: f"c{min(number, 5)}" for number, one in enumerate(found)}
    cards = _Canvas()
    for one in found:
        at = y + 26
        cards.text(_CARD_X + 20, at, one.name, "name")
        cards.text(_CARD_X + _CARD_WIDE - 14, at, f"{one.resources} resources", "small", "end")
        lines: list[list[tuple[str, str]]] = []
        if one.channels:
            lines += [[(line, "")] for line in textwrap.wrap("hears " + ", ".join(one.channels), 66)]
        for giver, kinds in one.inputs.items():
            lines.append([("from ", ""), (giver, f"tone {tone[giver]}"), (": " + ", ".join(kinds), "")])
        for line in lines:
            at += 20
            cards.spans(_CARD_X + 20, at, line, "text")
        at += 12
        row = 0
        for x, row, wide, name, count in _chips(one.services, _CARD_WIDE - 34):
            cards.box(_CARD_X + 20 + x, at + row * 28, wide, 23, "chip", 11)
            cards.spans(_CARD_X + 29 + x, at + 16 + row * 28, [(str(count), "count"), (f" {name}", "")], "small")
        bottom = at + row * 28 + 23 + 14
        canvas.box(_CARD_X, y, _CARD_WIDE, bottom - y, "card")
        canvas.box(_CARD_X, y, 7, bottom - y, f"fill {tone[one.name]}", 3)
        edges[one.name] = (y, bottom)
        y = bottom + 14
    canvas.lines += cards.lines
    right = _CARD_X + _CARD_WIDE
    # What one is given by another: the nearest lane of its right side that no other takes there.
    lanes: list[list[tuple[float, float]]] = []
    taken: Counter[str] = Counter()
    for taker in found:
        for giver in taker.inputs:
            start = edges[giver][1] - 12 - 9 * taken[f"{giver} gives"]
            end = edges[taker.name][0] + 14 + 12 * taken[f"{taker.name} takes"]
            taken[f"{giver} gives"] += 1
            taken[f"{taker.name} takes"] += 1
            lane = next(
                (n for n, one in enumerate(lanes) if all(end < a - 4 or start > b + 4 for a, b in one)), len(lanes)
            )
            if lane == len(lanes):
                lanes.append([])
            lanes[lane].append((start, end))
            x = right + 22 + lane * 13
            path = (
                f"M{right:g} {start:g} H{x - 8:g} Q{x:g} {start:g} {x:g} {start + 8:g} V{end - 8:g} "
                f"Q{x:g} {end:g} {x - 8:g} {end:g} H{right + 7:g}"
            )
            canvas.arrow(path, (right + 1, end), "left", f"arc {tone[giver]}", f"fill {tone[giver]}")
    return y, edges


def _floor(canvas: _Canvas, found: Sequence[EdgeComponent], top: float, bottom: float) -> float:
    """Draw the components of a core device; gives the height at which the last of them, the uplink, meets the cloud."""
    *on_bus, uplink = [one for one in found if one.hears or one.says]
    beside = [one.name for one in found if not (one.hears or one.says)]
    x, wide, height = _FLOOR_X + 16, _FLOOR_WIDE - 32 - 50, 78
    bus = x + wide + 32
    below = 34 + 22 * len(beside)
    end = bottom - below - 18 - height
    step = (end - top - _TOP) / len(on_bus)
    canvas.box(bus, top + _TOP, 18, end - top - _TOP - 24, "bus", 9)
    canvas.lines.append(
        f'<text transform="translate({bus + 13.5:g} {(top + _TOP + end - 24) / 2:g}) rotate(-90)" class="small" '
        'text-anchor="middle">local bus</text>'
    )
    for number, one in enumerate(on_bus):
        y = top + _TOP + number * step
        middle = y + height / 2
        canvas.box(x, y, wide, height, "card")
        canvas.text(x + 14, y + 26, one.name, "name")
        canvas.spans(x + 14, y + 46, [("hears ", ""), (", ".join(one.hears), "count")], "small")
        canvas.spans(x + 14, y + 65, [("says ", ""), (", ".join(one.says), "count")], "small")
        canvas.arrow(f"M{bus:g} {middle - 8:g} H{x + wide + 8:g}", (x + wide + 1, middle - 8), "left", "line", "tip")
        canvas.arrow(f"M{x + wide:g} {middle + 10:g} H{bus - 8:g}", (bus - 1, middle + 10), "right", "line", "tip")
    canvas.box(x, end, wide + 50, height, "card")
    canvas.text(x + 14, end + 26, uplink.name, "name")
    canvas.spans(x + 14, end + 46, [("hears ", ""), ("all of it", "count"), (", for the cloud", "")], "small")
    back = sorted({one.partition("/")[0] for one in uplink.says})
    canvas.spans(x + 14, end + 65, [("says ", ""), (", ".join(back), "count"), (", from the cloud", "")], "small")
    canvas.arrow(f"M{bus + 4:g} {end - 24:g} V{end - 8:g}", (bus + 4, end - 1), "down", "line", "tip")
    canvas.arrow(f"M{bus + 14:g} {end:g} V{end - 16:g}", (bus + 14, end - 23), "up", "line", "tip")
    y = bottom - below
    canvas.text(x, y + 10, "and, beside them", "small")
    for number, name in enumerate(beside):
        canvas.box(x, y + 20 + 22 * number, 8, 8, "bus", 2)
        canvas.text(x + 16, y + 29 + 22 * number, name, "text")
    return end + height / 2


def _packages(canvas: _Canvas, found: Sequence[Package], top: float) -> float:
    """Draw the packages, each above those that it imports; gives the lower end."""
    by_name = {one.name: one for one in found}

    def rank(name: str) -> int:
        """The number of the row, from below."""
        return 1 + max(map(rank, by_name[name].imports), default=-1)

    rows: dict[int, list[Package]] = {}
    for one in found:
        rows.setdefault(rank(one.name), []).append(one)
    wide, height, gap = 292.0, 90, 34
    count = max(map(len, rows.values()))
    wide = min(wide, (_WIDTH - 2 * _MARGIN - 32 - 16 * (count - 1)) / count)
    bottom = top + _TOP + len(rows) * (height + gap) - gap + 20
    canvas.box(_MARGIN, top, _WIDTH - 2 * _MARGIN, bottom - top, "panel", 16)
    canvas.text(_MARGIN + 18, top + 30, "Packages", "head")
    canvas.text(
        _MARGIN + 18,
        top + 50,
        "each above those that it imports; an import that other arrows imply has no arrow",
        "text",
    )
    places: dict[str, tuple[float, float]] = {}
    for number, row in rows.items():
        y = top + _TOP + (len(rows) - 1 - number) * (height + gap)
        total = len(row) * wide + (len(row) - 1) * 16
        for column, one in enumerate(row):
            places[one.name] = ((_WIDTH - total) / 2 + column * (wide + 16), y)
    boxes = _Canvas()
    for one in found:
        x, y = places[one.name]
        boxes.box(x, y, wide, height, "card")
        boxes.text(x + wide / 2, y + 24, one.name, "name", "middle")
        for row_number, line in enumerate(textwrap.wrap(one.summary, int((wide - 16) / 6.8))[:3]):
            boxes.text(x + wide / 2, y + 43 + 17 * row_number, line, "small", "middle")
    for one in found:
        x, y = places[one.name]
        for number, name in enumerate(one.imports):
            to_x, to_y = places[name]
            start = x + wide * (number + 1) / (len(one.imports) + 1)
            takers = sorted((places[other.name][0], other.name) for other in found if name in other.imports)
            place = [other for _, other in takers].index(one.name)
            end = to_x + wide * (place + 1) / (len(takers) + 1)
            middle = (y + height + to_y) / 2
            canvas.arrow(
                f"M{start:g} {y + height:g} C{start:g} {middle:g} {end:g} {middle:g} {end:g} {to_y - 7:g}",
                (end, to_y - 1), "down", "line", "tip",
            )  # fmt: skip
    canvas.lines += boxes.lines
    return bottom


def draw(edge: Sequence[EdgeComponent], cloud: Sequence[Component], code: Sequence[Package]) -> str:
    """The picture: the floor beside the cloud, and the packages below."""
    canvas = _Canvas()
    body = _Canvas()
    top = _MARGIN
    bottom, edges = _cloud(body, cloud, top)
    bottom += 6
    uplink = _floor(body, edge, top, bottom)
    canvas.box(_FLOOR_X, top, _FLOOR_WIDE, bottom - top, "panel", 16)
    canvas.text(_FLOOR_X + 18, top + 30, "On each core device", "head")
    canvas.text(_FLOOR_X + 18, top + 50, "from the recipes in pm_edge", "text")
    canvas.box(_CLOUD_X, top, _CLOUD_WIDE, bottom - top, "panel", 16)
    total = sum(one.resources for one in cloud)
    canvas.text(_CLOUD_X + 18, top + 30, "In AWS, or in the sandbox", "head")
    canvas.text(_CLOUD_X + 18, top + 50, f"from the {total} resources that the stack dev registers", "text")
    # From the uplink to each component with rules, and back to the floor what is deployed.
    trunk = _CLOUD_X + 2
    out = _FLOOR_X + _FLOOR_WIDE - 16
    takers = [edges[one.name][0] + 20 for one in cloud if one.channels]
    body.path(f"M{out:g} {uplink:g} H{trunk:g} M{trunk:g} {max(*takers, uplink):g} V{min(takers):g}", "line")
    for y in takers:
        body.arrow(f"M{trunk:g} {y:g} H{_CARD_X - 8:g}", (_CARD_X - 1, y), "right", "line", "tip")
    for one in (one for one in cloud if one.deploys):
        y = edges[one.name][1] - 26
        tone = f"c{min(list(cloud).index(one), 5)}"
        body.arrow(f"M{_CARD_X:g} {y:g} H{_FLOOR_X + _FLOOR_WIDE - 7:g}", (_FLOOR_X + _FLOOR_WIDE - 14, y), "left",
                   f"arc {tone}", f"fill {tone}")  # fmt: skip
        body.text(_FLOOR_X + _FLOOR_WIDE - 20, y + 5, "deployments", "small", "end")
    canvas.lines += body.lines
    height = _packages(canvas, code, bottom + 20) + _MARGIN
    label = "Architecture: components of a core device and of the cloud, and the packages with their imports"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{label}"'
            " font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\">",
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height:g}" class="page"/>',
            *canvas.lines,
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(edge_components(), components(record(ROOT, "dev")), packages()))
