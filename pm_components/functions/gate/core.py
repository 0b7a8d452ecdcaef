"""Whether a trained model is good enough to ship, by what it was measured at on data that it was not fitted on."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from pm_components.functions.model_archive import ModelArchive

FORECAST = "forecast"
FAULT = "fault"

#: What the training scripts measure, by kind of model, in the object `validation` of metrics.json.
FIGURES = {
    FORECAST: ("rmse", "persistence_rmse", "skill"),
    FAULT: ("cost", "never_alarm_cost", "always_alarm_cost"),
}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of a model."""

    kind: str
    passed: bool
    reasons: list[str]
    version: str = ""
    metrics: dict[str, Any] = {}


def judge(model: ModelArchive, kind: str, minimum_skill: float) -> Verdict:
    """The verdict on a model.

    Args:
        model: the archive that the training job left.
        kind: which model the job was to make.
        minimum_skill: what a forecast model's `1 - rmse / persistence_rmse` must exceed; at 0 it must beat persistence.
    """
    validation = model.metrics.get("validation", {})
    figures, missing = _figures(validation, FIGURES[kind]) if model.kind == kind else ({}, [])
    if model.kind != kind:
        passed, reason = False, f"a {model.kind} model, and the job was to make a {kind} model"
    elif missing:
        passed, reason = False, f"metrics.json has no number for validation.{', validation.'.join(missing)}"
    elif kind == FORECAST:
        passed, reason = _judge_forecast(figures, minimum_skill)
    else:
        passed, reason = _judge_fault(figures)
    return Verdict(
        kind=kind, passed=passed, reasons=[reason], version=model.manifest.version, metrics={"validation": validation}
    )


def _figures(validation: Any, names: tuple[str, ...]) -> tuple[dict[str, float], list[str]]:
    found: dict[str, float] = {}
    for name in names:
        value = validation.get(name) if isinstance(validation, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[name] = float(value)
    return found, [name for name in names if name not in found]


def _judge_forecast(figures: Mapping[str, float], minimum_skill: float) -> tuple[bool, str]:
    # Worked out anew: the gate rests on what was measured, not on what was concluded from it.
    persistence = figures["persistence_rmse"]
    skill = 1 - figures["rmse"] / persistence if persistence > 0 else -math.inf
    passed = skill > minimum_skill
    verb = "beats" if passed else "does not beat"
    return passed, (
        f"{verb} persistence by more than {minimum_skill:.1%}: rmse {figures['rmse']:.2f}, "
        f"persistence {persistence:.2f}, skill {skill:.1%}"
    )


def _judge_fault(figures: Mapping[str, float]) -> tuple[bool, str]:
    baseline = min(figures["never_alarm_cost"], figures["always_alarm_cost"])
    passed = figures["cost"] < baseline
    verb = "costs less" if passed else "does not cost less"
    return passed, (
        f"{verb} than alarming never ({figures['never_alarm_cost']:.0f}) or always "
        f"({figures['always_alarm_cost']:.0f}): {figures['cost']:.0f}"
    )
