"""The pure core of forecast quality: window, misses, hysteresis, repeats and any order.

Not proved here: how the state is kept and guarded (test_forecast_quality_handler.py).
"""

import datetime as dt
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm_components.functions.forecast_quality.core import Counts, Rule, State, from_json, observe, to_json
from pm_contracts.messages import Outcome

START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
RULE = Rule(window=10, minimum_count=5, maximum_share=0.3, clear_share=0.2)


def outcome(hour: int, inside: bool = True, value: float = 10.0, actual: float = 10.0) -> Outcome:
    return Outcome(
        site="lindau",
        device="air-1",
        issued_at=START + dt.timedelta(hours=hour - 1),
        target_time=START + dt.timedelta(hours=hour),
        horizon_hours=1,
        value=value,
        lower=value - 1,
        upper=value + 1,
        interval_level=0.9,
        last_value=value,
        model_version="v1",
        actual=actual,
        inside_interval=inside,
    )


def test_nothing_is_said_before_the_minimum_count_and_then_with_the_outcome_that_tipped_it() -> None:
    state, _ = observe(State(), [outcome(hour, inside=False) for hour in range(4)], RULE)
    assert state.pending == []
    state, _ = observe(state, [outcome(4, inside=False)], RULE)
    (alert,) = state.pending
    assert (alert.state, alert.severity, alert.cause) == ("active", "warning", "forecast_quality")
    assert alert.raised_at == START + dt.timedelta(hours=4)
    assert alert.dedupe_key == "forecast_quality/air-1"
    assert alert.text == (
        "The forecasts for air-1 at lindau have left the acceptable range: "
        "5 of the latest 5 (100%) were outside their own interval."
    )


def test_a_share_at_the_limit_is_still_acceptable() -> None:
    state, _ = observe(State(), [outcome(hour, inside=hour >= 3) for hour in range(10)], RULE)
    assert state.misses == 3
    # 2 of 5 (40 %) tipped it on the way; from a window that never was above, 3 of 10 does not.
    state, _ = observe(State(), [outcome(hour, inside=hour not in (3, 6, 9)) for hour in range(10)], RULE)
    assert state.misses == 3
    assert not state.active
    assert state.pending == []


def test_it_is_raised_once_and_cleared_below_the_lower_share_only() -> None:
    state, _ = observe(State(), [outcome(hour, inside=False) for hour in range(10)], RULE)
    states = [alert.state for alert in state.pending]
    assert states == ["active"]
    state, _ = observe(state, [outcome(hour) for hour in range(10, 18)], RULE)  # 2 of 10 left: 20 %, not below
    assert state.active
    state, _ = observe(state, [outcome(18)], RULE)
    assert not state.active
    assert [alert.state for alert in state.pending] == ["active", "cleared"]
    assert state.pending[-1].raised_at == START + dt.timedelta(hours=18)
    assert "are back in the acceptable range: 1 of the latest 10 (10%)" in state.pending[-1].text


def test_a_tolerance_is_relative_to_the_actual_value() -> None:
    rule = msgspec.structs.replace(RULE, tolerance=0.1)
    assert not rule.is_miss(outcome(0, inside=False, value=110.0, actual=100.0))
    assert rule.is_miss(outcome(0, inside=True, value=110.1, actual=100.0))
    assert rule.is_miss(outcome(0, value=89.9, actual=100.0))
    assert not rule.is_miss(outcome(0, value=0.0, actual=0.0))


def test_repeats_and_those_too_late_for_the_window_change_nothing() -> None:
    state, counts = observe(State(), [outcome(hour) for hour in range(20)], RULE)
    assert counts == Counts(taken=20)
    again, counts = observe(state, [outcome(hour, inside=False) for hour in range(20)], RULE)
    assert counts == Counts(taken=0, repeated=10, late=10)
    assert again == state


@settings(max_examples=60, deadline=None)
@given(misses=st.lists(st.booleans(), min_size=1, max_size=40), seed=st.integers(0, 1000), size=st.integers(1, 12))
def test_the_window_does_not_depend_on_order_batches_or_repeats(misses: list[bool], seed: int, size: int) -> None:
    outcomes = [outcome(hour, inside=not miss) for hour, miss in enumerate(misses)]
    in_order, _ = observe(State(), outcomes, RULE)
    shuffled = outcomes * 2
    random.Random(seed).shuffle(shuffled)
    state, taken = State(), 0
    for start in range(0, len(shuffled), size):
        state, counts = observe(state, shuffled[start : start + size], RULE)
        assert sum(counts) == len(shuffled[start : start + size])
        taken += counts.taken
    assert state.outcomes == in_order.outcomes
    assert state.misses == sum(misses[-RULE.window :])
    assert min(len(misses), RULE.window) <= taken <= len(misses)


@settings(max_examples=60, deadline=None)
@given(misses=st.lists(st.booleans(), max_size=200))
def test_alerts_alternate_and_each_has_an_identity_of_its_own(misses: list[bool]) -> None:
    state, _ = observe(State(), [outcome(hour, inside=not miss) for hour, miss in enumerate(misses)], RULE)
    states = [alert.state for alert in state.pending]
    assert states == ["active", "cleared"] * (len(states) // 2) + ["active"] * (len(states) % 2)
    assert state.active == (states[-1:] == ["active"])
    assert len({alert.message_id for alert in state.pending}) == len(states)


def test_the_state_survives_its_text() -> None:
    state, _ = observe(State(), [outcome(hour, inside=False) for hour in range(6)], RULE)
    assert state.pending
    assert from_json(to_json(state)) == state


def test_the_largest_state_fits_a_table_item() -> None:
    rule = Rule(window=1000, minimum_count=1, maximum_share=0.0, clear_share=0.0)
    state, _ = observe(State(), [outcome(hour, inside=False) for hour in range(1000)], rule)
    assert len(to_json(state)) < 400 * 1024  # "Item size", Amazon DynamoDB quotas


@pytest.mark.parametrize("changed", [{"clear_share": 0.4}, {"minimum_count": 11}])
def test_a_rule_that_contradicts_itself_is_refused(changed: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is above"):
        msgspec.convert({**msgspec.structs.asdict(RULE), **changed}, type=Rule)
