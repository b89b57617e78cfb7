"""What every page begins with: its title in the browser's tab, the menu, the caution, and problems with models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui import cached, state, visit
from ser_core import lesson, untrusted_text

ROOT = Path(__file__).resolve().parents[2]

ICON = Path(__file__).with_name("icon.svg")
"""A file of our own: Streamlit fetches named icons for the browser's tab from the network."""

MENU = (
    ("app.py", "Recognize", ":material/graphic_eq:"),
    ("pages/live.py", "Live", ":material/mic:"),
    ("pages/batch.py", "Batch", ":material/table_rows:"),
    ("pages/corpora.py", "Corpora", ":material/library_music:"),
    ("pages/train.py", "Train", ":material/model_training:"),
    ("pages/compare.py", "Compare", ":material/leaderboard:"),
    ("pages/guide.py", "Guide", ":material/menu_book:"),
    ("pages/lesson.py", "Lesson", ":material/school:"),
)
"""Page, title, icon, in the order of the menu; a page that does not exist is not shown, nor is that of a lesson where there is none."""

CAUTION = "Trained on acted speech; it hears acting, not feelings. Do not assess people with it."

STYLE = """
<style>
.stMainBlockContainer { max-width: 1240px; padding-top: 1.5rem; padding-bottom: 4rem; }
.stMainBlockContainer h1 { font-size: 2rem; padding: .5rem 0 .25rem; }
.stMainBlockContainer h2 { font-size: 1.35rem; padding: 1.25rem 0 .25rem; }
.stMainBlockContainer h3 { font-size: 1.15rem; padding: .25rem 0; }
.st-key-menu { border-bottom: 1px solid rgba(128, 128, 128, .25); padding-bottom: .25rem; }
.st-key-caution p { font-size: .9rem; }
.st-key-caution button { min-height: 0; padding-block: 0; }
[class*="st-key-corpora_card"] h2 { padding-top: 0; }
.ser-grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); gap: 1rem; }
@media (640px < width <= 1100px) { .ser-grid { grid-template-columns: 1fr 1fr; } }
.ser-grid section { border: 1px solid rgba(128, 128, 128, .3); border-radius: .6rem; padding: 1rem; display: flex;
  flex-direction: column; gap: .8rem; min-width: 0; }
.ser-grid p { margin: 0; }
.ser-head { display: flex; justify-content: space-between; align-items: baseline; gap: .5rem; }
.ser-head b { font-weight: 600; }
.ser-grid .ser-small, .ser-grid .ser-problem { font-size: .85rem; line-height: 1.4; opacity: .85; text-wrap: pretty; }
.ser-grid .ser-problem { overflow-wrap: anywhere; }
.ser-grid section > p:last-child { margin-top: auto; }
.ser-label { display: flex; align-items: center; gap: .55rem; font-size: 1.65rem; font-weight: 600; line-height: 1.15; }
.ser-label i { flex: none; width: .9rem; height: .9rem; border-radius: 3px; }
.ser-label span { overflow-wrap: anywhere; }
.ser-unsure { font-weight: 500; }
.ser-unsure > span { opacity: .85; }
.ser-label.ser-unsure i, .ser-squares i.ser-unsure { background: none; border: 2px dashed rgba(128, 128, 128, .9); }
.ser-label small { font-size: 1rem; font-weight: 400; margin-left: auto; white-space: nowrap; }
.ser-grid ul.ser-bars { list-style: none; margin: 0; padding: 0; display: grid; gap: .35rem; }
.ser-grid .ser-bars li { margin: 0; padding: 0; display: grid; grid-template-columns: 4.4rem 1fr 2.8rem; gap: .5rem;
  align-items: center; font-size: .875rem; line-height: 1.3; }
.ser-grid .ser-pair li { grid-template-columns: 4.4rem 1fr 5rem; }
.ser-verdict { display: flex; align-items: baseline; gap: .6rem; margin: 0 0 .9rem; font-size: 1.1rem; font-weight: 600; }
.ser-squares { display: flex; flex: none; gap: 3px; }
.ser-squares i { width: .9rem; height: .9rem; border-radius: 3px; }
.ser-bars li > span:first-child { overflow-wrap: anywhere; }
.ser-bars li > span:last-child, .ser-label small, .ser-head span { text-align: right; font-variant-numeric: tabular-nums; }
.ser-legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 0; font-size: .9rem; }
.ser-legend i { display: inline-block; width: .75rem; height: .75rem; border-radius: 3px; margin-right: .4rem; }
.ser-live { display: grid; grid-template-columns: minmax(9rem, auto) 1fr; gap: 1rem; align-items: center; }
.ser-trace { display: grid; grid-template-columns: 4.6rem 1fr; gap: 3px .6rem; align-items: center; font-size: .85rem; }
.ser-trace > span { text-align: right; }
.ser-lane { position: relative; height: 30px; background: rgba(128, 128, 128, .1); overflow: hidden; }
.ser-lane i { position: absolute; bottom: 0; height: 100%; }
.ser-trace .ser-level { height: 50px; }
.ser-trace img { display: block; width: 100%; height: 130px; }
.ser-trace img.ser-wave { height: 70px; }
.ser-hz { position: relative; align-self: stretch; }
.ser-hz small { position: absolute; right: 0; transform: translateY(50%); }
.ser-axis { display: flex; justify-content: space-between; opacity: .85; }
.ser-meter { display: flex; align-items: center; gap: .75rem; }
.ser-meter span { position: relative; flex: 1; height: .7rem; border-radius: 4px; background: rgba(128, 128, 128, .2); overflow: hidden; }
.ser-meter i { display: block; height: 100%; }
.ser-meter b { position: absolute; top: 0; width: 2px; height: 100%; background: currentColor; opacity: .7; }
.ser-meter small { min-width: 5rem; font-variant-numeric: tabular-nums; }
.st-key-live_cards section { min-height: 21rem; }
.ser-term { color: inherit; text-decoration: underline dotted; text-underline-offset: .2em; }
.ser-bars li.ser-top { font-weight: 600; }
.ser-track { display: grid; gap: 2px; background: rgba(128, 128, 128, .16); border-radius: 3px; overflow: hidden; }
.ser-track i { display: block; height: .6rem; border-radius: 3px; min-width: 2px; }
.ser-track i.ser-before { height: .35rem; opacity: .55; }
div:has(> .st-key-train_plan) { position: sticky; top: 1.5rem; }
.st-key-train_plan h2 { padding-top: 0; }
.st-key-train_groups { gap: .5rem; }
.ser-figures { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin-bottom: .4rem; }
.ser-figures b { display: block; font-size: 1.65rem; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.ser-figures span, .ser-table small { font-size: .85rem; opacity: .85; }
.ser-table { border-collapse: collapse; font-size: .925rem; }
.ser-table th, .ser-table td { text-align: left; padding: .3rem 1.2rem .3rem 0; font-weight: 400; vertical-align: top;
  border-bottom: 1px solid rgba(128, 128, 128, .2); font-variant-numeric: tabular-nums; }
.ser-table tr:last-child > * { border-bottom: 0; }
.ser-compare { width: 100%; table-layout: auto; }
.ser-compare tr:first-child th { font-weight: 600; }
.ser-compare th small { display: block; font-weight: 400; }
.ser-compare td span { white-space: nowrap; }
.ser-wide { overflow-x: auto; }
.ser-small { font-size: .85rem; opacity: .85; }
ol.ser-layers { list-style: none; margin: .5rem 0; padding: 0; max-width: 44rem; font-size: .875rem; }
.ser-layers li { margin: 0; padding: .3rem .6rem; display: grid; grid-template-columns: minmax(7rem, 2fr) 2fr 2fr 4.5rem; gap: .8rem;
  align-items: center; border: 1px solid rgba(128, 128, 128, .3); border-bottom-width: 0; font-variant-numeric: tabular-nums; }
.ser-layers li:first-child { border-radius: .5rem .5rem 0 0; }
.ser-layers li:last-child { border-bottom-width: 1px; border-radius: 0 0 .5rem .5rem; }
.ser-layers span, .ser-layers b { overflow-wrap: anywhere; }
.ser-layers small { display: block; opacity: .8; }
.ser-layers li > :last-child { text-align: right; }
.ser-layers .ser-track i { background: #3d85c6; min-width: 0; }
.ser-codes { display: flex; flex-wrap: wrap; gap: 1.5rem 3rem; }
.ser-codes figure { margin: 0; max-width: 22rem; }
.ser-codes img { display: block; width: min(100%, 20rem); border-radius: .5rem; }
.ser-codes figcaption { margin-top: .5rem; overflow-wrap: anywhere; }
.ser-codes b { display: block; font-size: 1.35rem; }
.ser-codes .ser-second img { width: min(100%, 12rem); }
.ser-codes .ser-second b { font-size: 1.05rem; }
.stMainBlockContainer ul.ser-checks { list-style: none; margin: 0; padding: 0; display: grid; gap: .5rem; max-width: 60rem; }
.stMainBlockContainer .ser-checks li { margin: 0; padding: 0; display: grid; grid-template-columns: 8.5rem 1fr; gap: 0 .75rem;
  overflow-wrap: anywhere; }
@media (width <= 640px) { .stMainBlockContainer .ser-checks li { grid-template-columns: 1fr; } }
@media (width <= 640px) {
  .stTabs [role="tablist"], .stButtonGroup [role="radiogroup"] { flex-wrap: wrap; row-gap: 0; overflow: visible; }
  .stButtonGroup { max-width: 100%; }
}
[data-testid="stWidgetLabel"], [data-testid="stWidgetLabel"] * { color: inherit !important; opacity: 1 !important; }
button[data-variant]:is([aria-checked="true"], [aria-pressed="true"], [aria-selected="true"]) :is(p, span) {
  color: light-dark(#1d4ed8, #9dbcf8) !important; }
button[kind^="primary"]:enabled { color: light-dark(#ffffff, #0b0e13) !important; }
.stPlotlyChart svg text:not([style*="fill: rgb(0, 0, 0)"], [style*="fill: rgb(255, 255, 255)"]) {
  fill: light-dark(#3a424e, #dde3ea) !important; }
</style>
"""
"""The few shapes that Streamlit has no element for: the model cards. Colours come from the theme, or from palette.py."""


