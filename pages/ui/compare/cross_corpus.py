"""Across corpora: a recipe trained on each corpus and tested on each, as a heat map; precomputed, or measured on corpora here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui import cached, downloads, frame, state
from pages.ui.charts import models, robustness
from pages.ui.compare import figures, measurement, recipes
from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.experiments import cross_corpus, runs
from ser_core.experiments.cross_corpus import Cell
from ser_core.experiments.recipe import to_dict as recipe_values
from ser_core.recognition.card import ModelCard

READY, HERE = "worked out", "here"
HOW = (
    "A model is trained on one corpus and tested on another: other actors, microphones and directors, often another language. **Along the "
    "framed diagonal it is tested on other speakers of the same corpus.** The drop off the diagonal shows how "
    "much it learned the corpus, not emotion."
)
NETWORKS = (
    "Networks take minutes per cell and are measured from a shell: `python -m ser_core matrix --model cnn --corpus …`"
)

DOUBLES = " Some recordings occur more than once: none that is tested is trained on under another name. The table has how many."

HINT = (
    ":small[Seconds to a minute per cell; clips without cached features are measured first. Finished cells are kept, and a stopped "
    "measurement resumes. The app stays usable meanwhile.]"
)


@st.fragment
def show_cross_corpus(cards: Sequence[ModelCard]) -> None:
    """Draw the heat map that comes with the project at once; one of corpora here as it is measured."""
    st.markdown(HOW)
    corpora = cached.corpus_folders(cached.corpora_root())
    ready = cross_corpus.read_results()
    titles = {name: catalogue.CORPORA[name].title for name in ready.corpora}
    places = {READY: f"{len(titles)} corpora, precomputed"}
    if len(corpora) > 1:
        places[HERE] = "Corpora here, measured now"
    if (
        st.selectbox("What to look at", list(places), format_func=places.get, key="compare.cross.place", width=420)
        == READY
    ):
        slug = st.segmented_control(
            "Model",
            list(ready.models),
            format_func=lambda slug: classifiers.CLASSIFIERS[slug].title,
            default=next(iter(ready.models)),
            required=True,
            key="compare.cross.model",
        )
        cells = ready.models[slug]
        _map(cells, titles, key="ready")
        _conclude(cells)
        _table(cells, titles, key="ready")
        st.markdown(f":small[Measured beforehand, retrained for each cell: `{ready.command}`]")
        if len(corpora) < 2:
            st.markdown(":small[With two corpora installed, your own can be measured here.]")
        return
    _here(cards, corpora)


def _here(cards: Sequence[ModelCard], corpora: dict[str, Path]) -> None:
    can = recipes.offered(cards)
    last_names, last_key = st.session_state.get(state.COMPARE_CROSS, ((), ""))
    names = st.pills(
        "Corpora",
        list(corpora),
        selection_mode="multi",
        format_func=frame.corpus,
        default=[name for name in last_names or corpora if name in corpora],
        key="compare.cross.corpora",
    )
    key = st.selectbox(
        "Recipe",
        list(can),
        format_func=lambda key: can[key][0],
        key="compare.cross.recipe",
        width=260,
        index=list(can).index(last_key) if last_key in can else 0,
    )
    (recipe,) = recipes.with_copies_or_not([can[key][1]], key="compare.cross")
    st.markdown(f":small[{NETWORKS}]")
    if len(names) < 2:
        st.info("Choose two corpora or more.", icon=":material/info:")
        return
    st.session_state[state.COMPARE_CROSS] = (tuple(names), key)
    folders = {name: corpora[name] for name in names}
    config = runs.settings(runs.CROSS, corpora=measurement.corpora(folders), recipe=recipe_values(recipe))
    result = measurement.measured(
        config,
        title=f"{can[key][0]} across {measurement.listed(map(cached.corpus_title, names))}",
        button=f"Measure these {len(names) ** 2} cells",
        icon=":material/grid_on:",
        hint=HINT,
        key="compare.cross",
        draw=lambda so_far: show_so_far(so_far, config, cards),
    )
    if result is not None:
        show_result(result, config, cards)


def _titles(config: dict[str, Any]) -> dict[str, str]:
    return {name: cached.corpus_title(name) for name in config["corpora"]}


def show_so_far(cells: Sequence[Cell], config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw the cells that are finished."""
    _map(cells, _titles(config), key="live")


def show_result(cells: Sequence[Cell], config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw the map, and what leaving a corpus costs."""
    titles = _titles(config)
    _map(cells, titles, key="here")
    _conclude(cells)
    _table(cells, titles, key="here")


def _map(cells: Sequence[Cell], titles: dict[str, str], *, key: str) -> None:
    st.markdown(f":small[{said_labels(cells)}{DOUBLES if any(cell.doubles for cell in cells) else ''}]")
    st.plotly_chart(
        robustness.heat(cells, titles),
        key=f"compare.cross.{key}.map",
        config=models.CONFIG,
        width=680,
        alt="; ".join(
            f"trained on {titles[cell.train]}, tested on {titles[cell.test]}: {cell.problem or f'{cell.uar:.0%}'}"
            for cell in cells
        ),
    )


def said_labels(cells: Sequence[Cell]) -> str:
    """Return on which labels the cells were measured."""
    sets = {cell.labels for cell in cells if not cell.problem}
    if len(sets) == 1:
        labels = next(iter(sets))
        return f"UAR in %, on the {len(labels)} labels that all share ({', '.join(labels)}): chance is {1 / len(labels):.1%}."
    return "UAR in %, each pair on the labels that it shares: chance differs, and is in the table. Grey: under two shared labels."


def _conclude(cells: Sequence[Cell]) -> None:
    both = cross_corpus.means(cells)
    if both:
        own, other = (100 * each for each in both)
        st.markdown(
            f"On average **{own:.0f} %** on other speakers of the same corpus, **{other:.0f} %** on another corpus: "
            f"leaving the corpus costs {own - other:.0f} points of UAR."
        )


def _table(cells: Sequence[Cell], titles: dict[str, str], *, key: str) -> None:
    with st.expander("The same as a table", key=f"compare.cross.{key}.table"):
        st.dataframe(
            downloads.cells(robustness.cell_table(cells, titles)),
            hide_index=True,
            column_config=figures.COLUMNS,
            key=f"compare.cross.{key}.rows",
            placeholder=figures.MISSING,
        )
