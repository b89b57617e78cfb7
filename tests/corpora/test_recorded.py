"""User-recorded corpora: what goes in, what is refused, and that neither a second visitor nor a kill loses a clip."""

from __future__ import annotations

import errno
import io
import json
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_core.audio import waveform
from ser_core.corpora import catalogue, doctor, install, library, recorded
from ser_core.errors import AudioError, CorpusError

ROOT = Path(__file__).resolve().parents[2]
VOICE, RATE = soundfile.read(ROOT / "pages" / "samples" / "bright.flac", dtype="float32")


def recording(gain: float = 1.0, rate: int = RATE) -> bytes:
    """A synthetic voice as WAV, of a loudness that makes it a recording of its own."""
    return waveform.encode_wav(waveform.resample(waveform.Waveform(gain * VOICE, RATE), rate))


@pytest.fixture
def name(tmp_path: Path) -> str:
    return recorded.create(tmp_path, "Class 9b")


def add(root: Path, name: str, gain: float = 1.0, **changes: str) -> recorded.Added:
    return recorded.add(root, name, recording(gain), **{"label": "happy", "speaker": "Ann", **changes})


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- making one


def test_a_corpus_is_listed_under_its_title_before_it_has_a_clip(tmp_path: Path, name: str) -> None:
    assert name == "class-9b" and recorded.listing(tmp_path) == {"class-9b": "Class 9b"}
    assert recorded.clips(tmp_path, name) == () and library.installed(tmp_path) == {}
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "clips.csv").write_text("path,label,speaker\n", encoding="utf-8")
    assert list(recorded.listing(tmp_path)) == ["class-9b"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Übung 3, später", "ubung-3-spater"),
        ("RAVDESS", "ravdess-2"),
        ("../../etc", "etc"),
        ("声", "corpus"),
        ("x" * 200, "x" * 39),
    ],
)
def test_a_title_gives_a_name_that_is_safe_and_free(tmp_path: Path, title: str, expected: str) -> None:
    assert recorded.create(tmp_path, title) == expected
    assert recorded.listing(tmp_path)[expected] == (
        title if len(title) <= library.MAX_TITLE else f"{'x' * 39}…{'x' * 20}"
    )


def test_titles_are_not_given_twice_nor_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded.create(tmp_path, "A")
    with pytest.raises(CorpusError, match="called 'a' already"):
        recorded.create(tmp_path, " a ")
    with pytest.raises(CorpusError, match="no name yet"):
        recorded.create(tmp_path, " \n")
    monkeypatch.setattr(recorded, "MAX_CORPORA", 2)
    recorded.create(tmp_path, "B")
    with pytest.raises(CorpusError, match="2 is the most. Delete one first".replace(".", r"\.")):
        recorded.create(tmp_path, "C")


# --- adding


def test_a_recording_becomes_a_clip_that_everything_else_reads(tmp_path: Path, name: str) -> None:
    added = add(tmp_path, name, speaker="Ann", sentence=recorded.SENTENCES[0])
    assert added.clip.path.read_bytes()[:4] == b"RIFF" and recorded.clips(tmp_path, name) == (added.clip,)
    add(tmp_path, name, 0.5, label="boredom", speaker="Bob; =SUM(1,2)")
    assert {key: each.title for key, each in library.installed(tmp_path).items()} == {name: "Class 9b"}
    table = library.clips(tmp_path, [name])
    assert sorted(table[catalogue.EMOTION]) == ["boredom", "happy"]
    assert set(table[catalogue.SPEAKER]) == {f"{name}:Ann", f"{name}:Bob; =SUM(1,2)"}
    assert recorded.SENTENCES[0] in set(table[catalogue.SENTENCE])
    assert {each.kind for each in doctor.check(name, tmp_path / name).findings} <= {"near_identical", "shared_clips"}


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_a_recording_keeps_its_rate_and_its_sound(tmp_path: Path, name: str, rate: int) -> None:
    clip = recorded.add(tmp_path, name, recording(0.8, rate), label="sad", speaker="Ann").clip
    kept, kept_rate = soundfile.read(clip.path, dtype="float32")
    given, _ = soundfile.read(io.BytesIO(recording(0.8, rate)), dtype="float32")
    assert kept_rate == rate and kept.ndim == 1
    assert np.abs(kept - given).max() < 1e-3


