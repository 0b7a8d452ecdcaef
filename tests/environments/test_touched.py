"""A site, or a device, that comes to production: exactly these resources of what is there already are touched.

Not proved here: that Pulumi's engine and AWS touch no more (tests/engine adds a site by the engine).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pm_sandbox.recorder import Recording, record

ROOT = Path(__file__).resolve().parents[2]
SITE = {"name": "jena", "core_devices": ["jena-core"], "devices": [{"name": "air-2", "type": "air_quality"}]}
DEVICE = {"name": "air-99", "type": "air_quality"}
#: The inputs that a further site changes, by logical name; docs/environments.md says why.
BY_A_SITE = {
    **{
        f"store-{table}-table": ["parameters"]
        for table in (
            *("air_quality_reading", "machine_reading", "forecast", "outcome", "trial_outcome"),
            *("fault_score", "alert"),
        )
    },
    **{
        f"{rule}-rule": ["sql"]
        for rule in (
            *("store-air_quality_reading-history", "store-air_quality_reading-reading"),
            *("store-machine_reading-history", "store-machine_reading-reading"),
            *("store-forecast-forecast", "store-outcome-outcome", "store-trial_outcome-trial"),
            *("store-fault_score-fault", "store-alert-alert"),
            *(
                f"store-{channel}-refused"
                for channel in ("reading", "history", "forecast", "outcome", "trial", "fault")
            ),
            *("store-alert-refused", "alerting-detector-refused", "alerting-forwarder-refused"),
            *("alerting-detector", "alerting-forwarder", "pipeline-drift"),
        )
    },
    **{f"pipeline-{function}-permissions": ["policy"] for function in ("release", "trial", "watch")},
    "pipeline-state-machine": ["definition"],
    "pipeline-thing-groups": ["source"],
}
#: The same of a further device of the site `lindau`.
BY_A_DEVICE = {
    "lindau-site-devices-artifact": ["key", "source"],
    "lindau-site-devices-component": ["inlineRecipe"],
    "lindau-deployment": ["components"],
}


def _sites() -> list[dict[str, Any]]:
    sites: list[dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]["pm:sites"]
    return sites


def _changes(before: Recording, sites: list[dict[str, Any]]) -> tuple[set[str], dict[str, list[str]]]:
    """The names of what comes with other sites, and the inputs that change of what is there, by name."""
    old = {one.urn: one for one in before.resources}
    new = {one.urn: one for one in record(ROOT, "prod", {"pm:sites": sites}).resources}
    assert old.keys() <= new.keys(), f"gone: {sorted(old.keys() - new.keys())}"
    changed = {
        one.name: [
            key for key in sorted({*one.inputs, *new[urn].inputs}) if one.inputs.get(key) != new[urn].inputs.get(key)
        ]
        for urn, one in old.items()
    }
    return {new[urn].name for urn in new.keys() - old.keys()}, {name: keys for name, keys in changed.items() if keys}


def test_a_site_touches_what_lists_the_sites_and_nothing_of_another_site(recorded: Callable[..., Recording]) -> None:
    made, touched = _changes(recorded("prod"), [*_sites(), SITE])
    assert touched == BY_A_SITE
    assert len(made) >= 15
    assert all(name.startswith("jena") for name in made)


def test_a_device_touches_its_sites_list_of_devices_alone(recorded: Callable[..., Recording]) -> None:
    first, *others = _sites()
    assert first["name"] == "lindau"
    made, touched = _changes(recorded("prod"), [{**first, "devices": [*first["devices"], DEVICE]}, *others])
    assert touched == BY_A_DEVICE
    assert made == {"lindau-air-99-thing"}
