"""A seeded simulator of machines whose air-pressure systems wear out, in the schema of the UCI "APS Failure" set.

A machine reports once a day. Four subsystems can fail: the compressor, the air dryer, the valves and the pipes. Now and
then one begins to wear, faster each day, until it fails and the workshop puts in a new one. Wear raises the counters
that depend on it and moves the histograms towards their upper bins, on top of what usage, age and the day bring anyway;
the workshop calls a reading faulty once the wear has passed half of what the part can bear.

The shares follow the real set: 1.7 % of readings faulty (1,000 of 60,000), about a fifth of the measurements missing,
in blocks that go missing together.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pm_contracts.measurements import HISTOGRAM_BINS, HISTOGRAMS, MACHINE_MEASUREMENTS

SUBSYSTEMS = ("compressor", "air dryer", "valves", "pipes")
#: Mean days between the ends of two faults of one machine; with the wear below it makes 1.7 % of readings faulty.
MEAN_DAYS_BETWEEN_FAULTS = 330.0
#: A part takes this many days from the onset of wear to failure.
WEAR_DAYS = (14, 36)
#: Wear follows the square of the time since its onset: slow to begin, quick at the end. Half of it is passed at 71 %.
WEAR_EXPONENT = 2.0
#: From this share of the wear that a part can bear on, the workshop calls a reading faulty.
FAULTY_FROM_WEAR = 0.5
#: So early can every fault be known: the readings, one a day, from where the workshop calls them faulty to the failure
#: of the part that wears fastest.
READINGS_BEFORE_FAILURE = math.floor(WEAR_DAYS[0] * (1 - FAULTY_FROM_WEAR ** (1 / WEAR_EXPONENT)))

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fault:
    """One fault of one machine; days count from the start of the simulation."""

    subsystem: str
    onset_day: int
    first_faulty_day: int
    failure_day: int


@dataclass(frozen=True)
class MachineHistory:
    """The readings of one machine, a row a day, and the truth that they do not tell."""

    measurements: _Array  #: days x 170, NaN where missing, columns as `MACHINE_MEASUREMENTS`
    faulty: NDArray[np.bool_]  #: days
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class _Fleet:
    """The fleet's response to usage, age and wear; the same for every machine of a seed."""

    level: _Array
    usage_exponent: _Array
    age_effect: _Array
    wear_effect: _Array  #: subsystems x counters
    noise: _Array
    histogram_effect: _Array  #: subsystems x histograms
    block: NDArray[np.int64]  #: of each measurement: those of a block go missing together
    block_missing: _Array  #: share of readings that lack the block