def test_stereo_becomes_one_channel_and_a_high_rate_48_khz(tmp_path: Path, name: str) -> None:
    sound = waveform.resample(waveform.Waveform(VOICE, RATE), 96_000).samples
    buffer = io.BytesIO()
    soundfile.write(buffer, np.column_stack([sound, sound]), 96_000, format="FLAC")
    kept = soundfile.info(recorded.add(tmp_path, name, buffer.getvalue(), label="sad", speaker="Ann").clip.path)
    assert (kept.samplerate, kept.channels, kept.format, kept.subtype) == (48_000, 1, "WAV", "PCM_16")


def loud() -> bytes:
    return waveform.encode_wav(waveform.Waveform(np.clip(20 * VOICE, -1, 1).astype(np.float32), RATE))


def test_a_clipped_recording_is_taken_with_advice(tmp_path: Path, name: str) -> None:
    added = recorded.add(tmp_path, name, loud(), label="angry", speaker="Ann")
    assert any("cut off at full scale" in sentence for sentence in added.advice)
    assert add(tmp_path, name).advice == ()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"these are words", "."),
        (
            waveform.encode_wav(waveform.Waveform(np.zeros(RATE, np.float32), RATE)),
            "was not added. The recording is silent",
        ),
        (waveform.encode_wav(waveform.Waveform(np.tile(VOICE, 31), RATE)), "30"),
    ],
)
def test_what_holds_no_speech_is_refused_with_a_sentence(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(AudioError, match=words.replace(".", r"\.")):
        recorded.add(tmp_path, name, data, label="sad", speaker="Ann", source="holiday.wav")
    assert recorded.clips(tmp_path, name) == () and not list((tmp_path / name / "recordings").iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": "envy"}, "no label 'envy'"),
        ({"speaker": " \n "}, "The speaker has no name"),
        ({"speaker": "=+-@"}, "The speaker has no name"),
    ],
)
def test_a_clip_without_label_or_speaker_is_refused(
    tmp_path: Path, name: str, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(CorpusError, match=words):
        add(tmp_path, name, **changes)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ann\tB. ", "Ann B."),
        ("=cmd()", "cmd()"),
        ("007", "007"),
        ("NA", "NA"),
        ("a,b\"c'\n<b>", "a,b\"c' <b>"),
        ("é" * 90, f"{'é' * 26}…{'é' * 13}"),
        ("\u202eAnn\0", "�Ann�"),
        ("\u200b＝Ann", "Ann"),
        ("'=Ann", "'=Ann"),
        ("A;=1+1", "A;=1+1"),
        ("A;'-B", "A;'-B"),
    ],
)
def test_a_speaker_is_kept_as_one_safe_line(tmp_path: Path, name: str, typed: str, kept: str) -> None:
    assert add(tmp_path, name, speaker=typed).clip.speaker == kept
    assert recorded.clips(tmp_path, name)[0].speaker == kept
    assert library.clips(tmp_path, [name])[catalogue.SPEAKER].item() == f"{name}:{kept}"


def test_one_recording_is_not_added_twice(tmp_path: Path, name: str) -> None:
    add(tmp_path, name)
    with pytest.raises(CorpusError, match="already in the corpus, labelled happy and spoken by Ann"):
        add(tmp_path, name, label="sad")


def test_a_corpus_can_be_full(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, name)
    monkeypatch.setattr(recorded, "MAX_BYTES", 100_000)
    with pytest.raises(CorpusError, match=r"would take more than 97\.7 KB"):
        add(tmp_path, name, 0.5)
    monkeypatch.setattr(recorded, "MAX_CLIPS", 1)
    with pytest.raises(CorpusError, match="has 1 clips, and 1 is the most"):
        add(tmp_path, name, 0.5)


@pytest.mark.parametrize("stage", ["_write_table", "_write"])
def test_a_full_disk_changes_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    add(tmp_path, name)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(recorded, stage, full)
        with pytest.raises(CorpusError, match="The disk is full, so nothing was changed"):
            add(tmp_path, name, 0.5)
    assert len(recorded.clips(tmp_path, name)) == len(library.clips(tmp_path, [name])) == 1
    monkeypatch.setattr(recorded, "SPARE_BYTES", 2**62)
    with pytest.raises(CorpusError, match="nearly full, so the recording was not added"):
        add(tmp_path, name, 0.5)


