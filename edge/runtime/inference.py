"""What the components with a model share: readings in, and the model as it changes."""

import logging
from pathlib import Path
from typing import TypeVar

from edge.runtime.component import Counters
from edge.runtime.model_store import ModelStore
from edge.runtime.models import Model
from pm_contracts import topics
from pm_contracts.messages import AirQualityReading, MachineReading, Refused, decode

_log = logging.getLogger(__name__)

_Reading = TypeVar("_Reading", AirQualityReading, MachineReading)


def read(topic: str, payload: bytes, as_type: type[_Reading]) -> _Reading:
    """The reading in `payload`, of the site and device that `topic` names.

    Raises:
        Refused: where it is none, or of another. The uplink, which sees the same message, makes the dead letter.
    """
    reading = decode(payload, as_type)
    expected = topics.device_topic(reading.site, reading.device, topics.READING)
    if topic != expected:
        raise Refused(f"a reading of {expected} came on {topic}")
    return reading


class ModelWatch:
    """Sees new models come and bad ones go; counts those loaded and those refused.

    Attributes:
        version: Of the model in use, empty where there is none.
    """

    def __init__(self, data_directory: Path, kind: str, counters: Counters) -> None:
        """Watch the models of `kind` in the component's data folder."""
        self._store = ModelStore(data_directory / "models", kind)
        self._counters = counters
        self._refused = 0
        self.version = ""
        counters.set("models_loaded", 0)
        counters.set("models_refused", 0)

    def poll(self) -> Model | None:
        """A model that has come since the last call, or the one to use in its place; None where nothing changes."""
        model = self._store.poll()
        if self._store.refused > self._refused:
            self._refused = self._store.refused
            self._counters.set("models_refused", self._refused)
            _log.error("model refused, the one before it stays: %s", self._store.reason)
        if model is not None:
            self._taken_up(model)
        return model

    def give_up(self, reason: str) -> Model | None:
        """Never use the model in use again, for `reason`; the one before it, None where there is none."""
        _log.error("model %s is given up: %s", self.version, reason)
        self.version = ""
        model = self._store.give_up(reason)
        if model is not None:
            self._taken_up(model)
        return model

    def _taken_up(self, model: Model) -> None:
        self.version = model.version
        self._counters.add("models_loaded")
        _log.info("model %s is loaded", model.version)
