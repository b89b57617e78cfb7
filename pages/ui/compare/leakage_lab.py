"""The Leakage Lab: switches that let the test leak into training, and what a score loses as one leak after the other is closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import cached, downloads, frame, glossary
from pages.ui.charts import models
from pages.ui.compare import measurement
from pages.ui.compare.figures import MISSING, PERCENT
from ser_core.corpora import catalogue
from ser_core.dataset import protocols
from ser_core.errors import SerError
from ser_core.experiments import leakage_lab, runs
from ser_core.experiments.leakage_lab import LeakageSettings
from ser_core.experiments.runs import Step
from ser_core.recognition.card import ModelCard

READY = "ravdess, worked out"
WORDS: dict[str, dict[Any, str]] = {
    "split": {"random": "Clips at random", "sentence": "Whole sentences", "speaker": "Whole speakers"},
    "augment": {
        leakage_lab.NONE: "No copies",
        leakage_lab.BEFORE: "Before the split",
        leakage_lab.AFTER: "After the split",
    },
    "scaler": {leakage_lab.ALL: "All clips", leakage_lab.TRAIN: "Training clips"},
    "early_stopping": {leakage_lab.TEST: "Test clips", leakage_lab.VALIDATION: "Other clips"},
    "twins": {True: "Keep", False: "Remove"},
    "sentences": {True: "Keep", False: "Hold out"},
    "classifier": {"mlp": "MLP", "knn": "KNN"},
}
"""Field of LeakageSettings -> value -> words; "sentences" changes its `split`."""

TITLES = {
    "split": "Held out",
    "augment": "Augmented copies",
    "scaler": "Scaler fitted on",
    "early_stopping": "Epoch chosen on",
    "twins": "Duplicate files",
    "sentences": "Sentences that give the emotion away",
    "classifier": "Model",
}
HOW = (
    f"Each switch is a mistake that published systems make: a {glossary.link('leakage', 'leak')} from the test into training. "
    "The bars close one leak after the other, from your setting down to "
    "**speakers that the model has never heard**. Nothing else changes: the same recordings, features and model."
)
HINT = ":small[Each step trains the model two to eighteen times: seconds to a minute. What has been measured once is kept.]"


@st.fragment
def show_lab() -> None:
    """Draw the switches and the bars: of RAVDESS at once, precomputed; of corpora here, as they are measured."""
    st.markdown(HOW)
    corpora = cached.corpus_folders(cached.corpora_root())
    places = {READY: "RAVDESS, precomputed"} | {
        f"preset {name}": preset.title
        for name, preset in leakage_lab.PRESETS.items()
        if any(corpus in corpora for corpus in preset.corpora)
    }
    places |= {name: f"{cached.corpus_title(name)}, measured here" for name in corpora}
    place = st.selectbox("What to look at", list(places), format_func=places.get, key="compare.lab.place", width=420)
    preset = leakage_lab.PRESETS.get(place.removeprefix("preset ")) if place.startswith("preset ") else None
    if preset:
        _claim(preset, [name for name in preset.corpora if name in corpora])
        classifier = _choice("classifier", "mlp", key="preset")
        switches = replace(preset.settings, classifier=classifier)
    names = [name for name in (preset.corpora if preset else (place,)) if name in corpora]
    folders = {name: corpora[name] for name in names}
    try:
        telling = protocols.telling(cached.clips_of_all(folders)) if folders else ()
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    if telling:
        st.markdown(f":material/menu_book: {frame.plain(protocols.tells(telling))}")
    if not preset:
        switches = _switches(ready=place == READY, telling=bool(telling))
    steps = leakage_lab.ladder(switches, telling=bool(telling))
    if place == READY:
        known = leakage_lab.read_results()
        worked_out = [Step(title, known[each]) for title, each in steps]
        _bars(worked_out)
        _conclude(worked_out)
        st.markdown(
            f":small[Measured beforehand on the 1,440 clips of RAVDESS, with the small MLP of the lab: `{leakage_lab.command()}`]"
        )
        return
    config = runs.lab_settings(place.removeprefix("preset ") if preset else "", steps, measurement.corpora(folders))
    result = measurement.measured(
        config,
        title=f"Leakage Lab: {preset.title if preset else cached.corpus_title(place)}",
        button=f"Measure these {len(steps)} steps",
        icon=":material/science:",
        hint=HINT,
        key="compare.lab",
        draw=lambda so_far: show_so_far(so_far, config, ()),
    )
    if result is not None:
        show_result(result, config, ())


def _claim(preset: leakage_lab.Preset, here: Sequence[str]) -> None:
    missing = [catalogue.CORPORA[name].title for name in preset.corpora if name not in here]
    st.markdown(
        f"**Published:** {frame.plain(preset.claim)} The lab follows the recipe, with a smaller model of its own"
        f"{f' and without {frame.plain(measurement.listed(missing))}, not installed here' if missing else ''}."
    )


def _switches(*, ready: bool, telling: bool) -> LeakageSettings:
    chosen: dict[str, Any] = {"classifier": leakage_lab.WORKED_OUT}
    with st.container(horizontal=True, gap="medium", key="compare_lab_switches"):
        for name in (*(() if ready else ("classifier",)), "split", "augment", "scaler", "early_stopping", "twins"):
            if name == "early_stopping" and chosen["classifier"] == "knn":
                continue  # it has no epochs
            chosen[name] = _choice(name, getattr(leakage_lab.EVERY_LEAK, name), key="switch")
        if telling and chosen["split"] != "sentence" and not _choice("sentences", True, key="switch"):
            chosen["split"] = leakage_lab.without_sentences(chosen["split"])
    return LeakageSettings(**chosen).usual


def _choice(name: str, default: Any, *, key: str) -> Any:
    return st.segmented_control(
        TITLES[name],
        list(WORDS[name]),
        format_func=WORDS[name].get,
        default=default,
        required=True,
        key=f"compare.lab.{key}.{name}",
    )


def show_so_far(steps: Sequence[Step], config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw the bars so far; the last one may be half measured."""
    _bars(steps, telling=_tells(config), key="live")


