"""Windows over long sound: their places, what the models say in them, and where there is speech."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_core.audio import decoding, waveform
from ser_core.audio.waveform import Waveform
from ser_core.errors import AudioError, ConfigError
from ser_core.recognition import analysis, store
from ser_core.recognition import timeline as recognition_timeline
from ser_core.recognition.recognizer import Prediction, Recognizer
from ser_core.recognition.timeline import (
    LabelSpan,
    Segment,
    Timeline,
    analyse,
    average,
    borders,
    label_spans,
    overall,
    to_dict,
    window_predictor,
)
from tests.support.models import build

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000


@pytest.fixture(scope="module")
def recognizers(tmp_path_factory: pytest.TempPathFactory) -> list[Recognizer]:
    models = build(tmp_path_factory.mktemp("models"))
    return [store.load(slug, models) for slug in store.SHIPPED]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """2.5 s of a synthetic voice."""
    return decoding.decode(ROOT / "pages" / "samples" / "bright.flac").waveform.samples[: round(2.5 * RATE)]


@pytest.fixture(scope="module")
def memo(speech: np.ndarray) -> np.ndarray:
    """Silence, speech from 4 to 6.5 s, silence, speech from 12 to 14.5 s, silence to 20.3 s; int16 so that a WAV holds it exactly."""
    samples = np.zeros(round(20.3 * RATE), np.float32)
    for start_s in (4, 12):
        samples[start_s * RATE : start_s * RATE + len(speech)] = speech
    return waveform.from_pcm(waveform.to_pcm(samples))


@pytest.fixture(scope="module")
def timeline(memo: np.ndarray, recognizers: list[Recognizer]) -> Timeline:
    return analyse(waveform.encode_wav(Waveform(memo, RATE)), window_predictor(recognizers))


@pytest.mark.parametrize(
    ("n", "starts"),
    [
        (30, [0]),
        (60, [0]),
        (64, [0]),
        (66, [0, 6]),
        (70, [0, 10]),
        (79, [0, 10, 19]),
        (100, [0, 10, 20, 30, 40]),
    ],
)
@pytest.mark.parametrize("block", [1, 7, 60, 1000])
def test_windows_cover_the_sound_and_end_with_it(n, starts, block):
    sound = np.arange(n, dtype=np.float32)
    found = list(
        recognition_timeline.windows((sound[i : i + block] for i in range(0, n, block)), window=60, hop=10, slack=4)
    )
    assert [start for start, _ in found] == starts
    for start, samples in found:
        np.testing.assert_array_equal(samples, sound[start : start + 60])


def test_no_sound_has_no_window():
    assert list(recognition_timeline.windows([], window=60, hop=10)) == []


def test_a_clip_of_one_window_gets_what_it_gets_elsewhere(speech, recognizers):
    data = waveform.encode_wav(Waveform(speech, RATE))
    heard = analysis.analyse(data)
    over_time = analyse(data, window_predictor(recognizers))
    (segment,) = over_time.segments
    assert (segment.start_s, segment.end_s, segment.speech) == (0.0, 2.5, True)
    expected = analysis.recognize(recognizers, heard)
    assert [each.probabilities for each in segment.predictions] == [each.probabilities for each in expected]
    assert [each.probabilities for each in overall(over_time)] == [
        pytest.approx(each.probabilities) for each in expected
    ]
    assert over_time.quality.level_dbfs == heard.quality.level_dbfs
    assert over_time.quality.speech_s == pytest.approx(heard.quality.speech_s, abs=0.05)


def test_each_window_gets_what_its_samples_get_as_a_clip(memo, timeline, recognizers):
    assert [each.start_s for each in timeline.segments] == [*map(float, range(18)), 17.3]
    assert {round(each.end_s - each.start_s, 4) for each in timeline.segments} == {3.0}
    for each in timeline.segments:
        clip = Waveform(memo[round(each.start_s * RATE) : round(each.end_s * RATE)], RATE)
        alone = analysis.recognize(recognizers, analysis.analyse(waveform.encode_wav(clip)))
        assert each.speech is bool(alone)
        assert [p.probabilities for p in each.predictions] == [p.probabilities for p in alone]


def test_speech_is_found_where_it_is_and_nowhere_else(timeline):
    first, second = (stretch for stretch in timeline.activity if stretch[1] - stretch[0] > 0.5)
    for (start, end), expected in ((first, 4), (second, 12)):
        assert expected - 0.1 < start < expected + 0.4 and expected + 1.8 < end < expected + 2.6
    assert all(
        not each.speech
        for each in timeline.segments
        if each.end_s <= 4 or 6.5 <= each.start_s < 9 or each.start_s >= 14.5
    )
    assert timeline.segments[4].speech and timeline.segments[12].speech
    assert timeline.quality.speech_s == pytest.approx(sum(end - start for start, end in timeline.activity), rel=0.35)
    assert timeline.quality.has_speech and timeline.quality.duration_s == 20.3


def test_the_envelope_holds_every_peak(memo, timeline):
    assert len(timeline.envelope) == 20.3 / 0.02
    assert (timeline.envelope.min(), timeline.envelope.max()) == (memo.min(), memo.max())
    assert not timeline.envelope[:200].any() and timeline.envelope[200:325].any(axis=1).mean() > 0.9


def test_silence_is_given_to_no_model():
    over_time = analyse(waveform.encode_wav(Waveform(np.zeros(10 * RATE, np.float32), RATE)), window_predictor([None]))
    assert not any(each.speech or each.predictions for each in over_time.segments)
    result = to_dict("quiet.wav", over_time)
    assert (result["speech"], result["predictions"], result["activity"]) == (False, [], [])
    assert not over_time.quality.has_speech


def test_borders_give_each_moment_to_the_window_around_it(timeline):
    edges = borders(timeline.segments, timeline.duration_s)
    assert (
        edges[:3] == [0.0, 2.0, 3.0] and edges[-1] == timeline.duration_s and len(edges) == len(timeline.segments) + 1
    )
    assert all(a < b for a, b in itertools.pairwise(edges))


def test_the_mean_of_windows_is_a_prediction():
    windows = [
        [Prediction("knn", "sad", {"sad": 0.8, "calm": 0.2}, 1.0)],
        [Prediction("knn", "calm", {"sad": 0.1, "calm": 0.9}, 2.5)],
    ]
    (mean,) = average(windows)
    assert mean == Prediction("knn", "calm", {"sad": pytest.approx(0.45), "calm": pytest.approx(0.55)}, 3.5)
    (unsure,) = average([[dataclasses.replace(each, threshold=0.6) for each in window] for window in windows])
    assert unsure.sure is False and unsure.to_dict()["label"] == "calm"
    assert average([]) == []


def test_the_mean_of_a_model_is_over_the_windows_in_which_it_answered():
    knn, mlp = (
        Prediction("knn", "sad", {"sad": 0.8, "calm": 0.2}, 1.0),
        Prediction("mlp", "calm", {"sad": 0.1, "calm": 0.9}, 2.0),
    )
    assert average([[mlp, knn], [knn], [knn]]) == [
        mlp,
        Prediction("knn", "sad", {"sad": pytest.approx(0.8), "calm": pytest.approx(0.2)}, 3.0),
    ]


def test_runs_join_windows_that_agree_and_leave_no_gap(timeline):
    def window(start_s, label, p):
        predictions = (Prediction("knn", label, {label: p, "x": 1 - p}, 1.0),) if label else ()
        return Segment(start_s, start_s + 3, bool(label), predictions)

    windows = [(0.0, "", 0), (1.0, "sad", 0.8), (2.0, "sad", 0.6), (3.0, "calm", 0.9), (4.0, "", 0), (5.0, "sad", 0.7)]
    over_time = dataclasses.replace(timeline, duration_s=8.0, segments=tuple(window(*each) for each in windows))
    assert label_spans(over_time, "knn") == [
        LabelSpan(0.0, 2.0, "", 0.0),
        LabelSpan(2.0, 4.0, "sad", pytest.approx(0.7)),
        LabelSpan(4.0, 5.0, "calm", 0.9),
        LabelSpan(5.0, 6.0, "", 0.0),
        LabelSpan(6.0, 8.0, "sad", 0.7),
    ]
    assert label_spans(over_time, "mlp") == [LabelSpan(0.0, 8.0, "", 0.0)]


def test_what_was_opened_to_be_read_is_taken_too(memo, timeline):
    stream = decoding.stream(waveform.encode_wav(Waveform(memo, RATE)))
    again = analyse(stream, window_predictor([]))
    assert (again.duration_s, again.container, again.activity) == (timeline.duration_s, "WAV", timeline.activity)


def test_progress_is_told_and_what_is_heard_is_kept(memo, recognizers):
    told, kept = [], []
    analyse(
        waveform.encode_wav(Waveform(memo, RATE)),
        window_predictor(recognizers),
        keep=kept.append,
        on_progress=lambda done_s, total_s: told.append((done_s, total_s)),
    )
    np.testing.assert_array_equal(np.concatenate(kept), memo)
    assert told[-1] == (20.3, 20.3) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_it_can_be_stopped_between_windows(memo):
    class Enough(Exception):
        pass

    asked = []

    def stop() -> None:
        asked.append(True)
        if len(asked) == 9:
            raise Enough

    with pytest.raises(Enough):
        analyse(waveform.encode_wav(Waveform(memo, RATE)), window_predictor([]), check_stop=stop)


@pytest.mark.parametrize(
    ("window_s", "hop_s", "sentence"),
    [
        (0.5, 0.5, r"1 to 10 s long\. Got 0\.5"),
        (30, 1, "1 to 10 s long"),
        (3, 0.1, r"every 0\.25 s to 3 s .*Got 0\.1"),
        (2, 3, "to 2 s"),
        (float("nan"), 1, "Got nan"),
    ],
)
def test_window_and_hop_have_limits(window_s, hop_s, sentence):
    with pytest.raises(ConfigError, match=sentence):
        analyse(b"", window_predictor([]), window_s=window_s, hop_s=hop_s)


def test_an_hour_is_the_most():
    data = waveform.encode_pcm(np.zeros(3601 * 4000, np.int16), 4000)
    with pytest.raises(AudioError, match=r"memo is 60 min 1 s long; the limit here is 60 min"):
        analyse(data, window_predictor([]), name="memo")


def test_the_result_is_json(timeline):
    result = to_dict("memo.wav", timeline)
    assert json.loads(json.dumps(result, allow_nan=False)) == json.loads(json.dumps(result))
    assert set(result) >= {
        "file",
        "duration_s",
        "quality",
        "speech",
        "predictions",
        "window_s",
        "hop_s",
        "segments",
        "activity",
    }
    assert [set(each) for each in result["segments"]] == [{"start_s", "end_s", "speech", "predictions"}] * 19
    assert [len(each["predictions"]) for each in result["segments"]] == [
        len(store.SHIPPED) * each["speech"] for each in result["segments"]
    ]


MEASURE = """
import re, sys
from pathlib import Path
from ser_core.audio import decoding
from ser_core.recognition import timeline
over_time = timeline.analyse(Path(sys.argv[1]), timeline.window_predictor([]), hop_s=3.0)
peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(round(over_time.duration_s), len(over_time.segments), peak_kb // 2**10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the memory from /proc")
def test_memory_does_not_follow_the_length(tmp_path, speech):
    """Four minutes of 48 kHz stereo are 46 MB of samples; as floats, at once, they would be 92."""
    peaks = []
    for minutes in (1, 4):
        path = tmp_path / f"{minutes}.wav"
        quiet = np.zeros((60 * 48_000, 2), np.int16)
        quiet[1000 : 1000 + len(speech)] = waveform.to_pcm(speech)[:, None]
        with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as file:
            for _ in range(minutes):
                file.write(quiet)
        run = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        duration_s, n_windows, peak_mb = map(int, run.stdout.split())
        assert (duration_s, n_windows) == (60 * minutes, 20 * minutes)
        peaks.append(peak_mb)
    assert peaks[1] - peaks[0] < 25
