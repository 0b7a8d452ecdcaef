"""The kinds of models, one record each.

Whatever differs between kinds follows from these records: topics and tables, the order in which the uplink sends, the
training pipeline and its gate, the trial beside the champion, and the commands of `pm`. The code of a kind stands in
its own folder of `pm_ml`, and in those of the edge components that answer with its models.
"""

from collections.abc import Mapping
from typing import NamedTuple, Union

from pm_contracts.manifest import FaultManifest, ForecastManifest, Manifest, decode_as
from pm_contracts.messages import (
    AirQualityReading,
    FaultScore,
    Forecast,
    MachineReading,
    Outcome,
    TrialOutcome,
    _Message,
    _Reading,
)
from pm_contracts.skill import skill


class Reference(NamedTuple):
    """The rule without a model that a model must beat, by figures of the validation."""

    error: str
    """The figure of the model's own error or cost."""
    errors_without_model: tuple[str, ...]
    """The figures of the errors or costs of rules that need no model; the least is the one to beat."""
    merit: str
    """The word for the share of that error or cost that the model saves."""
    verbs: tuple[str, str]
    """The verdict in words: if the model beats it, and if not."""
    comparison: str
    """The rest of that sentence, a format of the figures, `merit` and `minimum`."""
    minimum: str = ""
    """The gate's setting of the merit that must be exceeded; without one it is 0."""
    concluded: tuple[str, ...] = ()
    """Further figures that the validation must have; they may be below 0, which errors and costs may not."""

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures of the validation without which a model is not judged."""
        return (self.error, *self.errors_without_model, *self.concluded)

    def merit_of(self, figures: Mapping[str, float]) -> float:
        """The share of the reference's error or cost that a model saves: 1 at most, 0 at par.

        It is computed from what was measured; the merit that the training script concluded is not looked at.
        """
        return skill(figures[self.error], min(figures[name] for name in self.errors_without_model))


class Trial(NamedTuple):
    """The rule by which a challenger is tried beside the champion: their errors, as far as outcomes come in."""

    folder: str
    """The folder of the edge component that answers with the challenger."""
    outcome: type[Outcome]
    """The champion's outcomes."""
    outcome_channel: str
    trial_outcome: type[TrialOutcome]
    """The challenger's outcomes."""
    trial_channel: str


class ModelKind(NamedTuple):
    """A kind of model."""

    name: str
    manifest: type[Manifest]
    """The manifest of its models, whose tag is the kind's name."""
    reading: type[_Reading]
    """The readings that it is trained on and answers."""
    script: str
    """The training script, by its path in the training code."""
    figures: tuple[str, ...]
    """Figures of the validation, which the script prints as `validation_NAME=VALUE` and the job keeps as metrics."""
    reference: Reference
    component: str
    """The edge component that answers with its models."""
    message: type[_Message]
    """The model's answers, which that component publishes."""
    channel: str
    trial: Trial | None
    """None: no outcome comes by itself, and the gate alone decides."""

    @property
    def device_type(self) -> str:
        """The type of the devices whose readings it answers."""
        return str(self.reading.__struct_config__.tag)

    @property
    def channels(self) -> dict[str, type[_Message]]:
        """The messages that come of its models, by the device's channel."""
        channels: dict[str, type[_Message]] = {self.channel: self.message}
        if self.trial:
            channels[self.trial.outcome_channel] = self.trial.outcome
            channels[self.trial.trial_channel] = self.trial.trial_outcome
        return channels

    @property
    def table(self) -> str:
        """The lake's table of the readings that it is trained on."""
        return self.reading.kind

    @property
    def model_folder(self) -> str:
        """The folder of the edge component that brings its models to a device."""
        return f"{self.name}_model"


FORECAST_TRIAL = Trial(
    folder="forecast_challenger",
    outcome=Outcome,
    outcome_channel="outcome",
    trial_outcome=TrialOutcome,
    trial_channel="trial",
)

FORECAST = ModelKind(
    name="forecast",
    manifest=ForecastManifest,
    reading=AirQualityReading,
    script="pm_ml/forecast/train.py",
    figures=("rmse", "persistence_rmse", "skill", "mae", "coverage"),
    reference=Reference(
        error="rmse",
        errors_without_model=("persistence_rmse",),
        merit="skill",
        verbs=("beats", "does not beat"),
        comparison=(
            "persistence by more than {minimum:.1%}: rmse {rmse:.2f}, persistence {persistence_rmse:.2f}, "
            "skill {merit:.1%}"
        ),
        minimum="minimum_skill",
        concluded=("skill",),
    ),
    component="pm.Forecaster",
    message=Forecast,
    channel="forecast",
    trial=FORECAST_TRIAL,
)

FAULT = ModelKind(
    name="fault",
    manifest=FaultManifest,
    reading=MachineReading,
    script="pm_ml/faults/train.py",
    figures=("cost", "never_alarm_cost", "always_alarm_cost", "precision", "recall"),
    reference=Reference(
        error="cost",
        errors_without_model=("never_alarm_cost", "always_alarm_cost"),
        merit="cost saved",
        verbs=("costs less", "does not cost less"),
        comparison="than alarming never ({never_alarm_cost:.0f}) or always ({always_alarm_cost:.0f}): {cost:.0f}",
    ),
    component="pm.FaultDetector",
    message=FaultScore,
    channel="fault",
    trial=None,
)

#: Each kind by its name, in the order in which they are made.
MODEL_KINDS = {kind.name: kind for kind in (FORECAST, FAULT)}


def decode_manifest(content: bytes) -> Manifest:
    """The manifest in `content`, checked.

    Raises:
        Refused: if it is invalid; the text names the field, what was found and what is allowed.
    """
    return decode_as(content, Union[tuple(kind.manifest for kind in MODEL_KINDS.values())])  # noqa: UP007 - of any number
