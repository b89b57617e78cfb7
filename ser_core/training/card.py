"""The card of a trained model: its training data, its figures, and their limits, in JSON values.

run.py takes a user's from here, shipped.py the part that all cards share; the files under models/ are recognition/store.py's.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.dataset.build import Dataset
from ser_core.dataset.duplicates import Sounds
from ser_core.features import encoder
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition.card import ModelCard
from ser_core.training import plan
from ser_core.training.config import RunConfig, default_name
from ser_core.training.fit import FitConfig, TrainingResult
from ser_core.training.plan import Prepared

LIMITS = (
    "Trained on {n_speakers} speakers of {corpora}. Other voices, languages, rooms and everyday speech are outside of what was measured. "
    "It hears how something is said, not what a person feels: do not assess people with it."
)

LIBRARIES = ("numpy", "scikit-learn", "imbalanced-learn", "onnxruntime", "librosa", "soxr", "skops")
NETWORK_LIBRARIES = ("keras", "tensorflow-cpu", "tensorflow")


@dataclass(frozen=True)
class Made:
    """What a finished run knows. figures: by corpus, the first over all; before: the same of the model that was started from."""

    config: RunConfig
    prepared: Prepared
    data: Dataset
    result: TrainingResult
    figures: Mapping[str, Evaluation]
    before: Mapping[str, Evaluation]
    trials: Sequence[Mapping[str, Any]]
    run: str
    sounds: Sounds | None = None


def card(made: Made, files: dict[str, str]) -> ModelCard:
    """Return the card of a user's model; its slug is the store's to choose."""
    config, prepared = made.config, made.prepared
    known = measured(
        config,
        made.result,
        prepared.clips[prepared.part == splits.TRAIN],
        labels=prepared.labels,
        left_out=prepared.left_out,
        n_unreadable=len(made.data.problems),
        files=files,
    )
    titles = [each["title"] for each in known.corpora]
    names = {each["corpus"] for each in known.corpora}
    return replace(
        known,
        title=config.name.strip() or default_name(config, titles),
        description=config.description.strip(),
        training={
            "config": replace(
                config, scheduler=""
            ).to_dict(),  # the addresses of our machines stay out of shared models
            "run": made.run,
            "effects": config.effects,
            "balance": config.balance,
            "mapping": config.mapping.to_dict(),
            "start_from": config.start_from,
            "trials": _plain(list(made.trials)),
            "before": {name: each.to_dict() for name, each in made.before.items()},
            **known.training,
        },
        split=split(prepared, made.sounds),
        protocol=_protocol(config, prepared),
        evaluation=made.figures[next(iter(made.figures))],
        per_corpus={name: each for name, each in made.figures.items() if name in names},
        licence=_licence(known.corpora),
        limits=LIMITS.format(n_speakers=sum(each["n_speakers"] for each in known.corpora), corpora=", ".join(titles)),
    )


def measured(
    config: RunConfig | FitConfig,
    result: TrainingResult,
    clips: pd.DataFrame,
    *,
    labels: tuple[str, ...],
    left_out: Mapping[str, int],
    n_unreadable: int,
    files: dict[str, str],
) -> ModelCard:
    """Return a card with what weights, settings and clips tell; its figures, split and sentences are the caller's to add.

    clips: those that it learned from. left_out: label -> clips that were not used; n_unreadable: files that could not be read;
    files: weight file -> sha256.
    """
    spec = classifiers.CLASSIFIERS[config.classifier]
    return ModelCard(
        slug="new",
        title=spec.title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        classifier=config.classifier,
        hyperparameters=_plain(result.classifier.hyperparameters),
        n_parameters=result.classifier.n_parameters,
        labels=labels,
        features=config.features,
        training={
            "n_copies": config.n_copies,
            "strength": config.strength,
            "speaker_cap": config.speaker_cap,
            "corpus_cap": config.corpus_cap,
            "validation_share": config.validation_share,
            "seed": config.seed,
            "left_out": dict(left_out),
            "unreadable": n_unreadable,
            "validation_speakers": list(result.validation_speakers),
            "history": _plain(list(result.history)),
        },
        corpora=tuple(_corpus(str(name), group) for name, group in clips.groupby(catalogue.CORPUS, sort=False)),
        protocol="",
        evaluation=None,
        per_corpus={},
        temperature=result.temperature,
        threshold=result.threshold,
        licence="",
        limits="",
        versions=versions(networks=spec.input_kind == "frames", pretrained=bool(spec.pretrained)),
        architecture=tuple(result.classifier.architecture()),
        files=files,
    )


def split(prepared: Prepared, sounds: Sounds | None = None) -> dict[str, Any]:
    """Return the split as speakers and clip names: part -> speakers, and clips by corpus; with `sounds`, the print of each clip too."""
    parts: dict[str, Any] = {}
    for name in splits.PARTS:
        inside = prepared.clips[prepared.part == name]
        parts[name] = {
            "speakers": sorted(set(inside[catalogue.SPEAKER])),
            "clips": {str(corpus): sorted(group[catalogue.NAME]) for corpus, group in inside.groupby(catalogue.CORPUS)},
        }
        if sounds:
            by_name = inside.sort_values(catalogue.NAME)
            parts[name]["sounds"] = {
                str(corpus): sounds.texts(group) for corpus, group in by_name.groupby(catalogue.CORPUS)
            }
    return parts


def versions(*, networks: bool, pretrained: bool = False) -> dict[str, str]:
    """Return the versions of Python and of the libraries that a model depends on, and the pretrained encoder's digest where it has one."""
    found = {"python": platform.python_version()}
    for name in (*LIBRARIES, *(NETWORK_LIBRARIES if networks else ())):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | ({encoder.VERSION_NAME: encoder.digest()} if pretrained else {})


def to_json(values: Any) -> str:
    """Return JSON text of values that may hold tuples."""
    return json.dumps(_plain(values), indent=1, ensure_ascii=False, allow_nan=False)


def _corpus(name: str, clips: pd.DataFrame) -> dict[str, Any]:
    spec = catalogue.CORPORA.get(name)
    return {
        "corpus": name,
        "title": spec.title if spec else name,
        "n_clips": len(clips),
        "n_speakers": int(clips[catalogue.SPEAKER].nunique()),
        "licence": spec.licence if spec else "",
        "citation": spec.citation if spec else "",
    }


def _protocol(config: RunConfig, prepared: Prepared) -> str:
    """Return how the figures were measured; it begins with the protocol's name."""
    text = f"{config.protocol}: "
    if prepared.folds is not None and not config.grid:
        unit = "clip" if config.protocol == "random" else config.protocol
        text += (
            f"{config.folds} folds. Every clip is scored once, by a model trained without {'it' if unit == 'clip' else f'its {unit}'}; "
            "the saved weights come from the same recipe on all."
        )
    else:
        test = int((prepared.part == splits.TEST).sum())
        text += f"{test} clips were held out and scored once, by the model that is saved."
    if config.grid:
        text += f" Hyperparameters were compared in {config.folds or plan.SEARCH_FOLDS} folds of the other clips."
    return f"{text} {splits.PROTOCOLS[config.protocol]}"


def _licence(used: Sequence[Mapping[str, Any]]) -> str:
    known = "; ".join(f"{each['title']}: {each['licence']}" for each in used if each["licence"])
    own = ", ".join(each["title"] for each in used if not each["licence"])
    return " ".join(
        filter(
            None,
            [
                f"The weights may be used as the licences of the corpora allow. {known}." if known else "",
                f"Nothing is known of the licence of {own}: ask who made the recordings." if own else "",
            ],
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):  # the loss of a training that diverged
        return None
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
