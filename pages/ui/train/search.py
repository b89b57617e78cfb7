"""What a search found: every combination in a table to sort and in a picture, and a model of any of them with one click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import downloads, frame
from pages.ui.charts import training
from pages.ui.train import start
from ser_core.training import jobs, run_folder
from ser_core.training.config import RunConfig


def show_trials(job: jobs.Job, trials: Sequence[Mapping[str, Any]]) -> None:
    """Draw the trials of a run, the best first."""
    st.header("What the search found", anchor=False)
    st.markdown(
        f"{len(trials)} combinations, each compared on the folds of the training part. The model of this run uses the best: "
        f"{frame.plain(trial_text(trials[0]))}. The best of many tries looks better than it is, so only the figures "
        "below, of clips that no try has touched, say how well it works."
    )
    st.plotly_chart(
        training.trials(trials, hover=[trial_text(row) for row in trials]),
        key="train.trials",
        config=training.CONFIG,
        alt=f"{len(trials)} combinations by their UAR on the folds.",
    )
    event = st.dataframe(
        downloads.cells(table(trials)),
        hide_index=True,
        key="train.trials.table",
        on_select="rerun",
        selection_mode="single-row",
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(trials):
        trial = trials[rows[0]]
        if st.button(
            f"Train a model with {frame.plain(trial_text(trial))}",
            key="train.trials.make",
            icon=":material/model_training:",
        ):
            start.begin(job.folder.parent, settings(job, trial))
    else:
        st.caption("Tick a row to train a model with that combination.")


def trial_text(trial: Mapping[str, Any]) -> str:
    """Return the combination of a trial in words: "n_neighbors 5, weights distance"."""
    return ", ".join(f"{name} {value}" for name, value in trial["hyperparameters"].items())


def table(trials: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per combination with its means over the folds, in %."""
    return pd.DataFrame(
        [
            {
                **{
                    name: value if isinstance(value, int | float) else str(value)
                    for name, value in row["hyperparameters"].items()
                },
                "UAR (%)": round(100 * row["uar"], 1),
                "± (SD of the folds)": round(100 * row["spread"], 1),
                "accuracy (%)": round(100 * row["accuracy"], 1),
                "seconds": round(row["seconds"], 1),
            }
            for row in trials
        ]
    )


def settings(job: jobs.Job, trial: Mapping[str, Any]) -> RunConfig:
    """Return the settings of a run with one combination in place of its search; raises ConfigError where they cannot be read."""
    config = RunConfig.from_dict(run_folder.read_config(job.folder))
    chosen = {
        name: tuple(value) if isinstance(value, list) else value for name, value in trial["hyperparameters"].items()
    }
    name = f"{config.name or job.title}: {trial_text(trial)}"[:80]
    return replace(config, grid={}, name=name, hyperparameters={**config.hyperparameters, **chosen}, scheduler="")
