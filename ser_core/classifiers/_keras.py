"""CNN and CNN-LSTM: their layers and their training. Only a training process imports this module (it loads TensorFlow).

A trained network is saved twice: model.onnx for serving, model.keras for further training.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from ser_core.classifiers import _onnx
from ser_core.classifiers.contract import Progress, Start, validation_figures
from ser_core.errors import ModelError

FILE = "model.keras"
MAX_SHIFT_FRAMES = 16
MOST_DEVIATIONS = 6.0
"""Columns are clipped to this many standard deviations, so that no single frame dominates."""

_SCALE = "scale"
_N_ADAPT = 2000
"""Windows from which mean and deviation of each column are taken."""
_PREDICTED_AT_ONCE = 128
SHAPE_SETTINGS = ("filters", "units")
"""Hyperparameters that decide the shapes of the weights; a network that starts from a trained one has the same."""

_WEIGHTS = "model.weights.h5"
_MAX_WEIGHT_BYTES = 500 * 2**20


class KerasClassifier:
    """A Keras network behind the Classifier contract."""

    def __init__(
        self, name: str, labels: tuple[str, ...], hyperparameters: Mapping[str, Any], start: Start | None = None
    ) -> None:
        self.name = name
        self.labels = labels
        self.hyperparameters = dict(hyperparameters)
        self.start = start
        if start:
            self.hyperparameters |= {
                each: start.hyperparameters[each] for each in SHAPE_SETTINGS if each in start.hyperparameters
            }
        self.model_: keras.Model | None = None

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        sample_weight: np.ndarray | None = None,
        domain: np.ndarray | None = None,
        on_epoch: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> KerasClassifier:
        """Train with AdamW and a cosine learning rate, from random weights or from those of `start`.

        Each epoch draws clips_per_epoch windows without repetition, with chances in proportion to sample_weight, and
        masks and shifts them at random (SpecAugment, Park et al. 2019). Starting from trained weights, all normalisation keeps the
        statistics that it has: those of a few new clips would be worse. A network learns a label across corpora: domain is not used.
        """
        settings = self.hyperparameters
        keras.utils.set_random_seed(settings["seed"])
        rng = np.random.default_rng(settings["seed"])
        chance = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        chance = chance / chance.sum()
        n_drawn = min(settings["clips_per_epoch"], int((chance > 0).sum()))
        steps = settings["epochs"] * int(np.ceil(n_drawn / settings["batch_size"]))
        self.model_ = model = (
            self._continued(X.shape[1:]) if self.start else self._untrained(X.shape[1:], len(self.labels))
        )
        scale = _scale(model)
        if not self.start:
            seen = rng.choice(len(y), min(_N_ADAPT, int((chance > 0).sum())), replace=False, p=chance)
            columns = X[seen].astype(np.float32)
            scale.set_weights([columns.mean(axis=(0, 1), dtype=np.float64), columns.var(axis=(0, 1), dtype=np.float64)])
        blank = np.asarray(scale.moving_mean, np.float32)
        model.compile(
            optimizer=keras.optimizers.AdamW(
                keras.optimizers.schedules.CosineDecay(
                    settings["learning_rate"] / 10,
                    steps,
                    warmup_target=settings["learning_rate"],
                    warmup_steps=steps // 20,
                ),
                weight_decay=1e-3,
                clipnorm=1.0,
            ),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings["label_smoothing"]),
            metrics=["accuracy"],
        )
        should_stop = should_stop or (lambda: False)
        size = settings["batch_size"]
        targets = np.eye(len(self.labels), dtype=np.float32)[y]
        best, best_uar, best_epoch = None, -1.0, 0
        for epoch in range(1, settings["epochs"] + 1):
            drawn = rng.choice(len(y), n_drawn, replace=False, p=chance)
            windows = _augment(X[drawn], settings, rng, blank=blank)
            model.reset_metrics()
            # Batch by batch: at the end of each model.fit and model.predict, threads that wait for a busy core can cost seconds.
            for first in range(0, n_drawn, size):
                so_far = model.train_on_batch(
                    windows[first : first + size], targets[drawn[first : first + size]], return_dict=True
                )
                if should_stop():
                    break
            if should_stop():
                break  # half an epoch is no epoch: the best of the whole ones is kept
            figures = {"loss": float(so_far["loss"]), "accuracy": float(so_far["accuracy"])}
            if validation is not None:
                probabilities = self.predict_proba(validation[0])
                of_truth = probabilities[np.arange(len(probabilities)), validation[1]]
                figures |= validation_figures(validation[1], probabilities.argmax(axis=1), of_truth)
                if figures["validation_uar"] > best_uar:
                    best, best_uar, best_epoch = model.get_weights(), figures["validation_uar"], epoch
            if on_epoch:
                on_epoch(epoch, settings["epochs"], figures)
            tired = settings["patience"] and best_epoch and epoch - best_epoch >= settings["patience"]
            if tired or should_stop():
                break
        if best is not None:
            model.set_weights(best)
        _freeze_normalisation(model, frozen=False)
        return self

    def _untrained(self, shape: tuple[int, ...], n_labels: int) -> keras.Model:
        return {"cnn": _cnn, "cnn_lstm": _cnn_lstm}[self.name](shape, n_labels, self.hyperparameters)

    def _continued(self, shape: tuple[int, ...]) -> keras.Model:
        """Return the network with the weights of `start`; the outputs of labels that it does not know start at random.

        The layers are built from our own code, and only numbers are read from the file: an untrusted description of layers may
        hold code.
        """
        assert self.start is not None
        learned = self._untrained(shape, len(self.start.labels))
        _load_weights(learned, self.start.file)
        model = learned
        if self.labels != self.start.labels:
            model = self._untrained(shape, len(self.labels))
            for new, old in zip(model.layers[:-1], learned.layers[:-1], strict=True):
                new.set_weights(old.get_weights())
            kernel, bias = model.layers[-1].get_weights()
            old_kernel, old_bias = learned.layers[-1].get_weights()
            for position, label in enumerate(self.labels):
                if label in self.start.labels:
                    before = self.start.labels.index(label)
                    kernel[:, position], bias[position] = old_kernel[:, before], old_bias[before]
            model.layers[-1].set_weights([kernel, bias])
        _freeze_normalisation(model, frozen=True)
        return model

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities (n, n_labels) of windows (n, frames, n_columns)."""
        assert self.model_ is not None, "fit comes first"
        parts = [
            X[first : first + _PREDICTED_AT_ONCE].astype(np.float32, copy=False)
            for first in range(0, len(X), _PREDICTED_AT_ONCE)
        ]
        probabilities: np.ndarray = np.concatenate([self.model_.predict_on_batch(part) for part in parts]).astype(
            np.float64
        )
        return probabilities

    @property
    def n_parameters(self) -> int:
        """Trained weights."""
        assert self.model_ is not None, "fit comes first"
        return int(sum(np.prod(weights.shape) for weights in self.model_.trainable_weights))

    def architecture(self) -> list[dict[str, Any]]:
        """Return one row per layer: its type, the shape of its output (time, features), and its number of weights."""
        assert self.model_ is not None, "fit comes first"
        return [
            {
                "name": type(layer).__name__,
                "shape": [int(size) for size in (layer.output.shape if not isinstance(layer.output, list) else ())[1:]],
                "parameters": int(layer.count_params()),
                "detail": _detail(layer),
            }
            for layer in self.model_.layers
        ]

    def save(self, folder: Path) -> list[str]:
        """Write model.keras and model.onnx into the folder."""
        assert self.model_ is not None, "fit comes first"
        self.model_.save(folder / FILE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of the exporter's own making
            self.model_.export(folder / _onnx.FILE, format="onnx", verbose=False)
        return [_onnx.FILE, FILE]


def _load_weights(model: keras.Model, file: Path) -> None:
    """Read the numbers of a .keras file into a model of the same layers; raises ModelError where they do not fit."""
    try:
        with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
            if archive.getinfo(_WEIGHTS).file_size > _MAX_WEIGHT_BYTES:
                raise ValueError("it is too large")
            model.load_weights(archive.extract(_WEIGHTS, folder))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelError(
            f"{file} does not hold the weights that its card describes ({reason}). Start from another model."
        ) from error


def _scale(model: keras.Model) -> layers.BatchNormalization:
    """Return the layer that gives every column of the input mean 0 and deviation 1, by numbers that no training changes."""
    return model.get_layer(_SCALE)


def _freeze_normalisation(model: keras.Model, *, frozen: bool) -> None:
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization) and layer.name != _SCALE:
            layer.trainable = not frozen


