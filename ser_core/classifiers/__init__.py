"""The classifiers: build, check or load one. They take arrays, not audio.

contract.py defines what each of them does, table.py lists them. `build` makes an untrained one, `load` reads a trained one for serving.
Neither this module nor `load` imports TensorFlow: networks are trained by _keras.py and served by _onnx.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_core.classifiers.contract import Classifier, Progress, Start, TrainableClassifier
from ser_core.classifiers.table import CLASSIFIERS, ClassifierSpec
from ser_core.errors import ConfigError

__all__ = [
    "CLASSIFIERS",
    "Classifier",
    "ClassifierSpec",
    "Progress",
    "Start",
    "TrainableClassifier",
    "build",
    "check",
    "load",
    "load_foreign",
    "weight_file",
]


def check(name: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters with each value checked; the others have their defaults.

    Raises
    ------
    ConfigError : for an unknown classifier or hyperparameter, and for a value outside its range.
    """
    spec = _spec(name)
    rows = {setting.name: setting for setting in spec.settings}
    unknown = sorted(set(hyperparameters) - set(rows) - {"seed"})
    if unknown:
        raise ConfigError(f"{spec.title} has no hyperparameter {', '.join(unknown)}. It has {', '.join(rows)}.")
    seed = hyperparameters.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ConfigError(f"{spec.title}: the seed must be a whole number from 0 to {2**32 - 1}. Got {seed!r}.")
    return {
        **spec.defaults,
        "seed": seed,
        **{key: rows[key].check(value, of=spec.title) for key, value in hyperparameters.items() if key in rows},
    }


def build(
    name: str, labels: tuple[str, ...], hyperparameters: Mapping[str, Any] | None = None, *, start: Start | None = None
) -> TrainableClassifier:
    """Return an untrained classifier of the table; other hyperparameters have their defaults. start: weights of another network."""
    settings = check(name, hyperparameters or {})
    spec = _spec(name)
    if start and not spec.continues:
        raise ConfigError(f"A {spec.title} cannot start from another model.")
    if spec.input_kind == "frames":
        try:
            from ser_core.classifiers._keras import KerasClassifier
        except ModuleNotFoundError as error:  # the package was installed without what trains networks
            raise ConfigError(
                f"Training a {spec.title} needs the library {error.name}. Install the extra: pip install '.[train]'."
            ) from None

        return KerasClassifier(name, labels, settings, start)
    from ser_core.classifiers._sklearn import SklearnClassifier

    return SklearnClassifier(name, labels, settings)


def load(name: str, folder: Path, labels: tuple[str, ...]) -> Classifier:
    """Return a trained classifier for serving, from the files that `save` wrote; raises ModelError where they do not fit."""
    if _spec(name).input_kind == "frames":
        from ser_core.classifiers._onnx import OnnxClassifier

        return OnnxClassifier.load(folder, labels)
    from ser_core.classifiers._sklearn import SklearnClassifier

    return SklearnClassifier.load(name, folder, labels)


def weight_file(name: str) -> str:
    """Return the name of the file that `load` reads."""
    return "model.onnx" if _spec(name).input_kind == "frames" else "model.skops"


def load_foreign(name: str, content: bytes, labels: tuple[str, ...]) -> Classifier:
    """Return an untrusted classifier from the bytes of its weight file; raises ModelError where it has parts that ours do not have.

    Only recognition/sandbox.py calls this, in a process that may crash.
    """
    if _spec(name).input_kind == "frames":
        from ser_core.classifiers import _onnx

        return _onnx.OnnxClassifier.read(_onnx.check_foreign(content), labels)
    from ser_core.classifiers._sklearn import SklearnClassifier

    return SklearnClassifier.read(name, content, labels)


def _spec(name: str) -> ClassifierSpec:
    if not isinstance(name, str) or name not in CLASSIFIERS:
        raise ConfigError(f"There is no classifier '{name}'. Choose one of {', '.join(CLASSIFIERS)}.")
    return CLASSIFIERS[name]
