"""Processes that end with the one that started them.

A child's standard input is a pipe that its parent holds open and never writes to: however the parent ends, the kernel
closes the pipe, and the child reads its end.
"""

import asyncio
import os
import signal
import sys


async def until_stopped() -> None:
    """Wait for the end of standard input, SIGTERM or SIGINT, whichever comes first."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stopped.set()

    loop.add_reader(descriptor, read)
    await stopped.wait()
