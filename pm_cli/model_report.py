"""The report of an evaluation: all horizons, how the forecast was chosen, fault decisions, data and model cards."""

from pathlib import Path

import pandas as pd

from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, MACHINE_MEASUREMENTS, AirQualityMeasurements, limits_of
from pm_ml.evidence import ForecastEvidence, Profile
from pm_ml.forecast import blend as forecast_blend
from pm_ml.forecast.protocol import Answers, Series, times
from pm_ml.protocol import Findings
from pm_ml.report import faults, forecast, page


def write_report(path: Path, found: Findings) -> None:
    """Write the report of one evaluation."""
    figures = found.figures
    evidence = [
        _evidence(series, answers, figures["choice"][f"h{horizon}"]["chosen"], figures, f"h{horizon}")
        for horizon, (series, answers, _) in found.forecasts.items()
    ]
    data, first = figures["data"], evidence[0]
    sections = [section for each in evidence for section in forecast.sections(each)]
    tiles = forecast.tiles(first, "test")
    profiles = [forecast.profile(_profile(found))]
    if found.faults is not None:
        tiles += faults.tiles(found.faults.evidence)
        sections += faults.sections(found.faults.evidence)
        columns = pd.DataFrame(found.faults.readings.measurements, columns=list(MACHINE_MEASUREMENTS))
        important = [name for name, _ in found.faults.evidence.importance]
        profiles.append(faults.profile(Profile(columns, meanings={}), found.faults.readings.faulty, important))
    versions = ", ".join(f"{name} {version}" for name, version in figures["libraries"].items())
    page.write(
        path,
        "The models, beside what needs none",
        f"{data['file']}: {data['rows']:,} hours from {data['from']} to {data['until']}, {data['refused']} rows "
        "refused. Trained on the first two fifths, chosen by the next two (validation), tested on the last (test).",
        tiles,
        [*sections, _choice(found), *profiles],
        {
            "Model card: forecasts": {
                "Intended use": forecast.USE,
                "Limits": forecast.LIMITS,
                "Model": f"chosen: {first.name}; the device runs {forecast_blend.NAME}",
                "Data": f"{data['file']}, {data['from']} to {data['until']}, UTC",
                "Reproduce": f"seed {figures['seed']}; {versions}; took {figures['seconds']} s",
            },
            "Model card: fault decisions": {
                "Intended use": faults.USE,
                "Limits": faults.LIMITS,
                "Model": figures["fault"]["chosen"],
                "Data": figures["fault"]["source"],
                "Parts": ", ".join(
                    f"{name} {part['readings']:,} readings, {part['faulty']:,} faulty"
                    for name, part in figures["fault"]["parts"].items()
                ),
                "Reproduce": f"seed {figures['seed']}; {versions}",
            },
        },
    )


def _evidence(series: Series, answers: Answers, chosen: str, figures: dict, horizon: str) -> ForecastEvidence:
    rows = slice(series.rows("validation").start, len(series.issued))
    return ForecastEvidence(
        name=chosen,
        horizon_hours=series.horizon,
        issued=series.issued[rows],
        actual=series.target[rows],
        last_value=series.value[rows],
        forecast=answers.fixed[chosen][rows],
        spread=answers.spread[rows],
        earlier_scores=answers.kept_scores,
        entries=figures["forecast"][horizon],
        importance=answers.importance,
        others=figures["library"].get(horizon, {}),
    )


def _choice(found: Findings) -> page.Section:
    rows = [
        [
            horizon,
            name + (" (chosen)" if name == choice["chosen"] else ""),
            *(
                forecast.signed(choice[part][name][skill])
                for part in ("validation", "test")
                for skill in ("rmse_skill", "mae_skill")
            ),
            f"{choice['seconds'][name]:.0f}",
        ]
        for horizon, choice in found.figures["choice"].items()
        for name in choice["validation"]
    ]
    skills = [f"{skill} skill, {part}" for part in ("validation", "test") for skill in ("RMSE", "MAE")]
    columns = ["Horizon", "Candidate", *skills, "Seconds"]
    rules = {choice["rule"] for choice in found.figures["choice"].values()}
    return page.Section(
        "How the forecast was chosen",
        f"Rule: {'; '.join(rules)}. The test part had no say. The recurrent net reads the last 24 hours one by one; it "
        "does not ship. Seconds of the processor: to train once, and to forecast all hours.",
        [page.Table(columns, rows, text_columns=2)],
    )


def _profile(found: Findings) -> Profile:
    series, _, _ = next(iter(found.forecasts.values()))
    due = {part: series.due[series.rows(part)] for part in ("training", "validation", "test")}
    return Profile(
        columns=found.air_quality[list(AIR_QUALITY_MEASUREMENTS)],
        meanings={name: each.description for name, each in limits_of(AirQualityMeasurements).items()},
        time=found.air_quality["event_time"],
        parts={part: f"{times(hours[:1])[0]:%Y-%m-%d %H:%M}" for part, hours in due.items()},
    )
