"""The tab Your own, driven without a browser: make a corpus, add, hear, relabel, delete; and the choice of labels."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from pages.ui import label_mapping, state
from pages.ui.corpora.record import counters
from ser_core.audio import waveform
from ser_core.corpora import catalogue, library, recorded
from ser_core.dataset import labels
from ser_core.system import workers
from tests.pages.test_corpora import button, visit
from tests.support import pages
from tests.support.pages import text

ROOT = Path(__file__).resolve().parents[2]
VOICE, RATE = soundfile.read(ROOT / "pages" / "samples" / "bright.flac", dtype="float32")


def recording(gain: float = 1.0) -> bytes:
    return waveform.encode_wav(waveform.Waveform((gain * VOICE).astype(np.float32), RATE))


@pytest.fixture
def root(tmp_path: Path, new_server: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    return tmp_path


@pytest.fixture
def name(root: Path) -> str:
    return recorded.create(root, "Class [9b]")


def add(root: Path, name: str, gain: float = 1.0, **changes: str) -> recorded.Clip:
    return recorded.add(root, name, recording(gain), **{"label": "happy", "speaker": "Ann", **changes}).clip


def record(page: AppTest, data: bytes) -> AppTest:
    """Put a recording into the recorder and add it."""
    page.get("audio_input")[0].set_value(("recording.wav", data, "audio/wav")).run()
    return page.button("corpora.own.add").click().run()


def tick(page: AppTest, row: int) -> AppTest:
    table = next(each for each in page.dataframe if (each.key or "").startswith("corpora.own.clips"))
    page.session_state[table.key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return page.run()


def test_a_first_corpus_is_made_and_says_who_can_hear_it(root: Path) -> None:
    page = visit("Your own")
    said = text(page)
    assert "It stays on this machine" in said and "Everyone who uses this server" in said
    page.button("corpora.own.create").click().run()
    assert "no name yet" in page.error[0].value.replace("\\", "")
    page.text_input("corpora.own.title").set_value("Class [9b]")
    page.button("corpora.own.create").click().run()
    assert (
        recorded.listing(root) == {"class-9b": "Class [9b]"}
        and page.selectbox("corpora.own.corpus").value == "class-9b"
    )
    assert page.success and not page.error
    assert not page.run().success


def test_a_recording_is_added_with_its_label_speaker_and_sentence(root: Path, name: str) -> None:
    page = visit("Your own")
    page.text_input("corpora.own.speaker").set_value("Ann <b>").run()
    page.pills("corpora.own.label").set_value("surprise").run()
    record(page, recording())
    (clip,) = recorded.clips(root, name)
    assert (clip.label, clip.speaker, clip.sentence) == ("surprise", "Ann <b>", recorded.SENTENCES[0])
    assert "Added 1 clip as surprise" in page.success[0].value and page.button("corpora.own.add").disabled
    counted = " ".join(each.proto.body for each in page.get("html"))
    assert "<span>surprise</span>" in counted and "Ann &lt;b&gt; 1" in counted
    record(page, recording(0.5))
    assert [clip.sentence for clip in recorded.clips(root, name)] == list(recorded.SENTENCES[:2]), (
        "the next sentence comes up by itself"
    )
    assert "2 clips" in text(page)
    assert "2 clips, 1 speaker" in text(visit())


def test_an_anonymous_visitor_keeps_one_code(root: Path, name: str) -> None:
    page = visit("Your own")
    record(page, recording())
    assert "The speaker has no name" in page.error[0].value and recorded.clips(root, name) == ()
    page.toggle("corpora.own.anonymous").set_value(True).run()
    page.button("corpora.own.add").click().run()
    record(page, recording(0.5))
    (who,) = {clip.speaker for clip in recorded.clips(root, name)}
    assert who.startswith("anonymous-") and who in text(page)
    other = visit("Your own")
    other.toggle("corpora.own.anonymous").set_value(True).run()
    record(other, recording(0.7))
    assert len({clip.speaker for clip in recorded.clips(root, name)}) == 2


def test_what_is_no_speech_is_refused_and_what_is_clipped_is_told(root: Path, name: str) -> None:
    page = visit("Your own")
    page.text_input("corpora.own.speaker").set_value("Ann").run()
    record(page, waveform.encode_wav(waveform.Waveform(np.zeros(RATE, np.float32), RATE)))
    assert (
        "was not added. The recording is silent" in page.error[0].value.replace("\\", "")
        and recorded.clips(root, name) == ()
    )
    record(page, waveform.encode_wav(waveform.Waveform(np.clip(20 * VOICE, -1, 1).astype(np.float32), RATE)))
    assert "cut off at full scale" in page.warning[0].value and len(recorded.clips(root, name)) == 1


def test_several_files_are_added_and_each_bad_one_named(root: Path, name: str) -> None:
    page = visit("Your own")
    page.text_input("corpora.own.speaker").set_value("Ann").run()
    page.pills("corpora.own.label").set_value("sad").run()
    files = [
        ("one.wav", recording(), "audio/wav"),
        ("../../[two].wav", recording(0.5), "audio/wav"),
        ("three.wav", b"words", "audio/wav"),
    ]
    page.get("file_uploader")[0].set_value(files).run()
    assert page.button("corpora.own.add_files").label == "Add 3 files"
    page.button("corpora.own.add_files").click().run()
    assert [(clip.label, clip.speaker, clip.sentence) for clip in recorded.clips(root, name)] == [
        ("sad", "Ann", "")
    ] * 2
    assert "Added 2 clips as sad" in page.success[0].value and "three.wav" in page.error[0].value.replace("\\", "")
    kept = sorted(path.name for path in (root / name / "recordings").iterdir())
    assert kept == sorted(f"{clip.id}.wav" for clip in recorded.clips(root, name))


def test_a_clip_is_heard_relabelled_and_deleted(root: Path, name: str) -> None:
    first, second = add(root, name), add(root, name, 0.5, speaker="Bob", sentence="A *b*")
    page = tick(visit("Your own"), 0)
    assert "**happy** by Bob: A *b*" in text(page) and len(pages.players(page)) == 1
    page.selectbox(f"corpora.own.relabel.{second.id}").set_value("angry").run()
    assert "The clip is angry now" in page.success[0].value and "**angry** by Bob" in text(page)
    assert [clip.label for clip in recorded.clips(root, name)] == ["happy", "angry"]
    page.button("corpora.own.delete").click().run()
    assert [clip.id for clip in recorded.clips(root, name)] == [first.id] and not pages.players(page)
    assert "1 clip" in text(page)


def test_what_somebody_else_deleted_gets_a_sentence(root: Path, name: str) -> None:
    clip = add(root, name)
    add(root, name, 0.5)
    page = tick(visit("Your own"), 1)
    recorded.delete(root, name, [clip.id])
    page.button("corpora.own.delete").click().run()
    assert not page.exception and "This clip was deleted" in page.error[0].value
    recorded.delete_all(root, name)
    assert not page.run().exception and "A new one" in page.selectbox("corpora.own.corpus").options[0]


def test_a_corpus_is_deleted_as_a_whole(root: Path, name: str) -> None:
    add(root, name)
    page = visit("Your own")
    assert button(page, "corpora.own.delete_all")[0].label == "Permanently delete 1 recording"
    page.button("corpora.own.delete_all").click().run()
    assert recorded.listing(root) == {} and "is deleted with all its recordings" in page.success[0].value.replace(
        "\\", ""
    )


def test_all_is_downloaded_as_a_zip(root: Path, name: str) -> None:
    add(root, name)
    page = visit("Your own")
    assert [each.key for each in page.get("download_button")] == ["corpora.own.zip"]
    with zipfile.ZipFile(io.BytesIO(recorded.pack(root, name))) as packed:
        assert f"{name}/clips.csv" in packed.namelist()


def test_a_folder_that_may_not_be_written_to_gets_a_sentence(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    # A folder may be read-only for everybody but root, who runs tests in containers. Here, not in a worker, so that it is refused.
    monkeypatch.setattr(recorded, "_write", refuse)
    monkeypatch.setattr(workers, "run", lambda work, *args, **named: work(*args, **named))
    page = visit("Your own")
    page.text_input("corpora.own.speaker").set_value("Ann").run()
    record(page, recording())
    assert not page.exception and "must be one that the app may write to" in page.error[0].value.replace("\\", "")


def test_counters_name_every_label_and_escape_speakers() -> None:
    drawn = counters([recorded.Clip("0" * 16, Path("x.wav"), "sad", "<script>", "")])
    assert all(f"<span>{label}</span>" in drawn for label in catalogue.ALL_LABELS) and "<script>" not in drawn


# --- the choice of labels


def page_of_labels() -> None:
    import pandas as pd
    import streamlit as st

    from pages.ui import label_mapping

    clips = pd.DataFrame(st.session_state["clips"], columns=["corpus", "emotion"])
    st.session_state["chosen"] = label_mapping.choose(clips, key="here").to_dict()


CLIPS = [("ravdess", label) for label in ("neutral", "calm", "happy", "surprise")] + [
    ("emodb", label) for label in ("neutral", "happy", "boredom")
]


@pytest.fixture
def choice(root: Path) -> AppTest:
    page = AppTest.from_function(page_of_labels, default_timeout=60)
    page.session_state["clips"] = CLIPS
    return page.run()


def test_labels_are_kept_merged_and_left_out_as_chosen(choice: AppTest) -> None:
    assert choice.session_state["chosen"] == labels.LabelMapping().to_dict()
    assert "**4 labels, 6 clips**: neutral, calm, happy, surprise; 1 clip is left out" in text(choice)
    choice.segmented_control("here.calm").set_value(labels.MERGE)
    choice.toggle("here.boredom").set_value(True)
    assert "**4 labels, 7 clips**: neutral, happy, surprise, boredom." in text(choice.run())
    choice.toggle("here.shared").set_value(True)
    assert "**2 labels, 5 clips**: neutral, happy; 2 clips are left out" in text(choice.run())
    assert choice.session_state["chosen"] == {"calm": "neutral", "boredom": True, "labels": ["neutral", "happy"]}
    assert choice.session_state[state.LABELS] == {"calm": "neutral", "boredom": True, "shared": True}


def test_what_was_chosen_last_is_offered_first_and_kept_where_it_is_not_asked(root: Path) -> None:
    page = AppTest.from_function(page_of_labels, default_timeout=60)
    page.session_state["clips"] = [("savee", "neutral"), ("savee", "sad")]
    page.session_state[state.LABELS] = {"calm": labels.LEAVE_OUT, "boredom": True, "shared": True}
    page.run()
    assert not page.toggle and page.session_state[state.LABELS] == {
        "calm": labels.LEAVE_OUT,
        "boredom": True,
        "shared": True,
    }
    page.session_state["clips"] = CLIPS
    page.run()
    assert page.segmented_control("here.calm").value == labels.LEAVE_OUT and page.toggle("here.boredom").value


def test_corpora_without_a_common_label_are_told_so(root: Path) -> None:
    page = AppTest.from_function(page_of_labels, default_timeout=60)
    page.session_state["clips"] = [("ravdess", "sad"), ("emodb", "angry")]
    page.run()
    page.toggle("here.shared").set_value(True)
    assert "No label is in every one of these corpora" in text(page.run())
    assert page.session_state["chosen"]["labels"] == []


def test_a_table_shows_labels_by_corpus(root: Path) -> None:
    clips = pd.DataFrame(CLIPS, columns=[catalogue.CORPUS, catalogue.EMOTION])
    table = label_mapping.table(clips, labels.LabelMapping(calm=labels.MERGE))
    assert table.loc["calm"].to_dict() == {"EmoDB": 0, "RAVDESS": 1, "becomes": "neutral"}
    assert table.loc["boredom", "becomes"] == "left out"


def test_recorded_corpora_are_named_in_the_list(root: Path, name: str) -> None:
    add(root, name)
    said = text(visit())
    assert "Class [9b]" in said and "Recorded here" in said
    assert library.installed(root)[name].kind == library.TABLE
