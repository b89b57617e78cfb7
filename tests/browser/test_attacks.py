"""Attacks on a running server, each bounded: other origins and hosts, cleared caches, crowds of idle connections. No browser."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets import InvalidStatus, Origin, Subprotocol
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

from tests.browser.conftest import Server
from tests.browser.test_isolation import UPLOADER, clip
from tests.support.loops import in_a_loop
from tools.visitor import Refused, Visitor

ELSEWHERE = ("http://evil.example", "http://localhost:9", "https://evil.streamlit.app", "http://192.0.2.7:8501")


def test_a_page_of_another_origin_gets_nothing_and_nobody_outside_is_asked(server: Server) -> None:
    stream = f"{server.url.replace('http', 'ws')}/_stcore/stream"
    for origin in ELSEWHERE:
        with pytest.raises(InvalidStatus, match="403"):
            connect(stream, origin=Origin(origin), subprotocols=[Subprotocol("streamlit")]).__enter__()
        assert requests.get(f"{server.url}/", headers={"Origin": origin}, timeout=60).status_code == 403
    assert requests.get(f"{server.url}/", headers={"Host": "evil.example"}, timeout=60).status_code == 403
    assert b" 403 " in handshake(server, host="evil.example") and b" 101 " in handshake(
        server, host=urlsplit(server.url).netloc
    )
    assert server.outside() == []


def handshake(server: Server, *, host: str) -> bytes:
    """Return the first line that the server answers a websocket's handshake with."""
    lines = (
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: streamlit",
        "",
        "",
    )
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=60) as line:
        line.sendall("\r\n".join(lines).encode())
        return line.recv(4096).splitlines()[0] + b" "


def test_no_page_may_be_held_in_a_frame_and_no_other_site_is_trusted(server: Server) -> None:
    for path in ("/", "/train", "/_stcore/health"):
        headers = requests.get(f"{server.url}{path}", timeout=60).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"] and headers["x-frame-options"] == "DENY"
    assert requests.get(f"{server.url}/_stcore/host-config", timeout=60).json()["allowedOrigins"] == []
    assert requests.get(f"{server.url}/_stcore/metrics", timeout=60).status_code == 404


def test_a_visitor_who_clears_the_caches_keeps_nobodys_clip_on_the_server(start_server: Callable[..., Server]) -> None:
    server = start_server(SER_TEST_LEFT_S="1")

    async def visit() -> str:
        async with Visitor(server.url) as anna, Visitor(server.url) as mallory:
            await anna.upload("anna.wav", clip(7), key=UPLOADER)
            # A message that no page sends: none of Visitor's own ways makes it.
            await mallory._send(BackMsg(clear_cache=True))
            await mallory.rerun()
            return anna.sounds()[0]

    sound = in_a_loop(visit())
    stranger = Visitor(server.url)
    deadline = time.monotonic() + 60
    with pytest.raises(Refused, match="404"):
        while time.monotonic() < deadline:
            stranger.fetch(sound)
            time.sleep(0.2)
    stranger.http.close()


def test_crowds_that_do_nothing_keep_nobody_out(server: Server) -> None:
    async def crowd() -> None:
        sockets = [connect_idle(server) for _ in range(60)]
        held = await asyncio.gather(*sockets)
        try:
            async with Visitor(server.url) as anna:
                await anna.upload("anna.wav", clip(8), key=UPLOADER)
                assert any(anna.all("plotly_chart")) and not anna.problems()
        finally:
            await asyncio.gather(*(each.close() for each in held))

    in_a_loop(crowd())


async def connect_idle(server: Server) -> ClientConnection:
    return await connect_async(
        f"{server.url.replace('http', 'ws')}/_stcore/stream",
        origin=Origin(server.url),
        subprotocols=[Subprotocol("streamlit")],
        open_timeout=60,
    )
