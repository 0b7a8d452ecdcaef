"""The fault detector of a site's machines: readings in, scores and alerts out. No input or output of its own.

Each machine reading is scored. A fault raises the machine's alert once; it is cleared by `HEALTHY_TO_CLEAR` healthy
scores in a row, so that one good day between two bad ones neither clears it nor raises it twice. Before the first model
there are no scores, only a count of what went unscored.
"""

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pm_contracts.event_times import PATIENCE
from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_contracts.messages import CAUSE_FAULT, Alert, Contribution, FaultScore, MachineReading, Refused
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.runtime.model_in_use import ModelInUse

if TYPE_CHECKING:
    from pm_edge.components.fault_detector.contributions import TreeContributions

#: So many healthy scores in a row end an alert.
HEALTHY_TO_CLEAR = 3
#: So many measurements are named for a fault.
TOP_CONTRIBUTIONS = 5


class _Machine(msgspec.Struct, forbid_unknown_fields=True):
    """The state of one machine."""

    latest: dt.datetime
    latest_sequence: int
    alerting: bool = False
    healthy_in_a_row: int = 0
    #: The latest score that decided about the alert; an older one decides nothing.
    decided: dt.datetime | None = None
    decided_sequence: int = -1
    #: Scores in a row that were older.
    older_in_a_row: int = 0


class FaultDetector:
    """The fault detector of one site."""

    def __init__(self, site: str, model: FaultModel | None = None, state: dict[str, Any] | None = None) -> None:
        """Begin, or go on from an earlier `state()`.

        Raises:
            Refused: if the state is invalid; the text says which part.
        """
        self.counters = dict.fromkeys(
            (
                "readings", "scores", "faults", "without_model", "late", "repeated", "alerts_raised",
                "alerts_cleared", "unexplained",
            ),
            0,
        )  # fmt: skip
        self._site = site
        self.models = ModelInUse(self.counters, model)
        #: The explainer of the latest model that called a fault; None where it cannot be explained.
        self._explained: tuple[FaultModel, TreeContributions | None] | None = None
        self._machines: dict[str, _Machine] = {}
        if state is not None:
            try:
                self._machines = msgspec.convert(state, dict[str, _Machine])
            except msgspec.ValidationError as error:
                raise Refused(f"the fault detector's state: {error}") from error

    def score(self, reading: MachineReading) -> FaultScore | None:
        """Score one reading.

        A reading older than the machine's latest, by its time and by its sequence, is scored too, and counted as late.

        Returns:
            None before the first model, for a reading that repeats the latest, and where no model gives a sane answer.
        """
        self.counters["readings"] += 1
        machine = self._machines.get(reading.device)
        if machine is None:
            self._machines[reading.device] = _Machine(reading.event_time, reading.sequence)
        elif (reading.event_time, reading.sequence) == (machine.latest, machine.latest_sequence):
            self.counters["repeated"] += 1
            return None
        elif reading.event_time <= machine.latest and reading.sequence <= machine.latest_sequence:
            self.counters["late"] += 1
        else:
            machine.latest, machine.latest_sequence = reading.event_time, reading.sequence
        if self.models.current is None:
            self.counters["without_model"] += 1
            return None

        measurements = msgspec.structs.astuple(reading.measurements)
        answer = self.models.ask(lambda model: model.probability(measurements))
        if answer is None:
            return None
        model, probability = answer
        threshold = model.manifest.threshold
        faulty = probability >= threshold
        self.counters["scores"] += 1
        self.counters["faults"] += faulty
        return FaultScore(
            site=self._site,
            device=reading.device,
            sequence=reading.sequence,
            event_time=reading.event_time,
            probability=probability,
            threshold=threshold,
            faulty=faulty,
            model_version=model.version,
            top_contributions=self._contributions(model, measurements) if faulty else [],
        )

    def alerts(self, score: FaultScore) -> list[Alert]:
        """The score's effect on its machine's alert: raised, cleared, or nothing new.

        A score older than the latest one that was decided on changes nothing. It is older by its time and its sequence:
        after a clock that was far ahead the sequence tells what is new, after a device that counts anew the time. After
        so many older ones in a row as `PATIENCE` has, it was the latest that was wrong.
        """
        machine = self._machines.setdefault(score.device, _Machine(score.event_time, score.sequence))
        decided = machine.decided
        if decided is not None and score.event_time <= decided and score.sequence <= machine.decided_sequence:
            machine.older_in_a_row += 1
            if machine.older_in_a_row < PATIENCE:
                return []
        machine.older_in_a_row = 0
        machine.decided, machine.decided_sequence = score.event_time, score.sequence
        if score.faulty:
            machine.healthy_in_a_row = 0
            if machine.alerting:
                return []
            machine.alerting = True
            self.counters["alerts_raised"] += 1
            return [self._alert(score, "active", _fault_text(score))]
        if not machine.alerting:
            return []
        machine.healthy_in_a_row += 1
        if machine.healthy_in_a_row < HEALTHY_TO_CLEAR:
            return []
        machine.alerting, machine.healthy_in_a_row = False, 0
        self.counters["alerts_cleared"] += 1
        text = f"{score.device} at {self._site} is healthy again: {HEALTHY_TO_CLEAR} readings in a row show no fault."
        return [self._alert(score, "cleared", text)]

    def state(self) -> dict[str, Any]:
        """All that a restart must not forget, as JSON can hold it."""
        return msgspec.to_builtins(self._machines)

    def _contributions(self, model: FaultModel, measurements: tuple[float | None, ...]) -> list[Contribution]:
        """The measurements that speak loudest for a fault; none where the model's trees cannot be read."""
        try:
            if self._explained is None or self._explained[0] is not model:
                # Only here: it takes 3 MB and time to start, and most fault detectors wait long for a fault.
                from pm_edge.components.fault_detector.contributions import TreeContributions

                self._explained = model, None
                self._explained = model, TreeContributions(model.content)
            if (explain := self._explained[1]) is None:
                self.counters["unexplained"] += 1
                return []
            changes = explain(np.array(measurements, dtype=np.float32))  # None becomes NaN
        except Exception:  # whatever it is: an alert without a reason is better than none
            self.counters["unexplained"] += 1
            return []
        loudest = np.argsort(-changes, kind="stable")[:TOP_CONTRIBUTIONS]
        return [
            Contribution(measurement=MACHINE_MEASUREMENTS[i], log_odds_change=float(changes[i]))
            for i in loudest
            if changes[i] > 0
        ]

    def _alert(self, score: FaultScore, state: str, text: str) -> Alert:
        return Alert(
            site=self._site,
            device=score.device,
            cause=CAUSE_FAULT,
            severity="critical",
            state=state,
            raised_at=score.event_time,
            dedupe_key=f"fault/{score.device}",
            text=text,
        )


def _fault_text(score: FaultScore) -> str:
    named = ", ".join(contribution.measurement for contribution in score.top_contributions[:3])
    because = f" It shows most in {named}." if named else ""
    return (
        f"{score.device} at {score.site} shows signs of a fault of its air-pressure system: "
        f"probability {score.probability:.1%}, called a fault from {score.threshold:.1%}.{because}"
    )
