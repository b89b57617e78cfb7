"""A corpus of one's own in a real Chromium: record with the microphone, relabel, delete, download; and what is left out."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Page, expect

from ser_core.corpora import catalogue, library, recorded
from tests.browser.conftest import VOICE, Server, as_on_a_phone, faults_on_a_phone, settled
from tests.browser.test_corpora import LABELS, NAMES, open_tab, tick_first


@pytest.fixture(scope="module")
def root(start_server: Callable[[], Server]) -> tuple[Server, Path]:
    """A server of its own, and its corpora folder with a part of EmoDB: one synthetic voice a label, four times."""
    server = start_server()
    folder = server.modules_file.parent / "corpora"
    (folder / "emodb").mkdir(parents=True)
    voices = dict(zip(LABELS, sorted(VOICE.parent.glob("*.flac")), strict=False))
    for name in NAMES:
        (folder / "emodb" / f"{name}.flac").write_bytes(voices[name[5]].read_bytes())
    return server, folder


def record(page: Page, seconds: float) -> None:
    recorder = page.get_by_test_id("stAudioInput")
    recorder.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(seconds * 1000)
    recorder.get_by_role("button", name="Stop recording").click()
    expect(page.get_by_role("button", name="Add this recording")).to_be_enabled()


def test_a_corpus_is_recorded_relabelled_downloaded_and_deleted(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    page.goto(f"{server.url}/corpora")
    open_tab(page, "Your own")
    page.get_by_label("Corpus name").last.fill("Class 9b")
    page.get_by_role("button", name="Create corpus").click()
    expect(page.get_by_text("Corpus created")).to_be_visible()
    page.get_by_label("Speaker", exact=True).last.fill("Ann")
    page.get_by_label("Speaker", exact=True).last.press("Enter")
    page.get_by_role("radio", name="angry").click()
    expect(page.get_by_text("Say, acting “angry”")).to_be_visible()
    record(page, 3.5)
    page.get_by_role("button", name="Add this recording").click()
    expect(page.get_by_text("Added 1 clip as angry")).to_be_visible()
    (clip,) = recorded.clips(folder, "class-9b")
    assert (clip.label, clip.speaker, clip.sentence) == ("angry", "Ann", recorded.SENTENCES[0])
    sound, rate = soundfile.read(clip.path)
    assert rate == 44_100 and len(sound) / rate > 2.5 and abs(sound).max() > 0.05

    tick_first(page)
    expect(page.locator(".player")).to_have_attribute("data-drawn", re.compile(".+"))
    settled(page)
    relabel = page.locator(f"[class*='st-key-corpora-own-relabel-{clip.id}']")
    relabel.get_by_role("combobox").click()
    relabel.get_by_role("combobox").press_sequentially("surprise")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The clip is surprise now")).to_be_visible()
    assert library.clips(folder, ["class-9b"])[catalogue.EMOTION].tolist() == ["surprise"]

    settled(page)  # a click on what is being drawn anew is lost
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download all (zip)").click()
    with zipfile.ZipFile(Path(waiting.value.path())) as packed:
        assert packed.read(f"class-9b/recordings/{clip.id}.wav") == clip.path.read_bytes()

    page.get_by_role("link", name="Recognize").click()
    page.get_by_role("tab", name="Sample").click()
    page.get_by_role("combobox", name="Corpus").click()
    expect(page.get_by_role("option", name="Class 9b")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("link", name="Corpora").click()
    page.get_by_role("button", name="Delete all …").click()
    page.get_by_role("button", name="Permanently delete 1 recording").click()
    expect(page.get_by_text("is deleted with all its recordings")).to_be_visible()
    assert not (folder / "class-9b").exists()


def test_a_refused_recording_can_still_be_played_and_added(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    page.goto(f"{server.url}/corpora")
    open_tab(page, "Your own")
    page.get_by_role("combobox", name="Corpus of your own").click()
    page.get_by_role("option", name="new one", exact=False).or_(page.get_by_role("option", name="Another one")).click()
    page.get_by_label("Corpus name").last.fill("Refused")
    page.get_by_role("button", name="Create corpus").click()
    expect(page.get_by_text("Corpus created")).to_be_visible()
    record(page, 2.5)
    add = page.get_by_role("button", name="Add this recording")
    recorder = page.get_by_test_id("stAudioInput")

    def is_playable() -> None:
        settled(page)
        expect(page.get_by_text("An error has occurred")).to_have_count(0)
        recorder.get_by_role("button", name="Play").click()
        expect(recorder.get_by_role("button", name="Pause")).to_be_visible()
        recorder.get_by_role("button", name="Pause").click()

    add.click()  # nobody is named
    expect(page.get_by_text("The speaker has no name")).to_be_visible()
    is_playable()
    page.get_by_text("Stay anonymous", exact=True).click()
    expect(page.get_by_text("You are called")).to_be_visible()
    is_playable()
    settled(page)
    add.click()
    expect(page.get_by_text("Added 1 clip")).to_be_visible()
    assert len(recorded.clips(folder, "refused")) == 1
    recorded.delete_all(folder, "refused")


def test_an_upload_and_a_zip_of_label_folders_become_corpora(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for label, name in (("Happy", "anna_1"), ("Sadness", "ben_1")):
            archive.writestr(f"moods/{label}/{name}.flac", VOICE.read_bytes())
    page.goto(f"{server.url}/corpora")
    page.get_by_text("Install from a zip").click()
    page.get_by_role("combobox", name="What is in it").click()
    page.get_by_role("combobox", name="What is in it").press_sequentially("own")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Corpus name")).to_be_visible()
    settled(page)
    page.get_by_label("Corpus name").fill("Our moods")
    page.get_by_label("Corpus name").press("Enter")
    settled(page)
    page.locator("input[type=file]").set_input_files(
        {"name": "any.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    )
    page.get_by_role("button", name="Install", exact=True).click()
    expect(page.get_by_role("heading", name="Our moods")).to_be_visible()
    assert len(library.clips(folder, ["our-moods"])) == 2

    open_tab(page, "Your own")
    settled(page)
    page.get_by_label("Corpus name").last.fill("Files")
    page.get_by_role("button", name="Create corpus").click()
    page.get_by_label("Speaker", exact=True).last.fill("Ben")
    page.get_by_label("Speaker", exact=True).last.press("Enter")
    page.get_by_role("radio", name="happy").click()
    expect(
        page.get_by_text("Say, acting “happy”")
    ).to_be_visible()  # so the name has been taken too, and nothing is drawn anew
    expect(page.locator(".stApp[data-test-script-state=notRunning]")).to_be_visible()
    page.get_by_role("tab", name="Upload").click()
    page.locator("input[type=file]").last.set_input_files(
        {"name": "voice.flac", "mimeType": "audio/flac", "buffer": VOICE.read_bytes()}
    )
    page.get_by_role("button", name="Add this file").click()
    expect(page.get_by_text("Added 1 clip as happy")).to_be_visible()
    assert [(clip.speaker, clip.label) for clip in recorded.clips(folder, "files")] == [("Ben", "happy")]


def test_a_finding_is_left_out_and_used_again(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    page.goto(f"{server.url}/corpora")
    open_tab(page, "Check")
    page.get_by_role("button", name="Check EmoDB").click()
    page.get_by_role("button", name="Exclude 12 duplicates").first.click()
    expect(page.get_by_text("12 clips of EmoDB are excluded")).to_be_visible()
    assert len(library.left_out(folder, "emodb")["identical"]) == 12 and len(library.clips(folder, ["emodb"])) == 4
    open_tab(page, "Corpora")
    expect(page.get_by_text("the Check tab tells why")).to_be_visible()
    open_tab(page, "Check")
    page.get_by_role("button", name="Use all again").click()
    expect(page.get_by_text("of EmoDB are excluded")).to_have_count(0)
    assert library.left_out(folder, "emodb") == {}


def test_a_phone_shows_the_tab_within_its_width_in_either_theme(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    if not recorded.listing(folder):
        recorded.create(folder, "Class 9b")
    as_on_a_phone(page)
    page.goto(f"{server.url}/corpora")
    open_tab(page, "Your own")
    expect(page.get_by_test_id("stAudioInput")).to_be_visible()
    assert faults_on_a_phone(page) == []
