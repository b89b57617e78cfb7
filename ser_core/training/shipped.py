"""How the shipped models are trained: their recipes, their cross-validation and their cards.

`python -m ser_core build-models` calls `build`. What is measured is always the recipe that is shipped: six folds, each
trained without the speakers that it is tested on, over all corpora at once (splits.joint_folds).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import paths
from ser_core.classifiers import CLASSIFIERS
from ser_core.corpora import catalogue, scan
from ser_core.dataset import build as dataset_build
from ser_core.dataset import degraded, labels, protocols, splits, voices
from ser_core.dataset.build import Dataset, subset
from ser_core.errors import ConfigError, ModelError
from ser_core.explanation import neighbours
from ser_core.metrics import evaluation
from ser_core.recognition import store, together
from ser_core.recognition.card import ModelCard
from ser_core.training import card as training_card
from ser_core.training import fit, held_out
from ser_core.training.fit import FitConfig
from ser_core.training.held_out import HeldOut

MAIN_CORPUS = "ravdess"
PROTOCOL = "speaker"

HARSH: tuple[tuple[str, float], ...] = (("telephone", 3400), ("babble", 10), ("reverb", 0.5))
"""Conditions and levels under which the clips of the main corpus are also tested: a telephone line, a full classroom, a bare room."""

RECIPES: dict[str, FitConfig] = {
    "knn": FitConfig(classifier="knn", n_copies=4, corpus_cap=1000),
    "mlp": FitConfig(classifier="mlp", n_copies=4, corpus_cap=1000),
    "cnn": FitConfig(classifier="cnn", n_copies=4, corpus_cap=1000, hyperparameters={"clips_per_epoch": 5000}),
    "cnn_lstm": FitConfig(
        classifier="cnn_lstm", n_copies=4, corpus_cap=1000, hyperparameters={"clips_per_epoch": 5000}
    ),
    "transfer": FitConfig(classifier="transfer", n_copies=1),
}


POOLS = (store.SHIPPED, store.FOUR)
"""Models that answer together (together.py): all, and those from scratch, for where the pretrained one is switched off."""

LIMITS = (
    "Trained on acted emotions by {} speakers of English and German, recorded in quiet rooms. Everyday speech, other "
    "languages, children and noisy rooms are outside of what was measured. It hears how something is said, "
    "not what a person feels: do not assess people with it."
)
HELD_OUT: dict[str, str] = {
    "ravdess": "RAVDESS by the published folds of actors (EmoBox)",
    "tess": "each TESS speaker once",
    "savee": "each SAVEE speaker once",
    "emodb": "the ten EmoDB speakers in six groups",
    "cremad": "the 91 CREMA-D actors by the remainder of their number",
}
"""How the six folds part the speakers of each corpus, for a card."""

HOW_MEASURED = (
    "speaker: six folds over all corpora at once: {}. Every clip is scored once, by a "
    "model trained on all corpora without its speaker; epoch and temperature are chosen on other training speakers. "
    "The shipped weights come from the same recipe on all speakers, the validation speakers aside. Figures under "
    "'cross-corpus' are of the same recipe trained on the other corpora alone, with the labels that all have. "
    "Which measures the models see of a clip, and their settings, were chosen on twenty of the twenty-four RAVDESS actors and on "
    "speakers of the other corpora, who are also tested here: each was tested by a model trained without them, but the choice may "
    "flatter the figures a little."
)
"""What a card says of its figures; in its place, how the speakers of the corpora are held out."""

LICENCE = (
    "Trained on corpora licensed for non-commercial research and teaching; the weights may be used for nothing else. "
    "The licence of each corpus is listed under corpora."
)


@dataclass(frozen=True)
class Material:
    """What all models are made from: clips with one of the labels, their features, and the fold of each clip.

    under: condition with its level -> features of the clips of MAIN_CORPUS under it.
    """

    clips: pd.DataFrame
    data: Dataset
    folds: np.ndarray
    left_out: dict[str, int]
    under: Mapping[str, Dataset] = field(default_factory=dict)


def chosen(slugs: Sequence[str]) -> list[str]:
    """Return some models of RECIPES, each once, all where none is named; raises ConfigError for one without a recipe."""
    if unknown := [slug for slug in slugs if slug not in RECIPES]:
        raise ConfigError(f"There is no recipe for {', '.join(unknown)}. Choose from {', '.join(RECIPES)}.")
    return list(dict.fromkeys(slugs)) or list(RECIPES)


def gather(
    folders: Mapping[str, Path],
    *,
    work: Path,
    slugs: Sequence[str] = (),
    n_jobs: int = 1,
    say: fit.Message = print,
) -> Material:
    """Return the clips of the corpora in `folders` (name -> folder) and their features for some models, or all; cached under `work`."""
    recipes = [RECIPES[slug] for slug in slugs or RECIPES]
    config = recipes[0]
    kinds = tuple(dict.fromkeys(CLASSIFIERS[recipe.classifier].input_kind for recipe in recipes))
    found = pd.concat([scan.scan(name, folder) for name, folder in folders.items()], ignore_index=True)
    clips = fit.usable(found, config.labels)
    left_out = found[catalogue.EMOTION].value_counts()
    left_out = {label: int(n) for label, n in left_out.items() if label not in config.labels}
    counts = ", ".join(f"{n} {name}" for name, n in clips[catalogue.CORPUS].value_counts().items())
    say(f"{len(clips)} clips: {counts}. Left out, because the models have no such label: {left_out or 'none'}.")
    data = dataset_build.build(
        clips,
        config.features,
        voices=voices.of_their_own(clips),
        n_copies=max(recipe.n_copies for recipe in recipes),
        kinds=kinds,
        strength=config.strength,
        cache=work / "features",
        n_jobs=n_jobs,
        on_progress=lambda done, total: (
            say(f"features: {done} of {total}") if done % 1000 == 0 or done == total else None
        ),
    )
    for path, reason in data.problems:
        say(f"left out: {path}: {reason}")
    is_main = (clips[catalogue.CORPUS] == MAIN_CORPUS).to_numpy()
    under = {}
    for name, level in HARSH if is_main.any() else ():
        say(f"features: {MAIN_CORPUS} under {name} {level:g}")
        under[f"{name} {level:g}"] = degraded.features_under(
            name, level, clips, is_main, config.features, kinds=kinds, n_jobs=n_jobs
        )
    return Material(clips, data, splits.joint_folds(clips), left_out, under)


def build(
    slugs: Sequence[str],
    material: Material,
    *,
    work: Path,
    models: Path | None = None,
    held_out_answers: Path | None = None,
    say: fit.Message = print,
) -> list[ModelCard]:
    """Cross-validate each recipe, train it on all speakers and save it under `models`.

    The recipe is also trained on all corpora but one and tested on that one, for each of them. What was finished with the same clips and
    settings is not run again: a fold where `work` holds its result, a model where `work` holds the hashes of the files it was saved with
    and they are still the model's. The figures of such a model are recomputed from its folds, so that its card has the figures and
    the words of this version. The answers to the held-out clips are added to the file held_out_answers. Of the four together, the figures
    of their probabilities' mean are said.
    """
    models = models or paths.models_folder()
    cards, probabilities = [], {}
    for slug in slugs:
        config = RECIPES[slug]
        receipt = work / "saved" / f"{slug}-{fit.run_key(material.clips, config, material.folds)}.json"
        finished = _finished(slug, models, receipt)
        if finished:
            say(f"{slug}: already trained; only its figures are recomputed (delete {work} to retrain it)")
        answers = fit.cross_validate(
            material.clips, material.data, config, material.folds, folder=work / "folds", under=material.under, say=say
        )
        probabilities[slug] = answers[fit.AS_RECORDED]
        threshold, per_corpus = evaluate(material, probabilities[slug], config)
        if main := per_corpus.get(MAIN_CORPUS):
            per_corpus[MAIN_CORPUS] = replace(main, under=accuracy_under(material, answers, config))
        answered = [
            held_out.of(
                material.clips,
                material.folds,
                heard,
                slug,
                labels=config.labels,
                protocol=PROTOCOL,
                scope=held_out.ALL,
                condition="" if condition == fit.AS_RECORDED else condition,
            )
            for condition, heard in answers.items()
        ]
        unheard = across(material, config, work=work, say=say, keep=answered.append)
        if finished:
            figures = replace(
                finished,
                threshold=threshold,
                per_corpus=per_corpus,
                evaluation=per_corpus.get(MAIN_CORPUS),
                unheard=unheard,
                protocol=how_measured(material.clips),
                limits=limits(finished.corpora),
                licence=LICENCE,
            )
            cards.append(finished if figures == finished else store.replace_card(figures, models))
            _keep(answered, cards[-1], held_out_answers)
            continue
        say(f"{slug}: training on all speakers")
        result = replace(fit.train(material.clips, material.data, config), threshold=threshold)
        write_card = partial(_card, slug, config, material, per_corpus, unheard, result)
        cards.append(store.save(write_card, result.classifier, models))
        neighbours.keep(cards[-1], result.classifier, material.clips, material.data, models)
        receipt.parent.mkdir(parents=True, exist_ok=True)
        receipt.write_text(json.dumps(cards[-1].files))
        _keep(answered, cards[-1], held_out_answers)
        main = per_corpus.get(MAIN_CORPUS) or next(iter(per_corpus.values()))
        say(f"{slug}: saved; {main.corpus} accuracy {main.accuracy:.1%}, UAR {main.uar:.1%}, ECE {main.ece:.3f}")
        for name, accuracy in (main.under or {}).items():
            say(f"{slug}: {main.corpus} under {name}: accuracy {accuracy:.1%}")
        for each in unheard.values():
            label, share = each.favourite
            say(
                f"{slug}: without {each.corpus}: accuracy {each.accuracy:.1%}, UAR {each.uar:.1%}; most often '{label}', {share:.1%}"
            )
    if set(store.FOUR) <= set(probabilities):
        four = np.mean([probabilities[slug] for slug in store.FOUR], axis=0)
        mean = evaluate(material, four, RECIPES[store.FOUR[0]])[1]
        for name, each in mean.items():
            low, high = each.interval["accuracy"]
            say(
                f"mean of the four: {name} accuracy {each.accuracy:.1%} ({low:.1%} to {high:.1%}), UAR {each.uar:.1%}, ECE {each.ece:.3f}"
            )
    return cards


def _keep(answered: Sequence[HeldOut], card: ModelCard, path: Path | None) -> None:
    """Add a model's held-out answers to a file, where one is named."""
    if path:
        held_out.add(path, *(replace(each, keys={card.slug: together.digest(card)}) for each in answered))


