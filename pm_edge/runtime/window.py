"""The window of operations in flight, and a wait for the earlier ones to end."""

import threading
from typing import NamedTuple


class Room(NamedTuple):
    """The room for operations under way; one alone may have any size."""

    operations: int
    bytes: int


class Window:
    """Knows the operations from `enter` to `leave`; whoever enters waits while there is no room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._entered = 0
        #: The tickets of those under way, in the order in which they entered, with their bytes.
        self._under_way: dict[int, int] = {}
        self._bytes = 0
        self._closed: BaseException | None = None
        self._changed = threading.Condition()

    def enter(self, size: int = 0, room: Room | None = None) -> int:
        """Count one more; waits for room.

        Args:
            size: its bytes.
            room: another room for this one.

        Returns:
            The ticket to leave with.

        Raises:
            RuntimeError: if the window is closed; its cause is what closed it.
        """
        with self._changed:
            while self._closed is None and not self._has_room(size, room or self._room):
                self._changed.wait()
            return self._enter(size)

    def enter_at_once(self, size: int = 0) -> int | None:
        """Count one more, where there is room.

        Args:
            size: its bytes.

        Returns:
            The ticket to leave with; None if there is no room.

        Raises:
            RuntimeError: if the window is closed; its cause is what closed it.
        """
        with self._changed:
            if self._closed is None and not self._has_room(size, self._room):
                return None
            return self._enter(size)

    def leave(self, ticket: int) -> None:
        """Count one less."""
        with self._changed:
            self._bytes -= self._under_way.pop(ticket)
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

    def _has_room(self, size: int, room: Room) -> bool:
        return not self._under_way or (len(self._under_way) < room.operations and self._bytes + size <= room.bytes)

    def _enter(self, size: int) -> int:
        if self._closed is not None:
            raise RuntimeError(f"closed: {self._closed}") from self._closed
        self._entered += 1
        self._under_way[self._entered] = size
        self._bytes += size
        return self._entered

    def _all_left(self, last: int) -> bool:
        return next(iter(self._under_way), last + 1) > last
