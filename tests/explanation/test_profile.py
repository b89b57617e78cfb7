"""How a clip's voice stands among those of each label, on figures whose quantiles are known; and the file that comes with the project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, encode_wav
from ser_core.corpora import catalogue
from ser_core.dataset import exploration
from ser_core.errors import ConfigError, CorpusError
from ser_core.explanation import profile
from ser_core.explanation.profile import Cell, Profile
from ser_core.features import extraction

STEPS = tuple(np.linspace(0.0, 1.0, profile.N_STEPS + 1).tolist())


def cell(corpus: str, label: str, *, low: float, high: float, n_clips: int = 100) -> Cell:
    values = tuple(low + (high - low) * each for each in STEPS)
    return Cell(corpus=corpus, label=label, n_clips=n_clips, values={"f0": values})


def of(*cells: Cell) -> Profile:
    return Profile(command="python -m ser_core profile", licence="l", cells=cells)


def test_the_share_below_grows_evenly_from_the_least_to_the_greatest():
    found = of(cell("ravdess", "sad", low=100, high=200))
    shares = [found.share_below("f0", value, label="sad") for value in (90, 100, 125, 200, 250)]
    assert shares == pytest.approx([0, 0, 0.25, 1, 1])


def test_in_a_corpus_clips_count_the_same_and_corpora_count_the_same():
    found = of(
        cell("ravdess", "sad", low=0, high=100, n_clips=300),
        cell("ravdess", "angry", low=100, high=200, n_clips=100),
        cell("savee", "sad", low=200, high=300, n_clips=10_000),
    )
    assert found.share_below("f0", 100, corpora=["ravdess"]) == pytest.approx(0.75)
    assert found.share_below("f0", 100) == pytest.approx(0.75 / 2)
    assert found.share_below("f0", 100, label="sad") == pytest.approx(0.5)


def test_equal_values_are_half_below():
    same = Cell(corpus="ravdess", label="sad", n_clips=50, values={"rate": (0.0,) * (profile.N_STEPS + 1)})
    assert of(same).share_below("rate", 0.0) == pytest.approx(0.5)


def test_what_is_not_known_is_nan():
    found = of(cell("ravdess", "sad", low=0, high=1))
    for asked in ({"label": "angry"}, {"corpora": ["savee"]}):
        assert np.isnan(found.share_below("f0", 0.5, **asked))
    assert np.isnan(found.share_below("level", 0.5)) and np.isnan(found.share_below("f0", float("nan")))


def test_percentiles_are_by_label_and_figure():
    found = of(cell("ravdess", "sad", low=0, high=100), cell("ravdess", "angry", low=50, high=150))
    shares = profile.percentiles({"f0": 75.0, "rate": 4.0}, found)
    assert list(shares) == ["sad", "angry"]
    assert shares["sad"]["f0"] == pytest.approx(0.75) and shares["angry"]["f0"] == pytest.approx(0.25)
    assert np.isnan(shares["sad"]["rate"])


def buzz(hz: float, wobble: float = 0.0) -> bytes:
    """Return a second of harmonics whose pitch changes at each 20 ms by up to `wobble` of it, at 16 kHz."""
    rng = np.random.default_rng(round(hz))
    pitch = np.repeat(hz * (1 + wobble * rng.uniform(-1, 1, 50)), 320)
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    samples = sum(np.sin(n * phase) / n for n in range(1, 10))
    return encode_wav(Waveform((0.1 * samples).astype(np.float32), 16_000))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Sad voices from 100 to 120 Hz, angry ones from 200 to 220 Hz, and too few of a third label."""
    folder = tmp_path_factory.mktemp("voices")
    rows = []
    for label, lowest, n in (("sad", 100, 12), ("angry", 200, 12), ("fear", 300, 2)):
        for number in range(n):
            path = folder / f"{label}{number}.wav"
            path.write_bytes(buzz(lowest + 20 * number / 11))
            rows.append({catalogue.PATH: str(path), catalogue.CORPUS: "ravdess", catalogue.EMOTION: label})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def made(clips: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    measured = exploration.measure(clips, cache=tmp_path_factory.mktemp("cache"), n_jobs=1)
    return profile.make(clips, measured, command="python -m ser_core profile")


def test_quantiles_are_made_per_corpus_and_label_of_ten_clips_or_more(made: Profile):
    assert [(each.corpus, each.label, each.n_clips) for each in made.cells] == [
        ("ravdess", "sad", 12),
        ("ravdess", "angry", 12),
    ]
    assert made.cells[0].values["f0"][0] == pytest.approx(100, abs=1)
    assert made.cells[0].values["f0"][-1] == pytest.approx(120, abs=1)
    assert made.corpora == ("ravdess",) and made.labels == ("sad", "angry")
    assert "RAVDESS (CC BY-NC-SA 4.0)" in made.licence


def test_a_clip_is_placed_among_those_of_each_label(made: Profile):
    clip = decoding.decode(buzz(110), name="one.wav")
    values = exploration.of_voice(clip, extraction.extract(clip.waveform), profile.MEASURES)
    assert tuple(values) == profile.MEASURES and values["f0"] == pytest.approx(110, abs=1)
    shares = profile.percentiles(values, made)
    assert shares["sad"]["f0"] == pytest.approx(0.5, abs=0.1) and shares["angry"]["f0"] == 0


def test_the_label_in_whose_middle_a_voice_lies_is_told():
    nan = float("nan")
    shares = {"sad": {"f0": 0.1, "rate": 0.5}, "angry": {"f0": 0.6, "rate": nan}, "calm": {"f0": nan, "rate": nan}}
    assert profile.closest(shares) == ("angry", pytest.approx(0.1))
    assert profile.closest({"calm": {"f0": nan}}) is None


def test_an_unsteady_pitch_has_more_jitter():
    found = []
    for wobble in (0.0, 0.05):
        clip = decoding.decode(buzz(150, wobble), name="one.wav")
        found.append(exploration.of_voice(clip, extraction.extract(clip.waveform), profile.MEASURES)["jitter"])
    assert found[0] < 0.05 < 0.1 < found[1]


def test_without_enough_clips_there_is_no_profile(clips: pd.DataFrame, tmp_path: Path):
    few = clips.iloc[:3]
    measured = exploration.measure(few, cache=tmp_path, n_jobs=1)
    with pytest.raises(CorpusError, match="No corpus here has 10 clips of one label"):
        profile.make(few, measured, command="")


def test_a_profile_is_read_as_it_was_written(made: Profile, tmp_path: Path):
    profile.write(tmp_path / "profile.json", made)
    assert profile.read(tmp_path / "profile.json") == made


def wrong() -> dict[str, str]:
    good = json.loads(json.dumps(profile.to_dict(of(cell("ravdess", "sad", low=0, high=1)))))
    (one,) = good["cells"]
    return {
        "empty": "",
        "no object": "[]",
        "no cells": json.dumps({"command": "", "cells": 1}),
        "too few quantiles": json.dumps(good | {"cells": [one | {"values": {"f0": [1.0, 2.0]}}]}),
        "in no order": json.dumps(good | {"cells": [one | {"values": {"f0": one["values"]["f0"][::-1]}}]}),
        "no label": json.dumps(good | {"cells": [one | {"label": "cheerful"}]}),
        "no figure": json.dumps(good | {"cells": [one | {"values": {"height": one["values"]["f0"]}}]}),
        "too large": " " * (profile.MAX_BYTES + 1),
    }


@pytest.mark.parametrize("name", wrong())
def test_a_damaged_profile_is_refused_in_a_sentence(tmp_path: Path, name: str):
    (tmp_path / "profile.json").write_text(wrong()[name])
    with pytest.raises(ConfigError, match=r"The figures in 'profile\.json' cannot be read"):
        profile.read(tmp_path / "profile.json")


def test_a_missing_profile_is_refused_in_a_sentence(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        profile.read(tmp_path / "gone.json")


def test_what_comes_with_the_project_knows_all_that_the_shipped_models_answer():
    found = profile.read()
    assert profile.RESULTS.stat().st_size < 200_000
    assert set(found.corpora) == {"ravdess", "savee", "emodb", "tess", "cremad"}
    assert set(catalogue.LABELS) <= set(found.labels)
    assert "for research and teaching" in found.licence and found.command.startswith("python -m ser_core profile")
    for each in found.cells:
        assert set(each.values) == set(profile.MEASURES)
    sad, angry = (found.share_below("f0", 180, label=label) for label in ("sad", "angry"))
    assert sad > angry, "angry voices are higher"
    assert found.share_below("f0", 30) < 0.01 and found.share_below("f0", 600) > 0.99
