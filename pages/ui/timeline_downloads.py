"""What a visitor takes home of a long recording: windows as CSV and JSON, stretches as Audacity labels and Praat tiers. No Streamlit."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from pages.ui import downloads
from pages.ui.charts import timeline
from ser_core.recognition import batch, recognizer
from ser_core.recognition.timeline import Timeline, label_spans, to_dict
from ser_core.system import untrusted_text
from ser_core.system.spool import Spool


def offers(name: str, data: bytes | Spool, result: Timeline) -> list[downloads.Offer]:
    """Return what there is to download of a long recording; `name` is its untrusted file name."""
    name, stem = untrusted_text.one_line(name), downloads.safe_stem(name)
    return [
        downloads.Offer("csv", "Windows (CSV)", f"{stem}.csv", "text/csv", lambda: windows_csv(name, result)),
        downloads.Offer("json", "Everything (JSON)", f"{stem}.json", "application/json", lambda: as_json(name, result)),
        downloads.Offer("audacity", "Labels (Audacity)", f"{stem}-labels.txt", "text/plain", lambda: audacity(result)),
        downloads.Offer("praat", "TextGrid (Praat)", f"{stem}.TextGrid", "text/plain", lambda: textgrid(result)),
        downloads.Offer(
            "clip",
            "This clip",
            f"{stem}{downloads.safe_suffix(name)}",
            "application/octet-stream",
            lambda: downloads.whole(data),
        ),
    ]


def models_of(result: Timeline) -> dict[str, tuple[str, ...]]:
    """Return the models that say anything in a recording: slug -> labels."""
    return {each.model: tuple(each.probabilities) for segment in result.segments for each in segment.predictions}


def _names(result: Timeline) -> dict[str, str]:
    """Return what to call each model that says anything, by slug: 'knn', or 'knn (adapted to 8 takes)'."""
    found = {}
    for model in models_of(result):
        n = recognizer.n_takes(
            each for segment in result.segments for each in segment.predictions if each.model == model
        )
        found[model] = f"{model} ({recognizer.adapted_to(n)})" if n else model
    return found


def table(result: Timeline, titles: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a window: when, and what each model (slug -> title) says, in words."""
    rows = []
    for segment in result.segments:
        says = {each.model: timeline.prediction_text(each) for each in segment.predictions}
        rows.append(
            {
                "From (s)": segment.start_s,
                "To (s)": segment.end_s,
                **{title: says.get(slug, "") for slug, title in titles.items()},
            }
        )
    return pd.DataFrame(rows)


def windows_csv(name: str, result: Timeline) -> str:
    """Return what `python -m ser_core predict --long --csv` prints for this file."""
    rows = batch.rows(to_dict(name, result))
    columns = batch.columns(models_of(result), long=True, adapted=any(batch.ADAPTED in each for each in rows))
    return batch.csv_lines(rows, columns, header=True)


def as_json(name: str, result: Timeline) -> str:
    """Return what `python -m ser_core predict --long --json` prints for this file."""
    return untrusted_text.json_text([to_dict(name, result)])


def audacity(result: Timeline) -> str:
    """Return a label track for Audacity: one line per stretch, start and end in s and a text, such as 'knn: sad 63 %'.

    A model that is adapted to a voice is called so in each of its lines: a label track has no name in its file.
    """
    lines = [(start, end, "speech") for start, end in result.activity]
    for model, name in _names(result).items():
        runs = [run for run in label_spans(result, model) if run.label]
        lines += [(run.start_s, run.end_s, f"{name}: {run.label} {100 * run.probability:.0f} %") for run in runs]
    return "".join(f"{start:.3f}\t{end:.3f}\t{untrusted_text.one_line(text)}\n" for start, end, text in sorted(lines))


def textgrid(result: Timeline) -> str:
    """Return a TextGrid for Praat: a tier of speech, and one a model with its label over each stretch, "" where nobody speaks.

    The tier of a model that is adapted to a voice says so in its name.
    """
    end_s = result.duration_s
    speech: list[tuple[float, float, str]] = []
    at = 0.0
    for start, end in result.activity:
        speech += [(at, start, "")] * (start > at) + [(start, end, "speech")]
        at = end
    speech += [(at, end_s, "")] * (end_s > at)
    tiers = {"speech": speech} | {
        name: [(run.start_s, run.end_s, run.label) for run in label_spans(result, model)]
        for model, name in _names(result).items()
    }
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end_s:.4f}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quote(name)}",
            "        xmin = 0",
            f"        xmax = {end_s:.4f}",
            f"        intervals: size = {len(intervals)}",
        ]
        for count, (start, end, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{count}]:",
                f"            xmin = {start:.4f}",
                f"            xmax = {end:.4f}",
                f"            text = {_quote(text)}",
            ]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return '"' + untrusted_text.one_line(text).replace('"', '""') + '"'
