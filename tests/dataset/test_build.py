"""Features of many clips: what is counted, what is left out, and a cache that is never stale and never in the way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, encode_wav
from ser_core.corpora import catalogue
from ser_core.dataset import build
from ser_core.dataset import cache as dataset_cache
from ser_core.dataset.cache import FACTS, clear, usage
from ser_core.errors import Stopped
from ser_core.features import encoder, extraction, speech_rate, vectors
from ser_core.features.config import FeatureConfig
from ser_core.recognition import analysis
from ser_core.system import pool

RATE = 16_000
CONFIG = FeatureConfig()


def write_voice(path: Path, *, f0_hz: float, seconds: float = 0.8) -> None:
    phase = 2 * np.pi * f0_hz * np.arange(int(seconds * RATE)) / RATE
    voice = 0.1 * sum(np.sin(k * phase) / k for k in range(1, 8)) * np.hanning(len(phase))
    path.write_bytes(encode_wav(Waveform(voice.astype(np.float32), RATE)))


def table(*paths: Path) -> pd.DataFrame:
    return pd.DataFrame({catalogue.PATH: [str(path) for path in paths]})


@pytest.fixture
def clips(tmp_path: Path) -> pd.DataFrame:
    """Three short voices, one long enough for two windows."""
    paths = [tmp_path / f"{name}.wav" for name in ("a", "b", "long")]
    for path, f0_hz, seconds in zip(paths, (120, 180, 220), (0.6, 0.8, 4.0), strict=True):
        write_voice(path, f0_hz=f0_hz, seconds=seconds)
    return table(*paths)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the clips that are decoded from here on."""
    names: list[str] = []
    original = decoding.decode

    def spy(*arguments, **options):
        names.append(options["name"])
        return original(*arguments, **options)

    monkeypatch.setattr(decoding, "decode", spy)
    return names


