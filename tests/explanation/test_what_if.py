"""A clip under other conditions: models that look at one thing flip where that thing is known to change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import degradations
from ser_core.audio.waveform import Waveform
from ser_core.errors import ConfigError
from ser_core.explanation import what_if
from ser_core.recognition.recognizer import Prediction
from tests.support.models import build
from tests.support.signals import RATE, power_db, syllables, tone

SAMPLES = Path(__file__).resolve().parents[2] / "pages" / "samples"
VOICES = what_if.read_voices(SAMPLES)
VARIANTS = [(name, level) for name in degradations.CONDITIONS for level in what_if.levels(name)]


def said(label: str, share: float = 0.9, threshold: float | None = None) -> Prediction:
    other = "sad" if label == "angry" else "angry"
    return Prediction("m", label, {label: share, other: 1 - share}, 0.1, threshold)


def heard_by(judge, clip: Waveform, names=tuple(degradations.CONDITIONS)) -> dict[what_if.Variant, Prediction]:
    """What a model that is a function of the sound says of each variant."""
    return {
        (name, level): judge(what_if.change(clip, name, level, VOICES)) for name, level in VARIANTS if name in names
    }


def by_level(waveform: Waveform) -> Prediction:
    """A model that calls what is louder than -30 dB of full scale angry."""
    return said("angry" if power_db(waveform.samples) > -30 else "sad")


def by_treble(waveform: Waveform) -> Prediction:
    """A model that is sure where there is treble: of a tone at 5000 Hz at least a tenth is left."""
    spectrum = np.abs(np.fft.rfft(waveform.samples, RATE)) / RATE * 2
    return said("angry", 0.9 if spectrum[4900:5100].max() > 0.03 else 0.3, 0.4)


def test_about_45_variants_are_tried_and_every_row_begins_with_the_mildest() -> None:
    assert 40 <= len(VARIANTS) <= 50
    assert sorted(VARIANTS) == sorted({(row.condition, level) for row in what_if.ROWS for level in row.levels})
    of = {row.title: row.levels for row in what_if.ROWS}
    assert of["White noise"] == (30, 20, 10, 0) and of["Recorded softer"] == (-20, -40) and of["Higher voice"] == (3, 6)
    for row in what_if.ROWS:
        assert all(row.at(level) and row.mark(level) and "-" not in row.at(level) for level in row.levels)


def test_a_model_that_looks_at_the_level_flips_at_the_gain_that_crosses_it() -> None:
    clip = Waveform(tone(amplitude=0.3), RATE)  # -13.5 dB
    flips = {flip.row.title: flip for flip in what_if.find(by_level(clip), heard_by(by_level, clip))}
    assert (flips["Recorded softer"].level, flips["Recorded softer"].becomes) == (-20, "sad")
    assert flips["Recorded softer"].mark == "20 dB: sad"
    assert flips["Recorded louder"].level is None and flips["Recorded louder"].mark == "stays"
    assert flips["Opus"].level is None and flips["White noise"].level is None


def test_a_model_that_looks_at_one_band_becomes_unsure_where_a_line_cuts_it_off() -> None:
    clip = Waveform(tone(frequency_hz=5000, amplitude=0.3) + tone(frequency_hz=1000, amplitude=0.3), RATE)
    heard = heard_by(by_treble, clip, names=("telephone", "gain"))
    flips = what_if.find(by_treble(clip), heard)
    assert [flip.row.title for flip in flips] == ["Telephone", "Recorded softer", "Recorded louder"]
    assert (flips[0].level, flips[0].becomes) == (3400, "not sure")
    assert "a line up to 3400 Hz" in what_if.sentence(by_treble(clip), flips)


def test_sentences_say_what_an_answer_survives_and_what_makes_it_another() -> None:
    angry, unsure = said("angry"), said("angry", 0.3, 0.4)
    telephone, babble, softer = (
        next(row for row in what_if.ROWS if row.title == title) for title in ("Telephone", "Babble", "Recorded softer")
    )
    flips = [what_if.Flip(babble, 10, "not sure"), what_if.Flip(telephone), what_if.Flip(softer, -20, "sad")]
    assert what_if.sentence(angry, flips) == (
        "*angry* survives the telephone; babble at 10 dB makes it *not sure*; a recording 20 dB softer makes it *sad*."
    )
    both = [what_if.Flip(babble, 10, "sad"), what_if.Flip(softer, -20, "sad")]
    assert what_if.sentence(angry, both) == (
        "*angry* survives nothing that was tried; babble at 10 dB and a recording 20 dB softer make it *sad*."
    )
    assert what_if.sentence(unsure, [what_if.Flip(telephone)]) == "*not sure* stays with all that was tried."
    assert what_if.sentence(unsure, [what_if.Flip(telephone), what_if.Flip(babble, 0, "sad")]).startswith(
        "*not sure* stays with the telephone;"
    )
    assert what_if.sentence(angry, []) == ""


def test_an_answer_that_comes_back_has_flipped_at_the_mildest_level_all_the_same() -> None:
    heard = {
        ("white", 30): said("angry"),
        ("white", 20): said("sad"),
        ("white", 10): said("angry"),
        ("white", 0): said("angry"),
    }
    (flip,) = what_if.find(said("angry"), heard)
    assert (flip.level, flip.becomes) == (20, "sad")


def test_six_decibels_are_twice_as_much_and_the_middle_changes_nothing() -> None:
    clip = Waveform(tone(amplitude=0.25), RATE)
    louder = what_if.change(clip, "gain", 20 * np.log10(2))
    np.testing.assert_allclose(louder.samples, 2 * clip.samples, atol=2 / 2**15)
    for name, row in degradations.CONDITIONS.items():
        if row.middle is not None:
            assert what_if.change(clip, name, row.middle) is clip


def test_the_same_noise_and_the_same_voices_come_at_every_level_and_again() -> None:
    clip = Waveform(tone(amplitude=0.25), RATE)
    for name in ("white", "pink", "babble"):
        added = [what_if.change(clip, name, level, VOICES).samples - clip.samples for level in (20, 0)]
        assert np.corrcoef(*added)[0, 1] > 0.999
        assert power_db(added[1]) - power_db(added[0]) == pytest.approx(20, abs=0.05)
        np.testing.assert_array_equal(*(what_if.change(clip, name, 0, VOICES).samples for _ in range(2)))


def test_babble_is_of_the_shipped_synthetic_voices_without_the_clip_itself() -> None:
    assert len(VOICES) == degradations.N_VOICES
    assert not np.array_equal(
        what_if.change(VOICES[0], "babble", 0, VOICES).samples,
        what_if.change(VOICES[0], "babble", 0, VOICES[2:]).samples,
    )
    np.testing.assert_array_equal(
        what_if.change(VOICES[0], "babble", 0, VOICES).samples,
        what_if.change(VOICES[0], "babble", 0, VOICES[1:]).samples,
    )
    with pytest.raises(ConfigError, match="there are none here"):
        what_if.change(VOICES[0], "babble", 0, VOICES[:1])
    with pytest.raises(ConfigError, match="no condition 'rain'"):
        what_if.change(VOICES[0], "rain", 0)


def test_there_is_no_voice_where_there_are_no_samples(tmp_path: Path) -> None:
    assert what_if.read_voices(tmp_path) == ()


CLIPS = {
    "silence": np.zeros(RATE, np.float32),
    "clipping": np.clip(20 * tone(0.5), -1, 1),
    "a moment": tone(0.1),
    "eight seconds": syllables(150, 8.0, rng=np.random.default_rng(0)),
}


@pytest.mark.parametrize("samples", CLIPS.values(), ids=CLIPS.keys())
def test_every_variant_of_any_sound_is_finite_and_gets_answers(samples: np.ndarray, tmp_path: Path) -> None:
    models, clip = build(tmp_path / "models"), Waveform(samples, RATE)
    for name in degradations.CONDITIONS:
        found = what_if.ask(clip, name, [("mlp", "first"), ("gone", "first")], models, SAMPLES)
        assert len(found) == len(what_if.levels(name))
        for answers in found:
            assert isinstance(answers[0], Prediction) and isinstance(answers[1], str)


def test_what_is_heard_is_what_was_judged(tmp_path: Path) -> None:
    models, clip = build(tmp_path / "models"), Waveform(syllables(150, 1.0, rng=np.random.default_rng(0)), RATE)
    asked = [("mlp", "first")], models, SAMPLES
    changed, (answer,) = what_if.hear(clip, "babble", 10, *asked)
    np.testing.assert_array_equal(changed.samples, what_if.change(clip, "babble", 10, VOICES).samples)
    of_all = what_if.ask(clip, "babble", *asked)[what_if.levels("babble").index(10)][0]
    assert isinstance(answer, Prediction) and isinstance(of_all, Prediction)
    assert answer.probabilities == of_all.probabilities


def test_without_voices_the_answers_say_why_there_is_no_babble(tmp_path: Path) -> None:
    found = what_if.ask(Waveform(tone(), RATE), "babble", [("mlp", "first")], tmp_path, tmp_path)
    assert [each[0] for each in found] == [
        "Babble is mixed from clips of other speakers, and there are none here. Add a corpus, or leave babble out."
    ] * 4
