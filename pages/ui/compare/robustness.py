"""Robustness: trained models on clips that were made worse step by step, and how much of their score that costs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import cached, downloads, frame, state
from pages.ui.charts import models
from pages.ui.charts import robustness as charts_robustness
from pages.ui.compare import figures, measurement, score
from ser_core.audio import degradations
from ser_core.audio.degradations import CLEAN
from ser_core.corpora import catalogue
from ser_core.errors import SerError
from ser_core.experiments import robustness, runs
from ser_core.experiments.robustness import Robustness
from ser_core.recognition.card import ModelCard
from ser_core.system import untrusted_text
from ser_core.training import contamination

HOW = (
    "Clean clips are degraded step by step, and the models predict again. **How far a line falls** shows what a fan, a room, a telephone "
    "or a codec costs a model."
)
HINT = (
    ":small[One or two minutes for all conditions the first time. Finished conditions are kept, and a stopped measurement resumes. The app "
    "stays usable meanwhile.]"
)
SIZES = (60, robustness.N_CLIPS, 240)


@st.fragment
def show_robustness(cards: Sequence[ModelCard]) -> None:
    """Draw the choice of models, corpora and conditions, and the curves."""
    st.markdown(HOW)
    corpora = cached.corpus_folders(cached.corpora_root())
    if not corpora:
        st.info("No corpus is installed here whose clips could be degraded.", icon=":material/library_music:")
        st.page_link("pages/corpora.py", label="Get a corpus", icon=":material/arrow_forward:", icon_position="right")
        return
    by_slug, titles = {card.slug: card for card in cards}, cached.model_titles(cards)
    last_slugs, last_corpora, last_names, last_n = st.session_state.get(
        state.COMPARE_ROBUST, ((), (), (), robustness.N_CLIPS)
    )
    slugs, names = measurement.choose(titles, corpora, last=(last_slugs, last_corpora), key="compare.robust")
    if not slugs or not names:
        st.info("Choose a model and a corpus.", icon=":material/info:")
        return
    folders = {name: corpora[name] for name in names}
    try:
        clips = cached.clips_of_all(folders)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    there = robustness.possible(clips)
    chosen = st.pills(
        "Conditions",
        there,
        selection_mode="multi",
        format_func=lambda name: degradations.CONDITIONS[name].title,
        default=[name for name in last_names or there if name in there],
        key=f"compare.robust.conditions.{len(there)}",
    )
    n_clips = st.segmented_control("Clips", SIZES, default=last_n, required=True, key="compare.robust.clips")
    if not chosen:
        st.info("Choose a condition.", icon=":material/info:")
        return
    st.session_state[state.COMPARE_ROBUST] = (tuple(slugs), tuple(names), tuple(chosen), n_clips)
    of = [by_slug[slug] for slug in slugs]
    called = [titles[slug] for slug in slugs]
    config = runs.settings(
        runs.ROBUSTNESS,
        models=of,
        corpora=measurement.corpora(folders),
        conditions=[name for name in degradations.CONDITIONS if name in chosen],
        n_clips=n_clips,
    )
    result = measurement.measured(
        config,
        title=f"Robustness of {measurement.listed(called)} on {measurement.listed(map(cached.corpus_title, names))}",
        button=f"Measure on {min(n_clips, len(clips)):,} clips",
        icon=":material/graphic_eq:",
        hint=HINT,
        key="compare.robust",
        draw=lambda so_far: show_so_far(so_far, config, cards),
    )
    if result is not None:
        show_result(result, config, cards)


def _called(config: dict[str, Any], cards: Sequence[ModelCard]) -> dict[str, str]:
    """Return the titles of the models of a run."""
    titles = cached.model_titles(cards)
    return {slug: titles.get(slug, slug) for slug in config["models"]}


def show_so_far(result: Robustness, config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw the conditions that are finished."""
    _overview(result, _called(config, cards), key="live")


