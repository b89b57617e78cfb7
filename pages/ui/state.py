"""What a visitor's session holds: its keys as constants, and typed access to them.

Widgets forget their value when the page changes; what must outlive that is kept here under a key of our own.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ser_core import beside, untrusted_text
from ser_core.spool import Spool

CLIP = "recognize.clip"
"""Given | None: the clip last recorded, uploaded or picked."""

KEPT = "recognize.kept"
"""Given | None: the clip put aside to compare with."""

INPUTS = RECORD, UPLOADED = "recognize.record", "recognize.upload"
"""What the keys of the recorder and the uploader begin with; the number of their round follows."""

ROUND = "recognize.round"
"""int: part of the input widgets' keys; a new round gives empty widgets, which is the only way to empty them."""

CORPORA_TAB = "corpora.last_tab"
"""str: the tab of the Corpora page that was open last."""

LABELS = "corpora.labels"
"""dict: what becomes of labels where several corpora are used together, as it was chosen last: calm, boredom, shared."""

OWN_CORPUS = "corpora.own.name"
"""str: the corpus of people's own that was open last."""

OWN_SPEAKER = "corpora.own.who"
"""str: the speaker's name that was typed last."""

OWN_ANONYMOUS = "corpora.own.code"
"""str: what a visitor who gives no name is called, made up once a visit."""

OWN_ROUND = "corpora.own.round"
"""int: part of the recorder's and the uploader's keys on the tab Your own."""

OWN_NOTES = "corpora.own.notes"
"""list of (kind, sentence): what became of the clips added last; kind is "success", "warning" or "error"."""

PREVIEW_DRAW = "corpora.preview.draw"
"""int: the seed of what the augmentation preview leaves to chance."""

TRAIN_TAB = "train.last_tab"
"""str: the tab of the Train page that was open last."""

STOP_KEYS = "train.stop_keys"
"""dict[str, str]: run id -> its stop key, for the runs of this visit whose key still has to be shown."""

ADMIN_WORD = "teacher.given"
"""str: the admin word as this visit gave it."""

ADMIN_REFUSAL = "teacher.refusal"
"""str: why the word that was given last does not count, a sentence, or ""."""

BROWSER = "browser"
"""str: a secret that stands for this visit where the browser brings none."""

PICKED = "recognize.models"
"""list[str]: the models that Recognize asks, by their slugs, where somebody chose; without it, the shipped ones."""

BATCH = "batch.run"
"""batch_run.Run | None: the recordings that the Batch page is about, and what is known of them."""

BATCH_ROUND = "batch.round"
"""int: as ROUND, for the Batch page's uploader."""

TIMELINE = "timeline.run"
"""timeline.Run | None: the long recording last looked at, moment by moment."""

LIVE = "live.visitor"
"""live_session.Visitor: who listens for this visitor, and what was heard last."""

FORGOTTEN = "visit.forgotten"
"""str: why what was given was forgotten since the page was drawn last."""

TOO_FAST = "visit.too_fast"
"""str: why the clip given last was not taken, until the page has said so."""

MOST_A_MINUTE = 60
"""Clips that one browser may give within a minute: more than anybody listens to, and a script's would slow the page for the others."""

MOST_OF_AN_ADDRESS = 30 * MOST_A_MINUTE
"""The same of all browsers at one address: as many as thirty may. A class may sit behind one, and a hundred visitors who think for three
seconds between two clips; who makes up cookies gets no further, and meanwhile the others have their turns (beside.Line)."""

COMPARE_TAB = "compare.last_tab"
"""str: the section of the Compare page that was open last."""

COMPARE_COLUMN = "compare.last_column"
"""(protocol, corpus): the column of held-out figures that was looked at last."""

COMPARE_SCORED = "compare.scored"
"""(slugs, corpora): what was last scored on a corpus here, to show it again."""

COMPARE_RETRAINED = "compare.retrained"
"""(recipes, corpus, protocol): what was last trained anew on a corpus here."""

COMPARE_ROBUST = "compare.robust"
"""(slugs, corpora, conditions, clips): what was last heard under conditions."""

COMPARE_CROSS = "compare.cross"
"""(corpora, recipe): what was last measured across corpora."""

RECORDING, UPLOAD, SAMPLE = "recording", "upload", "sample"

LARGE = 16 * 2**20
"""Files with more bytes than this wait on the disk, in a file without a name, and not in memory."""


@dataclass(frozen=True)
class Given:
    """A clip as it came in: its bytes, where it came from, and what is known of it. `name` is untrusted text."""

    name: str
    data: bytes | Spool
    source: str
    digest: str
    label: str | None = None
    note: str = ""


def clip() -> Given | None:
    """Return the clip the page is about."""
    return st.session_state.get(CLIP)


def kept() -> Given | None:
    """Return the clip put aside for comparison."""
    return st.session_state.get(KEPT)


def give(name: str, data: bytes, source: str, *, label: str | None = None, note: str = "") -> None:
    """Make these bytes the clip of the page. `label` is its true emotion where that is known."""
    take(given(name, data, source, label=label, note=note))


def given(name: str, data: bytes, source: str, *, label: str | None = None, note: str = "") -> Given:
    """Return a clip that no page holds yet."""
    digest = hashlib.sha256(data).hexdigest()
    kept = Spool(data) if len(data) > LARGE else data
    return Given(name=untrusted_text.one_line(name), data=kept, source=source, digest=digest, label=label, note=note)


def take(clip: Given) -> None:
    """Make this the clip of the page."""
    st.session_state[CLIP] = clip


def keep() -> None:
    """Put the clip aside for comparison, and make room for another."""
    st.session_state[KEPT] = clip()
    clear()


def drop_kept() -> None:
    """Forget the clip put aside."""
    st.session_state[KEPT] = None


