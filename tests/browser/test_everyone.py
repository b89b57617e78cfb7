"""For everyone: without a network, with a keyboard alone, with text at double size, and by the rules of axe in both themes."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, expect
from playwright.sync_api import TimeoutError as TookTooLong

from pages.ui import frame
from tests.browser.conftest import Server, serious, settled, wear


def pick_a_sample(page: Page) -> None:
    page.get_by_role("tab", name="Sample").click()
    page.get_by_role("button", name="Flat").click()
    expect(page.locator(".ser-verdict")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_be_visible()


def check_width(page: Page, title: str, faults: dict[str, object]) -> None:
    """Note pages that must be scrolled sideways: on a phone, and with text at double size."""
    for how, width, size in (("on a phone", 390, "100%"), ("text at 200 %", 1280, "200%")):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("size => document.documentElement.style.setProperty('font-size', size)", size)
        try:
            page.wait_for_function(
                "document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth", timeout=20_000
            )
        except TookTooLong:
            faults[f"{title}, {how}"] = page.evaluate(
                "[document.querySelector('[data-testid=stMain]').scrollWidth, innerWidth]"
            )
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("document.documentElement.style.removeProperty('font-size')")


def test_every_page_shows_without_a_network_and_has_no_serious_fault(page: Page, server: Server) -> None:
    origin = urlsplit(server.url).netloc
    elsewhere: list[str] = []

    def cut(route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.netloc == origin or url.scheme in ("data", "blob"):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    page.context.route("**/*", cut)
    page.goto(server.url)
    pick_a_sample(page)
    faults: dict[str, object] = {}
    for path, title, _ in frame.MENU:
        if title == "Lesson":
            continue  # test_lesson.py looks at it where there is one
        page.get_by_role("link", name=title, exact=True).first.click()
        expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
        if path == "app.py":
            expect(page.get_by_test_id("stPlotlyChart")).to_be_visible()
        settled(page)
        for theme in ("light", "dark"):
            wear(page, theme)
            if found := serious(page):
                faults[f"{title}, {theme}"] = found
        unnamed = [
            each.evaluate("e => e.outerHTML.slice(0, 200)")
            for each in page.get_by_test_id("stPlotlyChart").all()
            if not each.evaluate("e => e.getAttribute('aria-label') || e.querySelector('[aria-label], [alt]')")
        ]
        if unnamed:
            faults[f"{title}, figures without words"] = unnamed
        check_width(page, title, faults)
    assert faults == {}
    assert elsewhere == [] and server.outside() == []


def test_the_main_job_needs_no_mouse(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_test_id("stAudioInput")).to_be_visible()
    settled(page)

    def tab_to(name: re.Pattern[str]) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            told = page.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
            )
            if name.search(told or ""):
                return
        raise AssertionError(f"no way to {name.pattern} with the Tab key")

    tab_to(re.compile("^Record$"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Flat")).to_be_visible()
    tab_to(re.compile("Flat"))
    assert (
        page.evaluate("(s => s.boxShadow + s.outlineStyle)(getComputedStyle(document.activeElement))") != "nonenone"
    ), "focus shows"
    page.keyboard.press("Enter")
    expect(page.locator(".ser-verdict")).to_be_visible()
    tab_to(re.compile("Clear"))
    page.keyboard.press("Enter")
    expect(page.locator(".ser-verdict")).to_have_count(0)
