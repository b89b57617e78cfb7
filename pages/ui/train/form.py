"""The choices of a training as widgets: the few that matter on top, the rest folded away, all with defaults that work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import admin, cached, frame, label_mapping, settings_form
from ser_core.audio import augment
from ser_core.classifiers import CLASSIFIERS, ClassifierSpec
from ser_core.dataset import splits
from ser_core.dataset.labels import LabelMapping, apply, present
from ser_core.features.config import SETTINGS, FeatureConfig
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.training import balance, config
from ser_core.training.config import PRESETS, RunConfig

FIRST = ("ravdess", "tess", "emodb", "savee", "cremad")
"""Corpora that a newcomer's choice begins with, the best suited first."""

LEARNING = ("epochs", "patience", "batch_size", "learning_rate", "clips_per_epoch")
"""Hyperparameters about the course of a training, which stand together for every classifier that has them."""

MIXED, CHOSEN = "The mix of the shipped models", "Choose the effects"
PROTOCOL_TITLES = {splits.SPEAKER_PROTOCOL: "By speaker", "sentence": "By sentence", "random": "At random"}
FROM_NOTHING = ""


def show_form(corpora: dict[str, Path], cards: Sequence[ModelCard]) -> RunConfig | None:
    """Draw the choices and return them; None where no corpus is chosen.

    corpora : the installed corpora, name -> folder. cards : the models there are.

    Raises
    ------
    ConfigError : where choices contradict each other.
    CorpusError : where a corpus cannot be read, or nothing of it is left.
    """
    first = next(name for name in (*FIRST, *corpora) if name in corpora)
    names = st.pills(
        "Corpora",
        list(corpora),
        selection_mode="multi",
        default=[first],
        format_func=frame.corpus,
        key="train.corpora",
        persist_state="session",
    )
    classifier = st.selectbox(
        "Classifier",
        CLASSIFIERS,
        format_func=lambda name: CLASSIFIERS[name].title,
        index=_place("cnn"),
        key="train.classifier",
        persist_state="session",
    )
    spec = CLASSIFIERS[classifier]
    st.caption(frame.plain(f"{spec.description[0].upper()}{spec.description[1:]}."))
    preset = st.segmented_control(
        "How thorough",
        PRESETS,
        format_func=lambda name: PRESETS[name].title,
        default="one-minute",
        required=True,
        key="train.preset",
        persist_state="session",
    )
    st.caption(frame.plain(PRESETS[preset].description))
    name = st.text_input(
        "Name of the model",
        max_chars=config.MAX_NAME,
        placeholder=f"{spec.title}, or a name of your own",
        key="train.name",
        persist_state="session",
    )
    if not names:
        return None
    st.markdown("**More choices.** The defaults are good; open what interests you.")
    with st.container(key="train_groups"):
        chosen = _more(classifier, spec, preset, cached.clips_of_all({each: corpora[each] for each in names}), cards)
    return RunConfig(corpora=tuple(names), classifier=classifier, name=(name or "").strip(), **chosen)


def _place(classifier: str) -> int:
    return list(CLASSIFIERS).index(classifier)


