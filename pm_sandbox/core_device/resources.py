"""The resources of the machine that a component's processes use."""

import time
from dataclasses import dataclass
from typing import Any

import psutil


@dataclass(frozen=True)
class _Sample:
    at: float
    cpu_seconds: float


class ResourceMeter:
    """Measures process groups by the process that leads each; remembers the latest look at each."""

    def __init__(self) -> None:
        self._samples: dict[int, _Sample] = {}

    def measure(self, leaders: dict[str, int | None]) -> dict[str, dict[str, Any]]:
        """The present use of each component.

        Args:
            leaders: The leading process of each component; None if it has none.

        Returns:
            By component: `cpu_percent` of one core since the latest look (since the start of the process at the first
            one), `cpu_seconds` in all, and `memory_bytes`, the resident memory; each a sum over its processes, and 0
            where it has none.
        """
        measured = {name: self._measure(leader) for name, leader in leaders.items()}
        living = set(leaders.values())
        self._samples = {leader: sample for leader, sample in self._samples.items() if leader in living}
        return measured

    def _measure(self, leader: int | None) -> dict[str, Any]:
        cpu_seconds, memory_bytes, began = 0.0, 0, 0.0
        if leader is not None:
            for process in _tree(leader):
                try:
                    with process.oneshot():
                        times = process.cpu_times()
                        memory_bytes += process.memory_info().rss
                        began = began or process.create_time()
                    cpu_seconds += times.user + times.system
                except psutil.NoSuchProcess:
                    continue
        now = time.time()
        cpu_percent = 0.0
        if leader is not None and began:
            earlier = self._samples.get(leader, _Sample(began, 0.0))
            # A process that has ended since takes its share with it.
            cpu_percent = max(0.0, 100 * (cpu_seconds - earlier.cpu_seconds) / max(now - earlier.at, 0.01))
            self._samples[leader] = _Sample(now, cpu_seconds)
        return {
            "cpu_percent": round(cpu_percent, 1),
            "cpu_seconds": round(cpu_seconds, 2),
            "memory_bytes": memory_bytes,
        }


def _tree(leader: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(leader)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
