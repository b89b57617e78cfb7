"""The process beside a server: what it does comes back, its end is no end of the server's, and it does not outlive the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ser_core import analysis, audio, beside, store
from ser_core.errors import AudioError, SerError
from tests import tiny_models

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.build(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def heard():
    return analysis.analyse(next((ROOT / "pages" / "samples").glob("*.flac")))


def end_once(mark: Path) -> str:
    """End the process that calls this, the first time."""
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return "done"


def test_a_work_is_done_in_another_process_which_stays(voice):
    assert beside.run(os.getpid) == beside.run(os.getpid) != os.getpid()
    clip = audio.encode_wav(audio.Waveform(voice(), audio.SAMPLE_RATE))
    there, here = beside.run(analysis.analyse, clip), analysis.analyse(clip)
    assert (there.features.log_mel == here.features.log_mel).all()
    assert there.quality == here.quality


def test_an_error_of_the_work_is_raised_here():
    with pytest.raises(AudioError, match=r"notes\.txt"):
        beside.run(analysis.analyse, b"these are no sounds", name="notes.txt")


def test_what_ends_the_process_is_told_in_a_sentence_and_the_next_work_is_done():
    before = beside.run(os.getpid)
    with pytest.raises(SerError, match="try another file"):
        beside.run(os._exit, 1)
    assert beside.run(os.getpid) != before


def test_a_work_whose_process_another_one_ended_is_done_after_all(tmp_path):
    assert beside.run(end_once, tmp_path / "mark") == "done"


def test_what_takes_too_long_is_ended(monkeypatch):
    before = beside.run(os.getpid)
    monkeypatch.setattr(beside, "LIMIT_S", 0.5)
    with pytest.raises(SerError, match="longer than two minutes"):
        beside.run(time.sleep, 600)
    monkeypatch.undo()
    assert beside.run(os.getpid) != before
    assert gone(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot see there who started it")
def test_it_ends_with_a_server_that_was_killed():
    server = subprocess.Popen(
        [sys.executable, "-c", "import os, time; from ser_core import beside; print(beside.run(os.getpid), flush=True); time.sleep(600)"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    helper = int(server.stdout.readline())
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert gone(helper)


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def test_models_answer_as_they_do_in_one_process_and_a_damaged_one_says_why(heard, models):
    cards = store.list_models(models)[0]
    asked = [(card.slug, "first") for card in cards]
    (models / cards[0].slug / next(iter(cards[0].files))).write_bytes(b"damaged")
    answers = beside.run(beside.ask, heard, asked, models)
    assert isinstance(answers[0], str) and cards[0].slug in answers[0]
    others = analysis.recognize([store.load(card.slug, models) for card in cards[1:]], heard)
    assert [each.probabilities for each in answers[1:]] == [each.probabilities for each in others]


def test_a_model_is_read_again_where_its_key_has_changed(heard, models, monkeypatch):
    read = []
    original = store.load
    monkeypatch.setattr(store, "load", lambda slug, folder: read.append(slug) or original(slug, folder))
    slug = store.list_models(models)[0][-1].slug
    for key in ("as it was", "as it was", "trained anew"):
        beside.ask(heard, [(slug, key)], models)
    assert read == [slug, slug]
