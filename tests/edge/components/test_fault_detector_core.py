"""The fault detector's core: scores, alerts raised once and cleared once, models that fail.

Not proved here: that a trained model finds faults (tests/ml).
"""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pm_contracts import event_times
from pm_contracts.manifest import FaultManifest
from pm_contracts.measurements import MachineMeasurements
from pm_contracts.messages import Alert, FaultScore, MachineReading, Refused
from pm_edge.components.fault_detector import contributions
from pm_edge.components.fault_detector.core import HEALTHY_TO_CLEAR, FaultDetector
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.runtime.model_in_use import PATIENCE

START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
HEALTHY, FAULTY = 50.0, 500.0
FaultFiles = Callable[..., tuple[FaultManifest, bytes]]


def reading(day: int, aa: float | None, device: str = "machine-01") -> MachineReading:
    return MachineReading(
        site="lindau",
        device=device,
        sequence=day,
        event_time=START + dt.timedelta(days=day),
        measurements=MachineMeasurements(aa_000=aa, ab_000=7.0),
    )


@pytest.fixture
def model(simple_fault_model: FaultFiles) -> FaultModel:
    return FaultModel(*simple_fault_model())


def alerts_of(detector: FaultDetector, *readings: MachineReading) -> list[Alert]:
    scores = [detector.score(each) for each in readings]
    return [alert for score in scores if score for alert in detector.alerts(score)]


def test_a_reading_is_scored(model: FaultModel) -> None:
    detector = FaultDetector("lindau", model)
    healthy, faulty = detector.score(reading(0, HEALTHY)), detector.score(reading(1, FAULTY))
    assert healthy is not None
    assert faulty is not None
    assert (healthy.faulty, healthy.probability) == (False, pytest.approx(0.018, abs=1e-3))
    assert healthy.top_contributions == []
    assert (faulty.faulty, faulty.probability) == (True, pytest.approx(0.881, abs=1e-3))
    assert (faulty.threshold, faulty.model_version) == (0.5, model.version)
    # The one tree asks for aa_000: of ten training readings nine came to its leaf of -4 and one to that of 2.
    (only,) = faulty.top_contributions
    assert only.measurement == "aa_000"
    assert only.log_odds_change == pytest.approx(2 - (0.9 * -4 + 0.1 * 2))
    assert detector.counters["unexplained"] == 0


def test_a_missing_measurement_is_no_fault(model: FaultModel) -> None:
    score = FaultDetector("lindau", model).score(reading(0, None))
    assert score is not None
    assert not score.faulty


def test_before_the_first_model_readings_are_counted_and_not_scored(model: FaultModel) -> None:
    detector = FaultDetector("lindau")
    assert detector.score(reading(0, FAULTY)) is None
    assert detector.counters["without_model"] == 1
    detector.models.use(model)
    assert detector.score(reading(1, FAULTY)) is not None


def test_a_fault_raises_one_alert_until_it_is_cleared(model: FaultModel) -> None:
    detector = FaultDetector("lindau", model)
    course = [HEALTHY, FAULTY, FAULTY, HEALTHY, HEALTHY, FAULTY, *[HEALTHY] * HEALTHY_TO_CLEAR, HEALTHY, FAULTY]
    alerts = alerts_of(detector, *(reading(day, aa) for day, aa in enumerate(course)))
    assert [(alert.state, (alert.raised_at - START).days) for alert in alerts] == [
        ("active", 1),
        ("cleared", 8),
        ("active", 10),
    ]
    assert {alert.dedupe_key for alert in alerts} == {"fault/machine-01"}
    assert {(alert.cause, alert.severity) for alert in alerts} == {("fault", "critical")}
    assert "machine-01 at lindau" in alerts[0].text
    assert "aa_000" in alerts[0].text
    assert detector.counters["alerts_raised"] == 2
    assert detector.counters["alerts_cleared"] == 1


def test_a_probability_that_swings_around_the_threshold_raises_one_alert(model: FaultModel) -> None:
    courses = ([FAULTY, HEALTHY] * 100, [FAULTY, *[HEALTHY] * (HEALTHY_TO_CLEAR - 1)] * 100)
    for course in courses:
        alerts = alerts_of(FaultDetector("lindau", model), *(reading(day, aa) for day, aa in enumerate(course)))
        assert [alert.state for alert in alerts] == ["active"]


def test_machines_do_not_share_an_alert(model: FaultModel) -> None:
    alerts = alerts_of(
        FaultDetector("lindau", model), reading(0, FAULTY, "machine-01"), reading(0, FAULTY, "machine-02")
    )
    assert [alert.dedupe_key for alert in alerts] == ["fault/machine-01", "fault/machine-02"]


def test_a_repeated_reading_is_not_scored_again(model: FaultModel) -> None:
    detector = FaultDetector("lindau", model)
    assert detector.score(reading(0, FAULTY)) is not None
    assert detector.score(reading(0, FAULTY)) is None
    assert detector.counters["repeated"] == 1


def test_a_late_reading_is_scored_and_decides_nothing(model: FaultModel) -> None:
    detector = FaultDetector("lindau", model)
    assert alerts_of(detector, reading(5, HEALTHY)) == []
    late = detector.score(reading(3, FAULTY))
    assert isinstance(late, FaultScore)
    assert late.faulty
    assert detector.alerts(late) == []
    assert detector.counters["late"] == 1


