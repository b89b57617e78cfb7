"""The quality of a recording: level, clipping, silence, speech, noise and bandwidth.

A report is made from the samples and the features that were extracted anyway. Its sentences say what to do;
its `has_speech` decides whether the models answer at all: pitch as a voice has it, and voice_activity.py, which tells it from music.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.ndimage

from ser_core.audio.waveform import Waveform
from ser_core.features import extraction, voice_activity
from ser_core.features.extraction import REFERENCE_RMS, Features, mel_frequencies
from ser_core.system import units

MIN_SPEECH_S = 0.2
"""Less voiced speech than this is not an utterance: one short syllable lasts about 0.2 s."""

HEARD_PROBABILITY = 0.5
HEARD_RUN_FRAMES = 3
"""Frames of voice_activity.py in a row, 96 ms, that count as speech: a note passes for a syllable now and then, but for a moment only."""

SHOUT_HZ, SHOUT_SPEED = 250.0, 0.72
"""A voice as high as this in which no speech is heard may be a scream: it is heard again, slower and so lower."""

WHISPER_VOICING, WHISPER_PERIODICITY = 0.75, 0.2
"""A clip whose mean periodicity, weighted by its level, lies below this has no voice in it. Its mean voicing is then below the first
number, which costs nothing to know."""

WHISPER_TILT_HZ, WHISPER_PROBABILITY = 1000.0, 0.2
"""Such a clip is heard with less treble, as a voice has it (6 dB less per octave from there), and less is enough to call it speech."""

WHISPER_SNR_DB = 10.0
"""Speech without periodicity that stands out by this much is a whisper; otherwise noise may hide its pitch."""

SHORT_SPEECH_S = 0.7
MIN_LEVEL_DBFS = -65.0
QUIET_DBFS = -40.0
CLIPPED_SHARE = 0.002
NOISY_SNR_DB = 15.0
NARROW_HZ = 3800.0
MAX_SNR_DB = 60.0
_FULL_SCALE = 0.985
_HANGOVER_FRAMES = 5
_RUN_FRAMES = 4
_MAX_STEP = 0.15
_RUMBLE_HZ = 70.0
_RUMBLE_STEP = 0.027
_BANDWIDTH_DB = 55.0


@dataclass(frozen=True)
class Quality:
    """Facts about a recording. Levels in dB re full scale, shares as fractions from 0 to 1.

    level_dbfs is the root mean square of the loud frames; speech_s counts voiced frames and what joins them (100 ms on
    either side), without pitch what is heard as speech; snr_db (at most 60) is None where there is no speech or no pause to measure;
    steady marks a constant tone. heard_s: how much voice_activity.py heard as speech, where there is pitch until it was enough, None
    where it was not asked; whispered: it is enough, and has no periodicity, which noise could hide.
    """

    duration_s: float
    level_dbfs: float
    peak_dbfs: float
    clipped: float
    silence: float
    speech_s: float
    snr_db: float | None
    bandwidth_hz: float
    steady: bool
    heard_s: float | None = None
    whispered: bool = False

    @property
    def has_speech(self) -> bool:
        """True where there is enough of a voice, loud enough, for a model to say anything."""
        is_heard = self.heard_s is None or self.heard_s >= MIN_SPEECH_S
        return is_heard and self.speech_s >= MIN_SPEECH_S and self.level_dbfs >= MIN_LEVEL_DBFS and not self.steady

    @property
    def summary(self) -> str:
        """One line, such as '2.1 s of speech, good level, quiet background'."""
        if not self.has_speech:
            return "No speech found"
        level = (
            "too loud"
            if self.clipped > CLIPPED_SHARE
            else "low level"
            if self.level_dbfs < QUIET_DBFS
            else "good level"
        )
        if self.snr_db is None:
            background = "no pause to measure the background"
        else:
            background = "noisy background" if self.snr_db < NOISY_SNR_DB else "quiet background"
        return f"{units.length(self.speech_s)} of {'whispered ' * self.whispered}speech, {level}, {background}"

    @property
    def advice(self) -> tuple[str, ...]:
        """Sentences that say what would make this recording better; empty where nothing would."""
        if not self.has_speech:
            return (self._why_no_speech(),)
        advice = []
        if self.whispered:
            advice.append(
                "This is a whisper, which has no pitch. The models learned from voices that have one, so do not rely on the answer."
            )
        if self.speech_s < SHORT_SPEECH_S:
            advice.append("There is little speech in it: say a whole sentence, two to four seconds long.")
        if self.clipped > CLIPPED_SHARE:
            advice.append("The sound is cut off at full scale: move away from the microphone or lower its level.")
        if self.level_dbfs < QUIET_DBFS:
            advice.append("The recording is quiet: move closer to the microphone or raise its level.")
        if self.snr_db is not None and self.snr_db < NOISY_SNR_DB:
            advice.append("The background is loud: record in a quieter place or closer to the microphone.")
        if self.bandwidth_hz < NARROW_HZ:
            advice.append(
                f"The sound ends at about {self.bandwidth_hz / 1000:.1f} kHz, as on a telephone: expect more mistakes."
            )
        return tuple(advice)

    def _why_no_speech(self) -> str:
        if self.level_dbfs < MIN_LEVEL_DBFS:
            return (
                "The recording is silent. Check that the right microphone is chosen and not muted, then record again."
            )
        if self.steady:
            return "There is a steady tone but no voice in it. Speak a sentence into the microphone."
        if self.heard_s is not None and self.speech_s >= MIN_SPEECH_S:
            return (
                "There are tones but no speech in it: as in music, alarms or machines. Speak a sentence, two to four seconds long, "
                "close to the microphone."
            )
        return "There is sound but no voice in it. Speak a sentence, two to four seconds long, close to the microphone."

    def to_dict(self) -> dict[str, Any]:
        """Return the facts and the summary as JSON values."""
        return asdict(self) | {"summary": self.summary, "advice": list(self.advice)}


def report(waveform: Waveform, features: Features, *, listen: bool = True) -> Quality:
    """Return the quality of a clip from its samples and from the features of the same waveform.

    listen : whether voice_activity.py is asked (2 ms a second of sound, until it has heard enough of a voice with pitch; for a high
        voice sometimes twice). Without, what has a pitch counts as speech: enough for clips that are known to be speech.
    """
    samples = waveform.samples
    peak = float(np.abs(samples).max())
    sounds = float(features.rms.max()) > 1e-6
    level_dbfs = 20 * np.log10(REFERENCE_RMS) - features.gain_db if sounds else -120.0
    level, loud, voiced, speech = _activity(features)
    frame_s = features.config.hop_length / features.config.sample_rate
    speech_s = round(min(int(speech.sum()) * frame_s, waveform.duration_s), 4)
    heard_s, whispered = None, False
    if listen and level_dbfs >= MIN_LEVEL_DBFS:
        whisper = _whisper(waveform, features, level)
        whispered = bool(whisper.any())
        heard = whisper if whispered else _heard(waveform, features, to_decide=speech_s >= MIN_SPEECH_S)
        heard_s = round(float(heard.sum()) * voice_activity.FRAME_S, 4)
        if heard_s < MIN_SPEECH_S <= speech_s and float(np.median(features.f0_hz[voiced])) >= SHOUT_HZ:
            slower = _heard(waveform, features, speed=SHOUT_SPEED)
            heard_s = round(float(slower.sum()) * voice_activity.FRAME_S * SHOUT_SPEED, 4)
        if whispered or speech_s < MIN_SPEECH_S <= heard_s:  # a voice without pitch, or one that noise hides
            speech, speech_s = _at_frames(heard, features), heard_s
    return Quality(
        duration_s=round(waveform.duration_s, 4),
        level_dbfs=round(max(float(level_dbfs), -120.0), 2),
        peak_dbfs=round(20 * float(np.log10(max(peak, 1e-6))), 2),
        clipped=round(float((np.abs(samples) >= _FULL_SCALE).mean()), 5),
        silence=round(float((~loud).mean()), 4),
        speech_s=speech_s,
        snr_db=_signal_to_noise(level, speech),
        bandwidth_hz=_bandwidth(features, loud),
        steady=_is_steady(features, level, voiced),
        heard_s=heard_s,
        whispered=whispered,
    )


def merge(reports: Sequence[Quality]) -> Quality:
    """Return the quality of a recording from those of its pieces, at least one: sums, shares by length, the median of the rest.

    Where some pieces have speech, level, noise and bandwidth are theirs: long pauses do not hide a good recording.
    """
    total_s = sum(each.duration_s for each in reports)
    shares = [each.duration_s / max(total_s, 1e-9) for each in reports]
    telling = [each for each in reports if each.has_speech] or list(reports)
    ratios = [each.snr_db for each in telling if each.snr_db is not None]
    return Quality(
        duration_s=round(total_s, 4),
        level_dbfs=float(np.median([each.level_dbfs for each in telling])),
        peak_dbfs=max(each.peak_dbfs for each in reports),
        clipped=round(sum(each.clipped * share for each, share in zip(reports, shares, strict=True)), 5),
        silence=round(sum(each.silence * share for each, share in zip(reports, shares, strict=True)), 4),
        speech_s=round(sum(each.speech_s for each in reports if each.has_speech), 4),
        snr_db=round(float(np.median(ratios)), 1) if ratios else None,
        bandwidth_hz=round(float(np.median([each.bandwidth_hz for each in telling])), 1),
        steady=all(each.steady for each in reports),
        heard_s=round(sum(heard), 4)
        if (heard := [each.heard_s for each in telling if each.heard_s is not None])
        else None,
        whispered=all(each.whispered for each in telling),
    )


def speech(features: Features, quality: Quality) -> np.ndarray:
    """Return which frames of a clip belong to speech, (n_frames,) bool: voiced ones and what joins them, 100 ms on either side.

    In speech without pitch those are the loud frames; where the clip has no speech, none.
    """
    _, loud, _, spoken = _activity(features)
    has_pitch = spoken.sum() * features.config.hop_length >= MIN_SPEECH_S * features.config.sample_rate
    return (spoken if has_pitch and not quality.whispered else loud) & quality.has_speech


def _heard(waveform: Waveform, features: Features, *, speed: float = 1.0, to_decide: bool = False) -> np.ndarray:
    """Return which frames of voice_activity.py are heard as speech, (n,) bool, at the level at which the models hear the clip.

    speed : at which it is played, which changes its pitch as well. to_decide : no more is listened to than tells whether there is speech.
    """
    samples = (waveform.samples - waveform.samples.mean()) * np.float32(10 ** (features.gain_db / 20))
    played = Waveform(samples, round(speed * waveform.sample_rate))
    return _runs(voice_activity.probabilities(played, enough=_is_enough if to_decide else None))


def _whisper(waveform: Waveform, features: Features, level: np.ndarray) -> np.ndarray:
    """Return which frames of voice_activity.py are heard as whispered speech, (n,) bool: none where the clip is no whisper."""
    import scipy.signal  # 40 MB that a server, which measures nothing itself, need not hold

    none, weights = np.zeros(1, bool), features.rms + 1e-9
    if np.average(features.voicing, weights=weights) >= WHISPER_VOICING:
        return none
    if np.average(extraction.periodicity(waveform, features.config), weights=weights) >= WHISPER_PERIODICITY:
        return none
    low_pass = scipy.signal.butter(1, WHISPER_TILT_HZ, fs=waveform.sample_rate)
    samples = scipy.signal.lfilter(*low_pass, waveform.samples - waveform.samples.mean()).astype(np.float32)
    gain = 10 ** (extraction.condition(samples, features.config)[1] / 20)
    played = Waveform(samples * np.float32(gain), waveform.sample_rate)
    heard = _runs(voice_activity.probabilities(played), WHISPER_PROBABILITY)
    ratio = _signal_to_noise(level, _at_frames(heard, features))
    stands_out = ratio is None or ratio >= WHISPER_SNR_DB
    return heard & (stands_out and heard.sum() * voice_activity.FRAME_S >= MIN_SPEECH_S)


def _at_frames(heard: np.ndarray, features: Features) -> np.ndarray:
    """Return which frames of the features lie within those of voice_activity.py, (n_frames,) bool."""
    at_frames: np.ndarray = heard[np.minimum((features.times_s / voice_activity.FRAME_S).astype(int), len(heard) - 1)]
    return at_frames


def _is_enough(likely: np.ndarray) -> bool:
    return float(_runs(likely).sum()) * voice_activity.FRAME_S >= MIN_SPEECH_S


def _runs(likely: np.ndarray, probability: float = HEARD_PROBABILITY) -> np.ndarray:
    heard: np.ndarray = scipy.ndimage.binary_opening(likely >= probability, np.ones(HEARD_RUN_FRAMES, bool))
    return heard


def _activity(features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the recording's own level in dB re full scale, and which frames are loud, voiced and speech; each (n_frames,)."""
    level = 20 * np.log10(np.maximum(features.rms, 1e-8)) - features.gain_db
    loud = level > max(float(level.max()) - features.config.trim_top_db, MIN_LEVEL_DBFS)
    voiced = _continuous(features.f0_hz) & loud
    speech = scipy.ndimage.binary_dilation(voiced, iterations=_HANGOVER_FRAMES) & loud if voiced.any() else voiced
    return level, loud, voiced, speech