def simulate(name: str, days: int, seed: int) -> MachineHistory:
    """The reports of one machine over `days` days from the start of the simulation.

    Args:
        name: of the machine; with the seed it decides everything that is the machine's own.
        days: how many to simulate; the first days of a longer history are not those of a shorter one.
        seed: of the fleet.

    Returns:
        The machine's history, the same for the same arguments.
    """
    fleet = _fleet(seed)
    own = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    random = np.random.default_rng([seed, own])

    faults = _faults(random, days)
    wear = np.zeros((days, len(SUBSYSTEMS)))
    faulty = np.zeros(days, dtype=bool)
    for fault in faults:
        span = np.arange(fault.onset_day, min(fault.failure_day, days))
        progress = (span - fault.onset_day) / (fault.failure_day - fault.onset_day)
        wear[span, SUBSYSTEMS.index(fault.subsystem)] = progress**WEAR_EXPONENT
        faulty[fault.first_faulty_day : fault.failure_day] = True

    usage = np.exp(random.normal(0, 0.5) + random.normal(0, 0.6, size=days))[:, None]
    age = (random.gamma(2, 1) + np.arange(days) / 365.25)[:, None]
    # How much a wear shows differs from fault to fault and from day to day: no model can be perfect.
    shown = wear * np.exp(random.normal(0, 0.2, size=wear.shape))

    log_counters = (
        fleet.level
        + fleet.usage_exponent * np.log(usage)
        + fleet.age_effect * age
        + shown @ fleet.wear_effect
        + fleet.noise * random.normal(size=(days, fleet.level.size))
    )
    counters = np.rint(np.exp(np.clip(log_counters, 0, 26)))
    bins = np.arange(HISTOGRAM_BINS)
    histograms = []
    for h in range(len(HISTOGRAMS)):
        centre = 4.0 + 0.15 * age + shown @ fleet.histogram_effect[:, [h]] + random.normal(0, 0.3, size=(days, 1))
        share = np.exp(-0.5 * ((bins - centre) / 1.8) ** 2)
        share /= share.sum(axis=1, keepdims=True)
        counts = share * usage * 1e5 * np.exp(random.normal(0, 0.2, size=(days, 1)))
        histograms.append(np.rint(counts))

    columns: dict[str, _Array] = {
        f"{stem}_{b:03d}": values[:, b] for stem, values in zip(HISTOGRAMS, histograms, strict=True) for b in bins
    }
    plain = [measurement for measurement in MACHINE_MEASUREMENTS if measurement not in columns]
    columns |= {measurement: counters[:, i] for i, measurement in enumerate(plain)}
    measurements = np.column_stack([columns[measurement] for measurement in MACHINE_MEASUREMENTS])

    # A block is missing for weeks at a time (a sensor not fitted, a bus unplugged), and 1 % of values at random.
    weeks = np.repeat(random.random((days // 28 + 1, fleet.block_missing.size)), 28, axis=0)[:days]
    measurements[(weeks < fleet.block_missing)[:, fleet.block]] = np.nan
    measurements[random.random(measurements.shape) < 0.01] = np.nan
    return MachineHistory(measurements, faulty, faults)


def _faults(random: np.random.Generator, days: int) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    day = int(random.exponential(MEAN_DAYS_BETWEEN_FAULTS))
    while True:
        length = int(random.integers(*WEAR_DAYS, endpoint=True))
        if day + length > days:
            return tuple(faults)
        first_faulty = day + int(np.ceil(length * FAULTY_FROM_WEAR ** (1 / WEAR_EXPONENT)))
        faults.append(Fault(SUBSYSTEMS[int(random.integers(len(SUBSYSTEMS)))], day, first_faulty, day + length))
        day += length + 1 + int(random.exponential(MEAN_DAYS_BETWEEN_FAULTS - np.mean(WEAR_DAYS)))


def _fleet(seed: int) -> _Fleet:
    random = np.random.default_rng([seed, 170])
    counters = len(MACHINE_MEASUREMENTS) - len(HISTOGRAMS) * HISTOGRAM_BINS
    # A counter belongs to one subsystem, and two in five do not feel its wear at all.
    wear_effect = np.zeros((len(SUBSYSTEMS), counters))
    feels = random.random(counters) < 0.6
    wear_effect[random.integers(len(SUBSYSTEMS), size=counters), np.arange(counters)] = feels * random.uniform(
        0.5, 4.0, size=counters
    )
    # Whatever wears, the compressor runs longer for the same air: some counters feel every subsystem.
    everywhere = random.random(counters) < 0.12
    wear_effect[:, everywhere] = random.uniform(1.0, 4.0, size=everywhere.sum())
    return _Fleet(
        level=random.uniform(2, 12, size=counters),
        usage_exponent=np.where(random.random(counters) < 0.7, 0.8, 0.0),
        age_effect=np.where(random.random(counters) < 0.4, 0.06, 0.0),
        wear_effect=wear_effect,
        noise=random.uniform(0.2, 1.0, size=counters),
        histogram_effect=random.uniform(0.5, 4, size=(len(SUBSYSTEMS), len(HISTOGRAMS)))
        * (random.random((len(SUBSYSTEMS), len(HISTOGRAMS))) < 0.5),
        block=random.integers(12, size=len(MACHINE_MEASUREMENTS)),
        block_missing=np.concatenate([random.uniform(0, 0.05, size=9), [0.45, 0.7, 0.8]]),
    )
