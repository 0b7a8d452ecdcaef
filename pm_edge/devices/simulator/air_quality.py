"""A seeded simulator of hourly PM2.5 and weather, in the schema of the UCI "Beijing PM2.5 Data" set.

A box model: pollution is emitted into a mixed layer whose height follows the day and the season, and is washed out by
wind and rain. A slow "synoptic" state, positive when the air stands still, drives humidity, wind and pollution
together. The log of the concentration relaxes towards what the weather allows, quickly when ventilated; fronts clear
the air within an hour, and gaps are stored as 0, as in the real file.

The parameters were fitted to the statistics of the real series (mean 94, autocorrelation .965 at 1 h, persistence RMSE
near 27 ug/m3); the tests hold the simulator to them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: First hour of the series, as in the real file: 2010-01-02 00:00 UTC, in hours since 1970.
FIRST_HOUR = 350_664
#: Five years, as in the real file: up to and with 2014-12-31 23:00 UTC.
HOURS = 43_800

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Climate:
    """The laws of the simulated air; times in hours, the rest in the log of ug/m3 unless said otherwise."""

    synoptic_memory_hours: float = 10.0
    emission_memory_hours: float = 90.0
    synoptic_strength: float = 0.72
    emission_strength: float = 0.55
    relaxation_per_hour: float = 0.16
    hourly_noise: float = 0.2
    mixing_strength: float = 0.62
    base_level: float = 4.3
    season_strength: float = 0.06
    fronts_per_hour: float = 0.0033
    winter_emission: float = 0.09


def simulate(seed: int, climate: Climate = Climate()) -> dict[str, _Array]:
    """Five years of hourly measurements.

    Args:
        seed: of the random generator; the same seed gives the same series.
        climate: the parameters of the model.

    Returns:
        An array of `HOURS` values for each measurement of an air-quality station.
    """
    random = np.random.default_rng([seed, 2010])
    hour = (FIRST_HOUR + np.arange(HOURS)) % 24
    day_of_year = ((FIRST_HOUR + np.arange(HOURS)) / 24.0) % 365.25
    winter = np.cos(2 * np.pi * (day_of_year - 15) / 365.25)

    synoptic = _autoregression(random, climate.synoptic_memory_hours)
    temperature = (
        12.5 - 14.5 * winter + (4.2 - winter) * np.cos(2 * np.pi * (hour - 15) / 24) + 3.2 * _autoregression(random, 70)
    )
    dew = np.minimum(temperature - 0.3, 1.8 - 15.5 * winter + 4.5 * synoptic + 4.5 * _autoregression(random, 60))
    pressure = 1016.4 + 9.2 * winter - 2.5 * synoptic + 3.4 * _autoregression(random, 60)
    pressure -= 0.8 * np.cos(2 * np.pi * (hour - 10) / 12)
    direction, wind_run, wind = _wind(random, synoptic, hour)
    rain, snow = _precipitation(random, synoptic, winter, temperature)
    pollution = _pollution(random, climate, synoptic, winter, hour, direction, wind, rain > 0)

    return {
        "pollution": pollution,
        "dew": np.rint(np.clip(dew, -40, 28)),
        "temp": np.rint(np.clip(temperature, -19, 42)),
        "press": np.rint(np.clip(pressure, 991, 1046)),
        "wnd_dir": direction,
        "wnd_spd": np.round(wind_run, 2),
        "snow": np.minimum(snow, 27),
        "rain": np.minimum(rain, 36),
    }


def _autoregression(random: np.random.Generator, memory_hours: float) -> _Array:
    """A first-order autoregression of unit variance that forgets with the given time constant."""
    keep = math.exp(-1 / memory_hours)
    steps = random.normal(size=HOURS) * math.sqrt(1 - keep * keep)
    state = float(random.normal())
    out = np.empty(HOURS)
    for i, step in enumerate(steps.tolist()):
        state = keep * state + step
        out[i] = state
    return out


def _wind(random: np.random.Generator, synoptic: _Array, hour: NDArray[np.int64]) -> tuple[_Array, _Array, _Array]:
    """Direction code, wind run (cumulated while the direction holds, as the real file does it) and speed."""
    state = (synoptic + 0.35 * np.cos(2 * np.pi * (hour - 4) / 24)).tolist()
    afternoon = np.cos(2 * np.pi * (hour - 16) / 24).tolist()
    gusts = (1 + 0.3 * np.cos(2 * np.pi * (hour - 14) / 24)).tolist()
    turns, choices, noise = (random.random(HOURS).tolist(), random.random(HOURS).tolist(), random.normal(size=HOURS))
    direction, run, speed = np.empty(HOURS), np.empty(HOURS), np.empty(HOURS)
    current, total = 2, 0.0
    for i, still in enumerate(state):
        new = current
        if turns[i] < 0.28 + 0.12 * (still > 0):
            # north-east, north-west (when the air moves), south-east (in the afternoon), calm and variable
            weights = (
                0.12,
                0.42 * math.exp(-1.1 * still),
                0.42 * math.exp(0.25 * still + 0.5 * afternoon[i]),
                0.24 * math.exp(0.2 * still),
            )
            new, left = 0, choices[i] * sum(weights)
            while new < 3 and left > weights[new]:
                left -= weights[new]
                new += 1
        north_west = new == 1
        value = math.exp((1.35 if north_west else 0.75) + 0.55 * noise[i] - 0.35 * still * north_west) * gusts[i]
        value = max(0.45, min(value, 0.89) if new == 3 else value)
        total = total + value if new == current and i else value
        current = new
        direction[i], run[i], speed[i] = current, min(total, 585.6), value
    return direction, run, speed


def _precipitation(
    random: np.random.Generator, synoptic: _Array, winter: _Array, temperature: _Array
) -> tuple[_Array, _Array]:
    """Hours of rain and of snow so far, each counted from its beginning."""
    begins = random.random(HOURS) < 0.010 * np.exp(0.6 * synoptic - 0.7 * winter)
    lengths = random.geometric(0.22, size=HOURS)
    rain, snow = np.zeros(HOURS), np.zeros(HOURS)
    left = 0
    for i in range(HOURS):
        left = max(left - 1, 0) or (int(lengths[i]) if begins[i] else 0)
        if left:
            kind = snow if temperature[i] < 0 else rain
            kind[i] = (kind[i - 1] if i else 0) + 1
    return rain, snow


def _pollution(
    random: np.random.Generator,
    climate: Climate,
    synoptic: _Array,
    winter: _Array,
    hour: NDArray[np.int64],
    direction: _Array,
    wind: _Array,
    raining: NDArray[np.bool_],
) -> _Array:
    north_west = direction == 1
    emission = 1 + 0.22 * np.cos(2 * np.pi * (hour - 21) / 24) + 0.10 * np.cos(4 * np.pi * (hour - 8) / 24)
    emission *= 1 + climate.winter_emission * winter
    mixing_height = 1 + 0.30 * np.cos(2 * np.pi * (hour - 15) / 24) - 0.10 * winter
    clearing = 0.52 * np.log(wind + 0.3) + np.log(np.where(north_west, 1.7, np.where(direction == 2, 0.85, 1.0)))
    target = (
        climate.base_level
        + climate.synoptic_strength * synoptic
        + climate.emission_strength * _autoregression(random, climate.emission_memory_hours)
        + climate.season_strength * winter
        + climate.mixing_strength * np.log(emission / mixing_height)
        - 0.30 * (clearing - 0.5)
        - 0.35 * raining
    )
    rate = climate.relaxation_per_hour * (1 + 0.7 * north_west * np.minimum(wind / 4, 2) + 0.6 * raining)
    shocks = random.standard_t(4, size=HOURS) / 1.4
    front = random.random(HOURS) < climate.fronts_per_hour * (1 + 2 * north_west)
    drop = np.abs(random.normal(0.75, 0.45, size=HOURS))
    burst = random.random(HOURS) < 0.0022
    rise = np.abs(random.normal(0.5, 0.3, size=HOURS))

    log_level = np.empty(HOURS)
    level = float(target[0])
    log_level[0] = level
    for i in range(1, HOURS):
        # Relative noise is larger when there is little in the air, as the sensor's own error shows more.
        noise = climate.hourly_noise * min(1.6, max(0.6, (60 / math.exp(level)) ** 0.35))
        level += rate[i] * (target[i] - level) + noise * shocks[i]
        if front[i] and level > 3.2:
            level -= drop[i]
        elif burst[i] and level < 5:
            level += rise[i]
        log_level[i] = level
    values = np.clip(np.exp(log_level), 1.5, None)
    values = np.where(values > 420, 420 + 0.45 * (values - 420), values)
    values = np.clip(np.rint(values + random.normal(0, 1.5, size=HOURS)), 1, 994)
    values[_gaps(random)] = 0
    return values


def _gaps(random: np.random.Generator) -> NDArray[np.bool_]:
    """The sensor's silent hours: about one in twenty, mostly short, some for days."""
    gap = np.zeros(HOURS, dtype=bool)
    position = 0
    while True:
        position += int(random.exponential(170))
        if position >= HOURS:
            return gap
        length = math.ceil(random.pareto(1.1) * 1.6)
        gap[position : position + min(length, 120)] = True
        position += length
