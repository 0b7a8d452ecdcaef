"""Trying inputs at a boundary, in a process of its own: what hangs, grows or crashes there is seen from outside."""

import contextlib
import logging
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from resilience.fuzz.boundary import Boundary, Opened

#: Seconds of the processor that an input may take: a thousand times those of the slowest good one.
PROCESSOR_SECONDS = 10.0
#: Cases of a boundary that are tried whatever the time, times its share.
AT_LEAST = 20
#: Seconds on the clock that one may take, where it waits for what never comes.
WAITED_SECONDS = 100.0
#: Bytes that a boundary's process may grow by once it is ready.
GROWTH_BYTES = 1 << 30
#: Folder whose files are in memory, where there is one, so that no disk is waited for.
_FAST = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_LONGEST_REASON = 500
#: Forked, since a boundary need not be importable by name; whoever forks has one thread.
_FORK = multiprocessing.get_context("fork")


class Failure(NamedTuple):
    """An input that was neither taken nor refused as declared; `place` is the same for those that fail alike."""

    content: bytes
    place: str
    reason: str


class Trial:
    """A boundary under trial; `poll` until it is `done`.

    Attributes:
        boundary: Which one.
        cases: Inputs tried so far, those of the corpus too.
        failures: Inputs that failed.
        done: True once all are tried.
    """

    def __init__(
        self, boundary: Boundary, corpus: Sequence[bytes], cases: int, seed: int, seconds: float | None = None
    ) -> None:
        """Begin.

        Args:
            boundary: Which one.
            corpus: Inputs that come first.
            cases: Inputs made by the seed after them, at most.
            seed: Of these.
            seconds: After which no more are made, but for some; they begin when the boundary is ready.
        """
        self.boundary = boundary
        self.cases = 0
        self.failures: list[Failure] = []
        self.done = False
        self._work = _Work(boundary, list(corpus), len(corpus) + cases, seed, seconds)
        self._at = _FORK.Value("q", -1, lock=False)
        self._start(0)

    @property
    def sentinel(self) -> Connection:
        """The connection that becomes readable when there is something to `poll`."""
        return self._reports

    def poll(self) -> None:
        """Take what has happened since the last call."""
        with contextlib.suppress(EOFError):
            while self._reports.poll():
                report = self._reports.recv()
                if isinstance(report, Failure):
                    self.failures.append(report)
                else:
                    self.cases, self.done = report, True
        if self.done:
            self.end()
            return
        self.cases = max(self.cases, self._at.value)
        if self._process.exitcode is not None:
            how = signal.Signals(-self._process.exitcode).name if self._process.exitcode < 0 else "its own will"
            self._go_on_after(f"the process was ended by {how}")
        elif late := self._is_late():
            self._go_on_after(f"it takes more than {late}")

    def end(self) -> None:
        """Leave nothing running."""
        self._process.kill()
        self._process.join()
        self._reports.close()

    def _start(self, first: int, lost: str = "") -> None:
        self._reports, reports = _FORK.Pipe(duplex=False)
        self._process = _FORK.Process(target=_run, args=(self._work, first, lost, self._at, reports), daemon=True)
        self._process.start()
        reports.close()
        self._seen: tuple[int, float, float] = (-2, 0.0, 0.0)

    def _go_on_after(self, reason: str) -> None:
        """Have a new process say what the input was on which the last one ended, and go on with the next."""
        at = self._at.value
        self.end()
        if at < 0:
            self.failures.append(Failure(b"", reason, f"the boundary cannot be opened: {reason}"))
            self.done = True
            return
        self._at.value = at
        self._start(at, reason)

    def _is_late(self) -> str:
        """The limit that the input under trial has passed; empty if it has not."""
        at, now = self._at.value, time.monotonic()
        try:
            used = psutil.Process(self._process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return ""
        seconds = used.user + used.system
        if at != self._seen[0]:
            self._seen = (at, seconds, now)
        elif at >= 0 and seconds - self._seen[1] > PROCESSOR_SECONDS:
            return f"{PROCESSOR_SECONDS:g} s of the processor"
        elif now - self._seen[2] > WAITED_SECONDS:
            return f"{WAITED_SECONDS:g} s"
        return ""


class _Work(NamedTuple):
    boundary: Boundary
    corpus: list[bytes]
    inputs: int
    seed: int
    seconds: float | None

    def content(self, opened: Opened, number: int) -> bytes:
        """The input of a number, the same in each process."""
        if number < len(self.corpus):
            return self.corpus[number]
        # Not for secrets.
        dice = random.Random(f"{self.seed}/{self.boundary.name}/{number - len(self.corpus)}")  # noqa: S311
        return opened.case(dice)

    def numbers(self, first: int) -> Iterator[int]:
        """The numbers of the inputs from `first` on, as long as there is time."""
        at_least = len(self.corpus) + max(1, int(AT_LEAST * self.boundary.share))
        ends = None if self.seconds is None else time.monotonic() + self.seconds
        for number in range(first, self.inputs):
            if number >= at_least and ends is not None and time.monotonic() >= ends:
                return
            yield number


def _run(work: _Work, first: int, lost: str, at: Any, reports: Connection) -> None:
    """Try the inputs from `first` on; that one is only told where another process was `lost` on it."""
    # Ctrl-C is for whoever started us, who ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.environ.setdefault("AWS_LAMBDA_FUNCTION_NAME", "fuzz")
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    done = first
    try:
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_FAST if _FAST.is_dir() else None) as folder:
            opened = work.boundary.open(Path(folder))
            logging.disable(logging.CRITICAL)
            _limit_memory()
            if lost:
                reports.send(Failure(work.content(opened, done), lost, lost))
                done += 1
            for number in work.numbers(done):
                at.value = number
                content = work.content(opened, number)
                if failure := tried(opened, content):
                    reports.send(failure)
                done = number + 1
    except Exception as error:  # ours, or the boundary's as it opens: nothing is tried, and that is told
        reports.send(_failure(b"", error))
    reports.send(done)


def tried(opened: Opened, content: bytes) -> Failure | None:
    """The failure of an input; None if it is taken or refused as declared."""
    try:
        opened.door(content)
    except opened.refusals:
        return None
    except Exception as error:
        return _failure(content, error)
    return None


def _failure(content: bytes, error: Exception) -> Failure:
    frames = traceback.extract_tb(error.__traceback__)
    last = ([frame for frame in frames if "site-packages" not in frame.filename] or frames)[-1]
    file = Path(last.filename).name
    said = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
    place = f"{type(error).__name__} in {last.name}, {file}"
    return Failure(content, place, f"{said} ({file}, line {last.lineno}, in {last.name})")


def _limit_memory() -> None:
    used = psutil.Process().memory_info().vms
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + GROWTH_BYTES, hard))