def show_result(result: Robustness, config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw the curves and the tables. config: the settings of the run; cards: the models there are."""
    _result(result, _called(config, cards), list(config["corpora"]))


def _result(result: Robustness, titles: dict[str, str], names: Sequence[str]) -> None:
    marks = {titles[slug]: contamination.warning(heard) for slug, heard in result.heard.items()}
    score.show_marks(marks)
    if any(marks.values()):
        st.markdown(robustness.FLATTERED)
    under = [name for name in degradations.CONDITIONS if name in set(result.rows["condition"])]
    name = st.pills(
        "Condition",
        under,
        default=under[0],
        required=True,
        key=f"compare.robust.name.{'.'.join(under)}",
        format_func=lambda name: degradations.CONDITIONS[name].title,
        label_visibility="collapsed",
    )
    metric = st.segmented_control(
        "Figure",
        list(figures.METRICS),
        format_func=figures.METRICS.get,
        default=figures.UAR,
        required=True,
        key="compare.robust.metric",
        label_visibility="collapsed",
    )
    row = degradations.CONDITIONS[name]
    st.markdown(f"**{row.title}:** {row.imitates}.")
    told = [loss_text(each, titles[each["model"]], row.unit) for each in worst(result, name)]
    st.plotly_chart(
        charts_robustness.under(result.rows, name, titles, metric, chance=chance(result)),
        key=f"compare.robust.curve.{name}",
        config=models.CONFIG,
        alt=" ".join(told),
    )
    st.html(f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in told)}</ul>")
    st.markdown(f":small[{frame.plain(caption(result, names))}]")
    st.header("All conditions, each at its worst", anchor=False)
    _overview(result, titles, key="all")
    with st.expander("Every level as a table", key="compare.robust.table"):
        st.dataframe(
            downloads.cells(table(result, titles)),
            hide_index=True,
            key="compare.robust.rows",
            placeholder=figures.MISSING,
            column_config=dict.fromkeys(("UAR", "UAR from", "UAR to", "Accuracy"), figures.PERCENT)
            | dict.fromkeys(("Points lost", "lost from", "lost to"), st.column_config.NumberColumn(format="%.1f")),
        )
    for path, reason in result.problems:
        st.markdown(f":small[Left out: {frame.plain(f'{untrusted_text.file_name(path)}: {reason}')}]")


def worst(result: Robustness, name: str) -> list[dict[str, Any]]:
    """Return the row of each model at the level that costs it most, the largest loss first."""
    rows = robustness.worst(result.rows[result.rows["condition"] == name])
    return [
        {str(key): value for key, value in row.items()}
        for row in rows.sort_values("lost", ascending=False).to_dict("records")
    ]


def loss_text(row: dict[str, Any], title: str, unit: str) -> str:
    """Return what a model loses at a level, in points of UAR with the interval; and whether that means anything."""
    points = f"{100 * row['lost']:.0f} points of UAR ({100 * row['lost_low']:.0f} to {100 * row['lost_high']:.0f})"
    at = f"at {row['level']:g} {unit}"
    if row["lost_low"] <= 0:
        return f"{title} loses nothing significant: at most {points}, {at}."
    return f"{title} loses {points} {at}: from {row['uar'] + row['lost']:.0%} down to {row['uar']:.0%}."


def chance(result: Robustness) -> float:
    """Return the share that guessing reaches on these clips."""
    return 1 / result.clips[catalogue.EMOTION].nunique()


def caption(result: Robustness, names: Sequence[str]) -> str:
    """Return what the figures stand on, and how far to trust them."""
    clean = result.rows[result.rows["condition"] == CLEAN]
    half = 100 * float((clean["high"] - clean["low"]).max()) / 2
    n = result.clips[catalogue.SPEAKER].nunique()
    called = ", ".join(map(cached.corpus_title, names))
    return (
        f"{len(result.clips):,} clips of {n} speaker{'s' * (n != 1)} ({called}), balanced over labels and speakers, the same under every "
        f"condition. With so few clips, a UAR is known to about ±{half:.0f} points; what is lost is compared clip "
        "by clip, with its own 95 % "
        "interval in brackets. Dotted: the clean clips."
    )


def _overview(result: Robustness, titles: dict[str, str], *, key: str) -> None:
    """Draw the UAR of each model at its worst level of each condition, the clean clips first."""
    rows = pd.concat([result.rows[result.rows["condition"] == CLEAN], robustness.worst(result.rows)], ignore_index=True)
    order = [CLEAN, *(name for name in degradations.CONDITIONS if name in set(rows["condition"]))]
    shown = {CLEAN: "Clean"} | {name: degradations.CONDITIONS[name].title for name in order[1:]}
    values = rows.pivot_table(index="condition", columns="model", values="uar").reindex(order)
    st.plotly_chart(
        models.dots(
            [shown[name] for name in order],
            {titles[slug]: values[slug].to_list() for slug in titles if slug in values},
            axis="UAR at the worst level",
        ),
        key=f"compare.robust.{key}",
        config=models.CONFIG,
        alt="UAR of each model at the worst level of each condition. The table has all figures.",
    )


def table(result: Robustness, titles: dict[str, str]) -> pd.DataFrame:
    """Return one row per model, condition and level, in % and points."""
    rows = result.rows
    return pd.DataFrame(
        {
            "Model": rows["model"].map(titles),
            "Condition": [
                "Clean" if name == CLEAN else degradations.CONDITIONS[name].title for name in rows["condition"]
            ],
            "Level": [
                "" if name == CLEAN else f"{level:g} {degradations.CONDITIONS[name].unit}"
                for name, level in zip(rows["condition"], rows["level"], strict=True)
            ],
            "UAR": 100 * rows["uar"],
            "UAR from": 100 * rows["low"],
            "UAR to": 100 * rows["high"],
            "Accuracy": 100 * rows["accuracy"],
            "Points lost": 100 * rows["lost"],
            "lost from": 100 * rows["lost_low"],
            "lost to": 100 * rows["lost_high"],
            "Clips": rows["n_clips"],
        }
    )
