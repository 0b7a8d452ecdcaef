"""The frame of components with a model: readings in, the model as it changes, and the state across restarts."""

import contextlib
import datetime as dt
import functools
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from pm_contracts import topics
from pm_contracts.event_times import PatientClock
from pm_contracts.messages import MAXIMUM_MESSAGE_BYTES, Reading, Refused, decode
from pm_edge.runtime.bus import Callback, guarded
from pm_edge.runtime.checkpoint import Checkpoint
from pm_edge.runtime.component import Component, Counters
from pm_edge.runtime.model_in_use import ModelInUse
from pm_edge.runtime.model_store import ModelStore
from pm_edge.runtime.model_trust import ModelTrust
from pm_edge.runtime.models import Model
from pm_edge.runtime.settings import Settings

_log = logging.getLogger(__name__)

#: Seconds that the status waits for the answer to a reading; then it comes without news of it.
_PATIENCE_SECONDS = 1.0

_Reading = TypeVar("_Reading", bound=Reading)
_Model = TypeVar("_Model", bound=Model)


def read(topic: str, payload: bytes, as_type: type[_Reading], clock: PatientClock) -> _Reading:
    """The reading in `payload`, of the site and device that `topic` names, by `clock` no reading of the future.

    Raises:
        Refused: if it is none, of another, or ahead. The uplink, which sees the same message, makes the dead letter.
    """
    reading = decode(payload, as_type)
    expected = topics.device_topic(reading.site, reading.device, topics.READING)
    if topic != expected:
        raise Refused(f"a reading of {expected} came on {topic}")
    clock.require_past(reading, dt.datetime.now(dt.UTC))
    return reading


def subscribe_to_readings(component: Component, device_type: str, callback: Callback) -> None:
    """Have `callback` called with the readings of the site's devices of one type.

    It is one subscription for any number of them, since nucleus lite has 99 for all components of a core device
    together (GGL_PUBSUB_MAX_SUBSCRIPTIONS in aws-greengrass-lite 2.6.0, `modules/ggpubsubd/src/bus_server.c`).

    Raises:
        BusError: if the bus refuses the subscription.
    """
    settings = component.settings
    wanted = {topics.device_topic(settings.site, device, topics.READING) for device in settings.devices_of(device_type)}

    def arrived(topic: str, payload: bytes) -> None:
        if topic in wanted:
            callback(topic, payload)

    if wanted:
        component.bus.subscribe(topics.device_topic(settings.site, "+", topics.READING), arrived)


class ModelWatch(Generic[_Model]):
    """Sees new models come and bad ones go; counts those loaded and those refused.

    Attributes:
        version: Of the model in use, empty if there is none.
        trouble: What is wrong with the latest model that came; empty if it is in use.
    """

    def __init__(self, settings: Settings, as_type: type[_Model], counters: Counters) -> None:
        """Watch the models of one kind in the component's data folder, for those that are signed for its site."""
        trust = ModelTrust(settings.site, settings.data_directory)
        self._store = ModelStore(settings.data_directory / "models", as_type, trust)
        self._counters = counters
        self._refused = 0
        self.version = ""
        self.trouble = ""
        counters.set("models_loaded", 0)
        counters.set("models_refused", 0)

    def poll(self) -> _Model | None:
        """A model that has come since the last call, or the one to use in its place; None if nothing changes."""
        model = self._store.poll()
        if model is not None:
            self.trouble = ""
        if self._store.refused > self._refused:
            self._refused = self._store.refused
            self._counters.set("models_refused", self._refused)
            self.trouble = f"model refused, the one before it stays: {self._store.reason}"
            _log.error("%s", self.trouble)
        if model is not None:
            self._taken_up(model)
        return model

    def give_up(self, reason: str) -> _Model | None:
        """Never use the model in use again, for `reason`; the one before it, None if there is none."""
        trouble = f"model {self.version} is given up: {reason}"
        _log.error("%s", trouble)
        self.version = ""
        model = self._store.give_up(reason)
        if model is not None:
            self._taken_up(model)
        self.trouble = trouble
        return model

    def _taken_up(self, model: _Model) -> None:
        self.version = model.version
        self._counters.count("models_loaded")
        _log.info("model %s is loaded", model.version)


