"""Channels: where they agree nothing is measured; else the one, or the difference, in which speech is best, and what is said of it."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from ser_core.audio import channels, decoding
from ser_core.errors import AudioError
from tests.support.signals import RATE, as_file, tone

ROOT = Path(__file__).resolve().parents[2]


def voice(name: str = "bright") -> np.ndarray:
    samples, rate = soundfile.read(ROOT / "pages" / "samples" / f"{name}.flac", dtype="float32")
    return soxr.resample(samples, rate, RATE).astype(np.float32)[: 2 * RATE]


VOICE, OTHER = voice(), voice("slow_low")
TIME = np.arange(len(VOICE)) / RATE
HUM = sum(0.1 / k * np.sin(2 * np.pi * 50 * k * TIME) for k in range(1, 8))
NOISE = np.random.default_rng(0).normal(0, 0.05, len(VOICE))


def decode(*sounds: np.ndarray, **options: str) -> decoding.Clip:
    return decoding.decode(as_file(np.stack(sounds, axis=1), subtype="FLOAT"), **options)


def likeness(clip: decoding.Clip, sound: np.ndarray) -> float:
    return float(np.corrcoef(clip.waveform.samples, sound)[0, 1])


SPACED = 0.7 * np.roll(VOICE, 40)
# left, right, which is used, what it sounds like
CASES = {
    "the same twice": (VOICE, VOICE, "mean", VOICE),
    "one softer": (VOICE, 0.5 * VOICE, "mean", VOICE),
    "two microphones": (VOICE, SPACED, "mean", VOICE + SPACED),
    "two microphones with noise": (VOICE + 0.1 * NOISE, VOICE - 0.1 * NOISE, "mean", VOICE),
    "nothing on the right": (VOICE, 0 * VOICE, "left", VOICE),
    "hum on the left": (HUM, VOICE, "right", VOICE),
    "noise on the right": (VOICE, NOISE, "left", VOICE),
    "loud noise on the left": (4 * NOISE, VOICE, "right", VOICE),
    "a tone on the right": (VOICE, 0.2 * np.sin(2 * np.pi * 440 * TIME), "left", VOICE),
    "opposite phase": (VOICE, -VOICE, "left", VOICE),
    "opposite phase with common hum": (VOICE + HUM, HUM - VOICE, "difference", VOICE),
    "opposite phase with common noise": (VOICE + NOISE, NOISE - VOICE, "difference", VOICE),
    "nearly opposite phase with hum": (VOICE + HUM, 0.8 * HUM - 0.7 * VOICE, "difference", VOICE),
}


@pytest.mark.parametrize("case", CASES)
def test_the_voice_survives(case):
    left, right, used, expected = CASES[case]
    clip = decode(left, right)
    assert clip.channel == used
    assert likeness(clip, expected) > 0.98
    assert bool(clip.remarks) == (used != "mean")
    assert not clip.remarks or used in clip.remarks[0]


def test_two_people_on_two_channels_are_told_and_either_can_be_chosen():
    n = min(len(VOICE), len(OTHER))
    clip = decode(VOICE[:n], OTHER[:n])
    used, other = (clip.channel, "left" if clip.channel == "right" else "right")
    assert clip.remarks == (
        f"Its channels hold different voices. The {used} channel was used; choose {other} to analyse the other one.",
    )
    assert clip.choices == ("left", "right", "mean", "difference")
    for channel, sound in {"left": VOICE[:n], "right": OTHER[:n], "1": VOICE[:n], "2": OTHER[:n]}.items():
        chosen = decode(VOICE[:n], OTHER[:n], channel=channel)
        assert likeness(chosen, sound) > 0.999
        assert chosen.channel == {"1": "left", "2": "right"}.get(channel, channel)
    assert likeness(decode(VOICE[:n], OTHER[:n], channel="mean"), VOICE[:n] + OTHER[:n]) > 0.999
    assert likeness(decode(VOICE[:n], OTHER[:n], channel="difference"), VOICE[:n] - OTHER[:n]) > 0.999


def test_people_who_take_turns_are_told_too():
    half = len(VOICE) // 2
    clip = decode(
        np.concatenate([VOICE[:half], 0.001 * NOISE[half:]]), np.concatenate([0.001 * NOISE[:half], OTHER[half:]])
    )
    assert "different voices" in clip.remarks[0]


def test_a_channel_that_is_not_there_is_refused():
    with pytest.raises(
        AudioError, match=r"a\.wav has 2 channels, and no channel '3'\. Choose left, right, mean, difference"
    ):
        decode(VOICE, VOICE, channel="3", name="a.wav")
    with pytest.raises(AudioError, match="has one channel, and no channel 'right'"):
        decode(VOICE, channel="right")
    np.testing.assert_array_equal(decode(VOICE, channel="left").waveform.samples, decode(VOICE).waveform.samples)


def test_nothing_is_measured_where_channels_agree(monkeypatch):
    monkeypatch.setattr(channels, "Listener", None)
    for sounds in ([VOICE], [VOICE, VOICE], [VOICE, 0.4 * VOICE], [VOICE] * 5, [VOICE, 0 * VOICE]):
        assert decode(*sounds).choices == ()


def test_sound_without_speech_is_averaged():
    clip = decode(tone(2.0), tone(2.0, frequency_hz=1000.0))
    assert clip.channel == "mean"
    np.testing.assert_allclose(clip.waveform.samples, (tone(2.0) + tone(2.0, frequency_hz=1000.0)) / 2, atol=1e-6)


def surround(kind: str, codec: str, layout: str, *sounds: np.ndarray) -> bytes:
    """A file of several channels in FFmpeg's order."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=RATE, layout=layout)
        pcm = np.stack([np.clip(each * 32767, -32768, 32767) for each in sounds], axis=1).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", layout)
        frame.sample_rate = RATE
        context = stream.codec_context
        convert = av.AudioResampler(context.codec.audio_formats[0].name, layout, RATE, context.frame_size or None)
        for part in (*convert.resample(frame), *convert.resample(None)):
            part.pts = None
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


