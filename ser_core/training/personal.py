"""My voice, measured: what a newcomer's own takes are worth, by speakers that a model has not learned from.

`answers` retrains a recipe in the six joint folds, `draws` lets each speaker give takes and be tested on other sentences, `enrolled` scores
the same clips with none, one and two takes per label and with those of another speaker, by strengths that `choose` finds on other folds'
speakers; `enrolled_together` does so for the pool of models. recognition/personal.py adapts.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from msgspec import Meta

from ser_core import classifiers
from ser_core.corpora import catalogue, scan
from ser_core.dataset import build as dataset_build
from ser_core.dataset import splits, voices
from ser_core.dataset.build import Dataset
from ser_core.errors import ConfigError, CorpusError
from ser_core.metrics import calibration, pooling
from ser_core.metrics.evaluation import INTERVAL_SHARE
from ser_core.recognition import personal, together
from ser_core.recognition.personal import Reference, Strengths
from ser_core.recognition.recognizer import Recognizer
from ser_core.system import files, untrusted_json
from ser_core.training import fit, held_out
from ser_core.training import together as training_together
from ser_core.training.fit import FitConfig
from ser_core.training.held_out import HeldOut

RESULTS = Path(__file__).parents[1] / "experiments" / "results" / "enrolled.json"
CORPORA = ("ravdess", "savee", "emodb", "cremad")
"""Corpora whose speakers are newcomers in turn; TESS, with two, says nothing of others."""

DISCRIMINANTS = ("lda", "transfer")
"""Classifiers with a discriminant: what they see of a clip takes a training to know. Of the others, held-out answers say all."""

TAKES = (0, 1, 2)
"""Takes per label that a newcomer gives."""

N_DRAWS = 4
"""Times that each speaker is a newcomer, with other takes; RAVDESS's two sentences take turns."""

N_BOOTSTRAP = 2000
MAX_BYTES = 2**20
GRID = tuple(Strengths(*each) for each in itertools.product((0.1, 0.3, 1.0), (0.1, 0.2, 0.4, 0.8), (1.0,)))
BIASES = tuple(Strengths(bias=each) for each in (0.25, 0.5, 1.0, 2.0, 4.0))
"""Strengths that are tried: of models with a discriminant, and of others."""

WORDS = (
    "Six folds over all corpora; no model learned from the speaker that it is tested on. That speaker gives 0, 1 or 2 takes per label, "
    "which are not scored, nor is any clip of their sentences; the same clips are scored for each number of takes. Each speaker is tested "
    f"{N_DRAWS} times, with other takes. The control gives as many takes of another speaker of the corpus, of the same sex where there is "
    "one. How far a model adapts was chosen for each fold on the speakers of the others. All together: each model adapts by itself, and "
    "the weights of the models were learned for each fold from their answers to speakers of the others."
)
"""The protocol, as it is shown beside the figures."""


@dataclass(frozen=True, eq=False)
class Answers:
    """One model's answers to speakers that it has not learned from.

    clips: one row per clip; folds: int (n_clips,), the training that left it out. probabilities: (n_clips, n_labels), calibrated, by that
    training. references, seen: by fold, what adaptation needs of that training's model, and what it sees of all clips, (n_clips, n).
    """

    slug: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    folds: np.ndarray
    probabilities: np.ndarray
    references: Mapping[int, Reference]
    seen: Mapping[int, np.ndarray]

    @functools.cached_property
    def y(self) -> np.ndarray:
        """The positions of the true labels in `labels`, int (n_clips,)."""
        return fit.targets(self.clips, self.labels)

    def take(self, rows: np.ndarray) -> Answers:
        """Return the answers to some of the clips, int (n,)."""
        return replace(
            self,
            clips=self.clips.iloc[rows].reset_index(drop=True),
            folds=self.folds[rows],
            probabilities=self.probabilities[rows],
            seen={fold: each[rows] for fold, each in self.seen.items()},
        )


