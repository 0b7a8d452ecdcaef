"""The report: what it must hold, that its plots say what the data say, that it needs nothing from elsewhere.

Not proved here: how it looks.
"""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_ml import calibration
from pm_ml.evidence import FaultEvidence, Flagged, ForecastEvidence, Profile
from pm_ml.forecast import skill
from pm_ml.report import faults, forecast, page, plots
from pm_ml.report.page import Plot, Section

HOURS = 24 * 90
FIRST_HOUR = 350_000 // 24 * 24


@pytest.fixture(scope="module")
def evidence() -> ForecastEvidence:
    """Forecasts that halve persistence's error, and twice their spread's error in the second half."""
    random = np.random.default_rng(1)
    actual = 100 + random.laplace(0, 10, HOURS) * np.where(np.arange(HOURS) < HOURS / 2, 1, 2)
    issued = FIRST_HOUR - 1 + np.arange(HOURS)
    forecast_, last = (actual + 100) / 2, np.full(HOURS, 100.0)
    others = {"climatology": np.full(HOURS, 90.0)}
    return ForecastEvidence(
        name="halves",
        horizon_hours=1,
        issued=issued,
        actual=actual,
        last_value=last,
        forecast=forecast_,
        spread=np.full(HOURS, 5.0),
        earlier_scores=random.exponential(1, 500).tolist(),
        entries={"validation": skill.forecast_entry(actual, forecast_, last, others, issued + 1)},
        importance=[("level", 2.0), ("dew", 0.5)],
    )


@pytest.fixture(scope="module")
def decisions() -> FaultEvidence:
    """Trees that say odds of a third of the true ones, and a calibration that knows it."""
    random = np.random.default_rng(2)
    margin = random.normal(-2, 2, 4000)
    faulty = random.random(4000) < 1 / (1 + np.exp(-(margin + np.log(3))))
    fitted = calibration.fitted(margin[:2000], faulty[:2000])
    return FaultEvidence(
        faulty=faulty[2000:],
        probability=fitted(margin[2000:]),
        uncalibrated=calibration.Calibration()(margin[2000:]),
        threshold=0.02,
        chosen_on=(faulty[:2000], fitted(margin[:2000])),
        importance=[(name, 1.0) for name in MACHINE_MEASUREMENTS[:20]],
        flagged=[Flagged("machine-01", "2012-01-05", 0.7, True, [("ad_000", 1.5)])],
        other_costs={"the original's model": 1e6},
    )


def test_forecasts_in_the_report(evidence: ForecastEvidence, tmp_path: Path) -> None:
    hours = pd.DataFrame({"pollution": evidence.actual, "dew": np.nan})
    time = pd.Series(pd.to_datetime(evidence.due * 3600, unit="s"))
    data = Profile(
        hours, {"pollution": "PM2.5, ug/m3; 0 marks a gap", "dew": "dew point"}, time, {"test": "2009-12-20"}
    )
    sections = [*forecast.sections(evidence), forecast.profile(data)]
    assert_complete(
        sections,
        ["By hour of the day", "By season", "The highest hour and what led to it", "Coverage by month", "Calibration",
         "Feature importance", "What is forecast, over the years"],
    )  # fmt: skip
    file = tmp_path / "report.html"
    page.write(file, "A <title>", "lead", forecast.tiles(evidence, "validation"), sections, {"Card": {"Limits": "few"}})
    shown = Page(file.read_text())
    assert "A <title>" in shown.text
    assert "+50.0 %" in shown.text  # half of persistence's error
    assert shown.external == []
    assert shown.images_without_label == 0


def test_fault_decisions_in_the_report(decisions: FaultEvidence, tmp_path: Path) -> None:
    columns = pd.DataFrame(np.ones((2000, 170), np.float32), columns=list(MACHINE_MEASUREMENTS))
    sections = [
        *faults.sections(decisions),
        faults.profile(Profile(columns, {}), decisions.faulty, [name for name, _ in decisions.importance]),
    ]
    assert_complete(sections, ["Cost by threshold", "Calibration", "Feature importance", "Missing values"])
    file = tmp_path / "report.html"
    page.write(file, "Faults", "lead", faults.tiles(decisions), sections, {})
    shown = Page(file.read_text())
    assert "ad_000 +1.50" in shown.text
    assert "the original's model 1,000,000" in shown.text
    assert shown.external == []


