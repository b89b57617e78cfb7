"""Every folder of the project, once: where it is, and the environment variable that names another place.

Each is read when it is asked for, and a relative one is below the project's own folder, whatever the current one is. Where the
package is installed without the project, it is below the user's data folder, and the shipped models lie in the package.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The folder that holds ser_core/: the project's, with app.py and models/, or the site-packages of an installed package."""

_PACKAGED_MODELS = Path(__file__).resolve().parent / "_models"
"""The shipped models in an installed package, where pyproject.toml puts them; a project's folder has none here."""


ENCODERS = "encoders"
"""A folder among those of the trained models that holds no trained model."""


def models_folder() -> Path:
    """Return the folder of trained models: SER_MODELS, else models/, else that of the installed package."""
    if not os.environ.get("SER_MODELS") and _installed():
        return _PACKAGED_MODELS
    return _folder("SER_MODELS", "models")


def encoders_folder() -> Path:
    """Return the folder of the pretrained encoder, which is the project's own whatever SER_MODELS says."""
    return (_PACKAGED_MODELS if _installed() else PROJECT / "models") / ENCODERS


def corpora_folder() -> Path:
    """Return the folder of installed corpora: SER_CORPORA, else corpora/."""
    return _folder("SER_CORPORA", "corpora")


def runs_folder() -> Path:
    """Return the folder of training runs: SER_RUNS, else runs/."""
    return _folder("SER_RUNS", "runs")


def feature_cache() -> Path:
    """Return the folder of the feature cache: SER_CACHE, else cache/features/."""
    return _folder("SER_CACHE", "cache/features")


def results_folder() -> Path:
    """Return the folder of finished folds and of the log of readings: SER_RESULTS, else cache/evaluations/."""
    return _folder("SER_RESULTS", "cache/evaluations")


def class_folder() -> Path:
    """Return the folder of what a served class keeps: SER_CLASS, else class/."""
    return _folder("SER_CLASS", "class")


def _folder(variable: str, default: str) -> Path:
    return _home() / (os.environ.get(variable) or default)


def _home() -> Path:
    """Return what relative folders are below: the project's own folder, else `ser` in the user's data folder."""
    if not _installed():
        return PROJECT
    import platformdirs

    return platformdirs.user_data_path("ser", appauthor=False)


def _installed() -> bool:
    return _PACKAGED_MODELS.is_dir()
