"""Samples, while the demo runs, of what the lake has received and what waits in the outbox."""

import threading
import time
from types import TracebackType
from typing import NamedTuple, Self

from pm_sandbox.cloud import Cloud
from pm_sandbox.demo.local_status_ear import LocalStatusEar

_EVERY_SECONDS = 0.5


class Sample(NamedTuple):
    """One look: seconds since the demo began, records delivered to the lake, messages in the outbox."""

    seconds: float
    delivered: int
    buffered: int


class Meter:
    """Takes a sample twice a second in a thread of its own."""

    def __init__(self, cloud: Cloud, statuses: LocalStatusEar, began: float) -> None:
        """Measure against `began`, a reading of the monotonic clock."""
        self.samples: list[Sample] = []
        #: Events: seconds since the demo began, and the name.
        self.marks: list[tuple[float, str]] = []
        self._cloud, self._statuses, self._began = cloud, statuses, began
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def mark(self, name: str) -> None:
        """Note that something happened now."""
        self.marks.append((time.monotonic() - self._began, name))

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            delivered = sum(counts["delivered"] for counts in self._cloud.firehose_counts().values())
            buffered = self._statuses.counter("pm.Uplink", "buffered")
            self.samples.append(Sample(time.monotonic() - self._began, delivered, buffered))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
