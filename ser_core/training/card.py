"""The card of a user's model: its training data, its figures, and their limits, in JSON values.

run.py calls it; the files under models/ are recognition/store.py's, the shipped models' cards shipped.py's.
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

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.dataset.build import Dataset
from ser_core.dataset.duplicates import Sounds
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition.card import ModelCard
from ser_core.training import plan
from ser_core.training.config import RunConfig
from ser_core.training.fit import TrainingResult
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
    """Return the card; its slug is the store's to choose."""
    config, prepared, spec = made.config, made.prepared, classifiers.CLASSIFIERS[made.config.classifier]
    used = [_corpus(str(name), group) for name, group in prepared.clips.groupby(catalogue.CORPUS, sort=False)]
    n_speakers = prepared.clips[catalogue.SPEAKER].nunique()
    titles = [each["title"] for each in used]
    return ModelCard(
        slug="new",
        title=config.name.strip() or f"{spec.title} on {', '.join(titles)}"[:80],
        description=config.description.strip(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        classifier=config.classifier,
        hyperparameters=_plain(made.result.classifier.hyperparameters),
        n_parameters=made.result.classifier.n_parameters,
        labels=prepared.labels,
        features=config.features,
        training={
            "config": replace(
                config, scheduler=""
            ).to_dict(),  # the addresses of our machines stay out of shared models
            "run": made.run,
            "n_copies": config.n_copies,
            "strength": config.strength,
            "effects": config.effects,
            "speaker_cap": config.speaker_cap,
            "validation_share": config.validation_share,
            "balance": config.balance,
            "mapping": config.mapping.to_dict(),
            "start_from": config.start_from,
            "seed": config.seed,
            "left_out": prepared.left_out,
            "unreadable": len(made.data.problems),
            "validation_speakers": list(made.result.validation_speakers),
            "history": _plain(list(made.result.history)),
            "trials": _plain(list(made.trials)),
            "before": {name: each.to_dict() for name, each in made.before.items()},
        },
        split=split(prepared, made.sounds),
        corpora=tuple(used),
        protocol=_protocol(config, prepared),
        evaluation=made.figures[next(iter(made.figures))],
        per_corpus={name: each for name, each in made.figures.items() if name in {each["corpus"] for each in used}},
        temperature=made.result.temperature,
        threshold=made.result.threshold,
        licence=_licence(used),
        limits=LIMITS.format(n_speakers=n_speakers, corpora=", ".join(titles)),
        versions=versions(networks=spec.input_kind == "frames"),
        architecture=tuple(made.result.classifier.architecture()),
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


def versions(*, networks: bool) -> dict[str, str]:
    """Return the versions of Python and of the libraries that a model depends on."""
    found = {"python": platform.python_version()}
    for name in (*LIBRARIES, *(NETWORK_LIBRARIES if networks else ())):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def to_json(values: Any) -> str:
    """Return JSON text of values that may hold tuples."""
    return json.dumps(_plain(values), indent=1, ensure_ascii=False, allow_nan=False)


def _corpus(name: str, clips: Any) -> dict[str, Any]:
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
