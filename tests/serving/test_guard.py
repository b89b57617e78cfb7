"""The guard lets in what comes to the server's own names from its own pages, and nothing else; asked directly, as ASGI servers do."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ser_core.errors import ConfigError
from ser_core.serving import guard
from ser_core.serving.guard import Guard, Message
from tests.support.loops import in_a_loop


def ask(
    path: str = "/",
    *,
    headers: dict[str, str] | list[tuple[str, str]],
    kind: str = "http",
    hosts: frozenset[str] = guard.LOOPBACK,
    is_secure: bool = False,
    method: str = "GET",
) -> tuple[int, dict[str, str], list[tuple[bytes, bytes]]]:
    """Return status, headers of the answer, and the headers that the application got; status 200 and 101 come from the application."""
    sent: list[Message] = []
    got: list[tuple[bytes, bytes]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        got.extend(scope["headers"])
        if kind == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
            await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in pairs],
    }
    in_a_loop(Guard(application, hosts=hosts, is_secure=is_secure)(scope, receive, send))
    first = sent[0]
    if kind == "websocket":
        return (101 if first["type"] == "websocket.accept" else 403), {}, got
    return first["status"], {name.decode(): value.decode() for name, value in first["headers"]}, got


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST:8501", "localhost"])
def test_this_machines_own_names_are_answered(host: str) -> None:
    for kind, status in (("http", 200), ("websocket", 101)):
        assert ask(headers={"host": host}, kind=kind)[0] == status


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8501",
        "localhost.evil.example",
        "localhost@evil.example",
        "localhost:8501:1",
        "",
        "192.168.1.5",
        "localhost/",
        "127.0.0.1.nip.example",
        "[::2]:8501",
        "localhost:99999x",
    ],
)
def test_other_names_are_refused_on_http_and_websockets(host: str) -> None:
    for kind in ("http", "websocket"):
        status, _, got = ask(headers={"host": host}, kind=kind)
        assert status == 403 and got == [], "the application was asked"


def test_a_refusal_closes_its_connection_and_says_how_long_it_is() -> None:
    _, headers, _ = ask(headers={"host": "evil.example"}, method="POST")
    assert headers["connection"] == "close" and int(headers["content-length"]) > 10, "what else is sent is not read"


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    assert ask(headers=[])[0] == ask(headers=[("host", "localhost"), ("host", "evil.example")])[0] == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:9999",
        "http://localhost",
        "http://127.0.0.1:8501",
        "null",
        "http://localhost:8501.evil",
        "http://localhost:8501@evil.example",
        "file://",
        "http://localhost:8501/x",
        "ftp://localhost:8501",
        "http://[::1",
        "http://a:b",
    ],
)
def test_pages_of_other_origins_are_refused_whatever_their_port(origin: str) -> None:
    for kind in ("http", "websocket"):
        assert ask(headers={"host": "localhost:8501", "origin": origin}, kind=kind)[0] == 403
    assert ask(headers=[("host", "localhost:8501"), ("origin", "http://localhost:8501"), ("origin", origin)])[0] == 403


def test_the_own_origin_is_let_in_and_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    for kind, status in (("http", 200), ("websocket", 101)):
        found, _, got = ask(
            headers={"host": "localhost:8501", "origin": "http://localhost:8501", "cookie": "a=b"}, kind=kind
        )
        assert found == status and got == [(b"host", b"localhost:8501"), (b"cookie", b"a=b")], (
            "Streamlit would look the origin up"
        )


@pytest.mark.parametrize(
    ("host", "origin", "is_secure", "status"),
    [
        ("ser.example.org", "https://ser.example.org", False, 200),  # a proxy holds the certificate
        ("ser.example.org", "https://ser.example.org:443", False, 200),
        ("ser.example.org:8443", "https://ser.example.org:8443", False, 200),
        ("ser.example.org:8443", "https://ser.example.org", False, 403),
        ("localhost:8501", "http://localhost:8501", True, 403),
        ("localhost:8501", "https://localhost:8501", True, 200),
    ],
)
def test_an_origin_counts_with_its_scheme_and_port(host: str, origin: str, is_secure: bool, status: int) -> None:
    hosts = guard.hosts({guard.VARIABLE: "ser.example.org"})
    assert ask(headers={"host": host, "origin": origin}, hosts=hosts, is_secure=is_secure)[0] == status


def test_more_hosts_are_named_by_the_environment_with_or_without_a_port() -> None:
    hosts = guard.hosts({guard.VARIABLE: " Ser.Example.org, 10.0.0.5:8443 ,"}, ["192.168.1.5"])
    assert hosts == guard.LOOPBACK | {"ser.example.org", "10.0.0.5:8443", "192.168.1.5"}
    for host, status in (
        ("ser.example.org", 200),
        ("10.0.0.5:8443", 200),
        ("10.0.0.5", 403),
        ("192.168.1.5:1234", 200),
    ):
        assert ask(headers={"host": host}, hosts=hosts)[0] == status
    for wrong in ("https://ser.example.org", "*.example.org", "a b", "ser.example.org/path"):
        with pytest.raises(ConfigError, match="not a host name or address"):
            guard.hosts({guard.VARIABLE: wrong})


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics",
        "/_stcore/metrics/",
        "/prefix/_stcore/metrics",
        "/_stcore/script-health-check",
        "/_stcore/agent/mcp",
        "/_stcore/agent/interact",
        "/_stcore",
        "/auth/login",
        "/auth/logout",
        "/oauth2callback",
        "/_stcore/health/../metrics",
    ],
)
def test_what_no_page_needs_is_closed(path: str) -> None:
    assert ask(path, headers={"host": "localhost"})[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/train",
        "/_stcore/health",
        "/_stcore/host-config",
        "/_stcore/upload_file/a/b",
        "/_stcore/bidi-components/a/b.js",
        "/media/a.wav",
        "/static/js/a.js",
        "/component/a/index.html",
        "/prefix/_stcore/health",
    ],
)
def test_what_pages_need_is_open(path: str) -> None:
    assert ask(path, headers={"host": "localhost"})[0] == 200


def test_every_answer_has_the_headers_that_keep_it_out_of_frames_and_types_apart() -> None:
    for headers in ({"host": "localhost"}, {"host": "evil.example"}):
        _, found, _ = ask(headers=headers)
        assert found["x-frame-options"] == "DENY" and "frame-ancestors 'none'" in found["content-security-policy"]
        assert found["x-content-type-options"] == "nosniff" and found["referrer-policy"] == "no-referrer"
        assert "microphone=(self)" in found["permissions-policy"]
    _, found, _ = ask("/component/webrtc/index.html", headers={"host": "localhost"})
    assert found["x-frame-options"] == "SAMEORIGIN" and "frame-ancestors 'self'" in found["content-security-policy"]


def test_a_refusal_says_what_to_do_and_other_kinds_of_scope_pass() -> None:
    sent: list[Message] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        sent.append({"type": scope["type"]})

    async def send(message: Message) -> None:
        sent.append(message)

    each = Guard(application, hosts=guard.LOOPBACK, is_secure=False)
    in_a_loop(each({"type": "lifespan"}, None, send))  # type: ignore[arg-type]
    in_a_loop(each({"type": "http", "path": "/", "method": "GET", "headers": [(b"host", b"x.example")]}, None, send))  # type: ignore[arg-type]
    assert sent[0] == {"type": "lifespan"} and guard.VARIABLE.encode() in sent[2]["body"]
