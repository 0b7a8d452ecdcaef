"""The window of operations in flight, and a wait for the earlier ones to end."""

import threading


class Window:
    """Knows the operations from `enter` to `leave`; whoever enters waits while there are `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entered = 0
        #: The tickets of those under way, in the order in which they entered.
        self._under_way: dict[int, None] = {}
        self._closed: BaseException | None = None
        self._changed = threading.Condition()

    def enter(self, limit: int | None = None) -> int:
        """Count one more; waits for room.

        Args:
            limit: another limit for this one.

        Returns:
            The ticket to leave with.

        Raises:
            RuntimeError: if the window is closed; its cause is what closed it.
        """
        with self._changed:
            allowed = limit or self._limit
            while len(self._under_way) >= allowed and self._closed is None:
                self._changed.wait()
            return self._enter()

    def enter_at_once(self) -> int | None:
        """Count one more, where there is room.

        Returns:
            The ticket to leave with; None if there is no room.

        Raises:
            RuntimeError: if the window is closed; its cause is what closed it.
        """
        with self._changed:
            if self._closed is None and len(self._under_way) >= self._limit:
                return None
            return self._enter()

    def leave(self, ticket: int) -> None:
        """Count one less."""
        with self._changed:
            del self._under_way[ticket]
            self._changed.notify_all()

    def close(self, reason: BaseException) -> None:
        """Let no one enter any more, and those who wait go with `reason`; the first reason stays."""
        with self._changed:
            self._closed = self._closed or reason
            self._changed.notify_all()

    @property
    def closed(self) -> BaseException | None:
        """The error that closed it; None while it is open."""
        return self._closed

    def wait_for_earlier(self, seconds: float) -> bool:
        """Wait until all that entered before this call have left; False after `seconds`, or if the window closes."""
        with self._changed:
            last = self._entered
            self._changed.wait_for(lambda: self._closed is not None or self._all_left(last), seconds)
            return self._closed is None and self._all_left(last)

    def _enter(self) -> int:
        if self._closed is not None:
            raise RuntimeError(f"closed: {self._closed}") from self._closed
        self._entered += 1
        self._under_way[self._entered] = None
        return self._entered

    def _all_left(self, last: int) -> bool:
        return next(iter(self._under_way), last + 1) > last