def test_a_count_and_a_clock_far_ahead_do_not_silence_the_machine_for_good(model: FaultModel) -> None:
    detector = FaultDetector("lindau", model)
    ahead = msgspec.structs.replace(reading(9_000, HEALTHY), sequence=2**62, message_id="")
    assert alerts_of(detector, reading(0, HEALTHY), ahead) == []
    days = range(1, event_times.PATIENCE)
    assert alerts_of(detector, *(reading(day, FAULTY) for day in days)) == []
    (alert,) = alerts_of(detector, reading(event_times.PATIENCE, FAULTY))
    assert (alert.state, alert.raised_at) == ("active", reading(event_times.PATIENCE, FAULTY).event_time)


def test_a_clock_far_ahead_does_not_silence_the_machine(model: FaultModel) -> None:
    detector = FaultDetector("lindau", model)
    ahead = msgspec.structs.replace(
        reading(1, HEALTHY), event_time=dt.datetime(2099, 1, 1, tzinfo=dt.UTC), message_id=""
    )
    assert alerts_of(detector, reading(0, HEALTHY), ahead) == []
    restarted = FaultDetector("lindau", model, json.loads(json.dumps(detector.state())))
    (alert,) = alerts_of(restarted, reading(2, FAULTY), reading(3, FAULTY))
    assert (alert.state, alert.raised_at) == ("active", reading(2, FAULTY).event_time)
    assert restarted.counters["late"] == 0


def test_a_fault_that_cannot_be_explained_raises_its_alert_all_the_same(simple_fault_model: FaultFiles) -> None:
    detector = FaultDetector("lindau", FaultModel(*simple_fault_model(readings=(0.0, 0.0, 0.0))))
    (alert,) = alerts_of(detector, reading(0, FAULTY))
    assert alert.state == "active"
    assert "aa_000" not in alert.text
    assert detector.counters["unexplained"] == 1


def test_trees_too_large_to_explain_are_looked_at_once(model: FaultModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contributions, "_MAXIMUM_STEPS", 1)
    looked_at: list[bytes] = []
    leaves = contributions._leaves
    monkeypatch.setattr(contributions, "_leaves", lambda trees: looked_at.append(b"") or leaves(trees))
    detector = FaultDetector("lindau", model)
    scores = [detector.score(reading(day, FAULTY)) for day in range(3)]
    assert [score and score.top_contributions for score in scores] == [[], [], []]
    assert detector.counters["unexplained"] == 3
    assert len(looked_at) == 1


def test_a_restart_from_the_state_neither_repeats_nor_forgets_an_alert(model: FaultModel) -> None:
    detector = FaultDetector("lindau", model)
    assert len(alerts_of(detector, reading(0, FAULTY), reading(1, HEALTHY))) == 1
    restarted = FaultDetector("lindau", model, json.loads(json.dumps(detector.state())))
    assert alerts_of(restarted, reading(2, FAULTY)) == []
    (cleared,) = alerts_of(restarted, *(reading(day, HEALTHY) for day in range(3, 3 + HEALTHY_TO_CLEAR)))
    assert cleared.state == "cleared"


@pytest.mark.parametrize("state", [{"machine-01": {}}, {"machine-01": 1}])
def test_a_state_that_is_none_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="the fault detector's state: "):
        FaultDetector("lindau", None, state)


def test_a_model_that_answers_nonsense_is_given_up_for_the_one_before(
    model: FaultModel, simple_fault_model: FaultFiles
) -> None:
    detector = FaultDetector("lindau", model)
    detector.models.use(FaultModel(*simple_fault_model(faulty_margin=float("nan"))))
    scores = [detector.score(reading(day, FAULTY)) for day in range(PATIENCE)]
    assert [score and score.model_version for score in scores] == [model.version] * PATIENCE
    assert detector.counters["nonsense_answers"] == PATIENCE
    assert detector.counters["models_given_up"] == 1
    assert detector.models.current is model


def test_without_a_model_before_it_nonsense_leaves_the_reading_unscored(simple_fault_model: FaultFiles) -> None:
    detector = FaultDetector("lindau", FaultModel(*simple_fault_model(faulty_margin=float("nan"))))
    assert detector.score(reading(0, FAULTY)) is None
    assert detector.counters["nonsense_answers"] == 1
    assert detector.score(reading(1, HEALTHY)) is not None, "it is sane about healthy machines"


def test_a_model_that_is_too_slow_is_given_up_and_says_why(model: FaultModel, simple_fault_model: FaultFiles) -> None:
    detector = FaultDetector("lindau", model)
    slow = FaultModel(*simple_fault_model(faulty_margin=3.0))
    slow._allowed_seconds = 0.0
    detector.models.use(slow)
    scores = [detector.score(reading(day, FAULTY)) for day in range(PATIENCE + 1)]
    assert [score and score.model_version for score in scores] == [slow.version] * PATIENCE + [model.version]
    assert detector.counters["slow_answers"] == PATIENCE
    assert detector.models.given_up == (slow.version, f"{PATIENCE} bad answers in a row, the latest too slow")
    detector.models.go_back_to(None)
    assert detector.score(reading(99, FAULTY)) is None