@dataclass(frozen=True, eq=False)
class Draw:
    """A speaker as a newcomer. takes: positions of clips; level: int (n_takes,), which of its label each is, from 1; tested: positions."""

    speaker: str
    takes: np.ndarray
    level: np.ndarray
    tested: np.ndarray


def read_clips(folders: Mapping[str, Path], labels: tuple[str, ...]) -> pd.DataFrame:
    """Return the clips of some corpora, name -> folder, that have one of the labels."""
    found = [scan.scan(name, folder) for name, folder in folders.items()]
    return fit.usable(pd.concat(found, ignore_index=True), labels)


def answers(
    slug: str,
    clips: pd.DataFrame,
    config: FitConfig,
    *,
    work: Path,
    cache: Path | None = None,
    n_jobs: int = 1,
    say: fit.Message = print,
) -> Answers:
    """Train a recipe once per joint fold and return its answers; finished folds are kept under `work`.

    Raises
    ------
    CorpusError : for speakers without a fixed fold, or if no clip can be read.
    """
    folds = splits.joint_folds(clips)
    paths = {
        fold: work / f"personal-{slug}-{fit.run_key(clips, config, folds)}-{fold}.npz" for fold in np.unique(folds)
    }
    data: Dataset | None = None
    kept = {fold: _read_fold(path, len(clips)) for fold, path in paths.items()}
    for number, (fold, path) in enumerate(paths.items(), start=1):
        if kept[fold] is None:
            data = data or _measure(clips, config, cache=cache, n_jobs=n_jobs, say=say)
            say(f"{slug}: fold {number} of {len(paths)}")
            fresh = kept[fold] = _train(clips, data, config, folds != fold)
            work.mkdir(parents=True, exist_ok=True)
            files.write_atomically(path, functools.partial(np.savez, **fresh))  # type: ignore[arg-type]
    found = {fold: each for fold, each in kept.items() if each is not None}
    probabilities = np.zeros((len(clips), len(config.labels)))
    for fold, each in found.items():
        probabilities[folds == fold] = each["probabilities"][folds == fold]
    readable = np.all([each["probabilities"].sum(axis=1) > 0 for each in found.values()], axis=0)
    return Answers(
        slug,
        config.labels,
        clips[readable].reset_index(drop=True),
        folds[readable],
        probabilities[readable],
        {fold: _reference(slug, config, each) for fold, each in found.items()},
        {fold: each["seen"][readable] for fold, each in found.items()},
    )


def _measure(clips: pd.DataFrame, config: FitConfig, *, cache: Path | None, n_jobs: int, say: fit.Message) -> Dataset:
    return dataset_build.build(
        clips,
        config.features,
        voices=voices.of_their_own(clips),
        n_copies=config.n_copies,
        strength=config.strength,
        kinds=(classifiers.CLASSIFIERS[config.classifier].input_kind,),
        cache=cache,
        n_jobs=n_jobs,
        on_progress=lambda done, total: (
            say(f"features: {done} of {total}") if done % 1000 == 0 or done == total else None
        ),
    )


