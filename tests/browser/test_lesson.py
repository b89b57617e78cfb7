"""A class as it is served: https by its own certificate, a phone that records and compares, and an end that takes away what was made."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Browser, expect

from ser_core.audio import waveform
from ser_core.corpora import recorded
from ser_core.serving import preflight
from tests.browser.conftest import ROOT, VOICE, serious
from tests.support.waiting import until


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_lesson_from_its_start_to_its_end(chromium: Browser, models: Path, tmp_path: Path) -> None:
    port, _ = preflight.free_port(22_000)
    names = {
        "SER_CLASS": "class",
        "SER_CORPORA": "corpora",
        "SER_RUNS": "runs",
        "SER_CACHE": "cache",
        "SER_RESULTS": "results",
    }
    environment = (
        os.environ | {name: str(tmp_path / place) for name, place in names.items()} | {"SER_MODELS": str(models)}
    )
    environment.pop("SER_ADMIN_WORD", None)
    terminal, theirs = os.openpty()
    os.set_blocking(terminal, False)
    command = [sys.executable, "-m", "ser_core", "serve", "--class", "--port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = ""

    def wait_for(pattern: str) -> re.Match[str]:
        def is_shown() -> bool:
            nonlocal shown
            assert server.poll() is None, shown
            with contextlib.suppress(OSError):  # nothing new
                shown += os.read(terminal, 65_536).decode(errors="replace")
            return re.search(pattern, shown) is not None

        until(is_shown, patience_s=120, pause_s=0.1, saying=lambda: shown)
        return re.search(pattern, shown)

    try:
        word = wait_for(r"Admin word +(\S+)").group(1)
        url = wait_for(r"The class opens +(https://\S+)").group(1)
        assert "▄" in shown and "ok  Models" in shown and "ok  Reachable" in shown and "Email" not in shown
        name = recorded.create(tmp_path / "corpora", "Class 9b")
        samples, rate = soundfile.read(VOICE, dtype="float32")
        recorded.add(
            tmp_path / "corpora",
            name,
            waveform.encode_wav(waveform.Waveform(samples, rate)),
            label="happy",
            speaker="Ann",
        )

        context = chromium.new_context(
            ignore_https_errors=True, viewport={"width": 390, "height": 844}, permissions=["microphone"]
        )
        phone = context.new_page()
        phone.set_default_timeout(60_000)
        phone.goto(url)
        assert phone.evaluate("isSecureContext && !!navigator.mediaDevices")
        recorder = phone.get_by_test_id("stAudioInput")
        recorder.get_by_role("button", name="Record", exact=True).click()
        phone.wait_for_timeout(2500)
        recorder.get_by_role("button", name="Stop recording").click()
        expect(phone.get_by_text("of speech,")).to_be_visible()
        expect(phone.get_by_role("heading", name="Your clips")).to_be_visible()
        phone.get_by_role("button", name="Keep for comparison").click()
        phone.get_by_role("tab", name="Sample").click()
        phone.get_by_role("button", name="Flat").click()
        expect(phone.locator(".ser-verdict").filter(has_text="Before: ")).to_be_visible()
        expect(phone.get_by_test_id("stPlotlyChart")).to_have_count(2)
        assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")
        phone.get_by_role("link", name="Lesson").click()
        expect(phone.get_by_role("img", name=f"QR code of {url}", exact=True)).to_be_visible()
        assert serious(phone) == []
        phone.get_by_label("Admin word").fill(word)
        phone.get_by_label("Admin word").press("Enter")
        expect(phone.get_by_text("1 corpus: Class 9b")).to_be_visible()
        phone.get_by_text("Delete all of it").click()
        phone.get_by_role("button", name="End of lesson").click()
        wait_for("Removed: 1 corpus: Class 9b")
        expect(phone.get_by_text("Removed: 1 corpus: Class 9b.")).to_be_visible(timeout=120_000)
        expect(phone.get_by_label("Admin word")).to_have_value("")
        assert recorded.listing(tmp_path / "corpora") == {} and list((tmp_path / "corpora").glob("*/*.wav")) == []
        phone.get_by_role("link", name="Recognize").click()
        expect(phone.get_by_text("Your clips")).to_be_visible()
        expect(phone.get_by_role("heading", name="Your clips")).to_have_count(0)
        context.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
        os.close(terminal)
    assert server.returncode == 0
    assert preflight.free_port(port)[0] == port, "the server ends with the process that started it"
