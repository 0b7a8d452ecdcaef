"""The pure core of forecast quality: a window of outcomes, a rule with hysteresis, alerts at its changes.

Outcomes may come twice and in any order. The window is kept by target time: what it holds in the end does not depend on
the order of arrival. An outcome that is in it already, or older than all of a full window, changes nothing.
"""

import bisect
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from pm_contracts.messages import CAUSE_FORECAST_QUALITY, Alert, Outcome


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The acceptable range of a device's forecasts."""

    window: Annotated[int, Meta(ge=1, le=1000, description="1 to 1000 outcomes")] = 48
    """The number of outcomes in the window, the latest by target time; 48 are two days of hours."""
    minimum_count: Annotated[int, Meta(ge=1, le=1000, description="1 to 1000 outcomes")] = 24
    """Outcomes before which nothing is said, at most `window`."""
    maximum_share: Annotated[float, Meta(ge=0, le=1, description="a share, 0 to 1")] = 0.25
    """Share of misses above which the alert is raised."""
    clear_share: Annotated[float, Meta(ge=0, le=1, description="a share, 0 to 1")] = 0.15
    """Share of misses below which it is cleared, at most `maximum_share`."""
    tolerance: Annotated[float, Meta(gt=0, le=10, description="relative error, above 0")] | None = None
    """Relative error above which a forecast is a miss, as 0.1. By default a forecast is a miss where the actual value
    is outside the forecast's own interval."""

    def __post_init__(self) -> None:
        if self.clear_share > self.maximum_share:
            raise ValueError(f"clear_share {self.clear_share} is above maximum_share {self.maximum_share}")
        if self.minimum_count > self.window:
            raise ValueError(f"minimum_count {self.minimum_count} is above window {self.window}")

    def is_miss(self, outcome: Outcome) -> bool:
        """True if the forecast was outside the acceptable range."""
        if self.tolerance is None:
            return not outcome.inside_interval
        return abs(outcome.value - outcome.actual) > self.tolerance * abs(outcome.actual)


class Seen(NamedTuple):
    """An outcome in the window; sorts by target time."""

    target_time: str
    message_id: str
    miss: bool


class State(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The forecast quality of one device."""

    outcomes: list[Seen] = []
    active: bool = False
    pending: list[Alert] = []
    """Alerts decided on and not yet known to be published: they are saved with the decision, so that none is lost."""

    @property
    def misses(self) -> int:
        """Misses in the window."""
        return sum(seen.miss for seen in self.outcomes)


class Counts(NamedTuple):
    """The counts of a batch of outcomes."""

    taken: int = 0
    repeated: int = 0
    late: int = 0


def observe(state: State, outcomes: Iterable[Outcome], rule: Rule) -> tuple[State, Counts]:
    """The state after `outcomes` of one device, with the alerts that they gave rise to added to `pending`."""
    window = list(state.outcomes)
    known = {seen.message_id for seen in window}
    misses = state.misses
    active = state.active
    pending = list(state.pending)
    taken = repeated = late = 0
    for outcome in sorted(outcomes, key=lambda one: (one.target_time, one.message_id)):
        seen = Seen(outcome.target_time.isoformat(), outcome.message_id, rule.is_miss(outcome))
        if seen.message_id in known:
            repeated += 1
            continue
        if len(window) >= rule.window and seen[:2] < window[0][:2]:
            late += 1
            continue
        bisect.insort(window, seen)
        known.add(seen.message_id)
        misses += seen.miss
        taken += 1
        while len(window) > rule.window:
            dropped = window.pop(0)
            misses -= dropped.miss  # its id stays known: what comes again now is older than the window
        share = misses / len(window)
        if not active and len(window) >= rule.minimum_count and share > rule.maximum_share:
            active = True
            pending.append(_alert(outcome, active, misses, len(window), rule))
        elif active and share < rule.clear_share:
            active = False
            pending.append(_alert(outcome, active, misses, len(window), rule))
    return State(outcomes=window, active=active, pending=pending), Counts(taken, repeated, late)


def _alert(outcome: Outcome, active: bool, misses: int, count: int, rule: Rule) -> Alert:
    told = "outside their own interval" if rule.tolerance is None else f"off by more than {rule.tolerance:.0%}"
    fact = f"{misses} of the latest {count} ({misses / count:.0%}) were {told}"
    change = "have left the acceptable range" if active else "are back in the acceptable range"
    return Alert(
        site=outcome.site,
        device=outcome.device,
        cause=CAUSE_FORECAST_QUALITY,
        severity="warning",
        state="active" if active else "cleared",
        raised_at=outcome.target_time,
        dedupe_key=f"{CAUSE_FORECAST_QUALITY}/{outcome.device}",
        text=f"The forecasts for {outcome.device} at {outcome.site} {change}: {fact}.",
    )


def to_json(state: State) -> str:
    """The state as text, for the table."""
    return msgspec.json.encode(state).decode()


def from_json(text: Any) -> State:
    """The state of `to_json`.

    Raises:
        msgspec.ValidationError: if it is invalid.
    """
    return msgspec.json.decode(text, type=State)
