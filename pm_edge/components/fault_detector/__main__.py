"""Scores each reading of a site's machines for a fault, and raises the site's alert on the floor at once."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from pm_contracts import topics
from pm_contracts.messages import MachineReading
from pm_edge.components.fault_detector.core import FaultDetector
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.runtime.component import Component, main
from pm_edge.runtime.inference import Inference
from pm_edge.runtime.model_in_use import ModelInUse
from pm_edge.runtime.settings import parse_settings

NAME = "pm.FaultDetector"

_log = logging.getLogger(__name__)


class Machines(Inference[MachineReading, FaultModel]):
    """The fault detector of a site's machines, on the bus."""

    name = "fault_detector"

    def begin(self, state: dict[str, Any], model: FaultModel | None) -> None:
        """Go on with all machines."""
        try:
            self._detector = FaultDetector(self._site, model, state)
        except Exception as error:  # of a file without a checksum, whatever it holds
            self._checkpoint.put_aside(str(error) or type(error).__name__)
            self._detector = FaultDetector(self._site, model)

    def answer(self, reading: MachineReading) -> None:
        """Publish the reading's score, and before it what it means for the site's alert."""
        score = self._detector.score(reading)
        if score is not None:
            for alert in self._detector.alerts(score):
                _log.warning("alert %s: %s", alert.state, alert.text)
                self._component.publish(topics.site_topic(alert.site, topics.ALERT), alert)
            self._component.publish(topics.device_topic(score.site, score.device, topics.FAULT), score)

    def in_use(self) -> Mapping[str, ModelInUse[FaultModel]]:
        """The model in use, one for all machines."""
        return {"": self._detector.models}

    def state(self) -> dict[str, Any]:
        """The state of each machine."""
        return self._detector.state()

    def counts(self) -> Mapping[str, int]:
        """The detector's counters."""
        return self._detector.counters


def work(component: Component) -> None:
    """Score until the component is stopped."""
    Machines(component, FaultModel).run()


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("pm_edge.components.fault_detector", __doc__ or ""), work))
