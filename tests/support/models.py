"""Real but tiny models for tests of the pages: saved by the store, trained in a moment on invented numbers."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.features import config, encoder, vectors
from ser_core.metrics import evaluation
from ser_core.recognition import card, store, together

TITLES = {"knn": "KNN", "mlp": "MLP", "cnn": "CNN", "cnn_lstm": "CNN-LSTM", "transfer": "Whisper + LDA"}


def build(folder: Path) -> Path:
    """Write a model under each shipped name into a folder, and return it; all are small perceptrons with different weights."""
    shutil.copytree(_trained().name, folder, dirs_exist_ok=True)
    return folder


def pretrain(folder: Path) -> Path:
    """Put a model that hears through the pretrained encoder in the place of `transfer`; its head learned from invented numbers."""
    shutil.rmtree(folder / "transfer")
    shutil.copytree(_head().name, folder, dirs_exist_ok=True)
    return folder


def change(folder: Path, slug: str, **values: object) -> None:
    """Give the card of a model other values."""
    path = folder / slug / store.CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def pool(folder: Path, *groups: Sequence[str], threshold: float | None = None) -> tuple[together.Pool, ...]:
    """Write together.json into a folder that `build` filled, and return its pools: one a group of slugs, else one of all."""
    cards = {each.slug: each for each in store.list_models(folder)[0]}
    pools = tuple(
        together.Pool(
            weights=dict.fromkeys(slugs, 0.4),
            digests={slug: together.digest(cards[slug]) for slug in slugs},
            labels=catalogue.LABELS,
            threshold=threshold,
            protocol="invented",
            per_corpus=cards[slugs[0]].per_corpus,
        )
        for slugs in groups or (list(TITLES),)
    )
    together.write(pools, folder)
    return pools


@functools.cache
def _head() -> tempfile.TemporaryDirectory:
    """Return the folder that holds it, as `_trained` does."""
    place = tempfile.TemporaryDirectory()
    rng = np.random.default_rng(0)
    y = np.arange(160) % len(catalogue.LABELS)
    X = rng.normal(size=(len(y), len(encoder.columns()))).astype(np.float32)
    classifier = classifiers.build("transfer", catalogue.LABELS, {}).fit(X, y)
    figures = store.read_card("transfer", Path(_trained().name)).evaluation
    assert figures

    def made(files: dict[str, str]) -> card.ModelCard:
        plain = _card("transfer", TITLES["transfer"], classifier, figures, files)
        versions = {encoder.VERSION_NAME: encoder.digest()}
        return dataclasses.replace(plain, classifier="transfer", versions=versions, threshold=0.4)

    store.save(made, classifier, Path(place.name))
    return place


@functools.cache
def _trained() -> tempfile.TemporaryDirectory:
    """Return the folder that holds them, which lasts as long as this process: they are trained once."""
    place = tempfile.TemporaryDirectory()
    rng = np.random.default_rng(0)
    n_columns = len(vectors.summary_columns(config.FeatureConfig()))
    y = np.arange(160) % len(catalogue.LABELS)
    for seed, (slug, title) in enumerate(TITLES.items()):
        X = (rng.normal(size=(len(y), n_columns)) * 50).astype(np.float32)
        classifier = classifiers.build("mlp", catalogue.LABELS, {"hidden": 8, "epochs": 3, "seed": seed}).fit(X, y)
        figures = evaluation.evaluate(
            y,
            np.full((len(y), 8), 1 / 8),
            labels=catalogue.LABELS,
            speakers=y % 4,
            protocol="speaker",
            corpus="ravdess",
            rng=rng,
            n_bootstrap=20,
        )
        store.save(lambda files: _card(slug, title, classifier, figures, files), classifier, Path(place.name))  # noqa: B023
    return place


def _card(
    slug: str,
    title: str,
    classifier: classifiers.TrainableClassifier,
    figures: evaluation.Evaluation,
    files: dict[str, str],
) -> card.ModelCard:
    return card.ModelCard(
        slug=slug,
        title=title,
        created="2026-01-01T00:00:00+00:00",
        classifier="mlp",
        hyperparameters={},
        n_parameters=classifier.n_parameters,
        labels=catalogue.LABELS,
        features=config.FeatureConfig(),
        training={},
        corpora=(),
        protocol="invented",
        evaluation=figures,
        per_corpus={"ravdess": figures},
        temperature=1.0,
        licence="none",
        limits="tests only",
        versions={},
        files=files,
    )
