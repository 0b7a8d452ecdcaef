"""The commands of the cloud on their way to the local bus, which may hold a publisher for as long as it likes.

A thread of its own passes them on. So a subscriber that takes nothing holds up the commands alone, which are refused
once so many wait, and never what the floor says.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

from pm_contracts import budgets
from pm_contracts.messages import Refused
from pm_edge.components.uplink.admission import Admission
from pm_edge.runtime.bus import BusError
from pm_edge.runtime.component import Component

_log = logging.getLogger(__name__)

#: Called with topic, payload and reason of a command that is not passed on, on any thread.
OnRefused = Callable[[str, bytes, str], None]


class Commands:
    """A bounded queue of commands, and the thread that empties it."""

    def __init__(self, component: Component, admission: Admission, on_refused: OnRefused) -> None:
        """Commands for the bus of `component`, as far as `admission` lets them; `start` begins to pass them on."""
        self._component, self._admission, self._on_refused = component, admission, on_refused
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        for name in ("commands", "commands_refused"):
            component.counters.set(name, 0)

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        """Begin to pass commands on."""
        self._thread.start()

    def put(self, topic: str, payload: bytes) -> None:
        """Take a command from the cloud, or refuse it where too many wait. Waits for nobody."""
        with self._changed:
            is_room = len(self._waiting) < budgets.COMMANDS and self._bytes + len(payload) <= budgets.COMMANDS_BYTES
            if is_room:
                self._waiting.append((topic, payload))
                self._bytes += len(payload)
                self._changed.notify()
        if not is_room:
            self._component.counters.count("commands_refused")
            waiting = f"{len(self)} commands wait for the local bus, allowed are {budgets.COMMANDS}"
            self._on_refused(topic, payload, f"{waiting} and {budgets.COMMANDS_BYTES} bytes")

    def end(self) -> None:
        """Pass no more on; a command that the bus has not taken yet stays where it is."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                if self._ending:
                    return
                topic, payload = self._waiting[0]
            try:
                self._pass_on(topic, payload)
            except BusError as error:
                if not self._ending:
                    self._component.fail(f"the local bus takes no commands: {error}")
                return
            except Exception:
                _log.exception("a command on %s was not passed on", topic)
            with self._changed:
                self._waiting.popleft()
                self._bytes -= len(payload)

    def _pass_on(self, topic: str, payload: bytes) -> None:
        try:
            command = self._admission.check_command(topic, payload)
        except Refused as error:
            self._on_refused(topic, payload, str(error))
            return
        _log.info("command %s from the cloud: %s", command.name, command.parameters)
        self._component.publish(topic, command)
        self._component.counters.count("commands")
