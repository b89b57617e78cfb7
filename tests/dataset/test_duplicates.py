"""Recordings found again by their sound: in other formats, under other names, and no two that only are alike."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_core.audio import codecs
from ser_core.audio.waveform import Waveform, resample
from ser_core.corpora import catalogue
from ser_core.dataset import duplicates
from ser_core.errors import Stopped
from tests.support.utterances import RATE, utterance


def encoded(samples: np.ndarray, *, rate: int = RATE, container: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def trimmed(samples: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1]]


COPIES = {
    "wav": lambda x: encoded(x),
    "24 bit": lambda x: encoded(x, subtype="PCM_24"),
    "flac": lambda x: encoded(x, container="FLAC"),
    "vorbis": lambda x: encoded(x, container="OGG", subtype="VORBIS"),
    # private: a codec at a bit rate of our own
    "mp3": lambda x: codecs._encode(Waveform(x, RATE), codecs.CODECS["mp3"], 48),
    "opus": lambda x: codecs._encode(Waveform(x, RATE), codecs.CODECS["opus"], 32),
    "another rate": lambda x: encoded(resample(Waveform(x, RATE), 22_050).samples, rate=22_050),
    "quieter": lambda x: encoded(x / 5),
    "without the silence around": lambda x: encoded(trimmed(x)),
    "with silence around": lambda x: encoded(np.pad(x, (4000, 1500))),
    "a little noise": lambda x: encoded(x + 0.001 * np.random.default_rng(0).standard_normal(len(x))),
}


def table(folder, files: dict[str, bytes], *, corpus: str = "own") -> pd.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return pd.DataFrame(
        {
            catalogue.CORPUS: corpus,
            catalogue.PATH: [str(folder / name) for name in files],
            catalogue.NAME: list(files),
            catalogue.EMOTION: "happy",
            catalogue.SPEAKER: f"{corpus}:a",
        }
    )


def sample_clips(folder) -> pd.DataFrame:
    return table(folder, {f"{seed}.wav": encoded(utterance(seed)) for seed in range(12)})


def test_progress_counts_the_clips_and_then_the_pairs_that_may_be_one_recording(tmp_path):
    ours = sample_clips(tmp_path / "ours")
    theirs = table(tmp_path / "theirs", {f"x{seed}.ogg": COPIES["vorbis"](utterance(seed)) for seed in range(6)})
    said: list[tuple[int, int]] = []
    duplicates.sounds(pd.concat([ours, theirs], ignore_index=True), on_progress=lambda *each: said.append(each))
    assert said[0] == (18, 18) and said[-1] == (24, 24), "18 clips, and 6 pairs of them"
    assert duplicates.progress_text(1500, 2000) == "Comparing the clips by sound: 1,500 of 2,000"


def test_a_stop_ends_the_comparison_of_pairs_too_and_what_is_known_is_remembered(tmp_path):
    ours = sample_clips(tmp_path / "ours")
    theirs = table(tmp_path / "theirs", {f"x{seed}.ogg": COPIES["vorbis"](utterance(seed)) for seed in range(6)})
    both = pd.concat([ours, theirs], ignore_index=True)
    said: list[tuple[int, int]] = []
    with pytest.raises(Stopped, match="is remembered"):
        duplicates.sounds(
            both,
            cache=tmp_path / "cache",
            on_progress=lambda *each: said.append(each),
            should_stop=lambda: bool(said),  # all clips are decoded, no pair is compared yet
        )
    assert said == [(18, 18)]
    duplicates.sounds(both, cache=tmp_path / "cache", on_progress=lambda *each: said.append(each))
    assert said[1:] == [(6, 6)], "no clip is decoded for its print again"


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_whatever_its_format(tmp_path, kind):
    ours = sample_clips(tmp_path / "ours")
    theirs = table(
        tmp_path / "theirs", {f"x{seed}.bin": COPIES[kind](utterance(seed)) for seed in range(6)}, corpus="theirs"
    )
    both = pd.concat([ours, theirs], ignore_index=True)
    found = duplicates.sounds(both)
    keys = found.keys(both)
    assert keys[12:].tolist() == keys[:6].tolist(), "each copy is its recording"
    assert len(set(keys)) == 12, "and no other one is"
    assert duplicates.told(both, keys) == (
        "6 recordings occur more than once, as 12 clips, 6 of them in more than one corpus."
    )
    known = duplicates.read_prints(found.texts(ours))
    assert duplicates.match(theirs, found, known).tolist() == list(range(6)), "by the prints of a card as well"


def test_different_recordings_of_one_voice_are_different(tmp_path):
    clips = table(tmp_path, {f"{seed}.wav": encoded(utterance(seed)) for seed in range(40)})
    found = duplicates.sounds(clips)
    assert found.same == {} and duplicates.told(clips, found.keys(clips)) == ""
    for row in range(len(clips)):
        known = duplicates.read_prints(found.texts(clips.drop(index=row)))
        assert duplicates.match(clips.iloc[[row]], found, known).tolist() == [-1]


def test_silence_and_what_cannot_be_read_are_nobodys_copy(tmp_path):
    files = {"a.wav": encoded(np.zeros(RATE, np.float32)), "b.wav": b"no sound", "c.wav": b"no sound"}
    clips = table(tmp_path, {**files, "d.wav": files["a.wav"]})
    clips.loc[len(clips)] = {**clips.iloc[0].to_dict(), catalogue.PATH: str(tmp_path / "missing.wav")}
    found = duplicates.sounds(clips)
    assert found.same == {} and found.texts(clips) == [""] * 5


def test_a_short_sound_is_found_by_its_samples(tmp_path):
    short = utterance(1)[:2000] + 0.1 * np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    clips = table(tmp_path, {"a.wav": encoded(short), "b.flac": encoded(short, container="FLAC")})
    assert len(set(duplicates.sounds(clips).keys(clips))) == 1


def test_what_was_heard_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    files = {f"{seed}.wav": encoded(utterance(seed)) for seed in range(3)}
    files["copy.mp3"] = COPIES["mp3"](utterance(0))
    clips, cache = table(tmp_path / "clips", files), tmp_path / "cache"
    assert duplicates.remembered(clips, cache=cache) is None and duplicates.last_written(cache) == 0
    first = duplicates.sounds(clips, cache=cache)
    assert duplicates.last_written(cache) > 0
    with monkeypatch.context() as patch:
        patch.setattr(duplicates.decoding, "decode", lambda *_, **__: pytest.fail("decoded again"))
        again = duplicates.sounds(clips, cache=cache)
        assert again.same == first.same == duplicates.remembered(clips, cache=cache).same
        assert again.texts(clips) == first.texts(clips)
    (tmp_path / "clips" / "copy.mp3").write_bytes(encoded(utterance(5)))
    assert duplicates.remembered(clips, cache=cache) is None and duplicates.sounds(clips, cache=cache).same == {}


def test_a_damaged_memory_is_filled_again(tmp_path):
    clips = table(tmp_path / "clips", {"a.wav": encoded(utterance(1)), "b.wav": encoded(utterance(1))})
    cache = tmp_path / "cache"
    duplicates.sounds(clips, cache=cache)
    next(cache.rglob("*.npz")).write_bytes(b"damaged")
    assert len(duplicates.sounds(clips, cache=cache).same) == 2


def test_the_memory_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "REMEMBERED", 2)
    clips = table(tmp_path / "clips", {f"{seed}.wav": encoded(utterance(seed)) for seed in range(4)})
    duplicates.sounds(clips, cache=tmp_path / "cache")
    assert duplicates.remembered(clips, cache=tmp_path / "cache") is None
    assert duplicates.remembered(clips[2:], cache=tmp_path / "cache") is not None


def test_units_that_share_a_sound_are_joined():
    units = pd.Series(["a", "a", "b", "c", "d"])
    assert duplicates.joined(units, np.array(["1", "2", "2", "3", "4"])).tolist() == ["a", "a", "a", "c", "d"]
    assert duplicates.joined(units, np.array(list("12345"))).tolist() == units.tolist()
    assert duplicates.joined(units, None) is units


def test_what_is_no_print_is_left_out():
    assert len(duplicates.read_prints(["", "???", "AAAA", "ä"])) == 0
