"""The growth of a program with its sites: resources, and the time to register them.

The program is the project's own, run against the recorder: what is measured is the library and Pulumi's SDK, without a
cloud. A site here has two core devices and ten devices.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.figure import Figure, less_is_better
from pm_sandbox.recorder import Recording, record

ROOT = Path(__file__).resolve().parent.parent
SIZES = (1, 10, 100)
#: One program with many sites is to be no dearer than a program for each.
_AGAINST_SEPARATE = 1.0
#: A site among a hundred costs as many resources as a site among ten, and at most twice the time.
_SAME_RESOURCES = 1.0
_SAME_TIME = 0.5
RUNS = 3


def sites(count: int) -> list[dict[str, Any]]:
    """The configuration `pm:sites` of `count` sites."""
    return [
        {
            "name": f"plant-{number:03}",
            "core_devices": [f"plant-{number:03}-core-{core}" for core in (1, 2)],
            "devices": [
                {"name": "air-1", "type": "air_quality"},
                *({"name": f"machine-{machine:02}", "type": "machine"} for machine in range(1, 10)),
            ],
        }
        for number in range(1, count + 1)
    ]


def registered(count: int) -> Recording:
    """The program's registrations for `count` sites."""
    return record(ROOT, "dev", {"pm:sites": sites(count)})


def per_further_site(values: Mapping[int, float], few: int, many: int) -> float:
    """The cost of each site beyond the `few` that are there, up to `many`."""
    return (values[many] - values[few]) / (many - few)


def figures(runs: int = RUNS) -> Iterator[Figure]:
    """One program with 10 and 100 sites against as many programs; a site among 100 against a site among 10."""
    seconds: list[dict[int, float]] = []
    resources: list[dict[int, float]] = []
    for _ in range(runs):
        recordings = {size: registered(size) for size in SIZES}
        seconds.append({size: recording.seconds for size, recording in recordings.items()})
        resources.append({size: len(recording.resources) for size, recording in recordings.items()})
    one, few, many = SIZES
    for word, unit, measured, limit in (
        ("seconds", "s", seconds, _SAME_TIME),
        ("resources", "resources", resources, _SAME_RESOURCES),
    ):
        for size in (few, many):
            separate = [size * run[one] for run in measured]
            yield less_is_better(
                f"sites_{size}_{word}", unit, [run[size] for run in measured], separate, _AGAINST_SEPARATE
            )
        later = [per_further_site(run, few, many) for run in measured]
        earlier = [per_further_site(run, one, few) for run in measured]
        yield less_is_better(f"sites_growth_{word}", f"{unit} a site", later, earlier, limit)
