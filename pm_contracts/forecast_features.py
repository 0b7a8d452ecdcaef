"""The inputs of the forecast model: their names and the rules that training and the core device both keep.

`pm_ml.forecast.features` writes them as expressions over a table, `pm_edge.forecasting.features` computes them a
reading at a time; a test holds the two equal. What they share is said here, once.

The rules:

* A reading belongs to the hour in which it was taken. Of several of one hour, the highest sequence counts.
* Hours without a reading are unknown, as are measurements that a reading lacks. A measurement is held over unknown
  hours for at most `HOLD_HOURS`; after that it is unknown, and unknown hours count in no mean, maximum or minimum.
* PM2.5 of 0 is what the station reported, and also what it reports for a gap. So the features know it twice: `value` is
  the report as it came (held), `level` is the latest report above 0, for at most `LEVEL_HOURS`.
* An input that is unknown enters the model as its mean over the training data.
* The model is asked once the latest `LOOK_BACK_HOURS` hours all have a value.
"""

#: Hours without a measurement for which the one before stands.
HOLD_HOURS = 6
#: Hours for which the latest PM2.5 above 0 stands for the level of pollution.
LEVEL_HOURS = 72
#: The hours that must have a value before the model is asked.
LOOK_BACK_HOURS = 24
#: The longest of the windows below.
LONGEST_WINDOW_HOURS = 72
#: The hours of history that decide the features of an hour, itself included.
MEMORY_HOURS = LONGEST_WINDOW_HOURS + LEVEL_HOURS

LEVEL_LAGS = (1, 2, 3, 5, 8, 11, 17, 23)
LEVEL_CHANGES = (1, 2, 3)
MEAN_WINDOWS = (6, 24, 72)
EXTREME_WINDOWS = (6, 24)
WEATHER = ("dew", "temp", "press", "wind")
WEATHER_CHANGES = (1, 3, 6, 24)
WIND_DIRECTIONS = (0, 1, 2, 3)
DIRECTION_WINDOW = 12
DAY_HARMONICS = (1, 2)
DAYS_PER_YEAR = 365.25


def _names() -> tuple[str, ...]:
    names = ["log_level", "level", "is_zero", "level_if_zero"]
    names += [f"log_level_change_{k}h" for k in LEVEL_LAGS]
    names += [f"level_change_{k}h" for k in LEVEL_CHANGES]
    names += [f"log_mean_{w}h" for w in MEAN_WINDOWS]
    for w in EXTREME_WINDOWS:
        names += [f"log_maximum_{w}h", f"log_minimum_{w}h", f"log_movement_{w}h"]
    for quantity in WEATHER:
        names += [quantity, *(f"{quantity}_change_{k}h" for k in WEATHER_CHANGES)]
    for direction in WIND_DIRECTIONS:
        names += [f"direction_{direction}", f"direction_{direction}_share_{DIRECTION_WINDOW}h"]
    names += ["log_snow", "log_rain"]
    for harmonic in DAY_HARMONICS:
        names += [f"day_sine_{harmonic}", f"day_cosine_{harmonic}"]
    return (*names, "year_sine", "year_cosine")


#: The features in the order in which the model takes them.
FEATURES: tuple[str, ...] = _names()
