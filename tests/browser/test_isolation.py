"""Two visitors of one server, over websockets of their own: neither gets at anything of the other's, and nothing stays of either.

No browser: what a browser's page cannot ask for, somebody with a program can.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import math
import re
import shutil
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import soundfile
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets import InvalidStatus, Origin, Subprotocol
from websockets.sync.client import connect

from ser_core.audio import decoding, waveform
from ser_core.recognition import analysis, store
from ser_core.serving import admin
from ser_core.system import files
from ser_core.training import jobs, run_folder, supervisor
from tests.browser.conftest import ROOT, Server
from tests.support.loops import in_a_loop
from tests.support.models import build
from tests.support.waiting import until
from tools.visitor import XSRF, Refused, Visitor

UPLOADER = "recognize.upload"
BROKEN = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)


def clip(number: int) -> bytes:
    """A voice that no other number has, as WAV."""
    names = sorted(file for file in (ROOT / "pages" / "samples").glob("*.flac") if file.stem != "no_speech")
    samples = decoding.decode(names[number % len(names)]).waveform.samples
    buffer = io.BytesIO()
    soundfile.write(buffer, np.roll(samples, 997 * number), waveform.SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def together(url: str, what: Callable[[Visitor, Visitor], Coroutine[Any, Any, None]]) -> None:
    """Have Anna and Ben on the page at once."""

    async def visit() -> None:
        async with Visitor(url) as anna, Visitor(url) as ben:
            assert anna.session_id and anna.session_id != ben.session_id
            await what(anna, ben)

    in_a_loop(visit())


def chosen(visitor: Visitor, urls: Any, name: str, size: int) -> WidgetState:
    """What a browser says of its uploader once a file was sent."""
    state = WidgetState(id=visitor.widget("file_uploader", UPLOADER).id)
    state.file_uploader_state_value.uploaded_file_info.add(name=name, size=size, file_id=urls.file_id, file_urls=urls)
    return state


def test_a_clip_shows_on_its_visitors_page_only(server: Server) -> None:
    async def visit(anna: Visitor, ben: Visitor) -> None:
        await anna.upload("anna.wav", clip(1), key=UPLOADER)
        assert "anna" in anna.text() and any(anna.all("plotly_chart"))
        await ben.rerun()
        assert "anna" not in ben.text() and not any(ben.all("plotly_chart")) and not ben.sounds()
        async with Visitor(server.url, page="batch") as carl:
            assert "anna" not in carl.text()

    together(server.url, visit)


def test_the_same_bytes_bring_nobody_elses_name_or_error(server: Server) -> None:
    async def visit(anna: Visitor, ben: Visitor) -> None:
        for data in (clip(2), BROKEN):
            await anna.upload("anna.wav", data, key=UPLOADER)
            await ben.upload("ben.wav", data, key=UPLOADER)
            assert "ben" in ben.text() and "anna" not in ben.text() and "anna" in anna.text()
        assert len(anna.problems()) == len(ben.problems()) == 1

    together(server.url, visit)


def test_a_batch_its_table_and_its_errors_are_its_visitors_only(server: Server) -> None:
    async def visit() -> None:
        async with Visitor(server.url, page="batch") as anna, Visitor(server.url, page="batch") as ben:
            await anna.upload("anna.wav", BROKEN, key="batch.files")
            await anna.click("batch.start")
            await anna.follow()
            assert "1 that cannot be used" in anna.text() and any(anna.all("dataframe"))
            await ben.rerun()
            assert "1 that cannot be used" not in ben.text() and not any(ben.all("dataframe"))
            assert ben.widget("file_uploader", "batch.files")

    in_a_loop(visit())


def test_anothers_upload_can_be_neither_taken_nor_replaced_nor_deleted(server: Server) -> None:
    data = clip(3)

    async def visit(anna: Visitor, ben: Visitor) -> None:
        urls = await anna.address("anna.wav")
        anna.put(urls.upload_url, "anna.wav", data)
        await ben.rerun(chosen(ben, urls, "anna.wav", len(data)))
        assert not any(ben.all("plotly_chart")) and not ben.sounds(), "a file belongs to the visit that sent it"
        no_token = ben.http.put(f"{server.url}{urls.upload_url}", files={"file": ("x.wav", b"x")})
        assert no_token.status_code == 403
        assert ben.http.delete(f"{server.url}{urls.delete_url}").status_code == 403
        with pytest.raises(Refused, match="400"):
            ben.put(urls.upload_url.replace(anna.session_id, ben.session_id[::-1]), "x.wav", b"x")
        assert data not in ben.http.get(f"{server.url}{urls.upload_url}").content, "what was sent up does not come down"
        await anna.rerun(chosen(anna, urls, "anna.wav", len(data)))
        assert any(anna.all("plotly_chart"))

    together(server.url, visit)


def test_at_the_same_time_everyone_gets_the_answers_to_their_own_clip(server: Server, models: Path) -> None:
    recognizers = [store.load(slug, models) for slug in store.SHIPPED]

    async def one(url: str, name: str, numbers: range) -> None:
        async with Visitor(url) as visitor:
            for number in numbers:
                data = clip(number)
                await visitor.upload(f"{name}.wav", data, key=UPLOADER)
                await visitor.follow()  # the pretrained model answers a moment later
                (html,) = [each.body for each in visitor.all("html") if "<section>" in each.body]
                core = analysis.recognize(recognizers, analysis.analyse(data), folder=models)
                for card, prediction in zip(html.split("<section>")[1:], core, strict=True):
                    rows = re.findall(r"<li[^>]*><span>([^<]+)</span>.*?<span>(\d+)[^<]*</span></li>", card)
                    shown = {label: int(percent) for label, percent in rows}
                    assert shown == pytest.approx(
                        {label: 100 * p for label, p in prediction.probabilities.items()}, abs=0.51
                    )

    async def everyone() -> None:
        await asyncio.gather(*(one(server.url, f"v{each}", range(10 * each, 10 * each + 3)) for each in range(4)))

    in_a_loop(everyone())


def test_another_site_reaches_neither_the_page_nor_what_is_on_it(server: Server) -> None:
    socket = f"{server.url.replace('http', 'ws')}/_stcore/stream"
    with pytest.raises(InvalidStatus, match="403"):
        connect(socket, origin=Origin("http://elsewhere.example"), subprotocols=[Subprotocol("streamlit")]).__enter__()
    with connect(socket, origin=Origin(server.url), subprotocols=[Subprotocol("streamlit")]):
        pass
    for path in ("/", "/_stcore/health", "/_stcore/host-config"):
        answer = requests.get(f"{server.url}{path}", headers={"Origin": "http://elsewhere.example"}, timeout=60)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
        assert "SameSite=Lax" in answer.headers.get("set-cookie", "SameSite=Lax")


def test_what_is_forgotten_cannot_be_fetched_any_more(server: Server) -> None:
    async def visit(anna: Visitor, ben: Visitor) -> None:
        await anna.upload("anna.wav", clip(4), key=UPLOADER)
        sound = anna.sounds()[0]
        assert ben.fetch(sound), "whoever knows an address may hear it, and nobody can guess it"
        assert re.fullmatch(r"/media/[0-9a-f]{32,}\.wav", sound)
        await anna.click("forget")
        assert "anna" not in anna.text()
        with pytest.raises(Refused, match="404"):
            ben.fetch(sound)

    together(server.url, visit)


def made_by(visitor: Visitor, root: Path, model: str) -> None:
    """Put a run that ended among the others, which this visitor's browser started and which made this model."""
    _, mask, masked, _ = visitor.http.cookies[XSRF].split("|")  # the secret that state.browser() reads
    key = bytes.fromhex(mask)
    secret = bytes(byte ^ key[place % 4] for place, byte in enumerate(bytes.fromhex(masked))).hex()
    folder = run_folder.create(root, {})
    (folder / supervisor.QUEUED_AT).write_text("1", encoding="ascii")
    run_folder.Reporter(folder).end(run_folder.DONE, "Ended", model=model)
    # As jobs.start writes it; this run is one that has ended already.
    facts = {"title": "A run", "created": files.utc_now(), "key": "", "browser": jobs._hash(secret)}
    (folder / jobs.JOB).write_text(json.dumps(facts), encoding="utf-8")