RUMBLE = 0.3 * np.sin(2 * np.pi * 40 * TIME) * (1 + 0.5 * np.sin(2 * np.pi * 3 * TIME))


@pytest.mark.parametrize(
    ("kind", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), ("mp4", "alac"), ("wv", "wavpack")]
)
@pytest.mark.parametrize(("layout", "bass"), [("5.1", 3), ("7.1", 3), ("2.1", 2), ("3.1", 3)])
def test_the_bass_channel_is_never_mixed_in(kind, codec, layout, bass):
    n = len(av.AudioLayout(layout).channels)
    sounds = [RUMBLE if each == bass else VOICE for each in range(n)]
    try:
        clip = decoding.decode(surround(kind, codec, layout, *sounds))
    except (ValueError, av.FFmpegError):
        pytest.skip(f"{codec} takes no {layout}")
    assert likeness(clip, VOICE) > 0.99


def test_the_voice_in_the_centre_is_used_and_the_rumble_is_not():
    for silence in (0 * VOICE, 0.3 * NOISE):
        clip = decoding.decode(surround("flac", "flac", "5.1", silence, silence, VOICE, RUMBLE, silence, silence))
        assert likeness(clip, VOICE) > 0.99
        assert clip.channel == "3"
        assert clip.remarks[0].startswith("Channel 3 was used")


def test_long_recordings_choose_the_channel_though_its_voice_pauses():
    noise = np.random.default_rng(1).normal(0, 0.05, 30 * RATE)
    sparse = np.zeros_like(noise)
    sparse[20 * RATE : 20 * RATE + len(VOICE)] = VOICE
    stream = decoding.stream(as_file(np.stack([noise, sparse], axis=1), subtype="FLOAT"))
    assert stream.channel == "right"
    assert np.corrcoef(np.concatenate(list(stream.blocks())), sparse)[0, 1] > 0.99
