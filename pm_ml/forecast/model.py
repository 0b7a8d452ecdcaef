"""The forecast model: an ensemble of small nets on the features of the latest hour, trained as one Keras model.

Each member says by how much PM2.5 will change until the next hour, and how large its error will be (the spread). The
change is fitted by squared error, member by member; the spread by the likelihood of a Laplace distribution, whose scale
is the mean absolute error. The members differ by their random beginnings and their dropout; their mean is the answer.
"""

import io
import os
from collections.abc import Callable
from typing import Any, NamedTuple

# Keras reads the backend of the first, and backend and precision of `keras.json` in the second: neither is the user's.
os.environ |= {"KERAS_BACKEND": "jax", "KERAS_HOME": os.devnull}

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from pm_ml.checkpoints import NONE, Checkpoints

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
#: Passes over all hours when newer ones have come, at the rate that training began with. A tenth of it cost the nets a
#: percentage point of skill on the validation years, half of it 0.2.
LATER_EPOCHS = 2
#: In units of the target's scale; keeps intervals from closing entirely.
SMALLEST_SPREAD = 0.02
#: Name of the checkpoint.
_CHECKPOINT = "forecast"

_Array = NDArray[np.float32]


class Weights(NamedTuple):
    """The three layers' weights and biases, as `pm_ml.export.ensemble_graph` takes them."""

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
        self._model.optimizer.learning_rate.assign(LEARNING_RATE)
        self._model.fit(inputs[-full:], targets[-full:], epochs=LATER_EPOCHS, batch_size=BATCH, verbose=0)

    @property
    def weights(self) -> Weights:
        """The trained weights."""
        pairs = [tuple(np.asarray(weight) for weight in layer.get_weights()) for layer in self._model.layers]
        return Weights(*(pair for pair in pairs if pair))  # type: ignore[arg-type]


def train(
    inputs: _Array,
    targets: _Array,
    kept_inputs: _Array,
    kept_targets: _Array,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
    checkpoints: Checkpoints = NONE,
) -> TrainedForecaster:
    """Fit the model, or go on where a run before this one was interrupted; the weights are the same.

    Args:
        inputs: scaled features, `[rows, features]`.
        targets: scaled changes, `[rows]`.
        kept_inputs: of the hours that decide when to stop.
        kept_targets: their changes.
        seed: of all that is random.
        on_epoch: called after each epoch, and at once for each that was done before.
        checkpoints: where each epoch's state is kept.
    """
    keras.utils.set_random_seed(seed)
    model = _build(inputs.shape[1])
    model.compile(
        loss=_loss,
        metrics=[_ensemble_error],
        optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, clipnorm=GRADIENT_NORM),
    )
    watched = f"val_{_ensemble_error.__name__}"
    slower = keras.callbacks.ReduceLROnPlateau(watched, mode="min", patience=PATIENCE_TO_SLOW, factor=SLOWER)
    stop = keras.callbacks.EarlyStopping(watched, mode="min", patience=PATIENCE_TO_STOP, restore_best_weights=True)
    resume = _Resume(checkpoints, slower, stop)
    for _ in range(resume.epochs_done):
        on_epoch()
    model.fit(
        inputs,
        targets,
        validation_data=(kept_inputs, kept_targets),
        initial_epoch=EPOCHS if resume.stopped else resume.epochs_done,
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=0,
        callbacks=[slower, stop, resume, keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_epoch())],
    )
    return TrainedForecaster(model)


class _Resume(keras.callbacks.Callback):
    """Keeps all that the rest of a training depends on after each epoch, and brings it back.

    Keras's own BackupAndRestore keeps neither the callbacks' counts nor the order in which rows will be drawn. It has
    to come after the callbacks that it brings back, since these forget everything when training begins.
    """

    def __init__(self, checkpoints: Checkpoints, slower: keras.callbacks.Callback, stop: keras.callbacks.Callback):
        super().__init__()
        self._checkpoints = checkpoints
        self._counts = ((slower, ("best", "wait")), (stop, ("best", "wait", "best_epoch")))
        self._stop = stop
        content = checkpoints.load(_CHECKPOINT)
        self._kept: dict[str, Any] = dict(np.load(io.BytesIO(content))) if content else {}
        self.epochs_done = int(self._kept.get("epochs_done", 0))
        #: True if the training had come to its end.
        self.stopped = bool(self._kept.get("stopped", False))

    def on_train_begin(self, logs: Any = None) -> None:
        del logs
        if not self._kept:
            return
        for number, variable in enumerate(self._variables):
            variable.assign(self._kept[f"variable_{number}"])
        for number, (callback, names) in enumerate(self._counts):
            for name in names:
                setattr(callback, name, self._kept[f"callback_{number}_{name}"].item())
        self._stop.best_weights = [self._kept[f"best_{n}"] for n in range(len(self.model.get_weights()))]
        np.random.set_state(("MT19937", self._kept["order"], int(self._kept["order_position"]), 0, 0.0))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        del logs
        _, order, position, *_ = np.random.get_state()
        state: dict[str, Any] = {"epochs_done": epoch + 1, "stopped": self.model.stop_training}
        state |= {"order": order, "order_position": position}
        state |= {f"variable_{number}": np.asarray(each) for number, each in enumerate(self._variables)}
        for number, (callback, names) in enumerate(self._counts):
            state |= {f"callback_{number}_{name}": getattr(callback, name) for name in names}
        state |= {f"best_{number}": each for number, each in enumerate(self._stop.best_weights)}
        content = io.BytesIO()
        np.savez(content, **state)
        self._checkpoints.save(_CHECKPOINT, content.getvalue())

    @property
    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


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
