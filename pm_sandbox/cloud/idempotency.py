"""Client tokens: a call repeated with the token of an earlier one is answered as that one was, and does nothing."""

from dataclasses import dataclass, field
from typing import Any

from pm_sandbox.cloud.modelled_service import Request


@dataclass
class Answers:
    """The answers given so far, by operation and client token."""

    _given: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def earlier(self, request: Request) -> dict[str, Any] | None:
        """The answer to an earlier call with this token, or None."""
        return self._given.get((request.operation, request.input.get("clientToken", "")))

    def keep(self, request: Request, answer: dict[str, Any]) -> dict[str, Any]:
        """Keep an answer for repetitions of its call, and give it back."""
        if token := request.input.get("clientToken"):
            self._given[request.operation, token] = answer
        return answer
