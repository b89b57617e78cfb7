"""A full server: who gives a short clip gets its answers while others' long recordings are still listened to."""

from __future__ import annotations

import asyncio
import io

import soundfile

from ser_core.audio import decoding
from tests.browser.conftest import ROOT, Server
from tests.browser.test_isolation import UPLOADER, clip
from tests.support.loops import in_a_loop
from tools.visitor import Visitor, cards_in


def ten_minutes() -> bytes:
    """Speech as Vorbis, which is small and takes a fifth of the time that Opus takes to write."""
    voice = decoding.decode(ROOT / "pages" / "samples" / "bright.flac").waveform
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", voice.sample_rate, 1, format="OGG", subtype="VORBIS") as written:
        for _ in range(round(600 / voice.duration_s)):  # all in one would end the process that writes it
            written.write(voice.samples)
    return file.getvalue()


def test_a_short_clip_is_answered_while_four_long_ones_are_listened_to(server: Server) -> None:
    long = ten_minutes()
    assert len(long) < 3 * 2**20

    async def visit() -> None:
        async with (
            Visitor(server.url) as a,
            Visitor(server.url) as b,
            Visitor(server.url) as c,
            Visitor(server.url) as d,
        ):
            async with Visitor(server.url) as anna:
                others = (a, b, c, d)
                await asyncio.gather(
                    *(each.upload(f"long{n}.ogg", long, key=UPLOADER) for n, each in enumerate(others))
                )
                for number in range(3):
                    await anna.upload("anna.wav", clip(number), key=UPLOADER)
                    assert cards_in(anna.arrived) and not anna.problems()
                for each in others:
                    await each.rerun()
                    assert each.widget("button", "timeline.cancel") and not each.problems()
                    await each.click("timeline.cancel")

    in_a_loop(visit())