def _continuous(f0_hz: np.ndarray) -> np.ndarray:
    """Return which frames belong to a voice, (n_frames,) bool: runs of 4 frames (80 ms) or more without a jump in pitch.

    Noise sometimes looks periodic for a frame or two, but its pitch jumps; a voice's changes by less than 15 % per frame.
    Rumble looks periodic at the lower end of the search range, for longer; there a run takes 8 frames, and moves by less
    than 3 % on average, as a low voice does.
    """
    step = np.abs(np.diff(np.log(f0_hz)))
    joined = np.concatenate([[False], step < _MAX_STEP, [False]])  # NaN compares as False
    edges = np.flatnonzero(np.diff(joined.astype(np.int8)))
    voiced = np.zeros(len(f0_hz), bool)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        low = np.median(f0_hz[start : stop + 1]) < _RUMBLE_HZ
        steps, n_least = step[start:stop], 2 * _RUN_FRAMES if low else _RUN_FRAMES
        voiced[start : stop + 1] = len(steps) + 1 >= n_least and not (low and steps.mean() > _RUMBLE_STEP)
    return voiced


def _signal_to_noise(level_db: np.ndarray, speech: np.ndarray) -> float | None:
    """Return speech power over the power of the quietest tenth of the other frames, in dB."""
    pause = level_db[~speech]
    if not speech.any() or len(pause) < 5:
        return None
    noise = float(np.mean(10 ** (np.sort(pause)[: max(len(pause) // 10, 5)] / 10)))
    power = float(np.mean(10 ** (level_db[speech] / 10)))
    return round(min(10 * float(np.log10(max(power - noise, 1e-12) / max(noise, 1e-12))), MAX_SNR_DB), 1)


def _bandwidth(features: Features, loud: np.ndarray) -> float:
    """Return the centre of the highest mel band within 55 dB of the strongest one, averaged over the loud frames, in Hz."""
    if not loud.any():
        return 0.0
    mean = 10 * np.log10(np.mean(10 ** (features.log_mel[loud] / 10), axis=0))
    return round(float(mel_frequencies(features.config)[np.flatnonzero(mean > mean.max() - _BANDWIDTH_DB)[-1]]), 1)


def _is_steady(features: Features, level_db: np.ndarray, voiced: np.ndarray) -> bool:
    """True for a constant tone: half a second or more in which neither pitch (0.15 semitones) nor level (1 dB) moves."""
    if voiced.sum() < 25:
        return False
    inner = scipy.ndimage.binary_erosion(voiced, iterations=2)
    if inner.sum() < 20:
        return False
    pitch = 12 * np.log2(features.f0_hz[inner])
    return bool(pitch.std() < 0.15 and level_db[inner].std() < 1.0)
