"""The protocol by which fault decisions are judged: five parts, each with one use, no machine in two of them.

Fit the candidates; tune: take the one that could decide cheapest; calibrate its probabilities; choose the threshold;
test once. Beside it stands the original's model (depth 5, eta 0.2, 100 rounds, threshold 0.5), which has no use for the
parts in between and so trains on all four.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import xgboost
from numpy.typing import NDArray

from pm_ml import calibration, contributions, evaluate
from pm_ml.data import DataRefused
from pm_ml.evidence import FaultEvidence
from pm_ml.faults.model import PARAMETERS, ROUNDS, THREADS, Preparation

#: Of the machines: the parts and their shares.
PARTS: dict[str, float] = {"fit": 0.4, "tune": 0.125, "calibrate": 0.1, "threshold": 0.125, "test": 0.25}
#: The original's; its threshold is the one that XGBoost's classifiers have.
ORIGINAL: dict[str, Any] = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 5, "learning_rate": 0.2}
ORIGINAL_ROUNDS, ORIGINAL_THRESHOLD = 100, 0.5
#: Each part needs so many faulty readings, and as many healthy ones.
FEWEST_FAULTY = 5
DRAWS = 1000

_Rows = NDArray[np.float32]
_Truth = NDArray[np.bool_]
_Array = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledReadings:
    """Readings that the workshop has looked at."""

    measurements: _Rows  #: readings x 170, NaN where missing
    faulty: _Truth
    machine: NDArray[np.str_]  #: which machine each reading is of
    number: NDArray[np.int64]  #: of the reading among its machine's


class Fault(NamedTuple):
    """One fault that is known in full, as only a simulator knows it; numbers count the machine's readings."""

    machine: str
    onset: int
    failure: int


class KnownFault(Protocol):
    """The onset of a simulated part's wear and its failure, in days; `pm_edge.devices.simulator.machines.Fault`."""

    @property
    def onset_day(self) -> int: ...  # noqa: D102

    @property
    def failure_day(self) -> int: ...  # noqa: D102


class History(Protocol):
    """A machine of a simulator, a reading a day; `pm_edge.devices.simulator.machines.MachineHistory`."""

    @property
    def measurements(self) -> _Array: ...  # noqa: D102

    @property
    def faulty(self) -> _Truth: ...  # noqa: D102

    @property
    def faults(self) -> Sequence[KnownFault]: ...  # noqa: D102


def labelled(histories: Mapping[str, History]) -> tuple[LabelledReadings, list[Fault]]:
    """The readings of simulated machines by name, one a day, with the truth about their faults."""
    days = [len(each.faulty) for each in histories.values()]
    readings = LabelledReadings(
        measurements=np.concatenate([each.measurements.astype(np.float32) for each in histories.values()]),
        faulty=np.concatenate([each.faulty for each in histories.values()]),
        machine=np.repeat(np.array(list(histories)), days),
        number=np.concatenate([np.arange(each) for each in days]),
    )
    return readings, [
        Fault(name, each.onset_day, each.failure_day) for name, it in histories.items() for each in it.faults
    ]


class Candidate(NamedTuple):
    """One way to train."""

    name: str
    prepared: bool  #: whether what use and age explain is taken out first (`pm_ml.faults.model.Preparation`)
    parameters: dict[str, Any]
    rounds: int


CANDIDATES = (
    Candidate("as shipped: prepared, depth 3", True, PARAMETERS, ROUNDS),
    Candidate("prepared, depth 4", True, PARAMETERS | {"max_depth": 4}, ROUNDS),
    Candidate("measurements, depth 4", False, PARAMETERS | {"max_depth": 4}, ROUNDS),
    Candidate("measurements, depth 6", False, PARAMETERS | {"max_depth": 6}, ROUNDS),
)


@dataclass(frozen=True)
class Judged:
    """The findings of the protocol."""

    figures: dict[str, Any]  #: the `fault` entry of models.json
    evidence: FaultEvidence  #: of the test part
    readings: LabelledReadings  #: all that were judged and trained on


