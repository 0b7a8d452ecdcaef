"""Boundaries with a fault planted in each, tried as `python -m resilience.fuzz` tries those of the product.

A program of its own, which prints what was found as JSON: trials fork, and the tests' process has threads.
"""

import json
import os
import signal
import sys
from pathlib import Path

from resilience.fuzz import trial
from resilience.fuzz.boundary import Boundary, Opened
from resilience.fuzz.run import run

GOOD = b'{"site": "lindau"}'
REFUSALS = (ValueError,)


def hangs(content: bytes) -> None:
    while content != GOOD:
        pass


def grows(content: bytes) -> None:
    if content != GOOD:
        bytearray(4 << 30)


def crashes(content: bytes) -> None:
    if content != GOOD:
        os.kill(os.getpid(), signal.SIGSEGV)


def raises_another(content: bytes) -> None:
    if content != GOOD:
        raise KeyError("site")


def refuses(content: bytes) -> None:
    json.loads(content)


def never_opens(_folder: Path) -> Opened:
    raise OSError("no such thing")


def planted(door) -> Boundary:
    return Boundary(door.__name__, lambda _folder: Opened(door, [GOOD], REFUSALS))


if __name__ == "__main__":
    trial.PROCESSOR_SECONDS = 0.3
    boundaries = [*map(planted, (hangs, grows, crashes, raises_another, refuses)), Boundary("never_opens", never_opens)]
    found = run(boundaries, 4, None, int(sys.argv[2]), Path(sys.argv[1]), lambda *_: None)
    told = {
        name: {"cases": cases, "failures": [[failure.place, path.read_bytes().hex()] for failure, path in failures]}
        for name, cases, failures in found
    }
    print(json.dumps(told))