def _more(
    classifier: str, spec: ClassifierSpec, preset: str, clips: pd.DataFrame, cards: Sequence[ModelCard]
) -> dict[str, Any]:
    """Draw the folded groups, and return fields of a RunConfig."""
    changes = PRESETS[preset].changes
    hyperparameters = dict(PRESETS[preset].hyperparameters.get(classifier, {}))
    # Another preset or classifier brings its own values: widgets of other keys.
    key = f"train.{classifier}.{preset}"
    chosen: dict[str, Any] = {}
    with _group("labels", "Labels", ":material/label:"):
        chosen["mapping"] = _labels(clips)
    with _group("augment", "Augmentation", ":material/equalizer:"):
        chosen |= _augmentation(f"train.{preset}", int(changes.get("n_copies", 1)))
    with _group("balance", "Balance of the labels", ":material/balance:"):
        chosen["balance"] = st.radio(
            "Balance",
            balance.METHODS,
            format_func=lambda name: balance.METHODS[name].title,
            label_visibility="collapsed",
            captions=[method.description for method in balance.METHODS.values()],
            key="train.balance",
            persist_state="session",
        )
    with _group("protocol", "Train / validation / test", ":material/groups:"):
        chosen |= _protocol(f"train.{preset}", int(changes.get("folds", 0)))
    with _group("learning", "Training settings", ":material/timeline:"):
        learning = [setting for setting in spec.settings if setting.name in LEARNING]
        hyperparameters |= settings_form.draw(learning, key=key, values=hyperparameters)
        left, right = st.columns(2)
        chosen["seed"] = left.number_input(
            "Seed",
            0,
            2**32 - 1,
            0,
            key="train.seed",
            persist_state="session",
            help="Starts the random numbers: the same seed repeats the same training.",
        )
        chosen["speaker_cap"] = right.number_input(
            "Clips of one speaker that count fully",
            1,
            100_000,
            150,
            10,
            key="train.speaker_cap",
            persist_state="session",
            help="Beyond that many, all clips of a speaker count less, so that TESS (1,400 a speaker) does not drown the others.",
        )
        chosen["corpus_cap"] = left.number_input(
            "Clips of one corpus that count fully",
            1,
            1_000_000,
            1_000_000,
            100,
            key="train.corpus_cap",
            persist_state="session",
            help="Beyond that many, all clips of a corpus count less, so that CREMA-D (7,442) does not drown the others.",
        )
    with _group("hyperparameters", f"Hyperparameters of {spec.title}", ":material/tune:"):
        others = [setting for setting in spec.settings if setting.name not in LEARNING]
        others.sort(key=lambda setting: not setting.early)
        hyperparameters |= settings_form.draw(others, key=key, values=hyperparameters)
    chosen["hyperparameters"] = hyperparameters
    with _group("search", "Grid search", ":material/grid_on:"):
        chosen["grid"] = _search(spec, f"train.grid.{classifier}")
        chosen["hyperparameters"] = {
            name: value for name, value in hyperparameters.items() if name not in chosen["grid"]
        }
    if spec.continues:
        with _group("start_from", "Start from a trained model", ":material/move_up:"):
            chosen["start_from"] = _start_from(classifier, cards)
    with _group("features", "Features", ":material/graphic_eq:"):
        start = next((card for card in cards if card.slug == chosen.get("start_from")), None)
        if start:
            st.markdown(f"The same as {frame.plain(start.title)}, which it starts from.")
            chosen["features"] = start.features
        else:
            rows = sorted(SETTINGS, key=lambda setting: not setting.early)
            chosen["features"] = FeatureConfig(**settings_form.draw(rows, key="train.features"))
    if admin.is_here():
        with _group("scheduler", "More machines", ":material/lan:"):
            chosen["scheduler"] = _scheduler()
    return chosen


def _scheduler() -> str:
    st.markdown(
        "A Dask cluster measures clips and fits folds and searches in place of this machine. README says how to start one."
    )
    return st.text_input(
        "Scheduler",
        max_chars=300,
        placeholder="tcp://192.168.1.20:8786",
        key="train.scheduler",
        persist_state="session",
        help="Whoever answers there can run code on this machine: name only a scheduler that you started.",
    ).strip()


def _group(name: str, title: str, icon: str) -> Any:
    return st.expander(title, key=f"train.group.{name}", icon=icon)


def _labels(clips: pd.DataFrame) -> LabelMapping:
    chosen = label_mapping.choose(clips, key="train")
    stay = present(apply(clips, chosen))
    # Keyed by what there is: a label that is merged away must not stay chosen.
    selection = st.pills(
        "Labels to learn",
        stay,
        selection_mode="multi",
        default=stay,
        key=f"train.labels.{' '.join(stay)}",
        persist_state="session",
    )
    return chosen if set(selection) == set(stay) else replace(chosen, labels=tuple(selection) or stay[:1])


