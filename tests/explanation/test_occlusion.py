"""Maps of models whose rule is known: what they look at lights up, covering it beats chance, and its sound is the kept part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.errors import ConfigError, ModelError
from ser_core.explanation import occlusion
from ser_core.features import encoder, extraction, vectors
from ser_core.features.config import LEVELLED, MEL, FeatureConfig
from ser_core.recognition.recognizer import Recognizer

LABELS = ("angry", "sad")


class Rule:
    """A classifier that answers by a rule: score of each item, (n,), of which a logistic curve is the probability of the first label."""

    labels = LABELS

    def __init__(self, score: Callable[[np.ndarray], np.ndarray]) -> None:
        self.score = score
        self.n_asked = 0

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.n_asked += len(X)
        first = 1 / (1 + np.exp(-np.clip(self.score(X), -30, 30)))
        return np.stack([first, 1 - first], axis=1)


def network(score: Callable[[np.ndarray], np.ndarray], **config: object) -> Recognizer:
    return Recognizer("rule", FeatureConfig(**config), LABELS, Rule(score), vectors.FRAMES)


def energy(columns: slice, frames: slice = slice(None)) -> Callable[[np.ndarray], np.ndarray]:
    """How far a part of each window is from its band's mean: about 3 for the sound below, and -2 for what is blank."""
    return lambda X: 7 * np.abs(X[:, frames, columns]).mean(axis=(1, 2)) - 2


