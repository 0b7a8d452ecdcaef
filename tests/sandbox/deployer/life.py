"""The life of a stack: devices, core devices and sites that come, get another name and go, each twice.

The program is `programs/sites`. Our own engine lives it in test_life.py, Pulumi's in tests/engine.
"""

from typing import Any, NamedTuple

Sites = list[dict[str, Any]]


class Change(NamedTuple):
    """An update.

    Attributes:
        sites: The configuration from then on.
        things: The names of all things in the cloud afterwards.
        replaced: The logical names of the Greengrass deployments that are replaced, since the list of devices of their
            site is another.
    """

    sites: Sites
    things: set[str]
    replaced: set[str]


def _site(name: str, core_devices: list[str], devices: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "core_devices": core_devices, "devices": devices}


START = Change([_site("ulm", ["ulm-core"], {"press": "machine"})], {"ulm-core", "ulm_press"}, set())
ADDED = Change(
    [
        _site("ulm", ["ulm-core", "ulm-second"], {"press": "machine", "hall": "air_quality"}),
        _site("jena", ["jena-core"], {"oven": "machine"}),
    ],
    {"ulm-core", "ulm-second", "ulm_press", "ulm_hall", "jena-core", "jena_oven"},
    {"ulm-deployment"},
)
RENAMED = Change(
    [
        _site("ulm", ["ulm-core", "ulm-third"], {"press": "machine", "yard": "air_quality"}),
        _site("gera", ["gera-core"], {"oven": "machine"}),
    ],
    {"ulm-core", "ulm-third", "ulm_press", "ulm_yard", "gera-core", "gera_oven"},
    {"ulm-deployment"},
)
REMOVED = Change(START.sites, START.things, {"ulm-deployment"})
#: After `START`: a device, a core device and a site are added, get another name, and are removed; and once more.
LIFE = [ADDED, RENAMED, REMOVED] * 2
#: The resources of another stack beside it, which nothing of this touches.
BESIDE = Change([_site("bremen", ["bremen-core"], {"mill": "machine"})], {"bremen-core", "bremen_mill"}, set())