def assert_complete(sections: list[Section], plots_expected: list[str]) -> None:
    drawn = [block for section in sections for block in section.blocks if isinstance(block, Plot)]
    assert [each.title for each in drawn] == plots_expected
    for each in drawn:
        layout = each.figure.layout
        assert layout.xaxis.title.text, each.title
        assert layout.yaxis.title.text or each.figure.data[0].orientation == "h", each.title
        assert all(trace.name for trace in each.figure.data), each.title
        assert len(each.numbers.rows) > 1
        assert len({len(row) for row in each.numbers.rows} | {len(each.numbers.columns)}) == 1


class Page(HTMLParser):
    """The text of a page beside its scripts, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.external: list[str] = []
        self.images_without_label = 0
        self._hidden = False
        self._words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attrs):
        given_ = dict(attrs)
        self._hidden = tag in ("script", "style")
        self.external += [given_[name] for name in ("src", "href") if given_.get(name, "#")[:1] != "#"]
        self.images_without_label += given_.get("role") == "img" and not given_.get("aria-label")

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self._words.append(data)


def test_errors_are_those_of_their_hours(evidence: ForecastEvidence) -> None:
    persistence, model, bias = plots.errors(evidence, "hour").data
    at_five = (evidence.due % 24) == 5
    assert list(model.x) == list(range(24))
    assert model.y[5] == pytest.approx(np.sqrt(np.mean((evidence.actual - evidence.forecast)[at_five] ** 2)))
    assert persistence.y[5] == pytest.approx(2 * model.y[5])
    assert bias.y[5] == pytest.approx(np.mean((evidence.actual - evidence.forecast)[at_five]))


def test_an_interval_that_adapts_keeps_its_share_where_errors_grow(evidence: ForecastEvidence) -> None:
    fixed, adapting, asked = plots.coverage_by_month(evidence).data
    assert set(asked.y) == {0.9}
    assert fixed.y[0] > 0.85
    assert fixed.y[-1] < 0.8
    assert all(abs(share - 0.9) < 0.04 for share in adapting.y)


def test_the_cost_curve_is_that_of_the_thresholds(decisions: FaultEvidence) -> None:
    chosen_on, measured, chosen = plots.cost_curve(decisions).data
    called = decisions.probability >= 0.02
    cost = 10 * np.sum(called & ~decisions.faulty) + 500 * np.sum(~called & decisions.faulty)
    assert chosen.x == (0.02,)
    assert chosen.y == pytest.approx([cost / 2000])
    assert min(measured.y) <= chosen.y[0]
    assert len(chosen_on.x) == len(measured.x)


def test_calibration_brings_probabilities_to_what_came_true(decisions: FaultEvidence) -> None:
    def off(probability: np.ndarray) -> float:
        bins = calibration.reliability(decisions.faulty, probability)
        return sum(abs(each.said - each.came_true) * each.readings for each in bins) / len(probability)

    assert off(decisions.probability) < 0.35 * off(decisions.uncalibrated)
    assert calibration.brier(decisions.faulty, decisions.probability) < calibration.brier(
        decisions.faulty, decisions.uncalibrated
    )


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=50))
def test_bins_hold_each_reading_once(readings: list[tuple[bool, float]]) -> None:
    faulty, probability = np.array([f for f, _ in readings]), np.array([p for _, p in readings])
    bins = calibration.reliability(faulty, probability)
    assert sum(each.readings for each in bins) == len(readings)
    assert sum(each.said * each.readings for each in bins) == pytest.approx(probability.sum())
    assert sum(each.came_true * each.readings for each in bins) == pytest.approx(faulty.sum())


@given(st.lists(st.tuples(st.booleans(), st.floats(-30, 30)), min_size=2, max_size=50))
def test_calibration_is_finite_on_any_readings(readings: list[tuple[bool, float]]) -> None:
    faulty, margin = np.array([f for f, _ in readings]), np.array([m for _, m in readings])
    fitted = calibration.fitted(margin, faulty)
    assert np.all(np.isfinite(fitted))
    assert np.all((fitted(margin) >= 0) & (fitted(margin) <= 1))
