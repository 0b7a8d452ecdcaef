"""Scores each reading of a site's machines for a fault, and raises the site's alert on the floor at once."""

import logging
import sys
import threading

from edge.fault_detector.core import FaultDetector
from edge.runtime.checkpoint import Checkpoint
from edge.runtime.component import Component, main
from edge.runtime.inference import ModelWatch, read
from edge.runtime.models import FaultModel
from edge.runtime.settings import parse_settings
from pm_contracts import topics
from pm_contracts.measurements import MACHINE
from pm_contracts.messages import MachineReading, Refused

NAME = "pm.FaultDetector"

_log = logging.getLogger(__name__)


class Machines:
    """The fault detector of a site's machines, on the bus."""

    def __init__(self, component: Component) -> None:
        """Go on from the saved state, with the model that is there."""
        self._component = component
        self._settings = component.settings
        self._checkpoint = Checkpoint(component, "fault_detector")
        self._models = ModelWatch(self._settings.data_directory, "fault", component.counters)
        # Held while a reading is scored: the model is changed between two readings, from the status thread.
        self._lock = threading.Lock()
        self._unsaved = False
        component.counters.set("refused", 0)
        model = self._models.poll()
        known = model if isinstance(model, FaultModel) else None
        try:
            self._detector = FaultDetector(self._settings.site, known, self._checkpoint.load())
        except Refused as error:
            self._checkpoint.put_aside(str(error))
            self._detector = FaultDetector(self._settings.site, known)

    def listen(self) -> None:
        """Score what the journal holds, then subscribe to the readings of each machine."""
        with self._lock:
            for entry in self._checkpoint.recovered():
                self._answer(entry.topic, entry.payload)
        for device in self._settings.devices_of(MACHINE):
            topic = topics.device_topic(self._settings.site, device, topics.READING)
            self._component.bus.subscribe(topic, self.arrived)

    def arrived(self, topic: str, payload: bytes) -> None:
        """Score a reading."""
        with self._lock:
            self._checkpoint.note(topic, payload)
            self._answer(topic, payload)

    def _answer(self, topic: str, payload: bytes) -> None:
        try:
            reading = read(topic, payload, MachineReading)
        except Refused as error:
            self._component.counters.add("refused")
            _log.warning("refused, on %s: %s", topic, error)
            return
        self._unsaved = True
        score = self._detector.score(reading)
        if score is None:
            return
        for alert in self._detector.alerts(score):
            _log.warning("alert %s: %s", alert.state, alert.text)
            self._component.publish(topics.site_topic(alert.site, topics.ALERT), alert)
        self._component.publish(topics.device_topic(score.site, score.device, topics.FAULT), score)

    def look_around(self) -> None:
        """Let go of a bad model, take a new one up, save the state and bring the counters up to date."""
        self._let_go_of_bad_model()
        model = self._models.poll()
        with self._lock:
            if isinstance(model, FaultModel):
                self._detector.use(model)
            begun = self._checkpoint.begin()
            state = self._detector.state() if self._unsaved else None
            self._unsaved = False
            counters = dict(self._detector.counters)
        for name, value in counters.items():
            self._component.counters.set(name, value)
        if state is not None and not self._checkpoint.save(state, begun):
            self._unsaved = True

    def _let_go_of_bad_model(self) -> None:
        """What was given up is not used again, also after a restart."""
        with self._lock:
            given_up = self._detector.given_up
            if given_up is None or given_up[0] != self._models.version:
                return
            model = self._models.give_up(given_up[1])
            self._detector.go_back_to(model if isinstance(model, FaultModel) else None)


def work(component: Component) -> None:
    """Score until the component is stopped."""
    machines = Machines(component)
    machines.listen()
    component.run(machines.look_around, machines.look_around)


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("edge.fault_detector", __doc__ or ""), work))
