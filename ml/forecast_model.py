"""The forecast model: an ensemble of small nets on the features of the latest hour, trained as one Keras model.

Each member says by how much PM2.5 will change until the next hour, and how large its error will be (the spread). The
change is fitted by squared error, member by member; the spread by the likelihood of a Laplace distribution, whose scale
is the mean absolute error. The members differ by their random beginnings and their dropout; their mean is the answer.

A recurrent net on the last 24 hours was measured too: on the real series it took twice as long to train and forecast no
better, since the features already carry the changes over 1 to 72 hours.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

MEMBERS = 8
UNITS = 64
SECOND_UNITS = 32
DROPOUT = 0.3
BATCH = 256
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
GRADIENT_NORM = 1.0
EPOCHS = 25
#: Epochs without a better error on the kept hours: after 2 the rate is lowered, after 4 training ends.
PATIENCE_TO_SLOW, PATIENCE_TO_STOP = 2, 4
SLOWER = 0.4
#: The spread's share of the loss: enough to fit it, too little to bend the change.
SPREAD_WEIGHT = 0.2
#: What training goes on with when newer hours have come: low enough to learn from them without forgetting the rest.
LATER_LEARNING_RATE = 2e-4
LATER_EPOCHS = 2
#: In units of the target's scale; keeps intervals from closing entirely.
SMALLEST_SPREAD = 0.02

_Array = NDArray[np.float32]


class Weights(NamedTuple):
    """The three layers' weights and biases, as `ml.export.ensemble_graph` takes them."""

    first: tuple[_Array, _Array]
    second: tuple[_Array, _Array]
    third: tuple[_Array, _Array]


class TrainedForecaster:
    """A trained forecast model."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def answers(self, inputs: _Array) -> _Array:
        """Change and spread, `[rows, 2]`, in units of the target's scale."""
        members = np.asarray(self._model.predict(inputs, batch_size=8192, verbose=0))
        spread = np.logaddexp(0, members[..., 1]) + SMALLEST_SPREAD
        return np.stack([members[..., 0].mean(axis=1), spread.mean(axis=1)], axis=1).astype(np.float32)

    def train_on(self, inputs: _Array, targets: _Array) -> None:
        """Go on learning from all hours known by now; the oldest rows beyond full batches are left out."""
        full = len(inputs) // BATCH * BATCH  # one shape of batch, so that nothing is compiled anew
        self._model.optimizer.learning_rate.assign(LATER_LEARNING_RATE)
        self._model.fit(inputs[-full:], targets[-full:], epochs=LATER_EPOCHS, batch_size=BATCH, verbose=0)

    @property
    def weights(self) -> Weights:
        """What the model has learned."""
        pairs = [tuple(np.asarray(weight) for weight in layer.get_weights()) for layer in self._model.layers]
        return Weights(*(pair for pair in pairs if pair))  # type: ignore[arg-type]


def train(
    inputs: _Array,
    targets: _Array,
    kept_inputs: _Array,
    kept_targets: _Array,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
) -> TrainedForecaster:
    """Fit the model.

    Args:
        inputs: scaled features, `[rows, features]`.
        targets: scaled changes, `[rows]`.
        kept_inputs: of the hours that decide when to stop.
        kept_targets: their changes.
        seed: of all that is random.
        on_epoch: called after each epoch.
    """
    keras.utils.set_random_seed(seed)
    model = _build(inputs.shape[1])
    model.compile(
        loss=_loss,
        metrics=[_ensemble_error],
        optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, clipnorm=GRADIENT_NORM),
    )
    watched = f"val_{_ensemble_error.__name__}"
    model.fit(
        inputs,
        targets,
        validation_data=(kept_inputs, kept_targets),
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=0,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(watched, mode="min", patience=PATIENCE_TO_SLOW, factor=SLOWER),
            keras.callbacks.EarlyStopping(watched, mode="min", patience=PATIENCE_TO_STOP, restore_best_weights=True),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_epoch()),
        ],
    )
    return TrainedForecaster(model)


def _build(features: int) -> keras.Model:
    def per_member(outputs: int, **options: object) -> layers.Layer:
        return layers.EinsumDense("bmi,mio->bmo", (MEMBERS, outputs), bias_axes="mo", **options)

    # He's initialisation; Keras takes the member axis for part of the fan-in, which the factor undoes.
    he_per_member = keras.initializers.VarianceScaling(2.0 * MEMBERS)
    rows = keras.Input((features,))
    first = layers.Dense(MEMBERS * UNITS, activation="relu", kernel_initializer="he_normal")(rows)
    first = layers.Reshape((MEMBERS, UNITS))(layers.Dropout(DROPOUT)(first))
    second = per_member(SECOND_UNITS, activation="relu", kernel_initializer=he_per_member)(first)
    return keras.Model(rows, per_member(2, kernel_initializer="zeros")(layers.Dropout(DROPOUT)(second)))


def _loss(targets: keras.KerasTensor, members: keras.KerasTensor) -> keras.KerasTensor:
    targets = ops.reshape(targets, (-1, 1))
    change = members[..., 0]
    spread = ops.softplus(members[..., 1]) + SMALLEST_SPREAD
    error = ops.abs(targets - ops.stop_gradient(ops.mean(change, axis=1, keepdims=True)))
    laplace = ops.log(spread) + error / spread
    return ops.mean((targets - change) ** 2 + SPREAD_WEIGHT * laplace, axis=1)


def _ensemble_error(targets: keras.KerasTensor, members: keras.KerasTensor) -> keras.KerasTensor:
    return (ops.reshape(targets, (-1,)) - ops.mean(members[..., 0], axis=1)) ** 2
