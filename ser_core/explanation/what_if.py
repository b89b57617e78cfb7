"""What if the clip had been recorded elsewhere, or spoken otherwise: models asked about one clip under every row of audio/degradations.py.

`hear` and `ask` are tasks of a worker; `find` says for each row the mildest level at which an answer becomes another, `sentence` says it
in words. Which answers belong together, of all models as one or adapted to a voice, is the caller's business.
"""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_core.audio import decoding, degradations
from ser_core.audio.degradations import CONDITIONS
from ser_core.audio.waveform import Waveform
from ser_core.errors import SerError
from ser_core.metrics import abstention
from ser_core.recognition import service
from ser_core.recognition.recognizer import Prediction

Variant = tuple[str, float]
"""A name of CONDITIONS and a level."""

SURROUNDED_BY = "five synthetic voices that speak at once"
"""What babble is made of here."""


@dataclass(frozen=True)
class Row:
    """One way in which a clip can become another. condition: of CONDITIONS; title: of a table's row; whole: all levels, in a sentence.

    at(level) says one level in a sentence, mark(level) in a cell. side: of a condition with a middle, which levels: -1 below, 1 above.
    """

    condition: str
    title: str
    whole: str
    at: Callable[[float], str]
    mark: Callable[[float], str]
    side: int = 0

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels that are tried, the mildest first."""
        row = CONDITIONS[self.condition]
        if row.middle is None:
            return row.levels
        found = [level for level in row.levels if (level - row.middle) * self.side > 0]
        return tuple(sorted(found, key=abs))


def _decibel(level: float) -> str:
    return f"{abs(level):g} dB"


def _percent(level: float) -> str:
    return f"{abs(level):g} %"


def _kbps(level: float) -> str:
    return f"{level:g} kbit/s"


def _semitones(level: float) -> str:
    return f"{abs(level):g} semitones"


ROWS: tuple[Row, ...] = (
    Row("white", "White noise", "white noise", lambda x: f"white noise at {x:g} dB", _decibel),
    Row("pink", "Pink noise", "pink noise", lambda x: f"pink noise at {x:g} dB", _decibel),
    Row("babble", "Babble", "babble", lambda x: f"babble at {x:g} dB", _decibel),
    Row("reverb", "Room", "a room", lambda x: f"a room that rings for {x:g} s", lambda x: f"{x:g} s"),
    Row("telephone", "Telephone", "the telephone", lambda x: f"a line up to {x:g} Hz", lambda x: f"{x:g} Hz"),
    Row("mp3", "MP3", "MP3", lambda x: f"MP3 at {x:g} kbit/s", _kbps),
    Row("opus", "Opus", "Opus", lambda x: f"Opus at {x:g} kbit/s", _kbps),
    Row("gain", "Recorded softer", "a softer recording", lambda x: f"a recording {-x:g} dB softer", _decibel, -1),
    Row("gain", "Recorded louder", "a louder recording", lambda x: f"a recording {x:g} dB louder", _decibel, 1),
    Row("speed", "Played slower", "slower playing", lambda x: f"playing {-x:g} % slower", _percent, -1),
    Row("speed", "Played faster", "faster playing", lambda x: f"playing {x:g} % faster", _percent, 1),
    Row("stretch", "Spoken slower", "slower speech", lambda x: f"speech {-x:g} % slower", _percent, -1),
    Row("stretch", "Spoken faster", "faster speech", lambda x: f"speech {x:g} % faster", _percent, 1),
    Row("pitch", "Lower voice", "a lower voice", lambda x: f"a voice {-x:g} semitones lower", _semitones, -1),
    Row("pitch", "Higher voice", "a higher voice", lambda x: f"a voice {x:g} semitones higher", _semitones, 1),
)
"""Everything that is tried, in the order of CONDITIONS; one row for each way from the middle."""


def levels(condition: str) -> tuple[float, ...]:
    """Return the levels of a condition that change the clip."""
    row = CONDITIONS[condition]
    return tuple(level for level in row.levels if level != row.middle)


def read_voices(folder: Path) -> tuple[Waveform, ...]:
    """Return the synthetic voices of a folder of samples, which babble is mixed from; none where there is no such folder.

    folder: as pages/samples, with samples.json, which says what each sample was made with.
    """
    try:
        listed = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    files = [each["file"] for each in listed if "voice" in each["made_with"]]
    return tuple(decoding.decode((folder / name).read_bytes()).waveform for name in files[: degradations.N_VOICES])


@functools.lru_cache(maxsize=2)
def _voices(folder: Path) -> tuple[Waveform, ...]:
    return read_voices(folder)


def change(waveform: Waveform, condition: str, level: float, voices: Sequence[Waveform] = ()) -> Waveform:
    """Return the clip under a condition at a level: the same at each call, and the same noise, room and voices at every level.

    voices: what babble is mixed from, without the clip itself. Raises ConfigError for another condition, or babble without voices.
    """
    degradations.check([condition])
    rng = np.random.default_rng(zlib.crc32(condition.encode()))
    others = [each for each in voices if not np.array_equal(each.samples, waveform.samples)]
    return degradations.apply(condition, level, waveform, rng=rng, voices=others)


def hear(
    waveform: Waveform, condition: str, level: float, models: service.Models, folder: Path, samples: Path
) -> tuple[Waveform, service.Answers]:
    """Return the clip under a condition, and the answers of some models of a models folder; a task of a worker.

    samples: the folder of the voices (read_voices).
    """
    changed = change(waveform, condition, level, _voices(samples))
    return changed, service.predict_waveform(changed, models, folder)


def ask(
    waveform: Waveform, condition: str, models: service.Models, folder: Path, samples: Path
) -> list[service.Answers]:
    """Return what `hear` does, without the sounds, at all `levels` of a condition; a task of a worker.

    Where the clip cannot be changed so, each answer is the sentence that says why.
    """
    found: list[service.Answers] = []
    for level in levels(condition):
        try:
            found.append(hear(waveform, condition, level, models, folder, samples)[1])
        except SerError as error:
            found.append([str(error)] * len(models))
    return found


def answer(prediction: Prediction) -> str:
    """Return what a model says: its label, or "not sure"."""
    return abstention.NOT_SURE if prediction.sure is False else prediction.label


@dataclass(frozen=True)
class Flip:
    """What a row does to an answer. level: the mildest tried at which it is another, None where it stays; becomes: which, or ""."""

    row: Row
    level: float | None = None
    becomes: str = ""

    @property
    def mark(self) -> str:
        """What a cell of a table says: '10 dB: not sure', or 'stays'."""
        return "stays" if self.level is None else f"{self.row.mark(self.level)}: {self.becomes}"


def find(clean: Prediction, heard: Mapping[Variant, Prediction]) -> list[Flip]:
    """Return what each row does to a model's answer; rows that the model has not answered at any level are left out.

    clean: its answer to the clip as it is; heard: its answers to the variants.
    """
    flips = []
    for row in ROWS:
        found = [(level, heard[row.condition, level]) for level in row.levels if (row.condition, level) in heard]
        if found:
            first = next(((level, answer(each)) for level, each in found if answer(each) != answer(clean)), None)
            flips.append(Flip(row, *first) if first else Flip(row))
    return flips


def sentence(clean: Prediction, flips: Sequence[Flip]) -> str:
    """Return Markdown on what an answer survives and what makes it another, such as '*angry* survives MP3; babble at 10 dB makes it
    *not sure*.'; "" where nothing was tried."""
    if not flips:
        return ""
    said, kept = answer(clean), [flip for flip in flips if flip.level is None]
    verb = "stays with" if said == abstention.NOT_SURE else "survives"
    if len(kept) == len(flips):
        return f"*{said}* {verb} all that was tried."
    parts = [f"*{said}* {verb} {_list([flip.row.whole for flip in kept]) or 'nothing that was tried'}"]
    for label in dict.fromkeys(flip.becomes for flip in flips if flip.level is not None):
        causes = [flip.row.at(flip.level) for flip in flips if flip.level is not None and flip.becomes == label]
        parts.append(f"{_list(causes)} {'makes' if len(causes) == 1 else 'make'} it *{label}*")
    return f"{'; '.join(parts)}."


def _list(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
