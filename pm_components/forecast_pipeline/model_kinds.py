"""The kinds of models that are made: what each is trained on, and by which script."""

from typing import NamedTuple

from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import AirQualityReading, MachineReading

FORECAST = "forecast"
FAULT = "fault"

_FORECAST_FIGURES = ("rmse", "persistence_rmse", "skill", "mae", "coverage")
_FAULT_FIGURES = ("cost", "never_alarm_cost", "always_alarm_cost", "precision", "recall")


class Model(NamedTuple):
    """A kind of model: what it is trained on, and by which script of the training code."""

    kind: str
    device_type: str
    table: str
    script: str
    figures: tuple[str, ...]
    """Figures of the validation, which the script prints as `validation_NAME=VALUE` and the job keeps as metrics."""


MODELS = (
    Model(
        FORECAST,
        AIR_QUALITY,
        AirQualityReading.kind,
        "pm_ml/forecast/train.py",
        _FORECAST_FIGURES,
    ),
    Model(FAULT, MACHINE, MachineReading.kind, "pm_ml/faults/train.py", _FAULT_FIGURES),
)

#: The training script of each kind.
SCRIPTS = {model.kind: model.script for model in MODELS}
