"""An ear at the cloud for what the components of all sites report of themselves."""

import threading

from pm_contracts import topics
from pm_contracts.messages import Status, decode
from pm_sandbox.cloud import Cloud
from pm_sandbox.cloud_ear import CloudEar


class StatusEar(CloudEar):
    """Keeps the latest status of each component, as it came to AWS IoT Core; a context manager."""

    def __init__(self, cloud: Cloud) -> None:
        """Listen from now on.

        Raises:
            RuntimeError: if the cloud does not let it.
        """
        self._latest: dict[tuple[str, str], Status] = {}
        self._news = threading.Condition()
        super().__init__(cloud, "pm-status", f"{topics.ROOT}/+/{topics.STATUS}", self._arrived)

    def latest(self) -> dict[tuple[str, str], Status]:
        """The latest status by site and component."""
        with self._news:
            return dict(self._latest)

    def reason(self, site: str, component: str) -> str:
        """The latest reason that a component gave for not being well; empty if it gave none."""
        status = self.latest().get((site, component))
        return status.reason if status else ""

    def wait_for(self, components: set[tuple[str, str]], seconds: float) -> None:
        """Return when each of these, by site and component, has reported, or after so many seconds."""
        with self._news:
            self._news.wait_for(lambda: components <= self._latest.keys(), seconds)

    def _arrived(self, _topic: str, payload: bytes) -> None:
        status = decode(payload, Status)
        with self._news:
            self._latest[status.site, status.component] = status
            self._news.notify_all()
