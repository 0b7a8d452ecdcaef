"""The memory that the processes of a core device take at most, as the kernel remembers it."""

import contextlib
import threading
from pathlib import Path

import psutil

from pm_contracts.budgets import CLIENT_DEVICE_GATEWAY, LOCAL_BROKER, PROCESS_BYTES
from pm_sandbox.core_device.client_devices.configuration import BROKER as GATEWAY
from pm_sandbox.core_device.device import CoreDeviceError
from resilience.plant import Plant

_LOOK_EVERY = 1.0
_KIBIBYTE = 1024


class PeakMemory:
    """Looks again and again from its start on; the kernel's own peak (`VmHWM`) has what was between two looks.

    Attributes:
        peaks: Bytes by the name of the process in `PROCESS_BYTES`.
    """

    def __init__(self, plant: Plant) -> None:
        """Look at the processes of the plant's core device, also at those that are started anew."""
        self.peaks: dict[str, int] = {}
        self._plant = plant
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look once more, and no more then."""
        self._is_ending.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._is_ending.wait(_LOOK_EVERY):
            self._look()

    def _look(self) -> None:
        # It does not answer while it is stopped, or started anew.
        with contextlib.suppress(CoreDeviceError):
            status = self._plant.device.status()
            leaders = {name: component["pid"] for name, component in status["components"].items()}
            leaders = {
                **leaders,
                LOCAL_BROKER: status["broker_pid"],
                CLIENT_DEVICE_GATEWAY: leaders.get(GATEWAY),
            }
            for name in PROCESS_BYTES:
                if leaders.get(name):
                    self.peaks[name] = max(self.peaks.get(name, 0), _peak_of_tree(leaders[name]))


def _peak_of_tree(leader: int) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(leader)
        return sum(_peak(each.pid) for each in (process, *process.children(recursive=True)))
    return 0


def _peak(process: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIBIBYTE
    return 0
