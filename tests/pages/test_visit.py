"""What a visitor gave is forgotten at a click, after they have left, and after an hour without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import clip_input, runtime, state
from pages.ui import visits as ui_visits
from pages.ui.live import session
from pages.ui.visits import IDLE, LEFT_S, LOOK_S, MOST_HELD, QUIET_S, Visits, idle_s
from ser_core.recognition import live, timeline
from tests.support import pages

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()


class Told(runtime.Server):
    """A server that notes what it is told."""

    def __init__(self, *here: str) -> None:
        self.here, self.ended, self.drawn, self.files = set(here), [], [], {}

    def is_here(self, name: str) -> bool:
        return name in self.here

    def held(self) -> dict[str, int]:
        return dict(self.files)

    def drop(self, name: str) -> None:
        del self.files[name]

    def end(self, name: str) -> None:
        self.ended.append(name)

    def draw(self, name: str) -> None:
        self.drawn.append(name)


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Visits:
    monkeypatch.setattr(ui_visits.time, "monotonic", lambda: 1000.0)
    visits = Visits()
    assert not visits.seen("anna") and not visits.seen("ben")
    return visits


def test_a_visit_ends_once_its_connection_is_gone_for_a_while(visits: Visits) -> None:
    server = Told("anna", "ben")
    visits.look(1010.0, server)
    server.here.remove("anna")
    visits.look(1020.0, server)
    visits.look(1020.0 + LEFT_S - 1, server)
    assert server.ended == [] and len(visits) == 2
    visits.look(1020.0 + LEFT_S, server)
    assert server.ended == ["anna"] and len(visits) == 1 and server.drawn == []


def test_a_visit_that_comes_back_stays(visits: Visits) -> None:
    server = Told("ben")
    visits.look(1010.0, server)
    server.here.add("anna")
    visits.look(1050.0, server)
    server.here.remove("anna")
    visits.look(1090.0, server)
    visits.look(1090.0 + LEFT_S - 1, server)
    assert server.ended == []


def test_streamlit_still_knows_a_visit_when_it_ends() -> None:
    from streamlit.runtime.memory_session_storage import MemorySessionStorage

    # Streamlit shows this limit under no public name.
    assert LEFT_S + 2 * LOOK_S < MemorySessionStorage()._cache.ttl


def test_a_page_without_a_click_is_drawn_anew_once_and_forgets(visits: Visits) -> None:
    server = Told("anna", "ben")
    visits.look(1000.0 + idle_s() - 1, server)
    assert server.drawn == []
    for later in (0, 20):
        visits.look(1000.0 + idle_s() + later, server)
    assert server.drawn == ["anna", "ben"] and server.ended == []
    assert "for 60 minutes" in visits.seen("anna") and not visits.seen("anna")


def test_who_sends_too_much_at_once_loses_it_and_reads_why(visits: Visits) -> None:
    server = Told("anna", "ben")
    server.files = {"anna": MOST_HELD + 1, "ben": MOST_HELD, "unseen": 2 * MOST_HELD}
    visits.look(1010.0, server)
    assert server.files == {"ben": MOST_HELD} and server.drawn == ["anna", "unseen"]
    assert "more than 1 GB" in visits.seen("anna") and not visits.seen("ben")


def test_the_oldest_idle_files_make_room_first(visits: Visits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_visits, "MOST_HELD", 100)
    server = Told("anna", "ben")
    server.files = {"anna": 40, "ben": 40, "carl": 10}
    visits.seen("carl")
    # A past that the clock of this test does not reach.
    visits._visits["anna"].seen_s, visits._visits["ben"].seen_s = 900.0, 800.0
    later = 900.0 + QUIET_S  # carl has clicked since
    assert visits.make_room(10, "dora", "10.0.0.2", later, server) and len(server.files) == 3
    assert visits.make_room(30, "dora", "10.0.0.2", later, server)
    assert server.files == {"anna": 40, "carl": 10} and server.drawn == ["ben"]
    assert "ran out of room" in visits._visits["ben"].due and not visits._visits["anna"].due
    assert visits.make_room(90, "dora", "10.0.0.2", later, server) and server.files == {"carl": 10}
    assert not visits.make_room(91, "dora", "10.0.0.2", later, server) and server.files == {"carl": 10}, (
        "who is at work keeps theirs"
    )


def test_one_address_cannot_hold_all_the_room_by_many_tabs(visits: Visits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_visits, "MOST_HELD", 100)
    server = Told()
    for name, size in (("tab1", 30), ("tab2", 40), ("tab3", 30)):
        assert visits.make_room(size, name, "10.0.0.66", 1000.0, server)
        server.files[name] = size
    assert not visits.make_room(1, "tab4", "10.0.0.66", 1000.0, server), "nobody's files go for another tab of the same"
    assert visits.make_room(20, "ben", "10.0.0.2", 1000.0, server)
    assert server.files == {"tab1": 30, "tab3": 30}
    assert not visits.make_room(101, "ben", "10.0.0.2", 1000.0, server) and len(server.files) == 2, (
        "nothing goes in vain"
    )


def test_the_visits_lie_in_no_cache_that_a_visitor_can_clear() -> None:
    before, places = ui_visits.visits(), session.places()
    st.cache_resource.clear()
    st.cache_data.clear()
    assert ui_visits.visits() is before and session.places() is places


@pytest.mark.parametrize(("told", "seconds"), [("", 3600), ("5", 300), ("0", 3600), ("soon", 3600)])
def test_the_hour_can_be_another(monkeypatch: pytest.MonkeyPatch, told: str, seconds: float) -> None:
    monkeypatch.setenv("SER_FORGET_MINUTES", told)
    assert idle_s() == seconds


@pytest.fixture
def page(models: Path) -> Iterator[AppTest]:
    page = pages.visit()
    assert "forget" not in [button.key for button in page.button], "there is nothing to forget yet"
    page.get("file_uploader")[0].set_value(("anna.flac", SPEECH, "audio/flac"))
    page.run()
    page.button("recognize.keep").click().run()
    page.get("file_uploader")[0].set_value(("anna2.flac", SPEECH, "audio/flac"))
    yield page.run()


def said(page: AppTest) -> str:
    assert not page.exception, page.exception[0].value
    return " ".join(each.value for kind in (page.markdown, page.info, page.error) for each in kind)


def check_nothing_is_kept(page: AppTest) -> None:
    assert not any(key in page.session_state for key in state.GIVEN)
    assert page.get("file_uploader")[0].value is None and "anna" not in said(page) and not page.get("plotly_chart")
    assert "forget" not in [button.key for button in page.button]


def test_a_click_forgets_everything(page: AppTest) -> None:
    assert "anna" in said(page)
    page.button("forget").click().run()
    check_nothing_is_kept(page)
    assert "Forgotten." in page.toast[0].value
    page.run()
    check_nothing_is_kept(page)


def test_after_an_hour_the_page_says_what_happened_once(page: AppTest) -> None:
    # An hour later, without waiting for it.
    for each in ui_visits.visits()._visits.values():
        each.due = IDLE.format(minutes=60)
    page.run()
    check_nothing_is_kept(page)
    assert "Nothing happened here for 60 minutes" in page.info[0].value
    assert not page.run().info


def test_more_clips_in_a_minute_than_anybody_hears_are_refused_in_a_sentence(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_input, "MOST_A_MINUTE", 3)
    now_s = [time.monotonic() + 60]  # the clock stands still: a slow machine takes seconds for what follows
    monkeypatch.setattr(clip_input, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    for number in range(1, 5):
        page.get("file_uploader")[0].set_value((f"anna{number}.flac", SPEECH, "audio/flac"))
        page.run()
    assert not page.exception and page.session_state[state.CLIP].name == "anna3.flac"
    assert "Wait 60 s" in page.warning[0].value and page.get("file_uploader")[0].value is None
    assert not page.run().warning
    now_s[0] += 60
    page.get("file_uploader")[0].set_value(("anna5.flac", SPEECH, "audio/flac"))
    page.run()
    assert page.session_state[state.CLIP].name == "anna5.flac" and not page.warning


def test_a_new_tab_does_not_begin_a_new_minute(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.monotonic()  # the clock stands still
    monkeypatch.setattr(clip_input, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(clip_input, "MOST_A_MINUTE", 1)
    first, second = (pages.visit() for _ in range(2))
    for tab in (first, second):
        tab.get("file_uploader")[0].set_value(("anna.flac", SPEECH, "audio/flac"))
        tab.run()
    assert first.session_state[state.CLIP].name == "anna.flac" and not first.warning
    assert state.CLIP not in second.session_state and "You gave 1 clips within a minute" in second.warning[0].value
    monkeypatch.setattr(runtime, "who", lambda: ("", "another browser"))
    second.get("file_uploader")[0].set_value(("ben.flac", SPEECH, "audio/flac"))
    assert second.run().session_state[state.CLIP].name == "ben.flac"


def test_made_up_browsers_share_what_their_address_may_give_and_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(clip_input, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    monkeypatch.setattr(clip_input.Pace, "MOST", 3 * clip_input.MOST_OF_AN_ADDRESS)
    pace = clip_input.Pace()
    refused = [pace.take(("10.0.0.1", f"made up {number}")) for number in range(clip_input.MOST_OF_AN_ADDRESS + 5)]
    assert not any(refused[:-5]) and all(
        "Your network gave 1,800 clips" in each and "Wait 60 s" in each for each in refused[-5:]
    )
    assert not pace.take(("10.0.0.2", "anna")), "another address has its own"
    for number in range(4 * clip_input.MOST_OF_AN_ADDRESS):
        pace.take((f"10.0.1.{number % 250}", f"made up {number}"))
    assert len(pace) == 3 * clip_input.MOST_OF_AN_ADDRESS
    now_s[0] += 60
    assert not pace.take(("10.0.0.1", "made up 1")) and len(pace) == 1


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        (None, ""),
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
    ],
)
def test_a_machine_is_one_address_whatever_it_calls_itself(
    monkeypatch: pytest.MonkeyPatch, address: str | None, counted_as: str
) -> None:
    monkeypatch.setattr(state.st, "context", SimpleNamespace(ip_address=address, cookies={}))
    assert runtime.who() == (counted_as, "")


def test_a_cookie_tells_the_browser_and_what_is_none_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(cookie: str) -> str:
        monkeypatch.setattr(state.st, "context", SimpleNamespace(ip_address=None, cookies={"_streamlit_xsrf": cookie}))
        return runtime.who()[1]

    assert told("2|01020304|" + "01020304" * 4 + "|1700000000") == "00" * 16
    assert told("2|ffffffff|" + "ffffffff" * 4 + "|1700000001") == "00" * 16, "the mask is another each time"
    assert [told(cookie) for cookie in ("", "2|x|y|z", "1|01020304|" + "01020304" * 4 + "|1", "2|01|02|3")] == [""] * 4


def test_what_works_for_a_visitor_is_stopped() -> None:
    class Run:
        class task:
            stopped = False

            @classmethod
            def stop(cls) -> None:
                cls.stopped = True

    class Visitor:
        listener: live.Listener | None = live.Listener(timeline.window_predictor([]))
        drawn = object()
        ended = False

        def end(self) -> None:
            self.ended = True

    held = {state.TIMELINE: Run(), state.LIVE: Visitor(), "other": 1}
    state.release_inputs(held)
    assert Run.task.stopped and state.TIMELINE not in held and held["other"] == 1
    assert held[state.LIVE].ended and held[state.LIVE].listener is None and held[state.LIVE].drawn is None


def test_what_pages_keep_of_clips_and_batches_counts() -> None:
    clip = clip_input.new_clip("a.wav", b"x" * 30, clip_input.UPLOAD)
    assert state.kept_bytes({}) == 0
    assert (
        state.kept_bytes({state.CLIP: clip, state.COMPARISON: None, state.BATCH: SimpleNamespace(held_bytes=500)})
        == 530
    )
