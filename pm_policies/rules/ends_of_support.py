"""Ends of support, told half a year before: runtimes of functions and images of training jobs."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import NamedTuple

from pm_policies.inputs import document, texts_of
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_FUNCTION = "aws:lambda/function:Function"
_STATE_MACHINE = "aws:sfn/stateMachine:StateMachine"

WARNING_DAYS = 180
RUNTIMES_PAGE = "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"
IMAGES_PAGE = "https://aws.github.io/deep-learning-containers/reference/support_policy"

#: "Deprecation date" of each Python runtime of AWS Lambda, on `RUNTIMES_PAGE`. AWS blocks updates two months later.
RUNTIMES = {
    "python3.8": dt.date(2024, 10, 14),
    "python3.9": dt.date(2025, 12, 15),
    "python3.10": dt.date(2026, 10, 31),
    "python3.11": dt.date(2027, 6, 30),
    "python3.12": dt.date(2028, 10, 31),
    "python3.13": dt.date(2029, 6, 30),
}
#: "EOP Date", the end of patches, of AWS Deep Learning Containers by framework and version, on `IMAGES_PAGE`.
IMAGES = {
    ("pytorch", "2.4"): dt.date(2025, 7, 24),
    ("pytorch", "2.5"): dt.date(2025, 10, 29),
    ("pytorch", "2.6"): dt.date(2026, 1, 29),
    ("pytorch", "2.7"): dt.date(2026, 4, 23),
    ("pytorch", "2.8"): dt.date(2026, 8, 6),
    ("pytorch", "2.9"): dt.date(2026, 10, 15),
    ("pytorch", "2.10"): dt.date(2027, 1, 21),
}
#: An image of AWS Deep Learning Containers for training, as `.../pytorch-training:2.5.1-cpu-py311-...`.
_IMAGE = re.compile(r"\.dkr\.ecr\.[^/]+/(?P<framework>[a-z]+)-training:(?P<version>\d+\.\d+)")


class _Used(NamedTuple):
    """Something of AWS's that a resource stands on."""

    what: str
    ends: dt.date | None
    """None if the tables have none."""
    source: str


def check(resource: Resource, settings: Settings) -> Iterator[str]:
    """The parts of a resource that AWS no longer supports, will soon not support, or has no known end for."""
    today = dt.date.fromisoformat(settings["today"]) if settings["today"] else dt.datetime.now(dt.UTC).date()
    for used in _used(resource):
        if used.ends is None:
            yield f"{used.what}: when its support ends is not known here; add it to {__name__} from {used.source}"
        elif used.ends < today:
            yield f"{used.what}: its support ended on {used.ends} ({used.source})"
        elif (days := (used.ends - today).days) <= settings["warning_days"]:
            yield f"{used.what}: its support ends on {used.ends}, in {days} days ({used.source})"


def _used(resource: Resource) -> Iterator[_Used]:
    if resource.type == _FUNCTION and (runtime := resource.inputs.get("runtime")):
        yield _Used(f"runtime {runtime}", RUNTIMES.get(runtime), RUNTIMES_PAGE)
    elif resource.type == _STATE_MACHINE:
        for image in sorted(set(texts_of(document(resource.inputs, "definition"), "TrainingImage"))):
            # What is in an image of one's own is for its owner to know.
            if found := _IMAGE.search(image):
                yield _Used(f"training image {image}", IMAGES.get((found["framework"], found["version"])), IMAGES_PAGE)


RULE = ResourceRule(
    name="ends-of-support",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    demand="Functions and training jobs run on what AWS goes on supporting for half a year or more.",
    why="After that day there are no security patches, and some time later a function cannot be changed any more.",
    mend="move to the next runtime or image, after its tests have passed (pm:training image_uri names another image)",
    settings={
        "warning_days": {
            "type": "number",
            "default": WARNING_DAYS,
            "description": "days before the end from which a warning is given",
        },
        "today": {
            "type": "string",
            "default": "",
            "description": "the day to judge by, ISO 8601; empty for today, UTC",
        },
    },
    check=check,
)