def clear() -> None:
    """Forget the clip, and empty the widgets it came from, so that it cannot return by itself."""
    st.session_state[CLIP] = None
    run = st.session_state.pop(TIMELINE, None)
    if run:
        run.task.stop()
    renew()


def renew() -> None:
    """Empty the recorder and the uploader, and have Streamlit let go of what they held."""
    for key in (f"{each}.{round_number()}" for each in INPUTS):
        let_go(st.session_state.get(key))
    st.session_state[ROUND] = round_number() + 1


def let_go(held: UploadedFile | Sequence[UploadedFile] | None) -> None:
    """Have Streamlit drop files that were sent up; it would keep them until the visit ends."""
    context = get_script_run_ctx()
    for file in held if isinstance(held, list) else [held]:
        if context and isinstance(file, UploadedFile):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


class Pace:
    """Who gave clips within the last minute: one list for the whole server, which no new tab and no cleared cache empties.

    It holds MOST notes at the most, the latest ones, however many browsers somebody makes up.
    """

    MOST = 20_000

    def __init__(self) -> None:
        self._given: deque[tuple[float, beside.Who]] = deque(maxlen=self.MOST)
        self._lock = threading.Lock()

    def take(self, who: beside.Who) -> str:
        """Note that a clip was given, and return ""; where it is one too many for this minute, why and until when."""
        now_s = time.monotonic()
        with self._lock:
            while self._given and now_s - self._given[0][0] >= 60:
                self._given.popleft()
            there = [(at_s, each) for at_s, each in self._given if each[0] == who[0]]
            times = [at_s for at_s, each in there if each == who]
            if len(times) >= MOST_A_MINUTE:
                whose, most, first_s = "You gave", MOST_A_MINUTE, times[-MOST_A_MINUTE]
            elif len(there) >= MOST_OF_AN_ADDRESS:
                whose, most, first_s = "Your network gave", MOST_OF_AN_ADDRESS, there[-MOST_OF_AN_ADDRESS][0]
            else:
                self._given.append((now_s, who))
                return ""
        wait_s = max(math.ceil(60 - now_s + first_s), 1)
        return (
            f"{whose} {most:,} clips within a minute, the most that it may be, so that the page stays quick for everyone. "
            f"Wait {wait_s} s, or use the Batch page for many at once."
        )

    def __len__(self) -> int:
        return len(self._given)


PACE = Pace()


def is_too_fast() -> bool:
    """Note that a clip was given; return whether it is one too many for this minute, and leave a sentence on the page if so."""
    st.session_state[TOO_FAST] = PACE.take(who())
    return bool(st.session_state[TOO_FAST])


def remember(key: str, widget_key: str) -> None:
    """Callback: keep under a key of our own what a widget holds, for when its page is opened again."""
    st.session_state[key] = st.session_state[widget_key]


def round_number() -> int:
    """Return the number that the input widgets carry in their keys."""
    return st.session_state.get(ROUND, 0)


def receive(widget_key: str, source: str) -> None:
    """Callback of the recorder and the uploader: take what the widget now holds, or forget what it gave before.

    Streamlit holds the bytes as long as the widget does; a large file is ours alone from here on, and the widget is empty again.
    """
    file = st.session_state[widget_key]
    current = clip()
    if isinstance(file, UploadedFile):  # not so where Streamlit has dropped it meanwhile
        if is_too_fast():
            renew()
            return
        name = "recording.wav" if source == RECORDING else file.name
        give(name, file.getvalue(), source)
        if file.size > LARGE:
            renew()
            file.close()  # its bytes: Streamlit keeps the object while a page is not drawn to its end
    elif current is not None and current.source == source:
        st.session_state[CLIP] = None


def browser() -> str:
    """Return a secret that nobody else has: of the browser, whose visits share it, else of this visit."""
    return _cookie() or st.session_state.setdefault(BROWSER, secrets.token_hex(16))


def who() -> beside.Who:
    """Return the address and the browser that this visit comes from, for counting and taking turns: "" where there is none.

    Anybody can make up the browser's part. Whoever brings none shares it with the others at the address who do not; this machine's own
    address is "". Of an IPv6 address it is the network of 64 bits, of which a single machine has all.
    """
    return _network(st.context.ip_address or ""), _cookie()


def announce() -> None:
    """Have the work of this thread count as this visit's (beside.WHO). A thread of ours, which has no visit, was told when it began."""
    if get_script_run_ctx():
        beside.WHO.set(who())


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network(f"{found}/64", strict=False))
    return str(found)


def _cookie() -> str:
    """Return the secret in Streamlit's own protection against forged requests, "" where the browser brings none.

    That cookie holds a mask, 16 random bytes under that mask, which stay the same as long as the browser runs, and a time.
    """
    kind, _, rest = str(st.context.cookies.get("_streamlit_xsrf", "")).strip("\"'").partition("|")
    try:
        mask, masked, _ = rest.split("|")
        key, told = bytes.fromhex(mask), bytes.fromhex(masked)
        if kind == "2" and len(key) == 4 and len(told) == 16:
            return bytes(byte ^ key[place % 4] for place, byte in enumerate(told)).hex()
    except ValueError:
        pass
    return ""


def picked(shipped: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return the slugs of the models that Recognize asks: those chosen, else the shipped ones; of either, those that are there."""
    known = list(there)
    chosen = [slug for slug in st.session_state.get(PICKED, ()) if slug in known]
    return chosen or [slug for slug in shipped if slug in known] or known


def pick(slug: str, shipped: Iterable[str]) -> None:
    """Have Recognize ask this model too."""
    st.session_state[PICKED] = list(dict.fromkeys([*st.session_state.get(PICKED, shipped), slug]))
