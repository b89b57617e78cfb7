"""All together: the weights and the threshold of a pool of models, learned from their held-out answers, and how well it does.

`build` writes models/together.json from the file of held_out.py; recognition/together.py applies it. Every figure is cross-fitted: what
answers a speaker was learned from the answers to others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ser_core.corpora import catalogue
from ser_core.dataset import protocols, splits
from ser_core.metrics import abstention, evaluation, pooling
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import store
from ser_core.recognition import together as recognition_together
from ser_core.recognition.together import Pool
from ser_core.training import held_out
from ser_core.training.held_out import HeldOut

ACROSS_SHARE = 0.25
"""How much the answers to unknown corpora count in the weights, beside those to unknown speakers of known corpora: who speaks into a
microphone is of no corpus, and there the models are less often right than they say."""

SPEAKERS_APART = (splits.SPEAKER_PROTOCOL, "speaker and sentence")
"""The protocols by which no speaker is on both sides of a fold."""

HOW_MEASURED = (
    "speaker: six folds over all corpora. The weights and the threshold that answer a fold are learned from the models' held-out answers "
    "to speakers of the other folds, every speaker counting the same. cross-corpus: the models are trained on the other corpora alone, and "
    "the weights are learned without any answer to the tested one. The weights that are used here are learned from all of these answers."
)
"""What a pool says of its figures."""


def weights(slugs: Sequence[str], parts: Sequence[tuple[HeldOut, np.ndarray, float]]) -> np.ndarray:
    """Return the weight of each model, float (n_models,), learned from some answers.

    parts : held-out answers, which of their clips are learned from, bool (n_clips,), and the part's share; every speaker counts the same
        within a part, and a part without clips does not count.
    """
    learned = []
    for each, mask, share in parts:
        if mask.any() and share > 0:
            speakers = each.clips[catalogue.SPEAKER].to_numpy()[mask]
            names, speaker, counts = np.unique(speakers, return_inverse=True, return_counts=True)
            answers = np.array([each.probabilities[slug][mask] for slug in slugs])
            weight = share / len(names) / counts[speaker]
            learned.append(pooling.Answers(answers, each.y[mask], weight))
    return pooling.fit(learned)


def all_weights(slugs: Sequence[str], joint: HeldOut, across: HeldOut | None) -> np.ndarray:
    """Return the weights that all answers choose."""
    return weights(slugs, _parts(joint, across, lambda each: np.ones(len(each.clips), bool)))


def of_folds(
    slugs: Sequence[str], joint: HeldOut, across: HeldOut | None = None, *, asked: HeldOut | None = None
) -> np.ndarray:
    """Return the pool's answers to `joint`, (n_clips, n_labels): to each fold by the weights that the other folds choose.

    asked: answers in the same folds that are pooled by those weights in place of `joint`'s own, such as under a condition.
    Where the protocol holds speakers out, answers to the fold's speakers in other folds are left out as well; of `across` always. Rows of
    a fold that leaves nothing to learn from stay 0.
    """
    asked = joint if asked is None else asked
    asked_in = asked.clips[held_out.FOLD].to_numpy()
    found = np.zeros((len(asked_in), len(joint.labels)))
    for fold, learned in weights_of_folds(slugs, joint, across).items():
        _answer(found, asked_in == fold, slugs, asked, learned)
    return found


def weights_of_folds(slugs: Sequence[str], joint: HeldOut, across: HeldOut | None = None) -> dict[int, np.ndarray]:
    """Return the weights that answer each fold of `joint`, as `of_folds` has them: fold -> float (n_models,).

    A fold that leaves nothing to learn from has none.
    """
    folds, speakers = joint.clips[held_out.FOLD].to_numpy(), joint.clips[catalogue.SPEAKER].to_numpy()
    found = {}
    for fold in np.unique(folds):
        heard = set(speakers[folds == fold])

        def others(each: HeldOut, heard: set[str] = heard, fold: int = fold) -> np.ndarray:
            of_others: np.ndarray = ~each.clips[catalogue.SPEAKER].isin(heard).to_numpy()
            if each is not joint:
                return of_others
            outside: np.ndarray = folds != fold
            return outside & of_others if joint.protocol in SPEAKERS_APART else outside

        if others(joint).any():
            found[int(fold)] = weights(slugs, _parts(joint, across, others))
    return found


def of_corpora(slugs: Sequence[str], joint: HeldOut | None, across: HeldOut) -> np.ndarray:
    """Return the pool's answers to `across`, (n_clips, n_labels): to each corpus by the weights that answers to the others choose."""
    names = across.clips[catalogue.CORPUS].to_numpy()
    found = np.zeros((len(names), len(across.labels)))
    for corpus in np.unique(names):

        def others(each: HeldOut, corpus: str = corpus) -> np.ndarray:
            apart: np.ndarray = each.clips[catalogue.CORPUS].to_numpy() != corpus
            return apart

        parts = _parts(joint, across, others)
        if any(mask.any() for _, mask, share in parts if share > 0):
            _answer(found, names == corpus, slugs, across, weights(slugs, parts))
    return found


def _parts(
    joint: HeldOut | None, across: HeldOut | None, mask: Callable[[HeldOut], np.ndarray]
) -> list[tuple[HeldOut, np.ndarray, float]]:
    share = ACROSS_SHARE if joint and across else 1.0
    parts = [] if joint is None else [(joint, mask(joint), 1.0 - share if across else 1.0)]
    return parts + ([] if across is None else [(across, mask(across), share)])


