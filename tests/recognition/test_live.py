"""A live stream, fed by hand: its windows are clips like any other, whatever the pieces that the sound came in."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, encode_wav, from_pcm, resample, to_pcm
from ser_core.errors import ConfigError, SerError
from ser_core.recognition import analysis, live, store, timeline
from ser_core.recognition.recognizer import Prediction, Recognizer
from tests.support.models import build
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
RATE, MIC = 16_000, 48_000


@pytest.fixture(scope="module")
def recognizers(tmp_path_factory: pytest.TempPathFactory) -> list[Recognizer]:
    models = build(tmp_path_factory.mktemp("models"))
    return [store.load(slug, models) for slug in store.SHIPPED]


@pytest.fixture(scope="module")
def mic() -> np.ndarray:
    """Two seconds of silence, 3.8 s of a voice, four of silence: int16 (n, 2) at 48 kHz, as a browser sends it."""
    voice = resample(decoding.decode(ROOT / "pages" / "samples" / "bright.flac").waveform, MIC).samples
    sound = np.concatenate([np.zeros(2 * MIC, np.float32), voice, np.zeros(4 * MIC, np.float32)])
    return np.repeat(to_pcm(sound)[:, None], 2, axis=1)


def push(listener: live.Listener, samples: np.ndarray, rate: int) -> None:
    listener.take(samples, rate)
    listener.predict()


def listen(
    sound: np.ndarray,
    recognizers: list[Recognizer],
    *,
    piece: int = 960,
    rate: int = MIC,
    opened: bool = False,
    **options: float,
) -> live.Listener:
    listener = live.Listener(timeline.window_predictor(recognizers), **options)
    for start in range(0, len(sound), piece):
        push(listener, sound[start : start + piece], rate)
    if not opened:
        listener.close()
    return listener


@pytest.fixture(scope="module")
def listener(mic: np.ndarray, recognizers: list[Recognizer]) -> live.Listener:
    return listen(mic, recognizers)


def test_windows_end_every_hop_and_begin_with_the_sound(listener):
    assert [(each.start_s, each.end_s) for each in listener.moments()][:7] == [
        (0.0, 1.0),
        (0.0, 1.5),
        (0.0, 2.0),
        (0.0, 2.5),
        (0.0, 3.0),
        (0.5, 3.5),
        (1.0, 4.0),
    ]
    assert listener.moments()[-1].end_s == listener.n_moments * listener.hop_s <= listener.duration_s
    assert listener.duration_s == pytest.approx(9.8165, abs=1e-3)


def test_each_window_gets_what_its_samples_get_as_a_file(listener, recognizers):
    """The sound that is given away holds the very samples: nothing is lost, and every window can be checked."""
    kept = decoding.decode(listener.sound()).waveform.samples
    spoken = 0
    for each in listener.moments():
        clip = Waveform(kept[round(each.start_s * RATE) : round(each.end_s * RATE)], RATE)
        alone = analysis.recognize(recognizers, analysis.analyse(encode_wav(clip)))
        assert [p.probabilities for p in each.predictions] == [p.probabilities for p in alone]
        spoken += bool(alone)
    assert spoken > 8


def test_no_sound_is_lost(listener, mic):
    whole = resample(Waveform(from_pcm(mic[:, 0]), MIC), RATE).samples
    kept = decoding.decode(listener.sound()).waveform.samples
    assert abs(len(whole) - len(kept)) <= 1
    np.testing.assert_allclose(kept[: len(whole)], whole[: len(kept)], atol=1e-3)


@pytest.mark.parametrize("piece", [441, 4800, 20_000])
def test_pieces_of_any_size_give_the_same_windows(mic, recognizers, listener, piece):
    other = listen(mic, recognizers, piece=piece)
    ours, theirs = listener.moments(), other.moments()
    assert [each.end_s for each in ours][: len(theirs)] == [each.end_s for each in theirs]
    for first, second in zip(ours, theirs, strict=False):
        for a, b in zip(first.predictions, second.predictions, strict=True):
            assert a.probabilities == pytest.approx(b.probabilities, abs=1e-4)


def test_silence_shows_nothing_and_the_gate_follows_the_voice(listener):
    for each in listener.moments():
        if each.end_s <= 2.0 or each.start_s >= 6.0:
            assert not each.speech and not each.predictions and not each.speaking
        if 3.0 <= each.end_s <= 5.5:
            assert each.speech and each.speaking and each.level_dbfs > -40
        if each.end_s > 6.6:
            assert not each.speaking and each.level_dbfs < -60
    assert any(each.speech and not each.speaking for each in listener.moments()), "speech in the window, silence now"


def test_the_level_is_that_of_the_last_moments(recognizers):
    t = np.arange(MIC) / MIC
    tone = to_pcm(0.5 * np.sin(2 * np.pi * 440 * t).astype(np.float32))
    found = listen(tone, []).level()
    assert found.rms_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.2)
    assert found.peak_dbfs == pytest.approx(20 * np.log10(0.5), abs=0.2) and not found.clipped
    assert live.Listener(timeline.window_predictor([])).level() == live.Level(-100.0, -100.0, False)


def test_clipping_shows_for_a_while(recognizers):
    t = np.arange(MIC // 2) / MIC
    loud = to_pcm(np.clip(2 * np.sin(2 * np.pi * 440 * t), -1, 1).astype(np.float32))
    found = listen(loud, [], opened=True)
    assert found.level().clipped
    for n in range(1, 26):
        push(found, np.zeros(MIC // 10, np.int16), MIC)
        if abs(n / 10 - live.CLIP_SHOWN_S) > 0.15:
            assert found.level().clipped is (n / 10 < live.CLIP_SHOWN_S)


def test_what_is_kept_is_the_end_and_no_more(mic, recognizers):
    found = listen(mic, recognizers, keep_s=4.0)
    whole = listen(mic, recognizers)
    assert found.kept_from_s == pytest.approx(found.duration_s - 4.0)
    data, everything = (to_pcm(decoding.decode(each.sound()).waveform.samples) for each in (found, whole))
    np.testing.assert_array_equal(data, everything[-4 * RATE :])
    assert len(found.moments()) == 8
    over_time = found.timeline()
    assert over_time.duration_s == 4.0 and all(0 <= each.start_s < each.end_s <= 4.0 for each in over_time.segments)
    with pytest.raises(ValueError, match="are not kept"):
        found.samples(0, RATE)


def test_late_windows_are_left_out_and_counted(mic, recognizers):
    found = live.Listener(timeline.window_predictor(recognizers))
    push(found, mic[: round(9.1 * MIC)], MIC)
    n = len(found.moments())
    assert n == live.MAX_LATE and found.n_skipped == 18 - n
    assert found.moments()[-1].end_s == pytest.approx(9.0, abs=0.51)
    assert decoding.decode(found.sound()).waveform.duration_s == pytest.approx(9.1, abs=0.05), (
        "the sound is kept all the same"
    )


def test_a_closed_session_takes_no_more(mic):
    found = listen(mic[:MIC], [])
    before = found.duration_s
    push(found, mic[:MIC], MIC)
    assert found.closed and found.duration_s == before


def test_another_rate_midway_goes_on(mic):
    found = listen(mic[: 2 * MIC], [], opened=True)
    push(found, np.zeros(44_100, np.int16), 44_100)
    assert found.duration_s == pytest.approx(3.0, abs=0.1)


def test_it_may_be_looked_at_while_it_listens(mic, recognizers):
    found = live.Listener(timeline.window_predictor(recognizers), keep_s=3.0)
    problems = []

    def look() -> None:
        try:
            while not found.closed:
                time.sleep(0.001)
                found.level(), found.moments(2.0), found.sound(), found.timeline(), found.n_moments
        except Exception as error:
            problems.append(error)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for start in range(0, len(mic), 9600):
            push(found, mic[start : start + 9600], MIC)
    finally:
        found.close()
        watcher.join(30)
    assert problems == []


def test_the_timeline_has_the_windows_as_they_were_answered(listener):
    found = listener.timeline()
    assert [each.predictions for each in found.segments] == [each.predictions for each in listener.moments()]
    assert found.duration_s == pytest.approx(listener.duration_s) and found.container == "Microphone"
    assert len(found.activity) == 1 and found.activity[0][0] == pytest.approx(2.0, abs=0.6)
    assert found.quality.has_speech and found.quality.duration_s == pytest.approx(found.duration_s, abs=1e-3)
    assert len(found.envelope) == int(found.duration_s / 0.02)
    assert live.Listener(timeline.window_predictor([])).timeline() is None
    assert timeline.to_dict("live.wav", found)["speech"] is True


def moment(end_s: float, p: float | None) -> live.Moment:
    said = () if p is None else (Prediction("knn", "sad" if p > 0.5 else "calm", {"sad": p, "calm": 1 - p}, 1.0),)
    return live.Moment(end_s - 3, end_s, None, said, bool(said), -20.0)


def test_smoothing_is_the_mean_of_the_last_answers_and_starts_anew_after_silence():
    given = [moment(n, p) for n, p in enumerate([0.9, 0.2, 0.2, None, None, 0.1])]
    found = [[each.probabilities["sad"] for each in window] for window in live.smooth(given, 3)]
    assert found == [[0.9], [pytest.approx(0.55)], [pytest.approx(1.3 / 3)], [], [], [0.1]]
    assert [window[0].label for window in live.smooth(given, 3) if window] == ["sad", "sad", "calm", "calm"]
    assert live.smooth(given, 1) == [each.predictions for each in given]


@pytest.mark.parametrize("options", [{"window_s": 0.5}, {"hop_s": 0.1}, {"window_s": 2.0, "hop_s": 3.0}])
def test_window_and_hop_have_limits(options):
    with pytest.raises(ConfigError, match="Got"):
        live.Listener(timeline.window_predictor([]), **options)


@pytest.mark.parametrize(
    "problem", [SerError("The process that looks at clips has ended."), RuntimeError("a fault there")]
)
def test_a_window_that_cannot_be_judged_is_left_out_and_the_session_goes_on(mic, problem):
    judged = timeline.window_predictor([])
    failures = iter([None, problem])

    def judge(waveform):
        if problem := next(failures, None):
            raise problem
        return judged(waveform)

    found = live.Listener(judge)
    for piece in np.array_split(mic[: 3 * MIC], 30):
        push(found, piece, MIC)
    assert found.n_skipped == 1 and [each.end_s for each in found.moments()][:3] == [1.0, 2.0, 2.5]
    assert len(found.samples(0, 2 * RATE)) == 2 * RATE, "the sound is kept"


def held_up() -> tuple[live.Listener, threading.Thread, threading.Event, threading.Event]:
    """A listener, the thread that follows it, and two events: its judge has begun; it may go on."""
    judged = timeline.window_predictor([])
    going, going_on = threading.Event(), threading.Event()

    def judge(waveform):
        going.set()
        going_on.wait(30)
        return judged(waveform)

    found = live.Listener(judge)
    follower = threading.Thread(target=found.follow)
    follower.start()
    return found, follower, going, going_on


def test_a_slow_judge_holds_up_no_sound_and_the_latest_windows_are_judged(mic):
    found, follower, going, going_on = held_up()
    start = MIC + MIC // 10
    found.take(mic[:start], MIC)
    assert going.wait(30)
    for place in range(start, start + 5 * MIC, MIC):
        found.take(mic[place : place + MIC], MIC)
    assert found.duration_s > 5.5 and found.n_moments == 0 and found.n_waiting > live.MAX_LATE
    going_on.set()
    until(lambda: not found.n_waiting, pause_s=0.01)
    found.close()
    follower.join(30)
    assert not follower.is_alive()
    ends_s = [each.end_s for each in found.moments()]
    assert ends_s[0] == 1.0 and ends_s[1:] == [5.0, 5.5, 6.0] and found.n_skipped == 7


def test_a_session_whose_sound_stops_without_an_end_is_left(monkeypatch):
    monkeypatch.setattr(live, "SILENT_S", 0.1)
    follower = threading.Thread(target=live.Listener(timeline.window_predictor([])).follow)
    follower.start()
    follower.join(30)
    assert not follower.is_alive()


def test_the_windows_that_were_full_at_the_end_are_judged_after_it(mic):
    found, follower, going, going_on = held_up()
    found.take(mic[: round(1.1 * MIC)], MIC)
    assert going.wait(30)
    found.take(mic[round(1.1 * MIC) : round(1.6 * MIC)], MIC)
    found.close()
    assert found.n_waiting == 2, "one is being judged"
    going_on.set()
    follower.join(30)
    assert not follower.is_alive() and [each.end_s for each in found.moments()] == [1.0, 1.5] and found.n_waiting == 0
