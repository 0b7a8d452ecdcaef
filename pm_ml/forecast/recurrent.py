"""A recurrent net on what was measured in the last 24 hours: a candidate that the protocol weighs, and no more.

A GRU reads the hours one after another, and what it makes of them says by how much PM2.5 will change. On the real
series it forecasts less well than the nets and trees that ship, and a blend with it less well than one without
(docs/models.md): these are told the changes and means over 1 to 72 hours, which it has to find by itself. So no graph
is exported of it, and it is trained once, not month by month. Its size and `EPOCHS` keep that below half a minute on
two cores, predictions included; with one and a half and with twice the units it forecast no better.
"""

import os
from collections.abc import Callable

# Keras reads the backend of the first, and backend and precision of `keras.json` in the second: neither is the user's.
os.environ |= {"KERAS_BACKEND": "jax", "KERAS_HOME": os.devnull}

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pm_contracts.forecast_features import FEATURES, LOOK_BACK_HOURS, WEATHER, WIND_DIRECTIONS

#: Its name among the candidates of the protocol.
NAME = "recurrent net"
#: The features that say what an hour was like; those that sum up the hours before it are left out.
STATE = (
    *("log_level", "level", "is_zero", *WEATHER),
    *(f"direction_{direction}" for direction in WIND_DIRECTIONS),
    *("log_snow", "log_rain", "day_sine_1", "day_cosine_1", "year_sine", "year_cosine"),
)
UNITS, DENSE_UNITS = 32, 32
DROPOUT = 0.2
#: Rows learned from together, and rows asked about together.
BATCH, AT_ONCE = 256, 8192
LEARNING_RATE, WEIGHT_DECAY, GRADIENT_NORM = 2e-3, 1e-2, 1.0
EPOCHS = 15
#: Epochs without a better error on the kept hours: after 2 the rate is lowered, after 4 training ends.
PATIENCE_TO_SLOW, PATIENCE_TO_STOP = 2, 4
SLOWER = 0.4

_Array = NDArray[np.float32]


def history(inputs: _Array, issued: NDArray[np.int64]) -> _Array:
    """The last 24 hours of each row, `[rows, 24, STATE]`, the row's own hour last.

    Args:
        inputs: scaled features, `[rows, features]`.
        issued: the hour of each row, since 1970, rising. An hour without a row is taken for an average one (0).
    """
    at = issued - issued[0]
    hours = np.zeros((LOOK_BACK_HOURS + int(at[-1]), len(STATE)), dtype=np.float32)
    hours[at + LOOK_BACK_HOURS - 1] = inputs[:, [FEATURES.index(name) for name in STATE]]
    return hours[at[:, None] + np.arange(LOOK_BACK_HOURS)]


def forecast(
    hours: _Array, targets: _Array, fitted: slice, kept: slice, seed: int, on_epoch: Callable[[], None]
) -> _Array:
    """Train the net and let it say the change for each row, in units of the target's scale.

    Args:
        hours: of all rows (`history`).
        targets: scaled changes of all rows; those after `kept` are not looked at.
        fitted: the rows to learn from.
        kept: the rows that decide when to stop.
        seed: of all that is random.
        on_epoch: called `EPOCHS` times, those that were not needed included.
    """
    keras.utils.set_random_seed(seed)
    rows = keras.Input(hours.shape[1:])
    read = layers.Dropout(DROPOUT)(layers.GRU(UNITS)(rows))
    read = layers.Dense(DENSE_UNITS, activation="relu")(read)
    model = keras.Model(rows, layers.Dense(1, kernel_initializer="zeros")(read))
    model.compile(
        loss="mse", optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, clipnorm=GRADIENT_NORM)
    )
    slower = keras.callbacks.ReduceLROnPlateau(patience=PATIENCE_TO_SLOW, factor=SLOWER)
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE_TO_STOP, restore_best_weights=True)
    done = model.fit(
        hours[fitted],
        targets[fitted],
        validation_data=(hours[kept], targets[kept]),
        epochs=EPOCHS,
        batch_size=BATCH,
        validation_batch_size=AT_ONCE,
        verbose=0,
        callbacks=[slower, stop, keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_epoch())],
    )
    for _ in range(EPOCHS - len(done.epoch)):
        on_epoch()
    return np.asarray(model.predict(hours, batch_size=AT_ONCE, verbose=0))[:, 0]