def split(readings: LabelledReadings, seed: int) -> dict[str, _Truth]:
    """The rows of each part, whole machines, those with faults dealt evenly.

    Raises:
        DataRefused: if a part would have too few faulty or healthy readings.
    """
    names, of = np.unique(readings.machine, return_inverse=True)
    has_fault = np.bincount(of, readings.faulty, minlength=len(names)) > 0
    part_of = np.empty(len(names), dtype=int)
    ends = np.cumsum(list(PARTS.values()))
    random = np.random.default_rng(seed)
    for some in (np.flatnonzero(has_fault), np.flatnonzero(~has_fault)):
        place = (random.permutation(len(some)) + 0.5) / max(len(some), 1)
        part_of[some] = np.minimum(np.searchsorted(ends, place), len(PARTS) - 1)
    parts = {name: part_of[of] == number for number, name in enumerate(PARTS)}
    for name, rows in parts.items():
        faulty = int(readings.faulty[rows].sum())
        if faulty < FEWEST_FAULTY or int(rows.sum()) - faulty < FEWEST_FAULTY:
            raise DataRefused(
                f"part {name!r} has {int(rows.sum())} readings, {faulty} of them faulty, of {len(names)} machines in "
                f"all; at least {FEWEST_FAULTY} faulty and {FEWEST_FAULTY} healthy are needed in each part"
            )
    return parts


