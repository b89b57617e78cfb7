"""From a cell of a confusion matrix to its clips, in a real Chromium: a click beside its middle chooses it, and a clip is heard."""

from __future__ import annotations

import io
import zipfile

from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server, serious, settled

SAMPLES = ROOT / "pages" / "samples"

CELL = """([element, row, column]) => {
    const plot = element.querySelector('.js-plotly-plot'), { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
    const middle = (axis, place) => axis._offset + axis.d2p(axis._categories[place]);
    return { x: box.x + middle(xaxis, column), y: box.y + middle(yaxis, row), names: yaxis._categories };
}"""


def labelled() -> bytes:
    """A zip of samples in folders named after emotions."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for label, name in (("happy", "bright"), ("sad", "slow_low"), ("happy", "flat")):
            archive.writestr(f"{label}/{name}.flac", (SAMPLES / f"{name}.flac").read_bytes())
    return file.getvalue()


def test_a_click_in_a_cell_lists_its_clips_and_a_tick_plays_one(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/batch")
    upload = {"name": "all.zip", "mimeType": "application/zip", "buffer": labelled()}
    page.locator("input[type=file]").set_input_files(upload)
    page.get_by_role("button", name="Analyse 3 recordings").click()
    expect(page.get_by_text("The clips behind a cell")).to_be_visible(timeout=120_000)
    settled(page)
    chart = page.get_by_test_id("stPlotlyChart")
    chart.scroll_into_view_if_needed()
    expect(chart.locator(".js-plotly-plot")).to_be_visible()
    listed = False
    for column in range(9):
        handle = chart.element_handle()
        assert handle is not None
        at = page.evaluate(CELL, [handle, 0, 0])
        row = at["names"].index("happy")
        if column == len(at["names"]):
            break
        at = page.evaluate(CELL, [handle, row, column])
        page.mouse.click(at["x"] + 14, at["y"] - 12)
        told = page.get_by_test_id("stMarkdown").get_by_text(f"Acted happy, answered {at['names'][column]}:")
        expect(told).to_be_visible()
        settled(page)
        listed = ": 0 clips" not in told.inner_text()
        if listed:
            break
    assert listed
    expect(page.get_by_text("Tick one to hear it.")).to_be_visible()
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(700)
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 14, box["y"] + 35 + 18)
    expect(page.locator(".st-key-cell_clip .player")).to_be_visible()
    expect(page.get_by_text("Acted as happy")).to_be_visible()
    with page.expect_download(timeout=60_000) as waiting:
        page.get_by_role("button", name="These clips (CSV)").click()
    lines = waiting.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("name,acted,answered,probability") and lines[1].startswith("happy/")
    assert serious(page) == []
    assert not server.modules() & {"tensorflow", "keras"}
