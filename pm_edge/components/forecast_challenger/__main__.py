"""Forecasts each air-quality station with a model on trial, and says how each forecast turned out.

It runs beside the forecaster as a process of its own, so that nothing that the model on trial does can touch the one in
charge. Nobody acts on its forecasts: only outcomes are published, on a channel of their own. It begins with the window
that the forecaster has saved, and has no state to keep: a trial that is interrupted goes on from the forecaster's.
"""

import functools
import logging
import sys
from pathlib import Path
from typing import Any

from pm_contracts import topics
from pm_contracts.event_times import PatientClock
from pm_contracts.measurements import AIR_QUALITY
from pm_contracts.messages import AirQualityReading, Outcome, Refused, TrialOutcome
from pm_edge.forecasting.core import Forecaster
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.component import Component, ComponentError, main
from pm_edge.runtime.inference import read, subscribe_to_readings
from pm_edge.runtime.model_trust import ModelTrust
from pm_edge.runtime.models import load_model
from pm_edge.runtime.settings import parse_settings
from pm_edge.runtime.state_file import decode_state

NAME = "pm.ForecastChallenger"
#: The model lies beside the code: the pipeline packs both into the component's artifact.
MODEL_DIRECTORY = Path(__file__).resolve().parents[3] / "model"

_log = logging.getLogger(__name__)


class Challenger:
    """The model on trial, for each of a site's stations."""

    def __init__(self, component: Component, model: ForecastModel) -> None:
        """Begin with the windows that the forecaster has saved."""
        self._component = component
        self._version = model.version
        self._clock = PatientClock()
        component.counters.set("refused", 0)
        component.counters.set("trial_outcomes", 0)
        saved = _saved(component.settings.data_directory / "state" / "forecaster.json")
        self._forecasters: dict[str, Forecaster] = {}
        for device in component.settings.devices_of(AIR_QUALITY):
            self._forecasters[device] = _begin(component.settings.site, device, model, saved.get(device))

    def listen(self) -> None:
        """Subscribe to the readings of each station."""
        subscribe_to_readings(self._component, AIR_QUALITY, self.arrived)

    def arrived(self, topic: str, payload: bytes) -> None:
        """Answer a reading; what a forecast of the model on trial has come to is published."""
        try:
            reading = read(topic, payload, AirQualityReading, self._clock)
        except Refused as error:
            self._component.counters.count("refused")
            _log.warning("refused, on %s: %s", topic, error)
            return
        for answer in self._forecasters[reading.device].observe(reading):
            # Until its window is full it answers with persistence, which is not on trial.
            if isinstance(answer, Outcome) and answer.model_version == self._version:
                self._component.counters.count("trial_outcomes")
                topic = topics.device_topic(answer.site, answer.device, topics.TRIAL)
                self._component.publish(topic, trial_outcome(answer))


def trial_outcome(outcome: Outcome) -> TrialOutcome:
    """The outcome as one of a model on trial; its identity is that of its own kind."""
    fields = {name: getattr(outcome, name) for name in outcome.__struct_fields__ if name != "message_id"}
    return TrialOutcome(**fields)


def _begin(site: str, device: str, model: ForecastModel, state: dict[str, Any] | None) -> Forecaster:
    """A forecaster that goes on from `state`, the forecasts of the model in charge left out."""
    try:
        return Forecaster(site, device, model, {**state, "pending": {}} if state else None)
    except Exception as error:  # of a file without a checksum, whatever it holds
        _log.warning("%s begins with an empty window: %s", device, error)
        return Forecaster(site, device, model)


def _saved(path: Path) -> dict[str, Any]:
    """The forecaster's saved state of each station; empty if there is nothing to read. The file is not ours."""
    try:
        return decode_state(path.read_bytes())
    except (OSError, ValueError) as error:
        _log.info("no windows to begin with: %s", error)
        return {}


def work(component: Component) -> None:
    """Forecast until the component is stopped.

    Raises:
        ComponentError: if the model cannot be used; the deployment that brought it then fails.
    """
    trust = ModelTrust(component.settings.site, component.settings.data_directory, on_trial=True)
    accept = functools.partial(trust.release, MODEL_DIRECTORY, ForecastModel.kind.name)
    try:
        model = load_model(MODEL_DIRECTORY, ForecastModel, accept)
    except Refused as error:
        raise ComponentError(f"the model on trial is refused: {error}") from error
    challenger = Challenger(component, model)
    challenger.listen()
    component.run(lambda: None)


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("pm_edge.components.forecast_challenger", __doc__ or ""), work))