def _finished(slug: str, models: Path, receipt: Path) -> ModelCard | None:
    """Return the card of a model that an earlier run of the same recipe saved; None where there is none or it has changed."""
    try:
        card = store.read_card(slug, models)
        return card if json.loads(receipt.read_text()) == card.files else None
    except (OSError, ValueError, ModelError):
        return None


def evaluate(
    material: Material, probabilities: np.ndarray, config: FitConfig
) -> tuple[float | None, dict[str, evaluation.Evaluation]]:
    """Return the threshold, and the held-out figures by corpus, from calibrated probabilities (n_clips, n_labels).

    The threshold is chosen on all held-out clips; the figures of each clip are at the one that the other folds choose.
    """
    tested = probabilities.sum(axis=1) > 0
    y = fit.targets(material.clips, config.labels)
    names = material.clips[catalogue.CORPUS].to_numpy()
    speakers = material.clips[catalogue.SPEAKER].to_numpy()
    threshold, apart = fit.threshold_of_folds(material.clips, probabilities, config.labels, material.folds)
    return threshold, evaluation.by_corpus(
        y[tested],
        probabilities[tested],
        names[tested],
        labels=config.labels,
        speakers=speakers[tested],
        protocol=PROTOCOL,
        overall=False,
        threshold=None if apart is None else apart[tested],
    )