class Inference(ABC, Generic[_Reading, _Model]):
    """A component that answers each reading of some devices with a model, on the bus."""

    #: Of its state and journal.
    name: ClassVar[str]

    def __init__(self, component: Component, model: type[_Model]) -> None:
        """Prepare to go on; `begin` is called with the saved state and the model that is there."""
        self._component = component
        self._site = component.settings.site
        self._kind = model.kind
        self._checkpoint = Checkpoint(component, self.name)
        self._models = ModelWatch(component.settings, model, component.counters)
        # Held while a reading is answered: the model is changed between two readings, from the status thread.
        self._lock = threading.Lock()
        self._to_use: _Model | None = None
        self._unsaved = False
        self._clock = PatientClock()
        component.counters.set("refused", 0)
        self.begin(self._checkpoint.load(), self._models.poll())

    @abstractmethod
    def begin(self, state: dict[str, Any], model: _Model | None) -> None:
        """Go on from the saved state; one that is unusable is put aside."""

    @abstractmethod
    def answer(self, reading: _Reading) -> None:
        """Answer a reading."""

    @abstractmethod
    def in_use(self) -> Mapping[str, ModelInUse[_Model]]:
        """The models in use, by the device that each answers for; under an empty name if it answers for all."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that a restart must not forget, as JSON can hold it."""

    @abstractmethod
    def counts(self) -> Mapping[str, int]:
        """The counters of what answers."""

    def run(self) -> None:
        """Answer what the journal holds, then each reading, until the component is stopped."""
        self._checkpoint.tell_damage()
        answer = guarded(self._answer)
        with self._lock:
            for entry in self._checkpoint.recovered():
                answer(entry.topic, entry.payload)
        subscribe_to_readings(self._component, self._kind.device_type, self._arrived)
        self._component.run(functools.partial(self._look_around, is_last=True), self._look_around)

    def _arrived(self, topic: str, payload: bytes) -> None:
        if len(payload) > MAXIMUM_MESSAGE_BYTES:  # nothing to keep: the uplink makes the dead letter
            self._component.counters.count("refused")
            return
        with self._lock:
            self._checkpoint.note(topic, payload)
            self._answer(topic, payload)

    def _answer(self, topic: str, payload: bytes) -> None:
        # Whatever comes of it: with the next state that is saved, the journal lets go of it.
        self._unsaved = True
        try:
            reading = read(topic, payload, cast(type[_Reading], self._kind.reading), self._clock)
        except Refused as error:
            self._component.counters.count("refused")
            _log.warning("refused, on %s: %s", topic, error)
            return
        self.answer(reading)

    def _look_around(self, *, is_last: bool = False) -> None:
        """Let go of a bad model, take a new one up, save the state if it is due, and bring the counters up to date."""
        with self._between_readings() as is_between:
            if not is_between:
                return
            if reason := self._why_given_up():
                model = self._models.give_up(reason)
                for one in self.in_use().values():
                    one.go_back_to(model)
        self._to_use = self._models.poll() or self._to_use
        with self._between_readings() as is_between:
            if not is_between:
                return
            if self._to_use is not None:
                for one in self.in_use().values():
                    one.use(self._to_use)
                self._to_use = None
            begun, state = 0, None
            if self._unsaved and (is_last or self._checkpoint.is_due):
                begun, state = self._checkpoint.begin(), self.state()
                self._unsaved = False
            counts = dict(self.counts())
        for name, value in counts.items():
            self._component.counters.set(name, value)
        self._component.trouble(self._models.trouble)
        if state is not None and not self._checkpoint.save(state, begun):
            self._unsaved = True

    def _why_given_up(self) -> str:
        """The reasons for which the model was given up, empty if it may be used: no device uses what one gave up."""
        return "; ".join(
            f"{device}: {one.given_up[1]}" if device else one.given_up[1]
            for device, one in self.in_use().items()
            if one.given_up and one.given_up[0] == self._models.version
        )

    @contextlib.contextmanager
    def _between_readings(self) -> Iterator[bool]:
        """Wait until no reading is being answered, but not for a bus that takes no answer; return whether none is."""
        is_between = self._lock.acquire(timeout=_PATIENCE_SECONDS)
        try:
            yield is_between
        finally:
            if is_between:
                self._lock.release()
