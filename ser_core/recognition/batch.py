"""Many recordings: which files are meant, what the models predict for each, and rows for a spreadsheet. A bad file is skipped.

One file is analysis.py's and timeline.py's work; many are shared among all cores.
"""

from __future__ import annotations

import functools
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser_core import paths
from ser_core.corpora import scan
from ser_core.errors import AudioError, SerError
from ser_core.metrics import evaluation
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import analysis, store, timeline, together
from ser_core.recognition.personal import Voice
from ser_core.recognition.recognizer import Recognizer
from ser_core.system import untrusted_csv, untrusted_text

MIN_PARALLEL = 64
"""Number of files from which on worker processes pay off: each needs two seconds to load the libraries and the models."""

ADAPTED = "adapted_to_takes"
"""The column, and the entry of a prediction, that says how many takes of a voice it is adapted to."""

Result = dict[str, Any]
"""What analysis.to_dict or timeline.to_dict gives, or {"file", "error"}: JSON values."""


@dataclass(frozen=True)
class Long:
    """How long recordings are cut into windows, in seconds."""

    window_s: float = timeline.WINDOW_S
    hop_s: float = timeline.HOP_S


def expand(given: Iterable[str]) -> list[str]:
    """Return the files that some paths mean, in their order, each once.

    A folder means the sound files in it, at any depth; a name with * or ? that is not a file, those that match it. What matches
    nothing is returned as it is: reading it gives the error.
    """
    files: list[str] = []
    for path in given:
        if os.path.isdir(path):
            files += _sounds_in(path) or [path]
        elif glob.has_magic(path) and not os.path.lexists(path):
            found = sorted(glob.glob(path, recursive=True))
            files += [file for each in found for file in (_sounds_in(each) if os.path.isdir(each) else [each])] or [
                path
            ]
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def _sounds_in(folder: str) -> list[str]:
    found = [
        os.path.join(parent, file) for parent, _, files in os.walk(folder) for file in files if scan.is_sound(file)
    ]
    return sorted(found)


def predict(
    files: Sequence[str],
    slugs: Sequence[str],
    *,
    folder: Path | None = None,
    long: Long | None = None,
    channel: str | None = None,
    track: int | None = None,
    n_jobs: int = 1,
    voice: Voice | None = None,
) -> Iterator[Result]:
    """Yield the predictions of some models of a models folder (default: paths.models_folder()) for each file, in their order.

    Files are shared among n_jobs processes where there are enough of them. channel, track: as decoding.decode takes them.
    voice: whom the models are adapted to.
    """
    models = paths.models_folder() if folder is None else folder
    if n_jobs > 1 and len(files) >= (2 if long else MIN_PARALLEL):
        import joblib

        run = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1 if long else 8)
        yield from run(
            joblib.delayed(_predict_in_worker)(file, tuple(slugs), models, long, channel, track, voice)
            for file in files
        )
        return
    recognizers = [store.load(slug, models) for slug in slugs]
    yield from (
        predict_one(Path(file), file, recognizers, folder=models, long=long, channel=channel, track=track, voice=voice)
        for file in files
    )


def predict_one(
    source: bytes | Path,
    name: str,
    recognizers: Sequence[Recognizer],
    *,
    folder: Path | None = None,
    long: Long | None = None,
    channel: str | None = None,
    track: int | None = None,
    voice: Voice | None = None,
) -> Result:
    """Return the models' predictions for one recording, or why it cannot be used. folder, voice: as `analysis.recognize` takes them."""
    try:
        if isinstance(source, Path) and os.path.isdir(source):  # also False where the name is too long
            raise AudioError(f"{name} is a folder without a sound file. Name a folder that holds recordings.")
        if long:
            predict_window = timeline.window_predictor(recognizers, folder=folder, voice=voice)
            return timeline.to_dict(
                name,
                timeline.analyse(
                    source,
                    predict_window,
                    name=name,
                    window_s=long.window_s,
                    hop_s=long.hop_s,
                    channel=channel,
                    track=track,
                ),
            )
        clip = analysis.analyse(source, name=name, channel=channel, track=track)
        return analysis.to_dict(name, clip, analysis.recognize(recognizers, clip, folder=folder, voice=voice))
    except SerError as error:
        return {"file": name, "error": str(error)}


def _predict_in_worker(
    file: str,
    slugs: tuple[str, ...],
    folder: Path,
    long: Long | None,
    channel: str | None,
    track: int | None,
    voice: Voice | None,
) -> Result:
    recognizers = _load(slugs, folder)
    return predict_one(
        Path(file), file, recognizers, folder=folder, long=long, channel=channel, track=track, voice=voice
    )