def accuracy_under(material: Material, answers: Mapping[str, np.ndarray], config: FitConfig) -> dict[str, float]:
    """Return condition -> accuracy on the clips of the main corpus under it, from probabilities (n_clips, n_labels) by condition."""
    y = fit.targets(material.clips, config.labels)
    rows = {name: data.clip for name, data in material.under.items()}
    return {
        name: float((answers[name][clips].argmax(axis=1) == y[clips]).mean())
        for name, clips in rows.items()
        if len(clips)
    }


def across(
    material: Material,
    config: FitConfig,
    *,
    work: Path,
    say: fit.Message = print,
    keep: Callable[[HeldOut], object] = lambda answers: None,
) -> dict[str, evaluation.Evaluation]:
    """Return the figures of a recipe on each corpus when it was trained on the others alone, with the labels that all of them have.

    Of one corpus there are none. Finished trainings are kept under `work`. keep: called with the answers that the figures are of.
    """
    shared = tuple(label for label in labels.shared(material.clips) if label in config.labels)
    names = material.clips[catalogue.CORPUS].to_numpy()
    if len(set(names)) < 2 or len(shared) < 2:
        return {}
    among = material.clips[catalogue.EMOTION].isin(shared).to_numpy()
    clips, data = material.clips[among].reset_index(drop=True), subset(material.data, among)
    folds, _ = pd.factorize(names[among])
    config = replace(config, labels=shared)
    say(f"{config.classifier}: every corpus by a model of the others, with {', '.join(shared)}")
    answers = fit.cross_validate(clips, data, config, folds, folder=work / "across", say=say)[fit.AS_RECORDED]
    keep(
        held_out.of(
            clips,
            folds,
            answers,
            config.classifier,
            labels=shared,
            protocol=protocols.ACROSS,
            scope=held_out.OTHERS,
        )
    )
    y, speakers, tested = fit.targets(clips, shared), clips[catalogue.SPEAKER].to_numpy(), answers.sum(axis=1) > 0
    return evaluation.by_corpus(
        y[tested],
        answers[tested],
        names[among][tested],
        labels=shared,
        speakers=speakers[tested],
        protocol=protocols.ACROSS,
        overall=False,
    )


