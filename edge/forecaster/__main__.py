"""Forecasts the next hour of each of a site's air-quality stations, and says how each forecast turned out."""

import logging
import sys
import threading

from edge.forecaster.core import Forecaster
from edge.runtime.checkpoint import Checkpoint
from edge.runtime.component import Component, main
from edge.runtime.inference import ModelWatch, read
from edge.runtime.models import ForecastModel
from edge.runtime.settings import parse_settings
from pm_contracts import topics
from pm_contracts.measurements import AIR_QUALITY
from pm_contracts.messages import AirQualityReading, Outcome, Refused

NAME = "pm.Forecaster"

_log = logging.getLogger(__name__)


class Stations:
    """The forecasters of a site's stations, on the bus."""

    def __init__(self, component: Component) -> None:
        """Go on from the saved state, with the model that is there."""
        self._component = component
        self._settings = component.settings
        self._checkpoint = Checkpoint(component, "forecaster")
        self._models = ModelWatch(self._settings.data_directory, "forecast", component.counters)
        # Held while a reading is answered: the model is changed between two readings, from the status thread.
        self._lock = threading.Lock()
        self._unsaved = False
        component.counters.set("refused", 0)
        states = self._checkpoint.load()
        model = self._models.poll()
        known = model if isinstance(model, ForecastModel) else None
        self._forecasters: dict[str, Forecaster] = {}
        for device in self._settings.devices_of(AIR_QUALITY):
            try:
                forecaster = Forecaster(self._settings.site, device, known, states.get(device))
            except Refused as error:
                self._checkpoint.put_aside(str(error))
                forecaster = Forecaster(self._settings.site, device, known)
            self._forecasters[device] = forecaster

    def listen(self) -> None:
        """Answer what the journal holds, then subscribe to the readings of each station."""
        with self._lock:
            for entry in self._checkpoint.recovered():
                self._answer(entry.topic, entry.payload)
        for device in self._forecasters:
            topic = topics.device_topic(self._settings.site, device, topics.READING)
            self._component.bus.subscribe(topic, self.arrived)

    def arrived(self, topic: str, payload: bytes) -> None:
        """Answer a reading."""
        with self._lock:
            self._checkpoint.note(topic, payload)
            self._answer(topic, payload)

    def _answer(self, topic: str, payload: bytes) -> None:
        try:
            reading = read(topic, payload, AirQualityReading)
        except Refused as error:
            self._component.counters.add("refused")
            _log.warning("refused, on %s: %s", topic, error)
            return
        forecaster = self._forecasters.get(reading.device)
        if forecaster is None:  # in the journal, of a device that the site no longer has
            return
        self._unsaved = True
        for answer in forecaster.observe(reading):
            channel = topics.OUTCOME if isinstance(answer, Outcome) else topics.FORECAST
            self._component.publish(topics.device_topic(answer.site, answer.device, channel), answer)

    def look_around(self) -> None:
        """Let go of a bad model, take a new one up, save the state and bring the counters up to date."""
        self._let_go_of_bad_model()
        model = self._models.poll()
        with self._lock:
            if isinstance(model, ForecastModel):
                for forecaster in self._forecasters.values():
                    forecaster.use(model)
            begun = self._checkpoint.begin()
            states = (
                {device: forecaster.state() for device, forecaster in self._forecasters.items()}
                if self._unsaved
                else None
            )
            self._unsaved = False
            totals: dict[str, int] = {}
            for forecaster in self._forecasters.values():
                for name, value in forecaster.counters.items():
                    totals[name] = totals.get(name, 0) + value
        for name, value in totals.items():
            self._component.counters.set(name, value)
        if states is not None and not self._checkpoint.save(states, begun):
            self._unsaved = True

    def _let_go_of_bad_model(self) -> None:
        """What one station gave up, no station uses again, also after a restart."""
        with self._lock:
            reasons = [
                f"{device}: {forecaster.given_up[1]}"
                for device, forecaster in self._forecasters.items()
                if forecaster.given_up and forecaster.given_up[0] == self._models.version
            ]
            if not reasons:
                return
            model = self._models.give_up("; ".join(reasons))
            for forecaster in self._forecasters.values():
                forecaster.go_back_to(model if isinstance(model, ForecastModel) else None)


def work(component: Component) -> None:
    """Forecast until the component is stopped."""
    stations = Stations(component)
    stations.listen()
    component.run(stations.look_around, stations.look_around)


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("edge.forecaster", __doc__ or ""), work))