def _train(clips: pd.DataFrame, data: Dataset, config: FitConfig, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a model of the clips of `mask` answers to all clips, what it sees of them, and what adaptation needs of it."""
    result = fit.train(clips, data, config, train_mask=mask)
    rows = data.rows(np.ones(len(clips), bool), augmented=False)
    raw = fit.predict_rows(result.classifier, data, rows, config.classifier)
    probabilities = np.zeros((len(clips), len(config.labels)))
    probabilities[data.clip[rows]] = calibration.calibrate(raw, result.temperature)
    model = Recognizer("", config.features, config.labels, result.classifier, "", result.temperature)
    space = model.discriminant
    if space is None:
        raise ConfigError(
            f"'{config.classifier}' has no discriminant, so that its held-out answers say all. Name --answers."
        )
    items = data.embeddings if data.embeddings.shape[1] else data.vectors
    seen = np.zeros((len(clips), space.means.shape[1]))
    seen[data.clip[rows]] = space.project(items[rows])
    numbers = np.array([result.temperature, space.exponent, space.share])
    return {
        "probabilities": probabilities,
        "seen": seen,
        "means": space.means,
        "classes": space.labels,
        "groups": space.groups,
        "numbers": numbers,
    }


def _reference(slug: str, config: FitConfig, each: Mapping[str, np.ndarray]) -> Reference:
    temperature, exponent, share = map(float, each["numbers"])
    return Reference(
        slug, "", config.labels, temperature, each["means"], each["classes"], each["groups"], exponent, share
    )


def _read_fold(path: Path, n_clips: int) -> dict[str, np.ndarray] | None:
    """Return what is kept of a fold; None where it is not, or is damaged: it is then trained again."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in ("probabilities", "seen", "means", "classes", "groups", "numbers")}
    except Exception:  # NumPy and zipfile have many ways of failing on a damaged file
        return None
    return found if len(found["probabilities"]) == len(found["seen"]) == n_clips else None


def from_held_out(slug: str, joint: HeldOut | None, clips: pd.DataFrame) -> Answers:
    """Return the answers of a model without a discriminant, from held-out ones to these clips, in their order.

    Raises
    ------
    ConfigError : if the model is not among them, or no clip of a corpus is. Other clips that are not are left out.
    """
    _check_answered([slug], joint)
    assert joint is not None
    keys = [catalogue.CORPUS, catalogue.NAME]
    table = clips.drop_duplicates(keys).merge(joint.clips.reset_index(names="row"), on=keys, suffixes=("", "_there"))
    if lacking := sorted(set(clips[catalogue.CORPUS]) - set(table[catalogue.CORPUS])):
        raise ConfigError(
            f"There are no held-out answers to clips of {', '.join(lacking)}. Name the corpora that the models were made from."
        )
    shares = joint.probabilities[slug][table["row"].to_numpy()]
    folds = table[held_out.FOLD].to_numpy(int)
    logs = personal.logarithms(shares)
    names = sorted(set(folds.tolist()))
    return Answers(
        slug,
        joint.labels,
        table,
        folds,
        shares,
        {fold: Reference(slug, "", joint.labels) for fold in names},
        dict.fromkeys(names, logs),
    )


def _check_answered(slugs: Sequence[str], joint: HeldOut | None) -> None:
    for slug in slugs:
        if joint is None or slug not in joint.probabilities:
            raise ConfigError(
                f"There are no held-out answers of '{slug}'. Run `make models`, or name their file with --answers."
            )


def draws(clips: pd.DataFrame, *, n_draws: int = N_DRAWS, seed: int = 0) -> list[Draw]:
    """Return the speakers of a clips table as newcomers, each n_draws times.

    The takes are of as few sentences as there can be, in random order; two sentences take turns. Clips of those sentences are not tested.
    A speaker of whom nothing would be left, or whose takes have too few labels, is left out.
    """
    rng = np.random.default_rng(seed)
    y, sentences = clips[catalogue.EMOTION].to_numpy(), clips[catalogue.SENTENCE].to_numpy()
    found = []
    for speaker, group in clips.groupby(catalogue.SPEAKER).indices.items():
        names = np.unique(sentences[group])
        for number in range(n_draws):
            order = np.roll(names, number) if len(names) == 2 else rng.permutation(names)
            place = {name: position for position, name in enumerate(order)}
            mixed = rng.permutation(group)
            mixed = mixed[np.argsort([place[name] for name in sentences[mixed]], kind="stable")]
            own = [mixed[y[mixed] == label][: max(TAKES)] for label in np.unique(y[group])]
            takes = np.concatenate(own)
            tested = group[~np.isin(sentences[group], sentences[takes])]
            if (
                len(tested)
                and len(own) >= personal.MIN_LABELS
                and len(own) * min(filter(None, TAKES)) >= personal.MIN_TAKES
            ):
                level = np.concatenate([np.arange(1, len(each) + 1) for each in own])
                found.append(Draw(str(speaker), takes, level, tested))
    return found


def others(clips: pd.DataFrame, folds: np.ndarray, drawn: Sequence[Draw], *, seed: int = 0) -> list[Draw]:
    """Return for each draw that of another speaker of the same corpus: of the same sex and held out as well, as far as there is one."""
    rng = np.random.default_rng(seed)
    facts = {
        speaker: (clips[catalogue.CORPUS].iloc[rows[0]], clips[catalogue.SEX].iloc[rows[0]], folds[rows[0]])
        for speaker, rows in clips.groupby(catalogue.SPEAKER).indices.items()
    }
    found = []
    for draw in drawn:
        corpus, sex, fold = facts[draw.speaker]
        known = [each for each in drawn if each.speaker != draw.speaker and facts[each.speaker][0] == corpus]
        scores = [2 * (facts[each.speaker][1] == sex) + (facts[each.speaker][2] == fold) for each in known]
        best = [each for each, score in zip(known, scores, strict=True) if score == max(scores)]
        found.append(best[int(rng.integers(len(best)))] if best else draw)
    return found


def adapted(model: Answers, draw: Draw, k: int, strengths: Strengths, *, by: Draw | None = None) -> np.ndarray:
    """Return a model's probabilities for the tested clips of a draw, (n_tested, n_labels), after k takes per label.

    by: another speaker's draw whose takes are given in place of the speaker's own.
    """
    given: np.ndarray = model.probabilities[draw.tested]
    fold = int(model.folds[draw.tested[0]])
    who = by or draw
    takes = who.takes[who.level <= k]
    if not len(takes):
        return given
    seen = model.seen[fold]
    learned = personal.adaptation(model.references[fold], seen[takes], model.y[takes], strengths)
    found: np.ndarray = learned.answer(seen[draw.tested], given)
    return found


def choose(model: Answers, drawn: Sequence[Draw]) -> dict[int | None, Strengths]:
    """Return the strengths that newcomers choose, by fold: those whose speakers are tested in other folds; None: all of them.

    The best have the highest accuracy, over one and two takes per label; every corpus counts the same, and in it every speaker.
    """
    grid = GRID if next(iter(model.references.values())).means is not None else BIASES
    y = model.y
    rows = []
    for draw in drawn:
        right = [
            np.mean([(adapted(model, draw, k, each).argmax(axis=1) == y[draw.tested]).mean() for k in TAKES if k])
            for each in grid
        ]
        clip = draw.tested[0]
        rows.append([int(model.folds[clip]), model.clips[catalogue.CORPUS].iloc[clip], draw.speaker, *right])
    table = pd.DataFrame(rows)

    def best(part: pd.DataFrame) -> Strengths:
        of_speakers = part.groupby([1, 2])[list(range(3, 3 + len(grid)))].mean()
        return grid[int(of_speakers.groupby(level=0).mean().mean().to_numpy().argmax())]

    found: dict[int | None, Strengths] = {None: best(table)}
    for fold in sorted(set(table[0])):
        apart = table[table[0] != fold]
        found[fold] = best(apart) if len(apart) else personal.STRENGTHS
    return found


Share = Annotated[float, Meta(ge=-1, le=1)]
Name = Annotated[str, Meta(max_length=100)]
Count = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model on the newcomers of one corpus after `takes` takes per label.

    n_clips: tested, each once or more often; n_takes: given in all, on average. low, high: of the accuracy, 95 % over speakers. gain: of
    accuracy over no takes; control: the same with another speaker's takes; each with its interval.
    """

    model: Name
    corpus: Name
    takes: Count
    n_speakers: Count
    n_clips: Count
    n_takes: Annotated[float, Meta(ge=0)]
    accuracy: Share
    low: Share
    high: Share
    uar: Share
    gain: Share = 0.0
    gain_low: Share = 0.0
    gain_high: Share = 0.0
    control: Share = 0.0
    control_low: Share = 0.0
    control_high: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class Table:
    """The figures of the protocol. strengths: by model, what all newcomers together choose; all together has none of its own."""

    command: Annotated[str, Meta(max_length=1000)]
    protocol: Annotated[str, Meta(max_length=2000)]
    strengths: dict[Name, Strengths]
    rows: Annotated[tuple[Row, ...], Meta(max_length=1000)]


def enrolled(model: Answers, *, say: fit.Message = print) -> tuple[Strengths, list[Row]]:
    """Return the strengths that all newcomers choose, and the rows of a model, one per corpus and number of takes.

    Raises
    ------
    CorpusError : if there is nobody who gives takes of three labels and has clips of other sentences.
    """
    pairs = _newcomers(model)
    strengths = choose(model, [draw for draw, _ in pairs])
    say(f"{model.slug}: strengths {asdict(strengths[None])}")

    def answer(draw: Draw, k: int, by: Draw | None) -> np.ndarray:
        return adapted(model, draw, k, strengths[int(model.folds[draw.tested[0]])], by=by)

    return strengths[None], _rows(model.slug, model, pairs, answer)


def enrolled_together(
    models: Sequence[Answers], joint: HeldOut | None, across: HeldOut | None = None, *, say: fit.Message = print
) -> list[Row]:
    """Return the rows of all together: the pool of models that adapt each by itself, with the weights of the fold that is tested.

    models: of one clips table. joint, across: their held-out answers by speaker and cross-corpus, which a fold's weights are learned from
    without its speakers, as training/together.py does for what ships: the takes change no weight. So neither a weight nor a strength was
    chosen with a clip of a speaker that it answers, and no threshold counts.

    Raises
    ------
    ConfigError : if there are no held-out answers of a model, or the models do not have the same labels and folds.
    CorpusError : as `enrolled`.
    """
    slugs = [each.slug for each in models]
    _check_answered(slugs, joint)
    assert joint is not None
    whole = across if across and set(slugs) <= set(across.probabilities) else None
    weights = training_together.weights_of_folds(slugs, joint, whole)
    names = [each.clips[catalogue.CORPUS] + "/" + each.clips[catalogue.NAME] for each in models]
    shared = set.intersection(*map(set, names))
    members = [
        each.take(np.flatnonzero(name.isin(shared).to_numpy())) for each, name in zip(models, names, strict=True)
    ]
    first = members[0]
    for each in members:
        if (
            each.labels != joint.labels
            or not np.array_equal(each.folds, first.folds)
            or not set(each.folds) <= set(weights)
        ):
            raise ConfigError(
                f"The answers of '{each.slug}' have other labels or folds than the held-out ones, so that no pool can be measured. Name "
                "all corpora that the models were made from, or run `make models`."
            )
    pairs = _newcomers(first)
    strengths = [choose(each, [draw for draw, _ in pairs]) for each in members]
    say(f"{together.NAME}: {len(members)} models")

    def answer(draw: Draw, k: int, by: Draw | None) -> np.ndarray:
        fold = int(first.folds[draw.tested[0]])
        shares = [adapted(each, draw, k, chosen[fold], by=by) for each, chosen in zip(members, strengths, strict=True)]
        return pooling.pool(np.array(shares), weights[fold])

    return _rows(together.NAME, first, pairs, answer)


def _newcomers(model: Answers) -> list[tuple[Draw, Draw]]:
    """Return the draws of all newcomers, each with that of another speaker for the control; raises CorpusError where there is nobody."""
    newcomers = model.clips[model.clips[catalogue.CORPUS].isin(CORPORA)]
    places = newcomers.index.to_numpy()
    drawn = [
        Draw(each.speaker, places[each.takes], each.level, places[each.tested])
        for each in draws(newcomers.reset_index(drop=True))
    ]
    if not drawn:
        raise CorpusError(
            f"Nobody here can be a newcomer: it takes clips of {personal.MIN_LABELS} labels and of another sentence, from one of "
            f"{', '.join(CORPORA)}. Add one of these corpora."
        )
    return list(zip(drawn, others(model.clips, model.folds, drawn), strict=True))


Answer = Callable[[Draw, int, "Draw | None"], np.ndarray]
"""A draw, the number of takes per label, and whose takes are given in place of the speaker's own -> probabilities (n_tested, n_labels)."""


def _rows(name: str, model: Answers, pairs: Sequence[tuple[Draw, Draw]], answer: Answer) -> list[Row]:
    """Return the rows of what answers by that name, corpus by corpus. model: whose clips the draws are of."""
    names = model.clips[catalogue.CORPUS].to_numpy()
    rows = []
    for corpus in CORPORA:
        own = [pair for pair in pairs if names[pair[0].tested[0]] == corpus]
        rows += _rows_of_corpus(name, corpus, model.y, own, answer) if own else []
    return rows


def _rows_of_corpus(
    name: str, corpus: str, truth: np.ndarray, pairs: Sequence[tuple[Draw, Draw]], answer: Answer
) -> list[Row]:
    y = np.concatenate([truth[draw.tested] for draw, _ in pairs])
    who = np.concatenate([[draw.speaker] * len(draw.tested) for draw, _ in pairs])
    tested = np.concatenate([draw.tested for draw, _ in pairs])

    def right(k: int, *, control: bool = False) -> np.ndarray:
        answered = [answer(draw, k, by if control else None) for draw, by in pairs]
        found: np.ndarray = np.concatenate(answered).argmax(axis=1) == y
        return found

    without = right(0)
    rows = []
    for k in TAKES:
        own, foreign = (right(k), right(k, control=True)) if k else (without, without)
        low, high = _interval(own, who)
        gain, control = _interval(own - 1.0 * without, who), _interval(foreign - 1.0 * without, who)
        rows.append(
            Row(
                model=name,
                corpus=corpus,
                takes=k,
                n_speakers=len(set(who)),
                n_clips=len(set(tested.tolist())),
                n_takes=round(float(np.mean([(draw.level <= k).sum() for draw, _ in pairs])), 2),
                accuracy=_rounded(own.mean()),
                low=low,
                high=high,
                uar=_rounded(np.mean([own[y == label].mean() for label in np.unique(y)])),
                gain=_rounded(own.mean() - without.mean()),
                gain_low=gain[0],
                gain_high=gain[1],
                control=_rounded(foreign.mean() - without.mean()),
                control_low=control[0],
                control_high=control[1],
            )
        )
    return rows


def _interval(values: np.ndarray, speakers: np.ndarray) -> tuple[float, float]:
    """Return the bounds of 95 % of the mean of values (n,), by bootstrap over speakers, all of whose values are drawn together."""
    names, number = np.unique(speakers, return_inverse=True)
    sums, counts = np.bincount(number, weights=values), np.bincount(number)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=N_BOOTSTRAP)
    tail = (1 - INTERVAL_SHARE) / 2
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [tail, 1 - tail])
    return _rounded(low), _rounded(high)


