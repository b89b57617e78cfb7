"""How visitors share the server: long recordings hold up nobody's short clip, and what works for a visitor says for whom."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from pages.ui import cached, clip_input, recognition, runtime, state

# What a batch's thread does, without the page that starts it.
from pages.ui.batch.run import Run, _work
from pages.ui.live import session
from pages.ui.task import Task
from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform
from ser_core.corpora import uploads
from ser_core.errors import SerError
from ser_core.recognition import analysis, service, timeline
from ser_core.system import workers
from ser_core.system.spool import Spool
from tests.support import pages
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
ANNA = ("192.168.1.7", "annas browser")


def sound(seconds: float, kind: str, subtype: str, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(seconds * rate), np.int16), rate, format=kind, subtype=subtype)
    return file.getvalue()


def through_ffmpeg(seconds: float, kind: str, codec: str, **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=options) as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, round(seconds * 48_000)), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 48_000
        convert = av.AudioResampler(stream.format, "mono", 48_000, frame_size=stream.codec_context.frame_size or None)
        for each in [*convert.resample(frame), *convert.resample(None)]:
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return file.getvalue()


def liar(seconds: float, says_s: float) -> bytes:
    """A WebM file that says another length than it has."""
    data = through_ffmpeg(seconds, "webm", "libopus")
    place = data.index(b"\x44\x89\x88") + 3
    return data[:place] + np.array([1000 * says_s], ">f8").tobytes() + data[place + 8 :]


TEN_MINUTES = sound(600, "FLAC", "PCM_16", 4_000)


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, bool, workers.Who]]:
    """What is handed to workers: the work, whether to the one for long work, and for whom."""
    found: list[tuple[Any, bool, workers.Who]] = []
    run = workers.run

    def noted(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        # Which pool gets it: the public way to say so, workers.long_work, only sets it.
        found.append((work, workers._IS_LONG.get(), workers.WHO.get()))
        return run(work, *args, **named)

    monkeypatch.setattr(workers, "run", noted)
    return found


@contextlib.contextmanager
def working_for(who: workers.Who) -> Iterator[None]:
    before = workers.WHO.set(who)
    yield
    workers.WHO.reset(before)


LONG = {
    "opus": lambda: sound(60, "OGG", "OPUS"),
    "flac": lambda: TEN_MINUTES,
    "mp3": lambda: sound(20, "MP3", "MPEG_LAYER_III"),
    "webm": lambda: through_ffmpeg(20, "webm", "libopus"),
    "a little more": lambda: sound(timeline.LONG_S + 0.1, "FLAC", "PCM_16"),
    "many bytes": lambda: sound(8, "WAV", "FLOAT", 192_000),
    "on the disk": lambda: Spool(SPEECH),
}


@pytest.mark.parametrize("kind", LONG)
def test_what_says_that_it_is_long_never_joins_the_line_of_short_clips(kind: str, handed: list[Any]) -> None:
    data = LONG[kind]()
    assert isinstance(data, Spool) or len(data) < 2**20 or kind == "many bytes"
    assert recognition.predict_short(data, "long", []) is None and handed == []


SHORT = {
    "as recorded": lambda: sound(timeline.LONG_S, "WAV", "PCM_16", 48_000),
    "no length": lambda: through_ffmpeg(4, "adts", "aac"),
    "webm": lambda: through_ffmpeg(4, "webm", "libopus", live="1"),
}


@pytest.mark.parametrize("kind", SHORT)
def test_a_short_clip_is_measured_whole_by_a_worker(kind: str, handed: list[Any]) -> None:
    data = SHORT[kind]()
    found = recognition.predict_short(data, "short", [])
    assert found is not None and handed == [(service.analyse, False, ("", ""))]
    assert found[0].quality == analysis.analyse(data, name="short").quality


LIARS = {
    "says two seconds": lambda: liar(60, 2),
    "says nothing": lambda: through_ffmpeg(60, "adts", "aac"),
    "a stream": lambda: through_ffmpeg(60, "webm", "libopus", live="1"),
}


@pytest.mark.parametrize("kind", LIARS)
def test_of_what_is_longer_than_it_says_no_more_than_a_short_clip_is_read_there(
    kind: str, handed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = LIARS[kind]()
    assert len(data) < recognition.SHORT and (decoding.declared_duration(data) or 0) <= 2
    read_s = []
    # Every block that is decoded goes through it.
    mix = decoding._mix
    monkeypatch.setattr(
        decoding,
        "_mix",
        lambda blocks, header, *rest, **named: mix(counted(blocks, header, read_s), header, *rest, **named),
    )
    with pytest.raises(decoding.TooLongError):
        analysis.analyse(data, max_duration_s=timeline.LONG_S)
    assert sum(read_s) < timeline.LONG_S + 2
    assert recognition.predict_short(data, "liar.webm", []) is None
    assert [(work, long) for work, long, _ in handed] == [(service.analyse, False)]


def counted(blocks: Iterator[np.ndarray], header: Any, read_s: list[float]) -> Iterator[np.ndarray]:
    for block in blocks:
        read_s.append(len(block) / header.rate)
        yield block


def test_a_liar_is_shown_over_time(models: Path, handed: list[Any]) -> None:
    page = pages.visit()
    page.get("file_uploader")[0].set_value(("liar.webm", liar(12, 2), "audio/webm"))
    page.run()
    until(lambda: not page.session_state[state.TIMELINE].task.running)
    page.run()
    assert not page.exception and not page.error and page.session_state[state.TIMELINE].result.duration_s > 11
    works = [work for work, _, _ in handed]
    assert works.count(service.analyse) == 1, "it is tried as a short clip once, not at each rerun"
    assert works.count(service.predict_window) > 8 and not any(long for _, long, _ in handed)


def batch_of(data: bytes, n: int = 1) -> Run:
    recordings = tuple(uploads.Recording(f"{each}.flac", lambda: data, size=len(data)) for each in range(n))
    return Run(uploads.Uploads(recordings, ()), {}, {}, frozenset())


def test_four_batches_of_ten_minutes_hold_up_no_short_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, at_work = threading.Event(), []
    run = workers.run

    def held(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if not workers._IS_LONG.get():
            return run(work, *args, **named)
        at_work.append(workers.WHO.get())
        gate.wait(60)
        raise SerError("That is enough.")

    monkeypatch.setattr(workers, "run", held)
    batches = [batch_of(TEN_MINUTES) for _ in range(4)]
    for number, each in enumerate(batches):
        with working_for(("10.0.0.1", f"tab {number}")):
            each.task.start(lambda task, each=each: _work(each, [], None, task))
    until(lambda: at_work)
    with working_for(ANNA):
        assert recognition.predict_short(SPEECH, "anna.flac", []) is not None
        mine = batch_of(SPEECH, 2)
        mine.task.start(lambda task: _work(mine, [], None, task))
        until(lambda: not mine.task.running)
    assert len(mine.results) == 2 and not any("error" in each for each in mine.results)
    assert not any(each.results for each in batches) and len(at_work) == 1, (
        "and one long recording is in memory at a time"
    )
    gate.set()
    until(lambda: not any(each.task.running for each in batches))
    assert [len(each.results) for each in batches] == [1] * 4 and len(set(at_work)) == 4


def test_a_batch_hears_ten_minutes_as_a_whole(models: Path, handed: list[Any]) -> None:
    run = batch_of(TEN_MINUTES)
    run.task.start(lambda task: _work(run, cached.models()[0], None, task))
    until(lambda: not run.task.running)
    (result,) = run.results
    assert result["duration_s"] == 600 and not run.problems
    assert handed == [(service.analyse, True, ("", ""))]


def test_long_recordings_are_read_through_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most = [0], [0]

    def read(*_: Any, **__: Any) -> str:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.05)
        at_once[0] -= 1
        return "read"

    monkeypatch.setattr(decoding, "stream", read)
    given = clip_input.new_clip("long.flac", TEN_MINUTES, clip_input.UPLOAD)
    # The public ways to it keep what they found: four questions would be one.
    threads = [threading.Thread(target=recognition._stream.__wrapped__, args=("", given)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert most == [1]


# --- for whom


@pytest.fixture
def page(models: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(runtime, "who", lambda: ANNA)
    return pages.visit()


def test_a_pages_work_and_that_of_its_threads_is_its_visitors(page: AppTest, handed: list[Any]) -> None:
    for data in (SPEECH, sound(12, "FLAC", "PCM_16")):
        page.get("file_uploader")[0].set_value(("a.flac", data, "audio/flac"))
        page.run()
    until(lambda: not page.session_state[state.TIMELINE].task.running)
    assert {work for work, _, _ in handed} == {service.analyse, service.predict_window}
    assert {who for _, _, who in handed} == {ANNA}


def test_a_batchs_work_is_its_visitors(page: AppTest, handed: list[Any]) -> None:
    page.switch_page("pages/batch.py").run()
    page.get("file_uploader")[0].set_value([("a.flac", SPEECH, "audio/flac")])
    page.run().button("batch.start").click().run()
    until(lambda: not page.session_state[state.BATCH].task.running)
    assert [(work, who) for work, _, who in handed] == [(service.analyse, ANNA)], "one task a recording"


def test_a_task_works_for_who_started_it() -> None:
    task, found = Task(), []
    with working_for(ANNA):
        task.start(lambda _: found.append(workers.WHO.get()))
    until(lambda: not task.running)
    assert found == [ANNA] and workers.WHO.get() == ("", "")


def test_a_live_session_works_for_who_opened_the_page() -> None:
    found = []

    def judge(waveform: Waveform) -> Any:
        found.append(workers.WHO.get())
        raise SerError("This is enough.")

    with working_for(ANNA):
        visitor = session.Visitor(session.Places(1), judge)
    layout = SimpleNamespace(channels=("mono",))
    visitor.receive(
        [SimpleNamespace(sample_rate=16_000, layout=layout, to_ndarray=lambda: np.ones((1, 64_000), np.int16))]
    )
    until(lambda: found)
    visitor.end()
    assert set(found) == {ANNA}
