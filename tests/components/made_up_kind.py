"""A third kind of model, as a record; run as a program, it says what follows from it for whoever reads the records."""

import json
import subprocess
from pathlib import Path
from typing import Annotated, Any, ClassVar
from unittest import mock

from msgspec import Meta

from pm_contracts.manifest import Manifest
from pm_contracts.messages import MachineReading, Name, _Message
from pm_contracts.model_kinds import MODEL_KINDS, ModelKind, Reference

NAME = "life"


class LifeManifest(Manifest, frozen=True, kw_only=True, tag_field="kind", tag=NAME):
    """Of a model of a machine's remaining life."""

    unit: str


class RemainingLife(_Message, frozen=True, kw_only=True):
    """The hours that a machine is still to run."""

    kind: ClassVar[str] = "remaining_life"
    identity: ClassVar[tuple[str, ...]] = ("site", "device")

    device: Name
    hours: Annotated[float, Meta(ge=0)]


LIFE = ModelKind(
    name=NAME,
    manifest=LifeManifest,
    reading=MachineReading,
    script="pm_ml/life/train.py",
    figures=("error_hours", "mean_life_error_hours"),
    reference=Reference(
        error="error_hours",
        errors_without_model=("mean_life_error_hours",),
        merit="error saved",
        verbs=("is nearer", "is no nearer"),
        comparison="than the mean life: {error_hours:.0f} h against {mean_life_error_hours:.0f} h",
    ),
    component="pm.LifeEstimator",
    message=RemainingLife,
    channel="life",
    trial=None,
)


def followed() -> dict[str, Any]:
    """The answers of readers of the records that read them as they are imported, which they are only from here on."""
    MODEL_KINDS[NAME] = LIFE
    from typer.testing import CliRunner

    from pm_cli import training_runs
    from pm_cli.main import app
    from pm_contracts import tables, topics
    from pm_edge.components.uplink.admission import Admission

    topic = topics.device_topic("lindau", "pump-1", "life")
    parsed = topics.parse_topic(topic)
    (table,) = (each for each in tables.TABLES if each.name == RemainingLife.kind)
    message = json.dumps({"site": "lindau", "device": "pump-1", "hours": 7.0}).encode()
    _, route = Admission("lindau", {"pump-1": "machine"}).check(topic, message)
    with mock.patch.object(subprocess, "run", return_value=mock.Mock(returncode=0)) as run:
        training_runs.train_here(NAME, Path("data"), Path("model"), {})
    return {
        "topic": [parsed.site, parsed.device, parsed.channel, parsed.message_type.__name__],
        "table": table.topic_filters,
        "columns": [column.name for column in table.columns],
        "priority": route.priority and route.priority.name,
        "help": " ".join(CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output.split()),
        "trained": [Path(run.call_args.args[0][1]).relative_to(training_runs.ROOT).as_posix()],
    }


if __name__ == "__main__":
    print(json.dumps(followed()))