def _rounded(value: Any) -> float:
    return round(float(value), 5)


def merged(old: Table | None, fresh: Table) -> Table:
    """Return a table with the rows of `fresh` in place of older ones of the same models."""
    if old is None:
        return fresh
    measured = {each.model for each in fresh.rows} | set(fresh.strengths)
    rows = [each for each in old.rows if each.model not in measured]
    strengths = {name: each for name, each in old.strengths.items() if name not in fresh.strengths}
    return replace(fresh, strengths=strengths | fresh.strengths, rows=(*rows, *fresh.rows))


def to_dict(table: Table) -> dict[str, Any]:
    """Return a table as JSON values."""
    return asdict(table) | {"rows": [asdict(each) for each in table.rows]}


def write(path: Path, table: Table) -> None:
    """Write a table as `read` reads it, one line per row."""
    values = to_dict(table)
    rows = ",\n  ".join(json.dumps(each) for each in values.pop("rows"))
    head = json.dumps(values, indent=1)[:-2]
    files.write_atomically(path, f'{head},\n "rows": [\n  {rows}\n ]\n}}\n')


def read(path: Path = RESULTS) -> Table:
    """Return the stored table; raises ConfigError where it is missing, damaged or too large."""
    try:
        content = files.read_limited(path, MAX_BYTES)
        return untrusted_json.convert(untrusted_json.loads(content.decode()), Table)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            f"The results in '{path.name}' cannot be read ({reason[:300]}). Restore the file, or measure into a new one."
        ) from None
