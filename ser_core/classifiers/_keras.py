"""CNN and CNN-LSTM: their layers and their training. Only a training process imports this module (it loads TensorFlow).

A trained network is saved twice: model.onnx for serving, model.keras for further training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from sklearn.metrics import balanced_accuracy_score

from ser_core.classifiers import Progress, _onnx

FILE = "model.keras"
MAX_SHIFT_FRAMES = 16


class KerasClassifier:
    """A Keras network behind the Classifier contract."""

    def __init__(self, name: str, labels: tuple[str, ...], hyperparameters: Mapping[str, Any]) -> None:
        self.name = name
        self.labels = labels
        self.hyperparameters = dict(hyperparameters)
        self.model_: keras.Model | None = None

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        sample_weight: np.ndarray | None = None,
        on_epoch: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> KerasClassifier:
        """Train with AdamW and a cosine learning rate.

        Each epoch draws clips_per_epoch windows without repetition, with chances in proportion to sample_weight, and
        masks and shifts them anew (SpecAugment, Park et al. 2019).
        """
        settings = self.hyperparameters
        keras.utils.set_random_seed(settings["seed"])
        rng = np.random.default_rng(settings["seed"])
        chance = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        chance = chance / chance.sum()
        n_drawn = min(settings["clips_per_epoch"], int((chance > 0).sum()))
        steps = settings["epochs"] * int(np.ceil(n_drawn / settings["batch_size"]))
        build = {"cnn": _cnn, "cnn_lstm": _cnn_lstm}[self.name]
        self.model_ = model = build(X.shape[1:], len(self.labels), settings)
        model.compile(
            optimizer=keras.optimizers.AdamW(
                keras.optimizers.schedules.CosineDecay(
                    settings["learning_rate"] / 10, steps, warmup_target=settings["learning_rate"], warmup_steps=steps // 20
                ),
                weight_decay=1e-3,
                clipnorm=1.0,
            ),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings["label_smoothing"]),
        )
        stop = _Stop(should_stop or (lambda: False))
        targets = np.eye(len(self.labels), dtype=np.float32)[y]
        best, best_uar = None, -1.0
        for epoch in range(1, settings["epochs"] + 1):
            drawn = rng.choice(len(y), n_drawn, replace=False, p=chance)
            batch = _augment(X[drawn], settings, rng)
            history = model.fit(
                batch, targets[drawn], batch_size=settings["batch_size"], shuffle=False, verbose=0, callbacks=[stop]
            )
            figures = {"loss": float(history.history["loss"][0])}
            if validation is not None and not stop.asked:
                probabilities = self.predict_proba(validation[0])
                uar = float(balanced_accuracy_score(validation[1], probabilities.argmax(axis=1)))
                figures["validation_uar"] = uar
                of_truth = probabilities[np.arange(len(probabilities)), validation[1]]
                figures["validation_loss"] = -float(np.log(np.maximum(of_truth, 1e-7)).mean())
                if uar > best_uar:
                    best, best_uar = model.get_weights(), uar
            if on_epoch:
                on_epoch(epoch, settings["epochs"], figures)
            if stop.asked:
                break
        if best is not None:
            model.set_weights(best)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities (n, n_labels) of windows (n, frames, n_mels)."""
        assert self.model_ is not None, "fit comes first"
        return self.model_.predict(X.astype(np.float32, copy=False), batch_size=128, verbose=0).astype(np.float64)

    @property
    def n_parameters(self) -> int:
        """Trained weights."""
        assert self.model_ is not None, "fit comes first"
        return int(sum(np.prod(weights.shape) for weights in self.model_.trainable_weights))

    def save(self, folder: Path) -> list[str]:
        """Write model.keras and model.onnx into the folder."""
        assert self.model_ is not None, "fit comes first"
        self.model_.save(folder / FILE)
        self.model_.export(folder / _onnx.FILE, format="onnx", verbose=False)
        return [_onnx.FILE, FILE]


class _Stop(keras.callbacks.Callback):
    """Ends an epoch between two batches once should_stop says so."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        super().__init__()
        self.should_stop = should_stop
        self.asked = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.should_stop():
            self.asked = True
            self.model.stop_training = True


def _augment(windows: np.ndarray, settings: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Return float32 copies, shifted in time by up to 16 frames, with one stretch of time and one of frequency set to 0."""
    windows = windows.astype(np.float32)
    n_frames, n_mels = windows.shape[1:]
    for window in windows:
        shift = int(rng.integers(-MAX_SHIFT_FRAMES, MAX_SHIFT_FRAMES + 1))
        window[:] = np.roll(window, shift, axis=0)
        for axis, longest, length in ((0, settings["mask_frames"], n_frames), (1, settings["mask_mels"], n_mels)):
            width = int(rng.integers(0, longest + 1))
            start = int(rng.integers(0, length - width + 1))
            window[(slice(None),) * axis + (slice(start, start + width),)] = 0.0
    return windows


def _convolve(x: Any, filters: int, pool: tuple[int, int], dropout: float, *, kernel: int = 3, stride: int = 1) -> Any:
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    if pool != (1, 1):
        x = layers.MaxPooling2D(pool)(x)
    return layers.SpatialDropout2D(dropout / 3)(x)


def _front(inputs: Any, settings: Mapping[str, Any], pools: tuple[tuple[int, int], ...]) -> Any:
    """Convolutions over time and frequency, (batch, time, features): the first of 5 x 5 in steps of 2, the others of 3 x 3."""
    x = layers.Reshape((*inputs.shape[1:], 1))(inputs)
    for position, (filters, pool) in enumerate(zip(settings["filters"], pools, strict=True)):
        first = {"kernel": 5, "stride": 2} if position == 0 else {}
        x = _convolve(x, filters, pool, settings["dropout"], **first)
    return layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)


def _cnn(shape: tuple[int, ...], n_labels: int, settings: Mapping[str, Any]) -> keras.Model:
    """Four convolutions, then mean and maximum over time."""
    inputs = keras.Input(shape)
    x = _front(inputs, settings, ((2, 2), (2, 2), (2, 2), (1, 1)))
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    x = layers.Dropout(settings["dropout"])(x)
    return keras.Model(inputs, layers.Dense(n_labels, activation="softmax")(x), name="cnn")


def _cnn_lstm(shape: tuple[int, ...], n_labels: int, settings: Mapping[str, Any]) -> keras.Model:
    """Three convolutions, a bidirectional LSTM over time in steps of 80 ms, and attention that weighs the steps."""
    inputs = keras.Input(shape)
    x = _front(inputs, settings, ((2, 2), (1, 2), (1, 2)))
    x = layers.Dense(96, activation="relu")(x)
    x = layers.Dropout(settings["dropout"])(x)
    x = layers.Bidirectional(layers.LSTM(settings["units"], return_sequences=True))(x)
    weights = layers.Softmax(axis=1)(layers.Dense(1)(layers.Dense(32, activation="tanh")(x)))
    x = layers.Flatten()(layers.Dot(axes=1)([weights, x]))
    x = layers.Dropout(settings["dropout"])(x)
    return keras.Model(inputs, layers.Dense(n_labels, activation="softmax")(x), name="cnn_lstm")
