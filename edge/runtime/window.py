"""How many operations are under way at once."""

import threading


class Window:
    """Counts operations from `enter` to `leave`; whoever enters waits while there are `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way = 0
        self._closed: BaseException | None = None
        self._changed = threading.Condition()

    def enter(self) -> None:
        """Count one more; waits for room.

        Raises:
            RuntimeError: where the window is closed; its cause is what closed it.
        """
        with self._changed:
            while self._under_way >= self._limit and self._closed is None:
                self._changed.wait()
            if self._closed is not None:
                raise RuntimeError(f"closed: {self._closed}") from self._closed
            self._under_way += 1

    def leave(self) -> None:
        """Count one less."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def close(self, reason: BaseException) -> None:
        """Let no one enter any more, and those who wait go with `reason`; the first reason stays."""
        with self._changed:
            self._closed = self._closed or reason
            self._changed.notify_all()

    def wait_until_empty(self, seconds: float) -> bool:
        """Whether all have left within `seconds`, and the window is not closed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way or self._closed is not None, seconds)
            return not self._under_way and self._closed is None
