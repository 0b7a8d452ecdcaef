"""The arrival of readings at AWS IoT Core: which came, and when."""

import threading
import time

import msgspec

from pm_contracts import topics
from pm_sandbox.cloud import Cloud
from pm_sandbox.cloud_ear import CloudEar
from resilience.plant import SITE


class _Identity(msgspec.Struct):
    message_id: str = ""


class Arrivals(CloudEar):
    """Notes the first arrival of each reading of the site; a context manager."""

    def __init__(self, cloud: Cloud) -> None:
        """Listen from now on.

        Raises:
            RuntimeError: if the cloud does not let it.
        """
        self._at: dict[str, float] = {}
        self._news = threading.Condition()
        self._decoder = msgspec.json.Decoder(_Identity)
        super().__init__(cloud, "pm-drill", topics.device_topic(SITE, "+", topics.READING), self._arrived)

    def await_all(self, sent: dict[str, float], seconds: float) -> set[str]:
        """The readings of `sent`, by the time at which each was, that did not come within so many seconds after.

        Args:
            sent: Times on the monotonic clock by `message_id`.
            seconds: That each may take.
        """

        def is_settled() -> bool:
            now = time.monotonic()
            return all(reading in self._at or now > at + seconds for reading, at in sent.items())

        latest = max(sent.values(), default=0.0)
        with self._news:
            self._news.wait_for(is_settled, max(0.0, latest + seconds - time.monotonic()) + 1)
            return {reading for reading, at in sent.items() if self._at.get(reading, float("inf")) > at + seconds}

    def _arrived(self, _topic: str, payload: bytes) -> None:
        try:
            message_id = self._decoder.decode(payload).message_id
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        with self._news:
            self._at.setdefault(message_id, time.monotonic())
            self._news.notify_all()
