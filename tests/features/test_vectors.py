"""What a classifier sees: a vector or windows of frames, and the table of frames."""

from dataclasses import replace

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform
from ser_core.features import extraction, vectors
from ser_core.features.config import INPUTS, LEVELLED, MEL, MEL_AND_VOICE, FeatureConfig
from tests.support.signals import RATE, harmonics

CONFIG = FeatureConfig()


def test_windows_of_a_long_clip_overlap_and_reach_both_ends():
    voice = harmonics(150.0, 9.0)
    measured = extraction.extract(Waveform(voice, RATE), FeatureConfig(network_input=MEL_AND_VOICE))
    windows = vectors.windows(measured)
    start, stop = measured.trim
    frames = measured.log_mel[start:stop]
    standardised = (frames - frames.mean()) / (frames.std() + 1e-3)
    assert len(windows) == 1 + int(np.ceil((stop - start - 160) / 80))
    np.testing.assert_allclose(windows[0, :, : CONFIG.n_mels], standardised[:160], atol=1e-4)
    np.testing.assert_allclose(windows[-1, :, : CONFIG.n_mels], standardised[-160:], atol=1e-4)


def test_a_network_sees_pitch_and_loudness_of_each_moment():
    """A steady 200 Hz is 12 semitones above 100 Hz, and at its own median; what is quieter by half lies 6 dB lower."""
    voice = harmonics(200.0, 1.0)
    measured = extraction.extract(Waveform(np.concatenate([voice, voice / 2]), RATE))
    heard = column(measured, "voiced") == 1
    assert heard.sum() > 80
    np.testing.assert_allclose(column(measured, "f0")[heard], 12.0, atol=0.2)
    np.testing.assert_allclose(column(measured, "f0_above_median")[heard], 0.0, atol=0.2)
    loud = column(measured, "rms_db")[heard]
    assert np.median(loud[:30]) - np.median(loud[-30:]) == pytest.approx(6.02, abs=0.2)


def test_a_short_clip_lies_between_frames_of_its_own_mean():
    measured = extraction.extract(Waveform(harmonics(200.0, 1.0), RATE))
    window, n = vectors.windows(measured)[0], measured.trim[1] - measured.trim[0]
    before = (CONFIG.window_frames - n) // 2
    assert (window[:before, : CONFIG.n_mels] == 0).all() and (window[before + n :, : CONFIG.n_mels] == 0).all()
    inside = window[before : before + n, CONFIG.n_mels :]
    np.testing.assert_allclose(window[0, CONFIG.n_mels :], inside.mean(axis=0), rtol=1e-3, atol=1e-3)


def test_a_network_may_see_the_mel_spectrogram_alone():
    voice = Waveform(harmonics(200.0, 1.0), RATE)
    inputs = MEL_AND_VOICE, MEL
    all_of_it, mel = (vectors.windows(extraction.extract(voice, FeatureConfig(network_input=each))) for each in inputs)
    np.testing.assert_array_equal(mel, all_of_it[:, :, : CONFIG.n_mels])


def test_a_colour_that_stays_is_gone_from_a_levelled_spectrogram_and_from_no_other():
    noise = Waveform(np.random.default_rng(2).standard_normal(RATE).astype(np.float32) * 0.1, RATE)
    for network_input in INPUTS:
        measured = extraction.extract(noise, FeatureConfig(network_input=network_input))
        coloured = replace(measured, log_mel=measured.log_mel + np.linspace(-20, 20, CONFIG.n_mels, dtype=np.float32))
        seen, through = (vectors.windows(each)[0, :, : CONFIG.n_mels] for each in (measured, coloured))
        assert np.allclose(seen, through, atol=1e-3) == (network_input == LEVELLED)


def test_summary_has_a_name_for_every_column(measured):
    names = vectors.summary_columns(CONFIG)
    assert len(set(names)) == len(names) == len(vectors.summary(measured))
    values = dict(zip(names, vectors.summary(measured), strict=True))
    start, stop = measured.trim
    assert values["mfcc_03_mean"] == pytest.approx(measured.mfcc[start:stop, 3].mean(), abs=1e-3)
    assert values["centroid_hz_std"] == pytest.approx(measured.centroid_hz[start:stop].std(), rel=1e-4)
    assert values["duration_s"] == pytest.approx((stop - start) * CONFIG.hop_length / RATE, rel=1e-5)


def test_the_table_has_one_row_a_frame(measured):
    table = extraction.to_frame(measured)
    assert len(table) == len(measured.times_s)
    assert table["time_s"].is_monotonic_increasing
    np.testing.assert_array_equal(table["log_mel_10"], measured.log_mel[:, 10])
    assert {"f0_hz", "zcr", "rms", "contrast_05", "chroma_11", "mfcc_delta2_19"} <= set(table.columns)


def column(measured, name):
    """Return one column of what a network sees of a clip shorter than a window, of the frames of the clip."""
    n = measured.trim[1] - measured.trim[0]
    before = (measured.config.window_frames - n) // 2
    return vectors.windows(measured)[0, before : before + n, vectors.frame_columns(measured.config).index(name)]
