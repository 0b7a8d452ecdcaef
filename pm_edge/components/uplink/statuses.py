"""The latest status of each component, until it has gone to the cloud; the next one makes up for one that is lost."""

from collections.abc import Iterator

from pm_contracts import budgets
from pm_contracts.messages import Refused
from pm_edge.components.uplink.pace import Bucket

#: Seconds of their pace that statuses may leave at once.
_BURST_SECONDS = 5


class Statuses:
    """Bounded by components and by the bytes of each: names are made up easily. For one thread.

    Ours always have a place.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, bytes]] = {}
        #: The time when each of the plant's own was heard last.
        self._heard: dict[str, float] = {}
        self._bucket = Bucket(_BURST_SECONDS)

    def put(self, component: str, topic: str, encoded: bytes, now: float) -> None:
        """Keep the status of a component in place of the one before.

        Args:
            component: its name.
            topic: of its status.
            encoded: the status.
            now: seconds, on a clock that never goes back.

        Raises:
            Refused: if it is too large, or of one component too many.
        """
        if len(encoded) > budgets.STATUS_BYTES:
            raise Refused(f"a status of {len(encoded)} bytes: allowed are {budgets.STATUS_BYTES}")
        if component not in budgets.PROCESS_BYTES:
            self._note(component, now)
        self._latest.pop(component, None)
        self._latest[component] = (topic, encoded)

    def due(self, now: float) -> Iterator[tuple[str, bytes]]:
        """Topic and payload of those that may leave, the longest waiting first; they are let go of."""
        for component, (topic, encoded) in list(self._latest.items()):
            if not self._bucket.spend(len(encoded), now):
                return
            del self._latest[component]
            yield topic, encoded

    def _note(self, component: str, now: float) -> None:
        if component not in self._heard and len(self._heard) >= budgets.STATUS_NAMES:
            silent = [name for name, at in self._heard.items() if now - at > budgets.STATUS_FORGOTTEN_SECONDS]
            if not silent:
                raise Refused(
                    f"a status of {component!r}: {len(self._heard)} components of the plant's own are known, and no "
                    "more are allowed"
                )
            for name in silent:
                del self._heard[name]
                self._latest.pop(name, None)
        self._heard[component] = now
