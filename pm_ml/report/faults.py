"""The report's sections on fault decisions."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pm_contracts.manifest import FaultManifest
from pm_ml import calibration, evaluate
from pm_ml.evidence import FaultEvidence, Profile
from pm_ml.report import page, plots
from pm_ml.report.cards import card
from pm_ml.report.page import Plot, Section, Table, Tile
from pm_ml.report.plots import percent

USE = (
    "Whether one reading of a machine shows a fault of its air-pressure system, to plan visits of the workshop. "
    "Not for decisions on people's safety, and no proof that a machine without an alarm is sound."
)
LIMITS = (
    "One reading at a time, without its history. A fleet of another kind needs training of its own. Figures of "
    "simulated machines say nothing about real ones. The threshold is right for the costs named here and wrong for "
    "others."
)


#: Rows of the data profile's table.
PROFILED = 12

_Truth = NDArray[np.bool_]


def write(path: Path, manifest: FaultManifest, evidence: FaultEvidence, data: Profile, faulty: _Truth) -> None:
    """Write the report of one training run.

    Args:
        path: of the HTML file.
        manifest: of the model that was trained.
        evidence: of its decisions on readings that it was not trained on.
        data: readings that were read, all or evenly over them.
        faulty: the workshop's verdicts on these.
    """
    measured = f"{len(evidence.faulty):,} later readings, {int(evidence.faulty.sum()):,} of them faulty"
    page.write(
        path,
        f"Fault model {manifest.version}",
        f"Trained on {manifest.trained_rows:,} readings until {manifest.trained_until:%Y-%m-%d}; measured with "
        f"{measured}.",
        tiles(evidence),
        [*sections(evidence), profile(data, faulty, [name for name, _ in evidence.importance])],
        {"Model card": card(manifest, USE, LIMITS, measured) | {"Threshold": f"probability {manifest.threshold:.4g}"}},
    )


def tiles(evidence: FaultEvidence) -> list[Tile]:
    """The figures that stand first."""
    figures = evaluate.fault_figures(evidence.faulty, evidence.probability, evidence.threshold)
    share = float(evidence.chosen_on[0].mean())
    other, cost = min(_others(evidence).items(), key=lambda each: each[1])
    return [
        Tile(
            f"{figures['cost'] / max(cost, 1e-9):.2f} of the cost",
            f"{figures['cost']:,.0f}, where {other} costs {cost:,.0f}: {evaluate.FALSE_ALARM_COST} a false alarm, "
            f"{evaluate.MISSED_FAULT_COST} a missed fault",
        ),
        Tile(
            f"{percent(figures['recall'])} found",
            f"of {figures['faulty_rows']:,.0f} faulty readings, with {figures['false_alarms']:,.0f} false alarms in "
            f"{figures['rows']:,.0f} readings",
        ),
        Tile(
            f"{calibration.brier(evidence.faulty, evidence.probability):.4f}",
            f"Brier score; before calibration {calibration.brier(evidence.faulty, evidence.uncalibrated):.4f}; "
            f"of the mere share of faults {calibration.brier(evidence.faulty, share):.4f}",
        ),
    ]


def sections(evidence: FaultEvidence) -> list[Section]:
    """Costs, calibration, what decisions rest on."""
    called = evidence.probability >= evidence.threshold
    ours = {"this model": evaluate.fault_cost(evidence.faulty, called)}
    figures = evaluate.fault_figures(evidence.faulty, evidence.probability, evidence.threshold)
    words = (
        f"Called a fault from a probability of {evidence.threshold:.3g}, on {figures['rows']:,.0f} readings that the "
        f"model was not trained on: precision {percent(figures['precision'])}, recall {percent(figures['recall'])}, "
        f"average precision {figures['average_precision']:.3f}."
    )
    if evidence.early_warning:
        early = evidence.early_warning
        words += (
            f" Early warning: of {early['faults']} faults {percent(early['flagged_share'], 0)} are flagged before "
            f"failure, the median one {early['median_readings_before_failure']:.0f} readings before, "
            f"{percent(early['share_flagged_in_time'], 0)} at least {early['stated_readings_before_failure']} before, "
            "which is how early the simulator's physics let every fault be known."
        )
    costs = [[name, f"{cost:,.0f}", f"{cost / len(called):.3f}"] for name, cost in (ours | _others(evidence)).items()]
    return [
        Section(
            "Fault decisions",
            words,
            [
                Table(["Who decides", "Cost", "Cost per reading"], costs),
                Plot("Cost by threshold", f"{evaluate.FALSE_ALARM_COST} a false alarm, {evaluate.MISSED_FAULT_COST} a "
                     "missed fault. The diamond is the threshold that ships.", plots.cost_curve(evidence)),
                Plot("Calibration", "Of the readings measured, in bins of like probability. On the dotted line "
                     "probabilities come true as often as they say.", plots.reliability(evidence)),
            ],
        ),
        Section(
            "What fault decisions rest on",
            "SHAP values of the trees, in log-odds: by how much a measurement moves the margin. The trees see what a "
            "measurement is beyond what use and age explain, and a value stands for that rest of it.",
            [
                Plot("Feature importance", "Mean absolute SHAP value over the readings measured.",
                     plots.importance(evidence.importance, "mean |SHAP value|, log-odds")),
                _flagged(evidence),
            ],
        ),
    ]  # fmt: skip


def profile(data: Profile, faulty: _Truth, important: list[str]) -> Section:
    """The data profile: all measurements in one plot, those that matter most in a table."""
    shown = data.columns[important[:PROFILED]]
    table = plots.quantiles(shown)
    table["median if faulty"] = shown[pd.Series(faulty, index=shown.index)].median()
    rows = [
        [str(name), *(f"{count:,.0f}" for count in row[:2]), *map(page.number, row[2:])]
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return Section(
        "Data profile: the machines' readings",
        f"{len(data.columns):,} readings, evenly over all, {int(faulty.sum()):,} of them faulty "
        f"({percent(float(faulty.mean()), 2)}); {data.columns.shape[1]} measurements. Counters without a unit that is "
        f"known; the {len(rows)} of most weight are listed.",
        [
            Table(["Measurement", *map(str, table.columns)], rows),
            Plot("Missing values", "How many of the measurements lack how much.", plots.missing(data.columns)),
        ],
    )


def _others(evidence: FaultEvidence) -> dict[str, float]:
    never = np.zeros_like(evidence.faulty)
    return dict(evidence.other_costs) | {
        "never an alarm": evaluate.fault_cost(evidence.faulty, never),
        "always an alarm": evaluate.fault_cost(evidence.faulty, ~never),
    }


def _flagged(evidence: FaultEvidence) -> Table:
    rows = [
        [
            each.machine,
            each.reading,
            "faulty" if each.faulty else "healthy",
            ", ".join(f"{name} {value:+.2f}" for name, value in each.contributions),
            f"{each.probability:.3f}",
        ]
        for each in evidence.flagged
    ]
    return Table(["Machine", "Reading", "Verdict", "Top sensors (SHAP value)", "Probability"], rows, text_columns=4)
