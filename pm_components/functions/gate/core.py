"""The decision whether a trained model may ship, by its figures on data that it was not fitted on.

A model must beat the rules that need no model (persistence; alarming never or always), and must not fall behind the
champion, the model approved last. Their figures may come from different spans of time, so what is compared is not the
error itself but the merit: the share of the simple rule's error or cost that the model saves.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from pm_components.functions.model_archive import ModelArchive
from pm_contracts.model_kinds import MODEL_KINDS, Reference

#: A model's figures' share of a state machine's 256 KiB ("Maximum input or output size for a task, state, or
#: execution", AWS Step Functions quotas), which all models share and what is too large for ends for all of them.
_FIGURES_BYTES = 32_768


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gate's requirements of a model."""

    minimum_skill: float
    """The merit that a model must exceed where its kind names this setting; at 0 it must beat the reference."""
    champion_margin: float
    """The most by which a model's merit may be below the champion's."""
    on_trial: list[str] = []
    """Kinds of model that are tried on a core device before they are approved."""


class Champion(msgspec.Struct, frozen=True, kw_only=True):
    """The model that was approved last."""

    arn: str
    version: str
    figures: dict[str, Any]
    """Its figures of `validation` by name, as far as the registry has them."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's verdict on a model."""

    kind: str
    passed: bool
    reasons: list[str]
    on_trial: bool = False
    """True if it must be tried on a core device before it is approved."""
    failed: bool = False
    """True for a model that could not be made, or whose trial broke. Every verdict carries it, false, since
    the state machine asks."""
    version: str = ""
    metrics: dict[str, Any] = {}
    champion: str = ""
    """Version of the champion that it was compared with, empty if there is none."""


def judge(model: ModelArchive, kind: str, policy: Policy, champion: Champion | None) -> Verdict:
    """The verdict on a model.

    Args:
        model: the archive that the training job left.
        kind: which model the job was to make.
        policy: what is asked of it.
        champion: the model approved last; None before the first.
    """
    validation = model.metrics.get("validation", {})
    version = model.manifest.version
    size = len(msgspec.json.encode(validation))
    if size > _FIGURES_BYTES:
        reasons = [f"metrics.json has {size:,} bytes below validation, allowed are {_FIGURES_BYTES:,}"]
        return Verdict(kind=kind, passed=False, reasons=reasons, version=version)
    if model.kind != kind:
        reasons = [f"a {model.kind} model, and the job was to make a {kind} model"]
        return Verdict(kind=kind, passed=False, reasons=reasons, version=version)
    reference = MODEL_KINDS[kind].reference
    figures, missing = _figures(validation, reference)
    if below := [name for name in missing if _number(validation, name) is not None]:
        said = ", ".join(f"{_number(validation, name):g} for validation.{name}" for name in below)
        passed, reasons = False, [f"metrics.json has {said}, allowed are numbers from 0"]
    elif missing:
        passed, reasons = False, [f"metrics.json has no number for validation.{', validation.'.join(missing)}"]
    else:
        passed, reason = _beats_the_reference(reference, figures, policy)
        reasons = [reason]
        if champion:
            keeps_up, reason = _keeps_up(reference, figures, champion, policy)
            passed, reasons = passed and keeps_up, [*reasons, reason]
    return Verdict(
        kind=kind,
        passed=passed,
        reasons=reasons,
        on_trial=passed and kind in policy.on_trial,
        version=version,
        metrics={"validation": validation},
        champion=champion.version if champion else "",
    )


def _figures(validation: Any, reference: Reference) -> tuple[dict[str, float], list[str]]:
    """The figures that are numbers as they can be, and the names of the others."""
    numbers = {name: _number(validation, name) for name in reference.figures}
    found = {
        name: number
        for name, number in numbers.items()
        if number is not None and (number >= 0 or name in reference.concluded)
    }
    return found, [name for name in numbers if name not in found]


def _number(validation: Any, name: str) -> float | None:
    value = validation.get(name) if isinstance(validation, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON bounds no integer
        return None
    return number if math.isfinite(number) else None


def _beats_the_reference(reference: Reference, figures: Mapping[str, float], policy: Policy) -> tuple[bool, str]:
    merit = reference.merit_of(figures)
    minimum = float(getattr(policy, reference.minimum)) if reference.minimum else 0.0
    passed = merit > minimum
    verb = reference.verbs[0 if passed else 1]
    return passed, f"{verb} {reference.comparison.format(**figures, merit=merit, minimum=minimum)}"


def _keeps_up(
    reference: Reference, figures: Mapping[str, float], champion: Champion, policy: Policy
) -> tuple[bool, str]:
    theirs, missing = _figures(champion.figures, reference)
    if missing:
        # A gap in the registry must not keep every later model at home.
        return True, f"not compared with champion {champion.version}: the registry has no {', '.join(missing)} of it"
    own, other = reference.merit_of(figures), reference.merit_of(theirs)
    passed = own >= other - policy.champion_margin
    verb = "keeps up with" if passed else "falls behind"
    return passed, (
        f"{verb} champion {champion.version}: {reference.merit} {own:.1%} against {other:.1%}, "
        f"{policy.champion_margin:.1%} less is allowed"
    )
