"""Who speaks: one key for all spellings of a speaker's name, so that nobody is trained on under one and tested under another.

Tables, folders, zips and recordings made here join their speakers by it; the speakers of known corpora are codes, and need none.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from ser_core.system import untrusted_text

NOT_STATED = frozenset(["unknown", "n/a", "#n/a", "<na>", "none", "nan", "null", "notstated", "notknown"])
"""Keys of what people write where a speaker is not known; nothing, and punctuation alone such as - or ?, mean the same."""

LONGEST = 1000
"""How much of a name is looked at, in characters: the time that takes may grow with the square of its length."""

_UNSEEN = frozenset(["Cf", "Cs", "Co", "Cn"])
"""Categories of characters that show nothing; _UNSEEN_LETTERS are of other categories."""
_UNSEEN_LETTERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
)


def key(name: str) -> str:
    """Return what all spellings of a speaker's name share; "" where it states no speaker.

    Case, blanks, zero-width characters, compatibility forms and leading zeros do not count, and 2.0 is 2: spreadsheets add and drop them.
    """
    text = unicodedata.normalize("NFKC", name[:LONGEST]).casefold()
    text = "".join(each for each in text if not _is_unseen(each))
    # A blank between two digits stays: 1 2 is not 12.
    text = re.sub(r"(?<!\d) | (?!\d)", "", " ".join(unicodedata.normalize("NFKC", text).split()))
    text = re.sub(r"^(\d+)[.,]0*$", r"\1", text)
    text = re.sub(r"(?<![\d.,])0+(?=\d)", "", text)
    is_word = any(not unicodedata.category(each).startswith("P") for each in text)
    return text if is_word and text not in NOT_STATED else ""


def identity(speaker: str) -> str:
    """Return what all spellings of a speaker of the clips table share: "mine:Anna" -> "mine:anna"; "" for nobody."""
    corpus, _, name = speaker.partition(":")
    return f"{corpus}:{key(name)}" if speaker else ""


def _is_unseen(letter: str) -> bool:
    return unicodedata.category(letter) in _UNSEEN or letter in _UNSEEN_LETTERS


def joined(names: Sequence[str], *, longest: int) -> list[str]:
    """Return each speaker's name, untrusted, as one line: its most frequent spelling, the first on a tie; "" where none is stated."""
    keys = [key(name) for name in names]
    names = [untrusted_text.one_line(name, longest) for name in names]
    counts: dict[str, Counter[str]] = {}
    for each, name in zip(keys, names, strict=True):
        counts.setdefault(each, Counter())[name] += 1
    shown = {each: spellings.most_common(1)[0][0] for each, spellings in counts.items()} | {"": ""}
    return [shown[each] for each in keys]
