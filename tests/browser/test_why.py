"""Why? in a browser: asked for with the keyboard, drawn on a phone too, and without a serious fault in either theme."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, serious, settled


def test_a_network_and_knn_are_explained_by_keyboard_and_fit_a_phone(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.get_by_role("tab", name="Sample").click()
    page.get_by_role("button", name="Flat").click()
    expect(page.get_by_role("heading", name="Why?")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Explained:")).to_have_count(0)
    settled(page)
    for slug, title in (("cnn", "CNN"), ("knn", "KNN")):
        page.locator(".st-key-recognize_why").get_by_role("radio", name=title, exact=True).or_(
            page.locator(".st-key-recognize_why").get_by_role("button", name=title, exact=True)
        ).press("Enter")
        expect(page.locator(f".st-key-recognize_why_{slug}").get_by_text("Explained:")).to_be_visible(timeout=120_000)
        expect(page.locator(f".st-key-recognize_why_{slug}").get_by_test_id("stPlotlyChart")).to_have_count(2)
    settled(page)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        settled(page)
        assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")
    assert serious(page) == []