def test_a_folder_that_may_not_be_written_to_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpora").write_text("a file", encoding="utf-8")
    with pytest.raises(CorpusError, match="must be one that the app may write to"):
        recorded.create(tmp_path / "corpora", "A")


# --- changing


def test_a_clip_is_relabelled_and_deleted(tmp_path: Path, name: str) -> None:
    first, second = (add(tmp_path, name, gain).clip for gain in (1.0, 0.5))
    recorded.relabel(tmp_path, name, first.id, "surprise")
    assert [clip.label for clip in recorded.clips(tmp_path, name)] == ["surprise", "happy"]
    recorded.delete(tmp_path, name, [second.id])
    assert [clip.id for clip in recorded.clips(tmp_path, name)] == [first.id]
    assert not second.path.exists() and first.path.exists()
    for change in (
        lambda: recorded.relabel(tmp_path, name, second.id, "sad"),
        lambda: recorded.delete(tmp_path, name, [second.id]),
    ):
        with pytest.raises(CorpusError, match="This clip was deleted"):
            change()


def test_the_last_clip_takes_the_table_with_it(tmp_path: Path, name: str) -> None:
    recorded.delete(tmp_path, name, [add(tmp_path, name).clip.id])
    assert library.installed(tmp_path) == {} and recorded.listing(tmp_path) == {name: "Class 9b"}
    add(tmp_path, name)
    assert len(library.clips(tmp_path, [name])) == 1


def test_all_of_it_is_deleted(tmp_path: Path, name: str) -> None:
    clip = add(tmp_path, name).clip
    library.leave_out(tmp_path, name, [f"recordings/{clip.id}.wav"], reason="silent")
    recorded.delete_all(tmp_path, name)
    assert (
        recorded.listing(tmp_path) == {} and not (tmp_path / name).exists() and library.left_out(tmp_path, name) == {}
    )
    with pytest.raises(CorpusError, match="There is no user-recorded corpus 'class-9b' any more"):
        add(tmp_path, name)


@pytest.mark.parametrize("name", ["../tables", "tables", "ravdess", ""])
def test_only_what_was_recorded_here_is_changed(tmp_path: Path, name: str) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "clips.csv").write_text("path,label,speaker\n", encoding="utf-8")
    for change in (
        lambda: add(tmp_path, name),
        lambda: recorded.delete_all(tmp_path, name),
        lambda: recorded.pack(tmp_path, name),
    ):
        with pytest.raises(CorpusError, match="There is no user-recorded corpus"):
            change()


@pytest.mark.parametrize(
    "row", ["../../x.wav,happy,Ann,,../../x", "recordings/x.wav,envy,Ann,,0123456789abcdef", "\x00"]
)
def test_a_table_that_somebody_changed_leads_nowhere(tmp_path: Path, name: str, row: str) -> None:
    (tmp_path / "x.wav").write_bytes(b"precious")
    (tmp_path / name / "clips.csv").write_text(f"path,label,speaker,sentence,name\n{row}\n", encoding="utf-8")
    for change in (recorded.clips, recorded.delete_all, lambda *given: recorded.delete(*given, ["../../x"])):
        with pytest.raises(CorpusError, match="is damaged or was edited"):
            change(tmp_path, name)
    assert (tmp_path / "x.wav").read_bytes() == b"precious"


def test_a_zip_holds_all_and_can_be_installed_elsewhere(tmp_path: Path, name: str) -> None:
    add(tmp_path, name, sentence='Well; yes, "no"')
    add(tmp_path, name, 0.5, label="sad", speaker="Bob")
    packed = recorded.pack(tmp_path, name)
    with zipfile.ZipFile(io.BytesIO(packed)) as content:
        assert content.testzip() is None and len(content.namelist()) == 5
        table = pd.read_csv(io.BytesIO(content.read(f"{name}/clips.csv")))
        assert sorted(table["label"]) == ["happy", "sad"] and list(table.columns) == list(recorded.COLUMNS)
    folder = install.install_own("Copy", packed, tmp_path / "elsewhere")
    assert recorded.listing(tmp_path / "elsewhere") == {"copy": "Copy"}
    kept = [(clip.id, clip.label, clip.speaker, clip.sentence) for clip in recorded.clips(tmp_path, name)]
    assert [
        (clip.id, clip.label, clip.speaker, clip.sentence) for clip in recorded.clips(folder.parent, "copy")
    ] == kept


