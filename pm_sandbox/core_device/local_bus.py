"""The local bus of a device: its broker as a child process, on one port for as long as the device runs."""

import asyncio
import logging
import os
from pathlib import Path

from pm_sandbox.core_device.component_log import ComponentLog
from pm_sandbox.state_files import recovered
from pm_sandbox.surroundings import python

#: Seconds before a broker that has ended is started anew; doubled each time that it ends within `_SETTLED` seconds.
_BACK_OFF = (0.1, 5.0)
_SETTLED = 30.0

log = logging.getLogger("local_bus")


class LocalBus:
    """The broker, which is started anew where it ends; clients come back by themselves.

    Attributes:
        port: Its port of loopback.
        pid: Its process.
        restarts: How often it was started anew.
    """

    def __init__(self, directory: Path) -> None:
        """A broker with its log and what it remembers in `directory`."""
        self._directory = directory
        self._log = ComponentLog(directory / "broker.log")
        self._counts_file = directory / "broker-counts.json"
        self._keeping: asyncio.Task[None] | None = None
        self.port = 0
        self.restarts = 0

    @property
    def pid(self) -> int:
        """The broker's process."""
        return self._process.pid

    @property
    def counts(self) -> dict[str, int]:
        """The broker's own count since it began: messages `dropped`, subscribers `forgotten`, `bytes` that wait."""
        return recovered(self._counts_file)

    async def start(self) -> None:
        """Start it, and keep it running until `stop`.

        Raises:
            RuntimeError: if it does not start.
        """
        await self._start()
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Stop it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        assert self._process.stdin is not None  # noqa: S101 - we asked for the pipe
        self._process.stdin.close()
        await self._process.wait()
        self._log.close()

    async def _start(self) -> None:
        self._counts_file.unlink(missing_ok=True)
        output = self._log.open_pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *python(
                    "pm_sandbox.core_device.broker",
                    *("--port", str(self.port)),
                    *("--sessions", str(self._directory / "broker-sessions.json")),
                    *("--counts", str(self._counts_file)),
                ),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)
        assert self._process.stdout is not None  # noqa: S101 - we asked for the pipe
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the local broker did not start; see broker.log")
        self.port = int(line)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        delay, longest = _BACK_OFF
        while True:
            began = loop.time()
            code = await self._process.wait()
            delay = _BACK_OFF[0] if loop.time() - began > _SETTLED else min(longest, delay * 2)
            log.error("the local broker ended with %s; it starts anew", code)
            await asyncio.sleep(delay)
            try:
                await self._start()
            except RuntimeError as error:
                log.error("%s", error)
            self.restarts += 1
