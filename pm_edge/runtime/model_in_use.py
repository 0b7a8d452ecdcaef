"""The rule by which a bad model is given up, the same for every kind."""

from collections.abc import Callable
from typing import Generic, TypeVar

from pm_edge.runtime.models import Model

#: After so many bad answers in a row, nonsense or too slow, a model is given up for the one before it.
PATIENCE = 3

_Model = TypeVar("_Model", bound=Model)
_Answer = TypeVar("_Answer")


class ModelInUse(Generic[_Model]):
    """The model that answers, and the one before it, which answers in its place where its answer is nonsense.

    Attributes:
        current: Of which everything is asked; None if there is no model.
        previous: The one before it, to go back to.
        given_up: Version of the model that was given up last, and why.
    """

    def __init__(self, counters: dict[str, int], model: _Model | None) -> None:
        """Begin with `model`, and count bad answers in the owner's `counters`."""
        self._counters = counters
        counters.update(nonsense_answers=0, slow_answers=0, models_given_up=0)
        self.current = model
        self.previous: _Model | None = None
        self.given_up: tuple[str, str] | None = None
        self._bad_in_a_row = 0

    def use(self, model: _Model) -> None:
        """Answer with `model` from the next question on; the one until now is kept to go back to."""
        self.previous, self.current, self._bad_in_a_row = self.current, model, 0

    def go_back_to(self, model: _Model | None) -> None:
        """Answer with `model`, or not at all, from the next question on; the one until now is not kept."""
        self.previous, self.current, self._bad_in_a_row = None, model, 0

    def ask(self, question: Callable[[_Model], _Answer | None]) -> tuple[_Model, _Answer] | None:
        """The answer, and the model that gave it; None if no model gives a sane one.

        Args:
            question: asks a model; None for nonsense. A slow answer is an answer still.
        """
        current, previous = self.current, self.previous
        if current is None:
            return None
        answer = question(current)
        if answer is None:
            self._counters["nonsense_answers"] += 1
            self._note_bad(current, "nonsense")
        elif current.too_slow:
            self._counters["slow_answers"] += 1
            self._note_bad(current, "too slow")
        else:
            self._bad_in_a_row = 0
        if answer is not None:
            return current, answer
        if previous is not None and (answer := question(previous)) is not None:
            return previous, answer
        return None

    def _note_bad(self, model: _Model, what: str) -> None:
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= PATIENCE:
            self._counters["models_given_up"] += 1
            self.given_up = (model.version, f"{PATIENCE} bad answers in a row, the latest {what}")
            self.go_back_to(self.previous)