def _card(
    slug: str,
    config: FitConfig,
    material: Material,
    per_corpus: dict[str, evaluation.Evaluation],
    unheard: dict[str, evaluation.Evaluation],
    result: fit.TrainingResult,
    files: dict[str, str],
) -> ModelCard:
    known = training_card.measured(
        config,
        result,
        material.clips[~material.clips[catalogue.SPEAKER].isin(result.validation_speakers)],
        labels=config.labels,
        left_out=material.left_out,
        n_unreadable=len(material.data.problems),
        files=files,
    )
    return replace(
        known,
        slug=slug,
        protocol=how_measured(material.clips),
        evaluation=per_corpus.get(MAIN_CORPUS),
        per_corpus=per_corpus,
        unheard=unheard,
        split=_split(material.clips, result.validation_speakers),
        licence=LICENCE,
        limits=limits(known.corpora),
    )


def how_measured(clips: pd.DataFrame) -> str:
    """Return what a card says of figures on these clips."""
    there = set(clips[catalogue.CORPUS])
    return HOW_MEASURED.format(", ".join(words for name, words in HELD_OUT.items() if name in there))


def limits(corpora: Sequence[Mapping[str, Any]]) -> str:
    """Return what a model that learned from some corpora, as its card lists them, has not learned."""
    return LIMITS.format(sum(each["n_speakers"] for each in corpora))


def _split(clips: pd.DataFrame, validation: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Return whom the shipped weights were trained on, and who chose their epoch; they were tested as other weights, fold by fold."""
    speakers = sorted(set(clips[catalogue.SPEAKER]))
    return {
        splits.TRAIN: {"speakers": [speaker for speaker in speakers if speaker not in validation]},
        splits.VALIDATION: {"speakers": sorted(validation)},
        splits.TEST: {"speakers": []},
    }