def _answer(found: np.ndarray, tested: np.ndarray, slugs: Sequence[str], each: HeldOut, learned: np.ndarray) -> None:
    found[tested] = pooling.pool(np.array([each.probabilities[slug][tested] for slug in slugs]), learned)


def pool(
    slugs: Sequence[str],
    digests: dict[str, str],
    joint: HeldOut,
    across: HeldOut | None = None,
    under: Sequence[HeldOut] = (),
) -> Pool:
    """Return the pool of some models, with its threshold and its figures. digests: slug -> recognition.together.digest.

    under: answers to some of the clips of `joint`, in the same folds, under conditions.
    """
    answers = of_folds(slugs, joint, across)
    done = answers.sum(axis=1) > 0
    speakers, folds = joint.clips[catalogue.SPEAKER].to_numpy()[done], joint.clips[held_out.FOLD].to_numpy()[done]
    threshold, apart = (
        abstention.of_folds(answers[done], joint.y[done], speakers, folds) if done.any() else (None, None)
    )
    return Pool(
        weights={slug: float(each) for slug, each in zip(slugs, all_weights(slugs, joint, across), strict=True)},
        digests={slug: digests[slug] for slug in slugs},
        labels=joint.labels,
        threshold=threshold,
        protocol=HOW_MEASURED,
        per_corpus=_with_conditions(
            figures(joint, answers, protocol=splits.SPEAKER_PROTOCOL, threshold=apart), slugs, joint, across, under
        ),
        unheard=figures(across, of_corpora(slugs, joint, across), protocol=protocols.ACROSS) if across else {},
    )


def _with_conditions(
    found: dict[str, Evaluation], slugs: Sequence[str], joint: HeldOut, across: HeldOut | None, under: Sequence[HeldOut]
) -> dict[str, Evaluation]:
    """Return figures with the accuracy under each condition, of the corpora that were heard under it."""
    for each in under:
        answers = of_folds(slugs, joint, across, asked=each)
        right, names = answers.argmax(axis=1) == each.y, each.clips[catalogue.CORPUS].to_numpy()
        done = answers.sum(axis=1) > 0
        for name in set(names[done]) & set(found):
            accuracy = float(right[done & (names == name)].mean())
            found[name] = replace(found[name], under={**(found[name].under or {}), each.condition: accuracy})
    return found


def figures(
    each: HeldOut, answers: np.ndarray, *, protocol: str, threshold: np.ndarray | None = None
) -> dict[str, Evaluation]:
    """Return the figures of answers (n_clips, n_labels) by corpus, without curves; rows that are 0 do not count."""
    done = answers.sum(axis=1) > 0
    if not done.any():
        return {}
    found = evaluation.by_corpus(
        each.y[done],
        answers[done],
        each.clips[catalogue.CORPUS].to_numpy()[done],
        labels=each.labels,
        speakers=each.clips[catalogue.SPEAKER].to_numpy()[done],
        protocol=protocol,
        overall=False,
        threshold=threshold,
    )
    return {name: replace(one, curves=None) for name, one in found.items()}


def build(
    groups: Sequence[Sequence[str]], answers: Path, models: Path, *, say: Callable[[str], None] = print
) -> tuple[Pool, ...]:
    """Make a pool of each group of models whose held-out answers are in a file, write them into the models folder, and return them.

    A group with a model that is not here, or was made again since it answered, is left out; where none is left, nothing is written.

    Raises ConfigError where the file cannot be read.
    """
    parts = held_out.read(answers)
    joint = held_out.find(parts, splits.SPEAKER_PROTOCOL, held_out.ALL)
    across = held_out.find(parts, protocols.ACROSS, held_out.OTHERS)
    conditions = [
        each
        for each in parts
        if each.condition and each.place == (splits.SPEAKER_PROTOCOL, held_out.ALL, "", each.condition)
    ]
    digests = {card.slug: recognition_together.digest(card) for card in store.list_models(models)[0]}
    made = []
    for slugs in groups:
        lacking = [
            slug for slug in slugs if joint is None or slug not in digests or joint.keys.get(slug) != digests[slug]
        ]
        if joint is None or lacking:
            say(f"together: no pool of {', '.join(slugs)}, because {', '.join(lacking)} must be built first")
            continue
        whole = across if across and all(across.keys.get(slug) == digests[slug] for slug in slugs) else None
        under = [each for each in conditions if all(each.keys.get(slug) == digests[slug] for slug in slugs)]
        found = pool(slugs, digests, joint, whole, under)
        if not any(found.weights.values()):
            say(f"together: no pool of {', '.join(slugs)}, because none of them is better than guessing")
            continue
        made.append(found)
        _tell(found, say)
    if made:
        recognition_together.write(made, models)
    return tuple(made)


def _tell(made: Pool, say: Callable[[str], None]) -> None:
    shares = ", ".join(f"{slug} {weight:.2f}" for slug, weight in made.weights.items())
    say(f"together of {len(made.weights)}: weights {shares}; threshold {made.threshold}")
    for word, found in (("", made.per_corpus), ("without ", made.unheard)):
        for name, each in found.items():
            low, high = each.interval["accuracy"]
            label, share = each.favourite
            say(
                f"together of {len(made.weights)}: {word}{name} accuracy {each.accuracy:.1%} ({low:.1%} to {high:.1%}), "
                f"UAR {each.uar:.1%}, ECE {each.ece:.3f}; most often '{label}', {share:.1%}"
            )