def show_result(steps: Sequence[Step], config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw the bars, and what the leaks were worth."""
    _bars(steps, telling=_tells(config))
    _conclude(steps)


def _tells(config: dict[str, Any]) -> bool:
    """Return whether sentences of these clips give the emotion away: the last step holds them out then."""
    return bool(config["steps"][-1][1]["split"] == protocols.SPEAKER_AND_SENTENCE)


def _bars(steps: Sequence[Step], *, telling: bool = False, key: str = "bars") -> None:
    st.plotly_chart(
        models.ladder([(step.title, step.row) for step in steps], models.METRIC, telling=telling),
        key=f"compare.lab.{key}",
        config=models.CONFIG,
        alt="; ".join(f"{step.title}: {step.row[models.METRIC]:.0%}" for step in steps),
    )
    with st.expander("The same as a table", key=f"compare.lab.{key}.table"):
        st.dataframe(
            downloads.cells(table(steps)),
            hide_index=True,
            key=f"compare.lab.{key}.rows",
            placeholder=MISSING,
            column_config=dict.fromkeys(
                (
                    "Accuracy",
                    "from",
                    "to",
                    "UAR",
                    "Speaker in training",
                    "Sentence in training",
                    "Recording in training",
                ),
                PERCENT,
            ),
        )


def _conclude(steps: Sequence[Step]) -> None:
    """State what the leaks were worth; only of a whole measurement: the last step may be half measured while one runs."""
    first, last = (100 * steps[at].row[models.METRIC] for at in (0, -1))
    unheard = "speakers and sentences" if steps[-1].row["split"] == protocols.SPEAKER_AND_SENTENCE else "speakers"
    if len(steps) == 1:
        st.markdown(f"Nothing leaks with this setting: it is what the model reaches on {unheard} it has never heard.")
    else:
        st.markdown(
            f"**{first:.1f} %** as chosen, **{last:.1f} %** on {unheard} never heard: "
            f"{first - last:.0f} points of the score came from the leaks."
        )


def table(steps: Sequence[Step]) -> pd.DataFrame:
    """Return one row per step: its figures and what of the test clips was in training, in %."""
    return pd.DataFrame(
        [
            {
                "Step": step.title,
                "Accuracy": 100 * step.row["accuracy"],
                "from": 100 * step.row["interval"]["accuracy"][0],
                "to": 100 * step.row["interval"]["accuracy"][1],
                "UAR": 100 * step.row["uar"],
                "Speaker in training": 100 * step.row["seen"]["speaker"],
                "Sentence in training": 100 * step.row["seen"]["sentence"],
                "Recording in training": 100 * step.row["seen"]["twin"],
                "Clips tested": step.row["n_clips"],
            }
            for step in steps
        ]
    )