def _detail(layer: Any) -> str:
    """Return the settings of a layer in a few words."""
    if isinstance(layer, layers.Conv1D):
        steps = f", stride {layer.strides[0]}" if layer.strides[0] > 1 else ""
        return f"{layer.filters} filters, {layer.kernel_size[0]} frames wide{steps}"
    if isinstance(layer, layers.Dense):
        return f"{layer.units} units, {layer.activation.__name__}"
    if isinstance(layer, layers.Bidirectional):
        return f"{layer.forward_layer.units} units per direction"
    if layer.name == _SCALE:
        return "each column scaled to mean 0 and standard deviation 1"
    if isinstance(layer, layers.Dropout | layers.SpatialDropout1D):
        return f"{layer.rate:.0%} dropped during training"
    return ""


def _augment(
    windows: np.ndarray, settings: Mapping[str, Any], rng: np.random.Generator, *, blank: np.ndarray
) -> np.ndarray:
    """Return float32 copies, shifted in time by up to 16 frames, with one stretch of time and one of neighbouring columns blanked.

    blank: float32 (n_columns,), the values that replace them.
    """
    windows = windows.astype(np.float32)
    n_frames, n_columns = windows.shape[1:]
    for window in windows:
        shift = int(rng.integers(-MAX_SHIFT_FRAMES, MAX_SHIFT_FRAMES + 1))
        window[:] = np.roll(window, shift, axis=0)
        for axis, longest, length in ((0, settings["mask_frames"], n_frames), (1, settings["mask_mels"], n_columns)):
            width = int(rng.integers(0, longest + 1))
            start = int(rng.integers(0, length - width + 1))
            masked = slice(start, start + width)
            window[(slice(None),) * axis + (masked,)] = blank[masked] if axis else blank
    return windows