def page(title: str, *, lead: str = "", problems: Sequence[str] = (), wrong: str = "") -> None:
    """Draw the top of a page: the first call of every page.

    Parameters
    ----------
    title, lead
        The heading, and one sentence below it.
    problems
        Sentences about models that cannot be used (store.list_models), shown as notices.
    wrong
        How often the models are wrong, a sentence for the pages that show what they say (cards.caution).
    """
    st.set_page_config(
        page_title=f"{title} · Speech emotion", page_icon=str(ICON), layout="wide", initial_sidebar_state="collapsed"
    )
    visit.here()
    st.html(STYLE)
    with st.container(key="menu", horizontal=True, gap="small"):
        for path, name, icon in MENU:
            if (ROOT / path).exists() and (name != "Lesson" or lesson.folder()):
                st.page_link(path, label=name, icon=icon)
    st.title(title, anchor=False)
    if lead:
        st.markdown(lead)
    with st.container(key="caution", horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/info: {CAUTION} {wrong}", width="content")
        if title != "Guide":
            st.page_link(
                "pages/guide.py", label="What this means", icon=":material/arrow_forward:", icon_position="right"
            )
        if visit.holds():
            st.button(
                "Forget my recordings",
                key="forget",
                type="tertiary",
                icon=":material/delete_sweep:",
                on_click=_forget,
                help="Wipes what you recorded or uploaded in this visit, and what was made of it, from this server now. "
                "What you added to a corpus of your own stays.",
            )
    if forgotten := st.session_state.pop(state.FORGOTTEN, ""):
        st.info(forgotten, icon=":material/delete_sweep:")
    for problem in problems:
        st.warning(plain(problem), icon=":material/warning:")


def _forget() -> None:
    visit.forget()
    st.toast("Forgotten. Nothing that you recorded or uploaded is kept.", icon=":material/delete_sweep:")


def tabs(titles: Sequence[str], *, key: str, kept: str) -> Sequence[DeltaGenerator]:
    """Return tabs that open where they were left, also after a visit to another page; `kept` is their key in state.py.

    The default stays what it was when the page was opened: it is part of what Streamlit knows the tabs by, so one that
    followed the clicks would make new tabs under a quick second click.
    """
    opened = f"{kept}.opened"
    if key not in st.session_state:
        st.session_state[opened] = st.session_state.get(kept)
    return st.tabs(titles, key=key, default=st.session_state.get(opened), on_change=state.remember, args=(kept, key))


def plain(text: str) -> str:
    """Return text as one line that Markdown shows as it is, without this machine's folders: names and errors carry what a visitor typed."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", untrusted_text.sentence(text))


def corpus(name: str) -> str:
    """Return a corpus's title for pills and other labels that take Markdown: somebody typed it."""
    return plain(cached.corpus_title(name))
