"""Messages that no page sends are dropped, and files that are sent up get in while there is room for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from pages.ui import server, visits
from ser_core.serving import admin, guard, preflight
from ser_core.serving.guard import Message
from tests.pages.test_visit import Told
from tests.support.loops import in_a_loop

PATH = "/_stcore/upload_file/{session}/f1"


def test_what_clears_the_caches_of_everyone_never_reaches_streamlit() -> None:
    said = [
        BackMsg(clear_cache=True),
        BackMsg(debug_shutdown_runtime=True),
        BackMsg(set_run_on_save=True),
        BackMsg(app_heartbeat=True),
        BackMsg(stop_script=True),
    ]
    waiting = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "bytes": each.SerializeToString()} for each in said),
        {"type": "websocket.receive", "bytes": b"\xff\xff"},
        {"type": "websocket.disconnect"},
    ]
    heard: list[Message] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while not heard or heard[-1]["type"] != "websocket.disconnect":
            heard.append(await receive())

    async def receive() -> Message:
        return waiting.pop(0)

    in_a_loop(server.Websockets(application)({"type": "websocket", "path": "/_stcore/stream"}, receive, None))  # type: ignore[arg-type]
    kinds = [BackMsg.FromString(each["bytes"]).WhichOneof("type") for each in heard[1:3]]
    assert kinds == ["app_heartbeat", "stop_script"] and heard[3]["bytes"] == b"\xff\xff" and len(heard) == 5


def test_websockets_begin_one_after_another_and_one_that_does_not_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "BEGIN_S", 0.05)
    began: list[str] = []

    async def main() -> None:
        stuck, done = asyncio.Event(), asyncio.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            began.append(scope["path"])
            if scope["path"] == "/stuck":
                await stuck.wait()
            await receive()
            await receive()
            await done.wait()

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        each = server.Websockets(application)
        tasks = [
            asyncio.create_task(each({"type": "websocket", "path": path}, receive, None))
            for path in ("/a", "/b", "/stuck", "/c")
        ]  # type: ignore[arg-type]
        for _ in range(2):
            await asyncio.sleep(0)
        assert began == ["/a"], "those that come together begin one after another"
        while len(began) < 4:
            await asyncio.sleep(0.01)
        assert began == ["/a", "/b", "/stuck", "/c"]
        stuck.set()
        done.set()
        await asyncio.gather(*tasks)
        await each({"type": "websocket", "path": "/last"}, receive, None)  # type: ignore[arg-type]
        assert began[-1] == "/last", "nothing that has ended keeps the turn"

    in_a_loop(main())


def put(session: str, size: int | None, address: str = "10.0.0.1") -> dict[str, Any]:
    headers = [] if size is None else [(b"content-length", str(size).encode())]
    return {
        "type": "http",
        "method": "PUT",
        "path": PATH.format(session=session),
        "headers": headers,
        "client": (address, 1),
    }


class Arrivals:
    """An application that takes uploads, each as long as `hold` has not been set."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.hold = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.began.append(scope["path"])
        await self.hold.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})


async def status(uploads: server.Uploads, scope: dict[str, Any]) -> int:
    """Return how an upload was answered; 0 without an answer."""
    found: list[int] = []

    async def send(message: Message) -> None:
        found.append(message.get("status", 0))

    await uploads(scope, None, send)  # type: ignore[arg-type]
    return found[0] if found else 0


def run(work: Callable[[server.Uploads, Arrivals], Any]) -> None:
    async def main() -> None:
        arrivals = Arrivals()
        await work(server.Uploads(arrivals), arrivals)

    in_a_loop(main())


@pytest.fixture
def told(new_server: None, monkeypatch: pytest.MonkeyPatch) -> Told:
    """A server with no files yet, in place of Streamlit's."""
    found = Told()
    monkeypatch.setattr(visits, "Server", lambda: found)
    return found


def test_files_on_their_way_count_before_they_are_here(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "MOST_HELD", 1000)

    async def work(uploads: server.Uploads, arrivals: Arrivals) -> None:
        first = asyncio.create_task(status(uploads, put("anna", 600)))
        await asyncio.sleep(0)
        assert await status(uploads, put("ben", 600)) == 507 and len(arrivals.began) == 1
        arrivals.hold.set()
        assert await first == 204
        assert await status(uploads, put("ben", 600)) == 204, "what never came takes no room"
        assert await status(uploads, put("ben", 1001)) == 507

    run(work)


def test_one_address_has_few_uploads_at_a_time_and_leaves_the_others_theirs(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_UPLOADS", 3)

    async def work(uploads: server.Uploads, arrivals: Arrivals) -> None:
        trickling = [asyncio.create_task(status(uploads, put(f"s{n}", 10))) for n in range(3)]
        await asyncio.sleep(0)
        assert await status(uploads, put("s9", 10)) == 429
        other = asyncio.create_task(status(uploads, put("ben", 10, "10.0.0.2")))
        await asyncio.sleep(0)
        assert len(arrivals.began) == 4
        arrivals.hold.set()
        assert await asyncio.gather(*trickling, other) == [204] * 4
        assert await status(uploads, put("s9", 10)) == 204

    run(work)


def test_an_upload_that_never_ends_is_given_up_and_one_without_a_size_is_refused(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UPLOAD_S", 0.01)
    monkeypatch.setattr(server, "MOST_UPLOADS", 1)
    monkeypatch.setattr(visits, "MOST_HELD", 15)

    async def work(uploads: server.Uploads, arrivals: Arrivals) -> None:
        assert await status(uploads, put("anna", 10)) == 0
        assert await status(uploads, put("anna", None)) == 411
        arrivals.hold.set()
        assert await status(uploads, put("anna", 10)) == 204, "what was given up takes no room"

    run(work)


def test_other_requests_pass(told: Told) -> None:
    async def work(uploads: server.Uploads, arrivals: Arrivals) -> None:
        arrivals.hold.set()
        for more in ({"method": "DELETE"}, {"path": "/media/x"}, {"type": "websocket"}):
            assert await status(uploads, put("anna", None) | more) == 204

    run(work)


@pytest.mark.parametrize(
    ("variable", "given", "sentence"),
    [
        ("SER_HOSTS", "http://x", "not a host name"),
        ("SER_WORKERS", "many", "from 1 to 999. Got 'many'"),
        ("SER_NICE", "20", "from 0 to 19. Got '20'"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_a_sentence(
    variable: str, given: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, given)
    with pytest.raises(SystemExit, match=sentence):
        server.middleware()


def test_whoever_others_can_reach_has_an_admin_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(admin.VARIABLE, raising=False)
    monkeypatch.setattr(server.permissions, "restrict", lambda: None)
    monkeypatch.setattr(server.config, "get_option", {"server.address": "0.0.0.0", "server.sslCertFile": None}.get)
    # Where Streamlit keeps secrets is fixed for the project's folder; a developer's own file there must not count.
    monkeypatch.setattr(admin, "_SECRETS", Path("nowhere"))
    guarded = server.middleware()[0]
    word = os.environ[admin.VARIABLE]
    assert len(word) >= admin.SHORTEST and word in capsys.readouterr().out
    assert set(preflight.addresses()) <= guarded.kwargs["hosts"]
    monkeypatch.setenv(admin.VARIABLE, "short")
    with pytest.raises(SystemExit, match="8 is the least"):
        server.middleware()
    monkeypatch.setattr(server.config, "get_option", {"server.address": "localhost"}.get)
    assert server.middleware()[0].kwargs["hosts"] == guard.LOOPBACK and "8 is the least" in capsys.readouterr().err