def judge(
    readings: LabelledReadings,
    seed: int,
    faults: Sequence[Fault] = (),
    readings_before_failure: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Judged:
    """Run the protocol.

    Args:
        readings: of all machines.
        seed: of the split and of the trees.
        faults: of machines of a simulator; none where the data does not tell.
        readings_before_failure: how early a fault can at least be known by the simulator's physics.
        advance: called after each model trained, `len(CANDIDATES) + 1` times.
    """
    parts = split(readings, seed)
    rows, faulty = readings.measurements, readings.faulty
    fit, tune = parts["fit"], parts["tune"]
    preparation = Preparation(rows[fit & ~faulty])
    prepared = preparation(rows)
    attainable, boosters = {}, {}
    for candidate in CANDIDATES:
        seen = prepared if candidate.prepared else rows
        boosters[candidate.name] = _train(candidate.parameters, seen[fit], faulty[fit], candidate.rounds, seed)
        said = calibration.Calibration()(_margin(boosters[candidate.name], seen[tune]))
        threshold = evaluate.cheapest_threshold(faulty[tune], said)
        attainable[candidate.name] = evaluate.fault_cost(faulty[tune], said >= threshold)
        advance()
    chosen = min(CANDIDATES, key=lambda candidate: attainable[candidate.name])
    booster, seen = boosters[chosen.name], prepared if chosen.prepared else rows

    fitted = calibration.fitted(_margin(booster, seen[parts["calibrate"]]), faulty[parts["calibrate"]])

    def probability(some: _Truth) -> _Array:
        return fitted(_margin(booster, seen[some]))

    on = parts["threshold"]
    for_threshold = probability(on)
    threshold = evaluate.cheapest_threshold(faulty[on], for_threshold)

    test = parts["test"]
    tested = probability(test)
    original = _train(ORIGINAL, rows[~test], faulty[~test], ORIGINAL_ROUNDS, seed)
    advance()
    original_called = calibration.Calibration()(_margin(original, rows[test])) >= ORIGINAL_THRESHOLD
    figures: dict[str, Any] = evaluate.fault_figures(faulty[test], tested, threshold)
    figures["original_cost"] = evaluate.fault_cost(faulty[test], original_called)
    figures["cost_ratio"] = figures["cost"] / max(figures["original_cost"], 1e-9)
    figures["cost_ratio_interval"] = _ratio_interval(
        faulty[test], tested >= threshold, original_called, readings.machine[test]
    )
    uncalibrated = calibration.Calibration()(_margin(booster, seen[test]))
    expected_threshold = evaluate.FALSE_ALARM_COST / (evaluate.FALSE_ALARM_COST + evaluate.MISSED_FAULT_COST)
    figures |= {
        "threshold": threshold,
        "threshold_by_costs_alone": expected_threshold,
        "cost_at_threshold_by_costs_alone": evaluate.fault_cost(faulty[test], tested >= expected_threshold),
        "chosen": chosen.name,
        "tune_cost": attainable,
        "brier": calibration.brier(faulty[test], tested),
        "brier_uncalibrated": calibration.brier(faulty[test], uncalibrated),
        "brier_of_the_share": calibration.brier(faulty[test], float(faulty[~test].mean())),
        "parts": {
            name: {"readings": int(some.sum()), "faulty": int(faulty[some].sum())} for name, some in parts.items()
        },
    }
    if faults:
        figures["early_warning"] = early_warning(
            readings.machine[test], readings.number[test], tested >= threshold, faults, readings_before_failure
        )

    def explain(some: _Rows) -> _Array:
        return fitted.slope * contributions.shap_values(booster, some)

    machine, number = readings.machine[test].tolist(), [f"number {each}" for each in readings.number[test]]
    evidence = FaultEvidence(
        faulty=faulty[test],
        probability=tested,
        uncalibrated=uncalibrated,
        threshold=threshold,
        chosen_on=(faulty[on], for_threshold),
        importance=contributions.importance(explain, seen[test]),
        flagged=contributions.flagged(explain, seen[test], tested, threshold, faulty[test], machine, number),
        other_costs={"the original's model": figures["original_cost"]},
        early_warning=figures.get("early_warning", {}),
    )
    return Judged(figures, evidence, readings)


def early_warning(
    machine: NDArray[np.str_],
    number: NDArray[np.int64],
    called: _Truth,
    faults: Sequence[Fault],
    readings_before_failure: int,
) -> dict[str, Any]:
    """Readings between each fault's first flag after its onset and its failure.

    Args:
        machine: of each reading judged.
        number: of each reading among its machine's.
        called: whether it was called a fault.
        faults: of all machines; those of machines not judged are left out.
        readings_before_failure: the claim to be tested.
    """
    judged = {name: (number[machine == name], called[machine == name]) for name in np.unique(machine)}
    leads = []
    for fault in faults:
        if fault.machine not in judged:
            continue
        at, flagged = judged[fault.machine]
        seen = at[flagged & (at >= fault.onset) & (at < fault.failure)]
        leads.append(fault.failure - int(seen.min()) if len(seen) else 0)
    return {
        "faults": len(leads),
        "flagged_share": float(np.mean([lead > 0 for lead in leads])) if leads else 0.0,
        "median_readings_before_failure": float(np.median(leads)) if leads else 0.0,
        "share_flagged_in_time": float(np.mean([lead >= readings_before_failure for lead in leads])) if leads else 0.0,
        "stated_readings_before_failure": readings_before_failure,
    }


def _train(parameters: dict[str, Any], rows: _Rows, faulty: _Truth, rounds: int, seed: int) -> xgboost.Booster:
    return xgboost.train(parameters | {"seed": seed, "nthread": THREADS}, xgboost.DMatrix(rows, faulty), rounds)


def _margin(booster: xgboost.Booster, rows: _Rows) -> _Array:
    return np.asarray(booster.predict(xgboost.DMatrix(rows), output_margin=True), dtype=np.float64)


def _ratio_interval(faulty: _Truth, called: _Truth, original: _Truth, machine: NDArray[np.str_]) -> list[float]:
    """95 % interval of our cost over the original's, by drawing whole machines with replacement."""
    names, of = np.unique(machine, return_inverse=True)

    def by_machine(decided: _Truth) -> _Array:
        cost = evaluate.FALSE_ALARM_COST * (decided & ~faulty) + evaluate.MISSED_FAULT_COST * (faulty & ~decided)
        return np.asarray(np.bincount(of, cost, minlength=len(names)), dtype=np.float64)

    ours, theirs = by_machine(called), by_machine(original)
    random = np.random.default_rng(0)
    ratios = []
    for _ in range(DRAWS):
        drawn = random.integers(len(names), size=len(names))
        ratios.append(ours[drawn].sum() / max(theirs[drawn].sum(), 1e-9))
    return [float(each) for each in np.quantile(ratios, [0.025, 0.975])]