def assert_same(first: build.Dataset, second: build.Dataset) -> None:
    for name in ("vectors", "embeddings", "windows", "window_row", "clip", "copy"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
        assert getattr(first, name).dtype == getattr(second, name).dtype
    assert first.problems == second.problems
    pd.testing.assert_frame_equal(first.facts, second.facts)


def test_every_clip_and_every_copy_has_a_row(clips):
    built = build.build(clips, n_copies=2)
    assert built.clip.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert built.copy.tolist() == [0, 1, 2] * 3
    assert built.vectors.shape == (9, len(vectors.summary_columns(CONFIG))) and built.vectors.dtype == np.float32
    assert built.windows.dtype == np.float16 and built.windows.shape[1:] == (
        CONFIG.window_frames,
        len(vectors.frame_columns(CONFIG)),
    )
    assert len(built.window_row) == len(built.windows) > 9
    assert np.bincount(built.window_row).tolist()[:6] == [1] * 6
    assert (np.diff(built.window_row) >= 0).all() and set(built.window_row) == set(range(9))
    assert built.problems == ()


def test_an_original_holds_what_extract_says(clips):
    built = build.build(clips, n_copies=1)
    for position, path in enumerate(clips[catalogue.PATH]):
        measured = extraction.extract(decoding.decode(path).waveform)
        (row,) = np.flatnonzero((built.clip == position) & (built.copy == 0))
        np.testing.assert_array_equal(built.vectors[row], vectors.summary(measured))
        np.testing.assert_array_equal(
            built.windows[built.window_row == row], vectors.windows(measured).astype(np.float16)
        )


def test_copies_differ_from_their_original_and_from_each_other(clips):
    built = build.build(clips, n_copies=2)
    for position in range(3):
        rows = built.vectors[built.clip == position]
        assert all(np.abs(rows[i] - rows[j]).max() > 0.01 for i, j in ((0, 1), (0, 2), (1, 2)))


def test_copies_of_some_clips_only_are_those_that_they_would_be_among_all(clips):
    some = np.array([False, True, False])
    built, every = build.build(clips, n_copies=2, augmented=some), build.build(clips, n_copies=2)
    assert (built.clip.tolist(), built.copy.tolist()) == ([0, 1, 1, 1, 2], [0, 0, 1, 2, 0])
    np.testing.assert_array_equal(built.vectors, every.vectors[[0, 3, 4, 5, 6]])
    assert built.rows(np.ones(3, bool), augmented=True).tolist() == [0, 1, 2, 3, 4]


def test_another_version_measures_the_same_copies(clips, monkeypatch, tmp_path):
    built = build.build(clips, n_copies=1, cache=tmp_path / "cache")
    monkeypatch.setattr(dataset_cache, "FEATURES_VERSION", 999)
    again = build.build(clips, n_copies=1, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.vectors, built.vectors)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2 * len(built.vectors), (
        "what was measured before is not found again"
    )


def test_copies_are_rows_only_where_asked_for(clips):
    built = build.build(clips, n_copies=2)
    wanted = np.array([True, False, True])
    assert built.rows(wanted, augmented=False).tolist() == [0, 6]
    assert built.rows(wanted, augmented=True).tolist() == [0, 1, 2, 6, 7, 8]
    assert built.rows(np.zeros(3, bool), augmented=True).tolist() == []


@pytest.mark.parametrize("n_copies", [0, 2])
def test_an_unreadable_clip_is_reported_once_and_the_others_stay(clips, tmp_path, n_copies):
    text, gone = tmp_path / "text.wav", tmp_path / "gone.wav"
    text.write_text("not a recording")
    first, *others = map(Path, clips[catalogue.PATH])
    built = build.build(table(first, text, gone, tmp_path, *others), n_copies=n_copies, cache=tmp_path / "cache")
    assert [path for path, _ in built.problems] == [str(text), str(gone), str(tmp_path)]
    reasons = dict(built.problems)
    assert "text.wav is text" in reasons[str(text)] and "No such file" in reasons[str(gone)]
    assert sorted(set(built.clip)) == [0, 4, 5]
    expected = build.build(clips, n_copies=n_copies)
    np.testing.assert_array_equal(built.vectors, expected.vectors)
    assert built.rows(np.ones(6, bool), augmented=False).tolist() == [0, n_copies + 1, 2 * (n_copies + 1)]


def test_no_readable_clip_gives_empty_arrays(tmp_path):
    built = build.build(table(tmp_path / "gone.wav"))
    assert built.vectors.shape == (0, len(vectors.summary_columns(CONFIG)))
    assert built.windows.shape == (0, CONFIG.window_frames, len(vectors.frame_columns(CONFIG)))
    assert len(built.problems) == 1


def test_a_second_build_reads_the_cache(clips, tmp_path, decoded):
    first = build.build(clips, n_copies=1, cache=tmp_path / "cache")
    assert len(decoded) == 6
    decoded.clear()
    assert_same(first, build.build(clips, n_copies=1, cache=tmp_path / "cache"))
    assert decoded == []
    assert_same(first, build.build(clips, n_copies=1))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_clip_that_moved_is_still_in_the_cache(clips, tmp_path, decoded):
    build.build(clips, n_copies=1, cache=tmp_path / "cache")
    moved = [Path(path).rename(tmp_path / f"moved{i}.wav") for i, path in enumerate(clips[catalogue.PATH])]
    decoded.clear()
    build.build(table(*moved), n_copies=1, cache=tmp_path / "cache")
    assert decoded == []


@pytest.mark.parametrize(
    "change",
    [
        {"config": FeatureConfig(n_mels=80)},
        {"config": FeatureConfig(fmin=60.0)},
        {"config": FeatureConfig(window_frames=100)},
        {"strength": 0.5},
        {"seed": 1},
        {"effects": {"gain": 1.0}},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_changed_setting_finds_no_entry(clips, tmp_path, decoded, change):
    build.build(clips, n_copies=1, cache=tmp_path / "cache")
    decoded.clear()
    again = build.build(clips, n_copies=1, cache=tmp_path / "cache", **change)
    assert_same(again, build.build(clips, n_copies=1, **change))
    assert {"a.wav", "b.wav", "long.wav"} <= set(decoded)


def test_strength_and_seed_do_not_touch_the_originals(clips, tmp_path, decoded):
    build.build(clips, cache=tmp_path / "cache")
    decoded.clear()
    build.build(clips, cache=tmp_path / "cache", strength=0.5, seed=7)
    assert decoded == []


def test_another_version_finds_no_entry(clips, tmp_path, decoded, monkeypatch):
    build.build(clips, cache=tmp_path / "cache")
    decoded.clear()
    monkeypatch.setattr(dataset_cache, "FEATURES_VERSION", 999)
    build.build(clips, cache=tmp_path / "cache")
    assert len(decoded) == 3


def test_a_changed_file_finds_no_entry(clips, tmp_path, decoded):
    before = build.build(clips, cache=tmp_path / "cache")
    path = Path(clips[catalogue.PATH][1])
    times = (path.stat().st_atime, path.stat().st_mtime)
    write_voice(path, f0_hz=300, seconds=0.8)  # as long as before
    os.utime(path, times)
    decoded.clear()
    after = build.build(clips, cache=tmp_path / "cache")
    assert decoded == ["b.wav"]
    assert np.abs(after.vectors[1] - before.vectors[1]).max() > 0.1
    np.testing.assert_array_equal(after.vectors[[0, 2]], before.vectors[[0, 2]])


DAMAGES = {
    "cut": lambda data: data[:200],
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "noise": lambda data: bytes(range(256)) * 8,
    "flipped": lambda data: data[:400] + bytes(byte ^ 0xFF for byte in data[400:500]) + data[500:],
    "a header without an end": lambda data: data.replace(b"{'descr'", b"{('escr'"),
    "one array": lambda data: b"\x93NUMPY" + data,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_entry_is_computed_again_and_mended(clips, tmp_path, decoded, damage):
    first = build.build(clips, cache=tmp_path / "cache")
    for entry in (tmp_path / "cache").rglob("*.npz"):
        entry.write_bytes(damage(entry.read_bytes()))
    decoded.clear()
    assert_same(first, build.build(clips, cache=tmp_path / "cache"))
    assert len(decoded) == 3
    decoded.clear()
    assert_same(first, build.build(clips, cache=tmp_path / "cache"))
    assert decoded == []


def test_an_entry_without_an_array_is_computed_again(clips, tmp_path):
    first = build.build(clips, cache=tmp_path / "cache")
    for entry in (tmp_path / "cache").rglob("*.npz"):
        np.savez(entry, vector=np.zeros(3))
    assert_same(first, build.build(clips, cache=tmp_path / "cache"))


@pytest.mark.parametrize("where", ["savez", "replace", "mkstemp", "mkdir"])
def test_a_full_disk_does_not_stop_a_build(clips, tmp_path, monkeypatch, where):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = build.build(clips, n_copies=1)
    place = {"savez": np, "replace": os, "mkstemp": tempfile, "mkdir": Path}[where]
    with monkeypatch.context() as patch:
        patch.setattr(place, where, full)
        assert_same(expected, build.build(clips, n_copies=1, cache=tmp_path / "cache"))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_two_processes_give_what_one_gives(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "WORTH_WORKERS", 0)
    alone = build.build(clips, n_copies=1)
    both = build.build(clips, n_copies=1, n_jobs=2, cache=tmp_path / "cache")
    for name in ("window_row", "clip", "copy"):
        np.testing.assert_array_equal(getattr(both, name), getattr(alone, name))
    # Where an array lies in memory decides how float32 sums are grouped, and that differs between processes.
    np.testing.assert_allclose(both.vectors, alone.vectors, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(both.windows, alone.windows, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(both.facts, alone.facts, rtol=1e-3, atol=1e-3)
    assert_same(both, build.build(clips, n_copies=1, cache=tmp_path / "cache"))


def test_facts_are_those_of_the_quality_report(clips, tmp_path):
    hushed = Path(clips[catalogue.PATH][0])
    hushed.write_bytes(encode_wav(Waveform(np.zeros(RATE, np.float32), RATE)))
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        built = build.build(clips, cache=cache)
        assert tuple(built.facts) == FACTS
        for row, path in enumerate(clips[catalogue.PATH]):
            heard = analysis.analyse(Path(path))
            known = heard.quality.to_dict() | {
                "source_rate": RATE,
                "source_channels": 1,
                "truncated": False,
                "syllables_per_s": speech_rate.rate(heard.features),
            }
            told = built.facts.iloc[row].to_dict()
            expected = {name: np.nan if known[name] is None else float(known[name]) for name in FACTS}
            assert told == pytest.approx(expected, nan_ok=True)
    assert np.isnan(built.facts["snr_db"][0]) and built.facts["level_dbfs"][0] == -120


def test_without_windows_all_else_is_the_same_and_training_finds_its_entries(clips, tmp_path, decoded):
    light = build.build(clips, kinds=["vector"], cache=tmp_path / "cache")
    assert (
        light.windows.shape == (0, CONFIG.window_frames, len(vectors.frame_columns(CONFIG)))
        and len(light.window_row) == 0
    )
    decoded.clear()
    whole = build.build(clips, cache=tmp_path / "cache")
    again = build.build(clips, kinds=["vector"], cache=tmp_path / "cache")
    assert decoded == [] and len(whole.windows) > 3
    np.testing.assert_array_equal(light.vectors, whole.vectors)
    assert_same(light, again)


def test_an_embedding_is_what_a_page_asks_for_of_the_same_clip(clips):
    built = build.build(clips, kinds=[vectors.EMBEDDING], n_copies=1)
    assert built.embeddings.shape == (6, len(encoder.columns())) and built.embeddings.dtype == np.float32
    assert len(built.vectors) == 6 and len(built.windows) == 0
    for position, path in enumerate(clips[catalogue.PATH]):
        asked = analysis.inputs(analysis.analyse(Path(path)))(CONFIG, vectors.EMBEDDING)
        (row,) = np.flatnonzero((built.clip == position) & (built.copy == 0))
        np.testing.assert_allclose(built.embeddings[row], asked[0], atol=1e-4)
    copies = built.embeddings[built.copy == 1] - built.embeddings[built.copy == 0]
    assert (np.abs(copies).max(axis=1) > 0.01).all()  # what is done to a copy is heard


def test_an_embedding_is_kept_apart_and_read_back(clips, tmp_path, monkeypatch, decoded):
    whole = build.build(clips, cache=tmp_path / "cache")
    asked: list[Waveform] = []
    original = encoder.embedding

    def spy(waveform, config):
        asked.append(waveform)
        return original(waveform, config)

    monkeypatch.setattr(encoder, "embedding", spy)
    measured: list[Waveform] = []
    monkeypatch.setattr(extraction, "extract", lambda *given: measured.append(given[0]))
    first = build.build(clips, kinds=[vectors.EMBEDDING], cache=tmp_path / "cache")
    assert len(asked) == 3 and not measured  # the rest was there
    decoded.clear()
    assert_same(build.build(clips, kinds=[vectors.EMBEDDING], cache=tmp_path / "cache"), first)
    assert len(asked) == 3 and not decoded
    np.testing.assert_array_equal(first.vectors, whole.vectors)
    monkeypatch.setattr(encoder, "VERSION", encoder.VERSION + 1)
    build.build(clips, kinds=[vectors.EMBEDDING], cache=tmp_path / "cache")
    assert len(asked) == 6 and not measured


@pytest.mark.filterwarnings("ignore:.*still being processed by the workers:UserWarning")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_build_stops_when_asked_and_goes_on_where_it_was(clips, tmp_path, monkeypatch, decoded, n_jobs):
    monkeypatch.setattr(build, "WORTH_WORKERS", 0)
    asked = iter([False] * 5)
    with pytest.raises(Stopped, match="need not be measured again"):
        build.build(clips, cache=tmp_path / "cache", n_jobs=n_jobs, should_stop=lambda: next(asked, True))
    n_kept = len(list((tmp_path / "cache").glob("*/*.npz")))  # a worker that was stopped leaves the part that it wrote
    decoded.clear()
    build.build(clips, cache=tmp_path / "cache")
    assert n_kept >= 1 and len(decoded) == 3 - n_kept


def test_workers_are_started_only_for_what_is_not_in_the_cache(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "WORTH_WORKERS", 0)
    asked: list[int] = []
    original = pool.in_processes

    def spy(measure, tasks, n_jobs, *, niced):
        asked.append(len(tasks))
        return original(measure, tasks, 1, niced=niced)

    monkeypatch.setattr(pool, "in_processes", spy)
    build.build(clips.head(2), cache=tmp_path / "cache", n_jobs=-1)
    build.build(clips, cache=tmp_path / "cache", n_jobs=-1)
    build.build(clips, cache=tmp_path / "cache", n_jobs=-1)
    assert asked == [2, 1, 0]


WRITER = """
    import os, sys, time
    import numpy as np
    from ser_core.corpora import catalogue
    from ser_core.dataset import build
    import pandas as pd

    original, written = np.savez, []

    def slow(file, **arrays):
        written.append(file)
        if len(written) < 2:
            return original(file, **arrays)
        file.write(b"PK half an entry")
        file.flush()
        print("writing", flush=True)
        time.sleep(60)

    np.savez = slow
    build.build(pd.DataFrame({catalogue.PATH: sys.argv[2:]}), cache=build.Path(sys.argv[1]))
"""


def test_a_process_killed_in_the_middle_of_a_write_leaves_nothing_that_hurts(clips, tmp_path, decoded):
    cache = tmp_path / "cache"
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(cache), *clips[catalogue.PATH]], stdout=subprocess.PIPE
    )
    assert writer.stdout.readline() == b"writing\n"
    writer.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    assert writer.wait(timeout=30) != 0
    writer.stdout.close()
    assert len(list(cache.rglob("*.part"))) == 1 and len(list(cache.rglob("*.npz"))) == 1
    expected = build.build(clips)
    decoded.clear()
    np.testing.assert_allclose(build.build(clips, cache=cache).vectors, expected.vectors, rtol=1e-4, atol=1e-4)
    assert decoded == ["b.wav", "long.wav"]
    decoded.clear()
    build.build(clips, cache=cache)
    assert decoded == []
    assert clear(cache)[0] == 4 and not list(cache.iterdir())


def test_two_processes_that_fill_one_cache_at_once_agree(clips, tmp_path):
    code = (
        "import sys, pandas as pd; from ser_core.corpora import catalogue; from ser_core.dataset import build; "
        "built = build.build(pd.DataFrame({catalogue.PATH: sys.argv[2:]}), n_copies=2, cache=build.Path(sys.argv[1])); "
        "print(len(built.vectors))"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "cache"), *clips[catalogue.PATH]]
    both = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[0].strip() for process in both] == ["9", "9"]
    assert usage(tmp_path / "cache")[0] == 9
    expected = build.build(clips, n_copies=2)
    np.testing.assert_allclose(
        build.build(clips, n_copies=2, cache=tmp_path / "cache").vectors, expected.vectors, rtol=1e-4, atol=1e-4
    )


def test_clear_removes_what_the_cache_wrote_and_nothing_else(clips, tmp_path):
    cache = tmp_path / "cache"
    assert usage(cache) == clear(cache) == (0, 0)
    build.build(clips, cache=cache)
    others = [
        cache / "notes.txt",
        cache / "ab" / "thesis.npz",
        cache / "downloads" / "film.part",
        cache / "ab" / "film.part",
    ]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(b"mine")
    (cache / "ab" / "ser-x1_y.part").write_bytes(b"12345")
    n, size = usage(cache)
    assert n == 4 and size == 5 + sum(path.stat().st_size for path in cache.rglob("*.npz") if path.name != "thesis.npz")
    assert clear(cache) == (n, size)
    assert sorted(path for path in cache.rglob("*") if path.is_file()) == sorted(others)
    assert usage(cache) == (0, 0)


def test_progress_ends_with_all_done(clips):
    seen: list[tuple[int, int]] = []
    build.build(clips, n_copies=1, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(6, 6)]
