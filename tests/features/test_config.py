"""Settings of the features: what may be set, and that they survive JSON."""

import json

import pytest

from ser_core.errors import ConfigError
from ser_core.features.config import MEL, FeatureConfig

CONFIG = FeatureConfig()


def test_settings_from_before_there_was_a_choice_mean_the_mel_spectrogram():
    before = {name: value for name, value in CONFIG.to_dict().items() if name != "network_input"}
    assert FeatureConfig.from_dict(before) == FeatureConfig(network_input=MEL)


def test_the_settings_survive_json():
    config = FeatureConfig(n_mels=80, hop_length=160)
    assert FeatureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"hop_length": 700}, "hop_length <= win_length"),
        ({"fmax": 9000.0}, "8000 Hz"),
        ({"n_mfcc": 65}, "n_mfcc <= n_mels"),
        ({"hop_length": 32, "n_fft": 8192}, "2,048,500. Choose a longer hop_length"),
        ({"window_frames": 3}, "from 16 to 1000"),
        ({"n_fft": 10**9}, "from 64 to 8192"),
        ({"n_mels": "64"}, "whole number"),
        ({"sample_rate": 4000, "fmax": 2000.0}, "from 8000"),
        ({"sample_rate": 44_000}, "win_length of 736 or more"),
    ],
)
def test_impossible_settings_are_refused(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        FeatureConfig(**values)


def test_unknown_settings_are_named():
    with pytest.raises(ConfigError, match="Unknown: colour"):
        FeatureConfig.from_dict({**CONFIG.to_dict(), "colour": 1})