def _front(inputs: Any, settings: Mapping[str, Any]) -> Any:
    """Convolutions over time, (batch, time, features): the first one takes the scaled columns of each frame.

    The first is 5 frames wide, the others 3; the first and the third have stride 2, so that the output has a step of 80 ms.
    """
    # Keras's own Normalization is exported to ONNX with its numbers as further inputs.
    scale = layers.BatchNormalization(center=False, scale=False, epsilon=1e-6, trainable=False, name=_SCALE)
    x = keras.ops.clip(scale(inputs), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    for position, filters in enumerate(settings["filters"]):
        width, stride = 5 if position == 0 else 3, 2 if position in (0, 2) else 1
        x = layers.Conv1D(filters, width, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        x = layers.SpatialDropout1D(settings["dropout"] / 3)(x)
    return x


def _cnn(shape: tuple[int, ...], n_labels: int, settings: Mapping[str, Any]) -> keras.Model:
    """Four convolutions, then mean and maximum over time."""
    inputs = keras.Input(shape)
    x = _front(inputs, settings)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    x = layers.Dropout(settings["dropout"])(x)
    return keras.Model(inputs, layers.Dense(n_labels, activation="softmax")(x), name="cnn")


def _cnn_lstm(shape: tuple[int, ...], n_labels: int, settings: Mapping[str, Any]) -> keras.Model:
    """Three convolutions, a bidirectional LSTM over time in steps of 80 ms, and attention that weighs the steps."""
    inputs = keras.Input(shape)
    x = _front(inputs, settings)
    x = layers.Bidirectional(layers.LSTM(settings["units"], return_sequences=True))(x)
    weights = layers.Softmax(axis=1)(layers.Dense(1)(layers.Dense(32, activation="tanh")(x)))
    x = layers.Flatten()(layers.Dot(axes=1)([weights, x]))
    x = layers.Dropout(settings["dropout"])(x)
    return keras.Model(inputs, layers.Dense(n_labels, activation="softmax")(x), name="cnn_lstm")