def test_a_model_is_everyones_to_see_and_its_makers_and_the_teachers_to_change(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    folder = build(tmp_path / "models")
    shutil.copytree(folder / "mlp", folder / "mine")
    card = dataclasses.replace(store.read_card("mlp", folder), slug="mine", title="Annas model")
    (folder / "mine" / store.CARD).write_text(json.dumps(card.to_dict()), encoding="utf-8")
    url = start_server(SER_MODELS=str(folder), SER_RUNS=str(tmp_path / "runs"), SER_ADMIN_WORD="a right word").url

    async def visit() -> None:
        async with Visitor(url, page="train") as anna, Visitor(url, page="train") as ben:
            made_by(anna, tmp_path / "runs", "mine")
            for each in (anna, ben):
                await each.open("train.tab", "Models")
                assert "Annas model" in each.text()
                with pytest.raises(LookupError):
                    each.widget("button", "train.model.delete.mlp")  # a shipped one, nobody's
            delete, save = (anna.widget("button", f"train.model.{what}.mine").id for what in ("delete", "save"))
            title = WidgetState(id=anna.widget("text_input", "train.model.title.mine").id, string_value="Bens model")
            with pytest.raises(LookupError):
                ben.widget("button", "train.model.delete.mine")
            for forged in (delete, save):
                await ben.rerun(title, WidgetState(id=forged, trigger_value=True))
                assert store.read_card("mine", folder).title == "Annas model" and not ben.problems()
            await ben.open("train.tab", "Runs")
            await ben.type("text_input", "teacher.word", "another word")
            assert ben.problems() == ["That is not the admin word."] and not anna.problems()

            await anna.type("text_input", "train.model.title.mine", "Ours")
            await anna.click("train.model.save.mine")
            assert store.read_card("mine", folder).title == "Ours"
            await ben.type("text_input", "teacher.word", "a right word")
            await ben.open("train.tab", "Models")
            assert "Ours" in ben.text()
            await ben.click("train.model.delete.mine")
            assert not (folder / "mine").exists() and not ben.problems()
            await anna.click("train.model.delete.mine")
            assert "Ours" not in anna.text() and not anna.problems()

    in_a_loop(visit())


def test_a_script_with_a_list_of_words_gets_nowhere_and_the_teacher_stays(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    url = start_server(SER_RUNS=str(tmp_path / "runs"), SER_ADMIN_WORD="a right word").url

    async def visit() -> None:
        async with (
            Visitor(url, page="train") as teacher,
            Visitor(url, page="train") as anna,
            Visitor(url, page="train") as ben,
        ):
            for each in (teacher, anna, ben):
                await each.open("train.tab", "Runs")
            await teacher.type("text_input", "teacher.word", "a right word")
            begin_s, answers = time.monotonic(), []
            for n in range(15):
                for script in (anna, ben):
                    await script.type("text_input", "teacher.word", f"word {n}")
                    answers += script.problems()
            took_s = time.monotonic() - begin_s
            assert answers.count(admin.WRONG) <= admin.FREE_TRIES + 1 + math.log2(1 + took_s) and len(answers) == 30
            await teacher.open("train.tab", "Runs")
            teacher.widget("button", "teacher.leave")

    in_a_loop(visit())


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_of_a_visit_stays_when_it_is_over(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(TMPDIR=str(tmp_path), SER_TEST_LEFT_S="1")
    large = waveform.encode_pcm(np.tile(np.frombuffer(clip(5)[44:], np.int16), 200), waveform.SAMPLE_RATE)

    async def visit() -> str:
        async with Visitor(server.url) as anna:
            await anna.upload("anna.wav", large, key=UPLOADER)
            await anna.upload("anna2.wav", clip(6), key=UPLOADER)
            assert not [file for file in tmp_path.rglob("*") if file.stat().st_size > 100_000], (
                "a large file has no name"
            )
            return anna.sounds()[0]

    sound = in_a_loop(visit())
    stranger = Visitor(server.url)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            stranger.fetch(sound)
        except Refused:
            break
        time.sleep(0.2)
    with pytest.raises(Refused, match="404"):
        stranger.fetch(sound)

    def held() -> list[Path]:
        found = []
        for name in Path(f"/proc/{server.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found += [name] if str(tmp_path) in str(name.readlink()) else []
        return found

    until(lambda: not held())  # what still listened to the large one stops at its next step
    stranger.http.close()
