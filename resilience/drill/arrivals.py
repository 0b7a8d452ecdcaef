"""The arrival of readings at AWS IoT Core: which came, and when."""

import math
import threading
import time
from collections.abc import Mapping

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
        self._lock = threading.Lock()
        self._decoder = msgspec.json.Decoder(_Identity)
        super().__init__(cloud, "pm-drill", topics.device_topic(SITE, "+", topics.READING), self._arrived)

    def all_told(self, sent: Mapping[str, float], seconds: float) -> bool:
        """True once each reading of `sent` has come, or is late; see `late`."""
        now = time.monotonic()
        with self._lock:
            return all(reading in self._at or now > at + seconds for reading, at in sent.items())

    def late(self, sent: Mapping[str, float], seconds: float) -> set[str]:
        """The readings of `sent` that did not come in time.

        Args:
            sent: When each was sent, on the monotonic clock, by its `message_id`.
            seconds: That each may take.
        """
        with self._lock:
            return {reading for reading, at in sent.items() if self._at.get(reading, math.inf) > at + seconds}

    def _arrived(self, _topic: str, payload: bytes) -> None:
        try:
            message_id = self._decoder.decode(payload).message_id
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        with self._lock:
            self._at.setdefault(message_id, time.monotonic())