# --- at the same time, and killed


ADD = """
import sys
from pathlib import Path
from ser_core.corpora import recorded
for file in sys.argv[3:]:
    recorded.add(sys.argv[1], sys.argv[2], Path(file).read_bytes(), label="sad", speaker="Bob")
"""


def test_two_who_add_at_once_lose_nothing(tmp_path: Path, name: str) -> None:
    gains = [0.3 + 0.05 * n for n in range(12)]
    for n, gain in enumerate(gains):
        (tmp_path / f"{n}.bin").write_bytes(recording(gain))
    other = subprocess.Popen(
        [sys.executable, "-c", ADD, str(tmp_path), name, *(str(tmp_path / f"{n}.bin") for n in range(6))],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    threads = [threading.Thread(target=add, args=(tmp_path, name, gain)) for gain in gains[6:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait(timeout=60) == 0, other.stderr.read().decode()
    kept = recorded.clips(tmp_path, name)
    assert len(kept) == 12 and sorted(clip.label for clip in kept) == ["happy"] * 6 + ["sad"] * 6
    assert len(library.clips(tmp_path, [name])) == 12


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("last_step", ["recorded._write_table", "os.replace"])
def test_a_kill_while_adding_loses_that_clip_only(tmp_path: Path, name: str, last_step: str) -> None:
    first = add(tmp_path, name).clip
    (tmp_path / "new.bin").write_bytes(recording(0.5))
    code = f"import os, signal\nfrom ser_core.corpora import recorded\n{last_step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n{ADD}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), name, str(tmp_path / "new.bin")], cwd=ROOT, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert len(files(tmp_path / name / "recordings")) == 2
    assert recorded.clips(tmp_path, name) == (first,) and len(library.clips(tmp_path, [name])) == 1
    second = add(tmp_path, name, 0.7).clip
    assert files(tmp_path / name / "recordings") == sorted(f"{clip.id}.wav" for clip in (first, second))
    assert not list((tmp_path / name).glob("*.part"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_deletion_is_ended_by_the_next_change(tmp_path: Path, name: str) -> None:
    ids = [add(tmp_path, name, gain).clip.id for gain in (1.0, 0.5)]
    code = (
        "import os, pathlib, signal, sys\nfrom ser_core.corpora import recorded\n"
        "pathlib.Path.unlink = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"recorded.delete(sys.argv[1], sys.argv[2], [{ids[0]!r}])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, str(tmp_path), name], cwd=ROOT, timeout=60).returncode
        == -signal.SIGKILL
    )
    assert [clip.id for clip in recorded.clips(tmp_path, name)] == ids[1:]
    recorded.relabel(tmp_path, name, ids[1], "sad")
    assert files(tmp_path / name / "recordings") == [f"{ids[1]}.wav"]


def test_a_table_of_a_few_rows_is_read_with_commas(tmp_path: Path, name: str) -> None:
    """pandas guesses what separates the columns: with names and sentences full of other signs it must not guess wrong."""
    add(tmp_path, name, speaker="a;b;c|d", sentence="One; two; three: four | five")
    row = json.loads(library.clips(tmp_path, [name]).to_json(orient="records"))[0]
    assert row[catalogue.SPEAKER] == f"{name}:a;b;c|d" and row[catalogue.SENTENCE] == "One; two; three: four | five"


def test_a_speaker_is_one_however_the_name_is_typed(tmp_path: Path, name: str) -> None:
    for number, speaker in enumerate(["Ann", "ann ", "ANN"]):
        add(tmp_path, name, 0.3 + 0.2 * number, speaker=speaker)
    assert {clip.speaker for clip in recorded.clips(tmp_path, name)} == {"Ann"}
    table = (tmp_path / name / "clips.csv").read_text(encoding="utf-8")
    (tmp_path / name / "clips.csv").write_text(table.replace("Ann", "Ann\u00a0", 1), encoding="utf-8")
    assert {clip.speaker for clip in recorded.clips(tmp_path, name)} == {"Ann"}


@pytest.mark.parametrize("speaker", ["-", "unknown", "n/a", "\u200b"])
def test_a_word_that_states_nobody_is_no_speaker(speaker: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="The speaker has no name"):
        add(tmp_path, name, speaker=speaker)