@pytest.fixture(scope="module")
def clip() -> Waveform:
    """Three seconds of noise whose level changes from moment to moment: every band and every moment differs from its mean."""
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE)
    steps = np.random.default_rng(1).uniform(0.2, 1, 60)
    return Waveform((noise * np.repeat(steps, SAMPLE_RATE // 20)).astype(np.float32), SAMPLE_RATE)


def explain(recognizer: Recognizer, clip: Waveform, **options: object) -> occlusion.Occlusion:
    (found,) = occlusion.explain([recognizer], clip, extraction.extract(clip, recognizer.config), **options)
    return found


@pytest.mark.parametrize("band", [0, 5])
def test_a_classifier_that_looks_at_one_band_lights_up_that_band(clip, band):
    found = explain(network(energy(slice(8 * band, 8 * band + 8))), clip)
    fall = np.asarray(found.fall)
    assert found.label == "angry" and found.probability > 0.9
    assert fall.sum(axis=1).argmax() == band
    others = np.delete(fall, band, axis=0)
    assert np.abs(others).max() < 1e-6 and (fall[band] >= 0).all() and fall[band].max() > 0.001
    assert np.abs(found.measures).max() < 1e-6
    assert occlusion.kept(found)[band].any() and not np.delete(occlusion.kept(found), band, axis=0).any()
    assert found.deletion.better_than_chance and "The map holds" in found.sentence
    low, high = found.bands_hz[band : band + 2]
    assert f"between {low:.0f} and {high:.0f} Hz" in found.summary


def test_a_classifier_that_looks_at_one_moment_lights_up_that_moment(clip):
    measured = extraction.extract(clip)
    start, stop = measured.trim
    before = (160 - (stop - start)) // 2
    moment = slice(before + 60, before + 80)  # 1.2 to 1.6 s of what is heard
    found = explain(network(energy(slice(0, 64), moment)), clip)
    falls = np.asarray(found.fall).sum(axis=0)
    inside = [
        number
        for number, (low, high) in enumerate(zip(found.times_s[:-1], found.times_s[1:], strict=True))
        if low < start * 0.02 + 1.6 and high > start * 0.02 + 1.2
    ]
    assert set(np.flatnonzero(falls > 1e-3)) == set(inside)
    assert found.deletion.better_than_chance


def test_a_classifier_that_looks_at_pitch_and_loudness_alone_lights_up_these(clip):
    level = vectors.frame_columns(FeatureConfig()).index("rms_db")
    found = explain(network(lambda X: X[:, :, level].std(axis=1) - 2), clip)
    assert np.abs(found.fall).max() < 1e-6 < max(found.measures)
    assert not occlusion.kept(found).any() and "No patch of the sound" in found.summary
    assert explain(network(energy(slice(0, 8)), network_input=MEL), clip).measures == ()


def test_a_classifier_that_ignores_its_input_is_no_better_than_chance(clip):
    found = explain(network(lambda X: np.zeros(len(X))), clip)
    assert np.abs(found.fall).max() < 1e-9
    assert not found.deletion.better_than_chance
    assert "no better than chance" in found.sentence and "Read nothing into it" in found.sentence


def test_a_label_may_be_chosen_and_its_map_is_the_other_ones_reversed(clip):
    rule = network(energy(slice(0, 8)))
    own, other = explain(rule, clip), explain(rule, clip, labels=["sad"])
    assert other.label == "sad" and other.probability == pytest.approx(1 - own.probability, abs=1e-5)
    np.testing.assert_allclose(own.fall, -np.asarray(other.fall), atol=1e-5)
    with pytest.raises(ConfigError, match="has no label 'joy'"):
        explain(rule, clip, labels=["joy"])


def test_the_same_clip_gives_the_same_map_and_a_model_is_asked_about_each_variant_once(clip):
    rule = network(energy(slice(0, 8)))
    first = explain(rule, clip)
    n_once = rule.classifier.n_asked
    assert first == explain(rule, clip)
    n_variants = 16 * 9 + len(occlusion.SHARES) * (1 + occlusion.N_RANDOM)
    assert n_once <= n_variants + 2 and len(first.times_s) == 17 and len(first.bands_hz) == 9


def test_of_a_longer_clip_only_the_windows_that_change_are_asked_about(clip):
    longer = Waveform(np.tile(clip.samples, 2), SAMPLE_RATE)
    rule = network(energy(slice(0, 8)))
    measured = extraction.extract(longer)
    n_windows = len(vectors.windows(measured))
    found = explain(rule, longer)
    assert n_windows == 3 and np.asarray(found.fall)[0].min() > 0
    assert rule.classifier.n_asked < 0.9 * n_windows * (16 * 9 + len(occlusion.SHARES) * (1 + occlusion.N_RANDOM))


def test_a_short_clip_has_a_few_patches(clip):
    found = explain(network(energy(slice(0, 8))), Waveform(clip.samples[: SAMPLE_RATE // 2], SAMPLE_RATE))
    assert len(found.times_s) == 1 + occlusion.LEAST_SPANS and found.times_s[-1] == pytest.approx(0.51, abs=0.02)


def test_random_orders_cover_as_much_of_the_sound_as_the_maps(clip):
    seen = occlusion.view(network(energy(slice(0, 8))), clip, extraction.extract(clip))
    fall = np.random.default_rng(0).normal(size=seen.shape).ravel()
    # Private: what is covered is in no result.
    masks = occlusion._deletions(seen, fall, np.random.default_rng(0)).reshape(1 + occlusion.N_RANDOM, -1, *seen.shape)
    assert (masks[:, :, :8].sum(axis=(2, 3)) == masks[0, :, :8].sum(axis=(1, 2))).all()
    assert (masks[:, :, 8].sum(axis=2) == masks[0, :, 8].sum(axis=1)).all()
    assert (np.diff(masks.astype(int), axis=1) >= 0).all()


def test_covered_frames_are_what_stands_around_a_short_clip(clip):
    for config in (FeatureConfig(network_input=LEVELLED), FeatureConfig(network_input=MEL)):
        measured = extraction.extract(clip, config)
        seen = occlusion.view(network(energy(slice(0, 8)), network_input=config.network_input), clip, measured)
        everything = seen.cover(np.ones((1, *seen.shape), bool))
        np.testing.assert_array_equal(everything[0], np.tile(seen.blank, (len(seen.picture), 1)))
        np.testing.assert_array_equal(seen.cover(np.zeros((1, *seen.shape), bool))[0], seen.picture)
        np.testing.assert_array_equal(seen.items(seen.picture[np.newaxis]), vectors.windows(measured))


def test_a_model_that_hears_through_the_encoder_lights_up_the_band_it_looks_at(clip, monkeypatch):
    def embeddings(spectrograms: np.ndarray) -> np.ndarray:
        return np.abs(spectrograms - spectrograms.mean(axis=1, keepdims=True)).mean(axis=1)

    monkeypatch.setattr(encoder, "embeddings", embeddings)
    middle = Rule(lambda X: 40 * X[:, 27:54].mean(axis=1) - 2)
    found = explain(Recognizer("rule", FeatureConfig(), LABELS, middle, vectors.EMBEDDING), clip)
    fall = np.asarray(found.fall)
    assert fall.shape == (occlusion.ENCODER_BANDS, occlusion.ENCODER_SPANS) and found.measures == ()
    assert fall.sum(axis=1).argmax() == 1 and np.abs(fall[[0, 2]]).max() < 1e-6


def test_the_encoder_itself_answers_a_batch_as_it_answers_one_by_one(clip):
    sounds = [encoder.log_mel(clip.samples[:SAMPLE_RATE]), encoder.log_mel(clip.samples[SAMPLE_RATE : 2 * SAMPLE_RATE])]
    both = encoder.embeddings(np.stack(sounds))
    for one, sound in zip(both, sounds, strict=True):
        np.testing.assert_allclose(encoder.embeddings(sound[np.newaxis])[0], one, atol=1e-4)


def test_a_model_without_a_picture_or_with_no_answers_is_told_plainly(clip):
    vector = Recognizer("mlp", FeatureConfig(), LABELS, Rule(lambda X: X[:, 0]), vectors.VECTOR)
    assert not occlusion.explains(vector) and occlusion.explains(network(energy(slice(0, 8))))
    with pytest.raises(ModelError, match="sees no picture"):
        explain(vector, clip)
    with pytest.raises(ModelError, match="not probabilities"):
        explain(network(lambda X: np.full(len(X), np.nan)), clip)


def test_kept_and_removed_part_are_the_clip_together(clip):
    found = explain(network(energy(slice(0, 24))), clip)
    kept, removed = occlusion.split(clip, found)
    np.testing.assert_allclose(kept.samples + removed.samples, clip.samples, atol=1e-6)
    assert len(kept.samples) == len(clip.samples) and kept.sample_rate == SAMPLE_RATE
    assert 0.01 < np.square(kept.samples).sum() / np.square(clip.samples).sum() < 0.9


def test_the_kept_part_holds_the_tone_that_counts_and_the_rest_the_other():
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    low, high = (0.3 * np.sin(2 * np.pi * hz * t) for hz in (1000, 4000))
    clip = Waveform((low + high).astype(np.float32), SAMPLE_RATE)
    edges = (50.0, 500.0, 2000.0, 8000.0)
    times = tuple(np.linspace(0, 2, 5).tolist())
    falls = ((0.0,) * 4, (0.1,) * 4, (0.0,) * 4)
    curve = occlusion.Deletion((0.0,), (1.0,), (1.0,), (1.0,), (1.0,), 0.0, 0.0)
    kept, removed = occlusion.split(clip, occlusion.Occlusion("sad", 1.0, times, edges, falls, (), curve))
    middle = slice(SAMPLE_RATE // 8, SAMPLE_RATE - SAMPLE_RATE // 8)  # the kept half, away from its edges
    np.testing.assert_allclose(kept.samples[middle], low[middle], atol=0.01)
    np.testing.assert_allclose(removed.samples[middle], high[middle], atol=0.01)
