"""What a model said of tested clips: its figures by corpus, its mean with others', and a part of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ser_core.errors import ConfigError
from ser_core.experiments import outcome
from ser_core.experiments.outcome import Outcome
from ser_core.metrics import evaluation
from ser_core.training.contamination import TrainingOverlap

LABELS = ("neutral", "happy")


def said(probabilities: list[float], *, model: str = "one", corpora: tuple[str, ...] = ("tess",), **more) -> Outcome:
    """Return an outcome of neutral and happy clips in turn; probabilities: that of "happy" for each of them."""
    n = len(probabilities)
    clips = pd.DataFrame(
        {
            "path": [f"/{i}.wav" for i in range(n)],
            "corpus": [corpora[i * len(corpora) // n] for i in range(n)],
            "speaker": [f"s{i % 2}" for i in range(n)],
            "name": [f"c{i}" for i in range(n)],
        }
    )
    happy = np.array(probabilities)
    values = {"model": model, "protocol": "speaker", "labels": LABELS, "clips": clips, "y": np.arange(n) % 2} | more
    return Outcome(probabilities=np.column_stack([1 - happy, happy]), **values)


def test_the_answer_is_the_label_with_most():
    assert said([0.2, 0.7, 0.9, 0.4]).answer.tolist() == [0, 1, 1, 0]


def test_a_mean_is_the_mean_of_the_probabilities_and_has_no_threshold():
    both = outcome.mean([said([0.2, 0.8], threshold=0.5), said([0.6, 1.0], model="two")])
    np.testing.assert_allclose(both.probabilities[:, 1], [0.4, 0.9])
    assert both.model == outcome.MEAN and both.threshold is None


@pytest.mark.parametrize(
    "other",
    [
        said([0.1, 0.2, 0.3, 0.4]),
        said([0.1, 0.2], labels=("neutral", "sad")),
        said([0.1, 0.2], corpora=("savee",)),
        said([0.1, 0.2], protocol="random"),
    ],
    ids=["more clips", "other labels", "other clips", "another protocol"],
)
def test_a_mean_of_what_cannot_be_compared_is_refused(other):
    with pytest.raises(ConfigError, match="same labels, tested on the same clips"):
        outcome.mean([said([0.1, 0.2]), other])


def test_figures_over_all_come_first_where_there_are_several_corpora():
    one = said([0.1, 0.9, 0.1, 0.1], corpora=("tess", "savee"))
    made = outcome.figures(one)
    assert list(made) == [evaluation.OVERALL, "tess", "savee"]
    assert {name: each.accuracy for name, each in made.items()} == {evaluation.OVERALL: 0.75, "tess": 1.0, "savee": 0.5}
    assert list(outcome.figures(said([0.1, 0.9]))) == ["tess"]
    told = outcome.to_dict(one)
    assert told["model"] == "one" and list(told["per_corpus"]) == ["tess", "savee"]
    assert "heard" not in told and "unreadable" not in told


def test_a_part_is_cut_from_everything_that_has_a_row_a_clip():
    wanted = np.array([True, False, False, True])
    flags = np.array([True, False, True, False])
    whole = said([0.1, 0.2, 0.3, 0.4], seen={"speaker": flags}, heard=TrainingOverlap(flags, ~flags, flags, ~flags))
    cut = outcome.part(whole, wanted)
    assert cut.clips["name"].tolist() == ["c0", "c3"] and cut.clips.index.tolist() == [0, 1]
    assert cut.y.tolist() == [0, 1] and cut.probabilities[:, 1].tolist() == [0.1, 0.4]
    assert cut.seen["speaker"].tolist() == [True, False] and cut.heard.speaker.tolist() == [False, True]