def _augmentation(key: str, n_copies: int) -> dict[str, Any]:
    st.markdown("Changed copies of the training clips; clips that are tested stay as they are.")
    copies = st.number_input(
        "Copies of each training clip", 0, 10, n_copies, key=f"{key}.n_copies", persist_state="session"
    )
    if not copies:
        return {"n_copies": 0}
    kind = st.segmented_control(
        "Effects", [MIXED, CHOSEN], default=MIXED, required=True, key="train.effects", persist_state="session"
    )
    if kind == MIXED:
        st.caption("Other speeds and microphones in every copy, noise often, rooms and telephones sometimes.")
        strength = st.slider("Strength", 0.0, 1.0, 1.0, 0.05, key="train.strength", persist_state="session")
        return {"n_copies": copies, "strength": strength}
    st.caption("Each copy gets some of these, each as far as its strength at most. 0 leaves an effect out.")
    effects = {}
    for start in range(0, len(augment.EFFECTS), 2):
        for place, name in zip(st.columns(2), list(augment.EFFECTS)[start : start + 2], strict=False):
            with place:
                effects[name] = _effect(name, augment.EFFECTS[name])
    return {"n_copies": copies, "effects": {name: strength for name, strength in effects.items() if strength}}


def _effect(name: str, effect: augment.Effect) -> float:
    strength = st.slider(
        effect.title,
        0.0,
        1.0,
        effect.strength,
        0.05,
        key=f"train.effect.{name}",
        persist_state="session",
        help=f"Imitates {effect.imitates}.",
    )
    amount = effect.amount(strength)
    value = f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"
    st.caption(f"at its strongest {value} {effect.unit}" if strength else "left out")
    return float(strength)


def _protocol(key: str, n_folds: int) -> dict[str, Any]:
    protocol = st.radio(
        "Held out",
        splits.PROTOCOLS,
        format_func=PROTOCOL_TITLES.get,
        captions=list(splits.PROTOCOLS.values()),
        key="train.protocol",
        label_visibility="collapsed",
        persist_state="session",
    )
    folds = st.number_input(
        "Folds",
        0,
        20,
        n_folds,
        key=f"{key}.folds",
        persist_state="session",
        help="0 holds one part out. 2 or more is cross-validation: every clip is tested once, and the saved model then learns from all.",
    )
    left, right = st.columns(2)
    test = left.slider(
        "Test share",
        5,
        50,
        20,
        5,
        format="%d %%",
        key="train.test_share",
        persist_state="session",
        disabled=folds > 0,
    )
    validation = right.slider(
        "Validation share",
        0,
        50,
        15,
        5,
        format="%d %%",
        key="train.validation_share",
        persist_state="session",
        help="Of the training speakers: not learned from; they set how sure the model may be, and choose the epoch if there are any.",
    )
    return {"protocol": protocol, "folds": folds, "test_share": test / 100, "validation_share": validation / 100}


def _search(spec: ClassifierSpec, key: str) -> dict[str, tuple[Any, ...]]:
    st.markdown("Tries every combination of the values, on folds of the training part; the best becomes the model.")
    if not st.toggle("Search", key=f"{key}.on", persist_state="session"):
        return {}
    return settings_form.grid([setting for setting in spec.settings if setting.grid], key=key)


def _start_from(classifier: str, cards: Sequence[ModelCard]) -> str:
    able = {card.slug: card.title for card in cards if card.classifier == classifier and store.KERAS_FILE in card.files}
    st.markdown("Continues from a trained model, so a few recordings are enough. It takes under a minute.")
    return st.selectbox(
        "Start from",
        [FROM_NOTHING, *able],
        format_func=lambda slug: able.get(slug, "No model: train from scratch"),
        key=f"train.start_from.{classifier}",
        persist_state="session",
    )
