"""The report's sections on forecasts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pm_contracts.manifest import ForecastManifest
from pm_ml.evidence import ForecastEvidence, Profile
from pm_ml.intervals import INTERVAL_LEVEL
from pm_ml.report import page, plots
from pm_ml.report.cards import card
from pm_ml.report.page import Plot, Section, Table, Tile
from pm_ml.report.plots import percent

_REFERENCES = {"persistence": "persistence", "seasonal_naive": "the value a day before", "climatology": "climatology"}
USE = (
    "The next hours' PM2.5 of the stations that it was trained on, on the plant's floor, to plan filters and work. "
    "Not for decisions on people's health or safety."
)
LIMITS = (
    "Hourly data. Hours that touch a report of 0, which marks a gap, are forecast badly, so figures are given with and "
    "without them. A level beyond the range trained on is answered, but not known; another station needs training of "
    "its own. The interval holds its share over months, not in each single hour."
)


def write(path: Path, manifest: ForecastManifest, evidence: ForecastEvidence, data: Profile) -> None:
    """Write the report of one training run.

    Args:
        path: of the HTML file.
        manifest: of the model that was trained.
        evidence: of its forecasts of hours that it was not trained on.
        data: all hours that were read.
    """
    (part,) = evidence.entries
    first, last = (pd.Timestamp(int(hour) * 3600, unit="s") for hour in evidence.due[[0, -1]])
    measured = f"{len(evidence.actual):,} later hours, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    page.write(
        path,
        f"Forecast model {manifest.version}",
        f"Trained on {manifest.trained_rows:,} hours until {manifest.trained_until:%Y-%m-%d %H:%M}; measured with "
        f"{measured}.",
        tiles(evidence, part),
        [*sections(evidence), profile(data)],
        {"Model card": card(manifest, USE, LIMITS, measured)},
    )


def tiles(evidence: ForecastEvidence, part: str) -> list[Tile]:
    """The figures that stand first: of one part."""
    entry = evidence.entries[part]
    low, high = entry["rmse_skill_interval"]
    inside = np.abs(evidence.actual - evidence.forecast) <= plots.adapting_half_widths(evidence)
    return [
        Tile(
            signed(entry["rmse_skill"]),
            f"RMSE skill over persistence, {evidence.horizon_hours} h ahead, {_words(part)} "
            f"(95 %: {100 * low:+.1f} to {100 * high:+.1f})",
        ),
        Tile(signed(entry["mae_skill"]), "MAE skill over persistence, on the same hours"),
        Tile(percent(float(np.mean(inside))), f"of outcomes inside their {percent(INTERVAL_LEVEL, 0)} interval"),
    ]


def sections(evidence: ForecastEvidence) -> list[Section]:
    """Skill, errors, intervals, and what the forecasts rest on."""
    ahead = f"{evidence.horizon_hours} h ahead"
    return [
        Section(
            f"Skill {ahead}",
            "Skill is 1 - error / persistence's error, in brackets its 95 % interval from whole weeks drawn anew. "
            "Persistence says that nothing changes. Climatology is the training part's mean of month and hour.",
            [skill_table(evidence)],
        ),
        Section(
            f"Errors {ahead}",
            "",
            [
                Plot("By hour of the day", "Of the hour forecast. Bars: mean error, above 0 where the forecast was too "
                     "low.", plots.errors(evidence, "hour")),
                Plot("By season", "Of the month forecast, all years together.", plots.errors(evidence, "month")),
                Plot("The highest hour and what led to it", "Forecasts as they were made, the band as it was then.",
                     plots.worst_days(evidence)),
            ],
        ),
        Section(
            f"Intervals {ahead}",
            f"The interval is made to hold {percent(INTERVAL_LEVEL, 0)} of the outcomes; it follows its own "
            "misses (adaptive conformal, Gibbs and Candes, 2021).",
            [
                Plot("Coverage by month", "At the red line the interval holds what it was asked to.",
                     plots.coverage_by_month(evidence)),
                Plot("Calibration", "Intervals of several levels, as they began. On the dotted line they hold what "
                     "they were asked to.", plots.interval_calibration(evidence)),
            ],
        ),
        Section(
            f"What forecasts {ahead} rest on",
            "",
            [
                Plot("Feature importance", "Of the nets and both kinds of trees together: by how much the RMSE grows "
                     "where a feature's values are dealt to other hours (permutation importance, Breiman, 2001); "
                     "features that say the same share theirs.",
                     plots.importance(evidence.importance, "growth of the RMSE, µg/m³")),
            ],
        ),
    ]  # fmt: skip


def skill_table(evidence: ForecastEvidence) -> Table:
    """Each part with the model, other models and the references."""
    rows = []
    for part, entry in evidence.entries.items():
        rows.append(_row(_words(part), evidence.name, entry))
        if part.endswith("_retrained"):  # the references are those of the part
            continue
        for name, parts in evidence.others.items():
            if part in parts:
                rows.append(_row("", name, parts[part]))
        rows += [_row("", _REFERENCES.get(name, name), scores) for name, scores in entry["references"].items()]
    columns = ["Part", "Who forecasts", "RMSE, µg/m³", "RMSE skill (95 %)", "MAE, µg/m³", "MAE skill (95 %)"]
    return Table([*columns, "RMSE skill without zeros"], rows, text_columns=2)


def profile(data: Profile) -> Section:
    """The data profile."""
    table = plots.quantiles(data.columns)
    rows = [
        [data.meanings[str(name)], *(f"{count:,.0f}" for count in row[:2]), *(f"{value:.5g}" for value in row[2:])]
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    blocks: list[Table | Plot] = [Table(["Measurement", *map(str, table.columns)], rows)]
    if data.time is not None:
        first = str(data.columns.columns[0])
        blocks.append(
            Plot("What is forecast, over the years", "Dotted: where a part begins.", plots.course(data, first))
        )
    return Section("Data profile: the hours", f"{len(data.columns):,} hours. A 0 of PM2.5 marks a gap.", blocks)


def signed(share: float) -> str:
    """A share with its sign."""
    return f"{100 * share:+.1f} %"


def _row(part: str, name: str, entry: Mapping[str, Any]) -> list[str]:
    def skill(of: str) -> str:
        if f"{of}_skill_interval" not in entry:
            return signed(entry[f"{of}_skill"])
        low, high = entry[f"{of}_skill_interval"]
        return f"{signed(entry[f'{of}_skill'])} ({100 * low:+.1f} to {100 * high:+.1f})"

    without = signed(entry["without_zeros"]["rmse_skill"]) if "without_zeros" in entry else ""
    return [part, name, f"{entry['rmse']:.2f}", skill("rmse"), f"{entry['mae']:.2f}", skill("mae"), without]


def _words(part: str) -> str:
    return part.replace("_retrained", ", retrained monthly")
