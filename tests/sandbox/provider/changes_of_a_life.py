"""The changes of a stack's life that both engines go through, and what each may touch: this, and nothing else.

The program is the project's own with the stack `local`, of which the only site is `lindau`.
"""

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[3]
#: The project's program as another release might have it.
NEXT_RELEASE = Path(__file__).resolve().parent / "programs" / "next_release"
#: A small program of which the settings replace and rename.
REPLACED = Path(__file__).resolve().parent / "programs" / "replaced"
_LINDAU: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]["pm:sites"][0]


class Touched(NamedTuple):
    """The resources that a change touches, by patterns of their names.

    Attributes:
        creates: those that come.
        deletes: those that go.
        updates: the inputs that differ of those that are changed in place.
        replaces: the same of those that are replaced.
    """

    creates: Collection[str] = ()
    deletes: Collection[str] = ()
    updates: Mapping[str, tuple[str, ...]] = {}
    replaces: Mapping[str, tuple[str, ...]] = {}

    def steps(self, names: Iterable[str]) -> set[tuple[str, str, tuple[str, ...]]]:
        """The kind of change, the resource and the inputs that differ of each of the resources `names`.

        Raises:
            ValueError: if a pattern fits none of them.
        """
        known = sorted(names)
        found: set[tuple[str, str, tuple[str, ...]]] = set()
        kinds = (
            ("create", dict.fromkeys(self.creates, ())),
            ("delete", dict.fromkeys(self.deletes, ())),
            ("update", self.updates),
            ("replace", self.replaces),
        )
        for kind, patterns in kinds:
            for pattern, keys in patterns.items():
                fitting = [name for name in known if fnmatch(name, pattern)]
                if not fitting:
                    raise ValueError(f"no resource fits {pattern}")
                found |= {(kind, name, keys) for name in fitting}
        return found


class Change(NamedTuple):
    """A change of the stack's settings, from those of its file."""

    config: dict[str, Any]
    touched: Touched


def sites(device: str, core: str, site: str) -> dict[str, Any]:
    """The settings by which the stack's site has one more device and core device, and there is a second site."""
    more = {
        **_LINDAU,
        "core_devices": [*_LINDAU["core_devices"], core],
        "devices": [*_LINDAU["devices"], {"name": device, "type": "machine"}],
    }
    second = {"name": site, "core_devices": [f"{site}-core"], "devices": [{"name": "air-2", "type": "air_quality"}]}
    return {"pm:sites": [more, second]}


def of_sites(device: str, core: str, site: str) -> tuple[str, ...]:
    """Patterns of the names of what these alone have."""
    return (site, f"{site}-*", f"lindau-{core}-*", f"lindau-{device}-*")


ADDED = ("machine-02", "lindau-core-2", "jena")
"""A device, a core device and a site that come."""
RENAMED = ("press-02", "lindau-spare", "weimar")
"""The names that they get."""

AROUND = Touched(
    updates={
        # The list of sites, or a statement for each.
        "store-*-table": ("parameters",),
        "store-*-*-rule": ("sql",),
        "alerting-*-rule": ("sql",),
        "pipeline-drift-rule": ("sql",),
        "pipeline-thing-groups": ("source",),
        "pipeline-release-permissions": ("policy",),
        "pipeline-watch-permissions": ("policy",),
        "pipeline-state-machine": ("definition",),
        # The core devices that may speak for the site's devices.
        "lindau-serving-policy": ("policy",),
    },
    replaces={
        # The list of devices is an artifact.
        "lindau-site-devices-artifact": ("key", "source"),
        "lindau-site-devices-component": ("inlineRecipe",),
        "lindau-deployment": ("components",),
    },
)
"""Existing resources that are touched when a site, a core device and a device come, go or change their names."""

SETTINGS: dict[str, Change] = {
    "whom alerts are mailed to": Change(
        {"pm:alert_emails": ["operator@example.com", "night@example.com"]}, Touched(creates=["alerting-email-f912f0b9"])
    ),
    "whom escalations are mailed to": Change(
        {"pm:escalation_emails": ["manager@example.com"]}, Touched(creates=["alerting-escalation-email-*"])
    ),
    "alarms": Change(
        {"pm:alarms": {"dedupe_seconds": 60, "escalation_seconds": 600, "escalation_severities": ["critical"]}},
        Touched(updates={"alerting-forwarder-function": ("environment",)}),
    ),
    "whether CloudWatch tells": Change({"pm:alarm_actions": True}, Touched(updates={"*-alarm": ("actionsEnabled",)})),
    "core devices": Change(
        {"pm:flow_control": "aws", "pm:python": "/usr/bin/python3.11", "pm:data_directory": "/srv/pm"},
        Touched(
            updates={"pipeline-release-function": ("environment",)}, replaces={"lindau-deployment": ("components",)}
        ),
    ),
    "voice": Change(
        {"pm:voice": "Matthew", "pm:voice_engine": "standard"},
        Touched(updates={"alerting-announcer-function": ("environment",)}),
    ),
    "retention": Change(
        {"pm:retention_days": 11, "pm:log_retention_days": 14},
        Touched(
            updates={
                "store-*-table": ("parameters",),
                "*-lifecycle": ("rules",),
                "*-logs": ("retentionInDays",),
            }
        ),
    ),
    "lake": Change(
        {"pm:lake": {"scan_limit_bytes": 20_000_000}}, Touched(updates={"store-workgroup": ("configuration",)})
    ),
    "detector": Change(
        {"pm:detector": {"window": 48, "tolerance": 0.4}},
        Touched(updates={"alerting-detector-function": ("environment",)}),
    ),
    "training": Change(
        {
            "pm:training": {
                "schedule": "rate(2 days)",
                "schedule_enabled": True,
                "minimum_skill": 0.2,
                "champion_margin": 0.1,
                "instance_type": "ml.m5.2xlarge",
                "maximum_seconds": 7200,
            }
        },
        Touched(
            updates={
                "pipeline-schedule": ("scheduleExpression", "state"),
                "pipeline-gate-function": ("environment",),
                "pipeline-state-machine": ("definition",),
            }
        ),
    ),
}
"""A change of each group of settings by what it is of. No two touch the same input, so that they may come together."""

TAGS = {"pm:owner": "somebody", "pm:cost_centre": "4711"}
"""A change to what each resource with tags is tagged with, and to nothing else."""

RELEASED = Touched(
    deletes=["edge-device-simulator-*"],
    updates={
        "alerting-detector-function": ("code",),
        "pipeline-watch-function": ("memorySize",),
        "pipeline-watch-permissions": ("policy",),
    },
    replaces={
        "edge-uplink-artifact": ("key", "source"),
        "edge-uplink-component": ("inlineRecipe",),
        "edge-fault-detector-component": ("inlineRecipe",),
        "lindau-deployment": ("components",),
    },
)
"""The resources that `NEXT_RELEASE` touches."""