@functools.lru_cache(maxsize=1)
def _load(slugs: tuple[str, ...], folder: Path) -> list[Recognizer]:
    return [store.load(slug, folder) for slug in slugs]


def majority(labels: Sequence[str]) -> tuple[str, int]:
    """Return the label that most models predict, and how many do; ("", the number) on a tie."""
    ranked = Counter(labels).most_common(2)
    if not ranked:
        return "", 0
    tied = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
    return ("" if tied else ranked[0][0]), ranked[0][1]


def voices(predictions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the labels of the models that accept their answer, or that never abstain."""
    return [each["label"] for each in predictions if each["sure"] is not False]


def columns(recognizers: Mapping[str, Sequence[str]], *, long: bool = False, adapted: bool = False) -> list[str]:
    """Return the columns of `rows` for some models, and all together where it is among them: slug -> labels. adapted: to a voice."""
    place = ["file", "start_s", "end_s"] if long else ["file", "duration_s"]
    sure = [f"{slug}_sure" for slug in recognizers]
    answers = [*recognizers, *sure, *(f"{slug}_{label}" for slug, labels in recognizers.items() for label in labels)]
    return [
        *place,
        "speech",
        *([] if long else ["quality"]),
        "majority",
        "votes",
        *answers,
        *([ADAPTED] if adapted else []),
        "error",
    ]


def rows(result: Result) -> list[dict[str, Any]]:
    """Return the rows of one result: one per file, or one per window where it has windows. Probabilities are fractions 0..1.

    majority and votes: the label that most models predict, "" on a tie, and how many predict it; a model that abstains has no vote.
    A model's own column is its leading label; its _sure column is empty for a model that never abstains. The file's name is printable.
    adapted_to_takes is there where an answer is adapted to a voice.
    """
    file = untrusted_text.printable(result["file"])
    if "error" in result:
        return [{"file": file, "error": untrusted_text.printable(result["error"])}]
    if "segments" in result:
        return [
            {"file": file, "start_s": each["start_s"], "end_s": each["end_s"], "speech": each["speech"]}
            | _answers(each)
            for each in result["segments"]
        ]
    row = {"file": file, "duration_s": result["duration_s"], "speech": result["speech"]}
    return [row | {"quality": result["quality"]["summary"]} | _answers(result)]


def predictions(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the predictions in the result of a file or a window, that of all together first; none where there are none."""
    whole = result.get(together.NAME)
    return [*([whole] if whole else []), *result.get("predictions", [])]


def _answers(result: Mapping[str, Any]) -> dict[str, Any]:
    if not result["predictions"]:
        return {}
    label, votes = majority(voices(result["predictions"]))
    answers: dict[str, Any] = {"majority": label, "votes": votes}
    found = predictions(result)
    answers |= {each["model"]: each["label"] for each in found}
    answers |= {f"{each['model']}_sure": each["sure"] for each in found if each["sure"] is not None}
    if n := max(each.get(ADAPTED, 0) for each in found):
        answers[ADAPTED] = n
    return answers | {
        f"{each['model']}_{label}": round(p, 6) for each in found for label, p in each["probabilities"].items()
    }


def scores(
    results: Sequence[Result],
    truths: Sequence[str | None],
    labels: Mapping[str, Sequence[str]],
    *,
    rng: np.random.Generator,
) -> dict[str, Evaluation]:
    """Return the figures of each model (slug -> its labels) on the results whose true label is given and known to it.

    Results without speech or with an error do not count, and a model without any that counts is left out. The interval is over
    clips, since the speakers are unknown.
    """
    figures = {}
    for slug, known in labels.items():
        pairs = [
            (known.index(truth), [prediction["probabilities"][label] for label in known])
            for result, truth in zip(results, truths, strict=True)
            for prediction in predictions(result)
            if prediction["model"] == slug and truth in known
        ]
        if pairs:
            y = np.array([position for position, _ in pairs])
            probabilities = np.array([row for _, row in pairs])
            figures[slug] = evaluation.evaluate(
                y, probabilities, labels=known, speakers=np.zeros(len(y), int), protocol="as given", corpus="", rng=rng
            )
    return figures


def csv_lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, header: bool = False) -> str:
    """Return rows as lines of CSV, after a line with the names of the columns where `header` is true."""
    return untrusted_csv.lines(
        [*([columns] if header else []), *([row.get(name, "") for name in columns] for row in rows)]
    )
