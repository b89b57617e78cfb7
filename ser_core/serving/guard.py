"""Which requests the app's server answers: those to its own hosts, from its own pages, for paths that its pages use.

An ASGI middleware in front of Streamlit: names are compared, never looked up.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from ser_core.errors import ConfigError

VARIABLE = "SER_HOSTS"
"""The environment variable with more hosts that browsers may know this server by, such as a proxy's: names or addresses, with commas."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), display-capture=(), geolocation=(), payment=(), usb=(), serial=(), hid=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of every response, besides those about frames."""

# Streamlit's pages need inline styles, evaluated code (Plotly, WebAssembly of its table), and pictures and sounds as data and blobs.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' ws: wss: data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors {ancestors}"
)
"""The content security policy (CSP level 3): a page loads nothing from another host."""

_CORE = re.compile(r"(?s:.*)/_stcore/(health|host-config|stream|upload_file/[^/]+/[^/]+|bidi-components/.*)")
"""The paths below Streamlit's prefix that pages use; its metrics, script checks and agent interface are not among them."""

_CLOSED = re.compile(r"(?s:.*)/(auth/log(in|out)|oauth2callback)/?")
"""Paths of Streamlit for signing in, which this app does not use."""

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?)(:(?P<port>[0-9]{1,5}))?")
_COMPONENT = "/component/"
"""Prefix of pages that this app's pages embed in a frame: the microphone of Live."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def named(environment: Mapping[str, str]) -> list[str]:
    """Return the hosts that SER_HOSTS of an environment names, in lower case, unchecked."""
    return [each.strip().lower() for each in environment.get(VARIABLE, "").split(",") if each.strip()]


def hosts(environment: Mapping[str, str], own: Iterable[str] = ()) -> frozenset[str]:
    """Return the hosts under which a server may be reached: this machine's names, some more, and those of SER_HOSTS.

    Parameters
    ----------
    environment : such as os.environ.
    own : further names and addresses of this machine. Each is a host, or host:port where only that port counts.

    Raises
    ------
    ConfigError : where SER_HOSTS holds something that is not a host.
    """
    told = named(environment)
    for each in told:
        if not _HOST.fullmatch(each):
            raise ConfigError(
                f"{VARIABLE} has '{each[:60]}', which is not a host name or address. Write one such as 'ser.example.org'."
            )
    return LOOPBACK | frozenset(own) | frozenset(told)


class Guard:
    """Refuses requests to other hosts, from other origins or for closed paths with 403 or 404, and passes on the rest."""

    def __init__(self, app: Application, *, hosts: frozenset[str], is_secure: bool) -> None:
        """hosts: see `hosts`. is_secure: whether this server itself speaks TLS."""
        self._app = app
        self._hosts = hosts
        self._is_secure = is_secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or websocket, as ASGI asks for."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status, text = self._problem(scope)
        if status and scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": text})
            return
        answer = _with_headers(send, scope)
        if status:
            await refuse(scope, answer, status, text)
            return
        # The origin is this server's. Left in, it would make Streamlit look up its addresses outside.
        kept = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self._app({**scope, "headers": kept}, receive, answer)

    def _problem(self, scope: Scope) -> tuple[int, str]:
        """Return the status that refuses a request, and why; 0 where it is not refused."""
        asked = _values(scope, b"host")
        if len(asked) != 1 or not self._is_own(asked[0]):
            return (
                403,
                f"This server does not use that name. Open it as localhost, or name the host in {VARIABLE} and start it again.",
            )
        origins = _values(scope, b"origin")
        if any(not self._is_same(origin, asked[0]) for origin in origins) or len(origins) > 1:
            return 403, "Another site's page may not use this server."
        path = scope["path"]
        if ("/_stcore" in path and not _CORE.fullmatch(path)) or _CLOSED.fullmatch(path):
            return 404, "There is nothing here."
        return 0, ""

    def _is_own(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        return found is not None and (found["name"] in self._hosts or host in self._hosts)

    def _is_same(self, origin: str, host: str) -> bool:
        """Return whether an origin is that of the pages of a host, scheme and port included."""
        try:
            parts = urlsplit(origin)
            port = parts.port
        except ValueError:
            return False
        if (
            parts.scheme not in (("https",) if self._is_secure else ("http", "https"))
            or origin != f"{parts.scheme}://{parts.netloc}"
        ):
            return False
        usual = {"http": 80, "https": 443}[parts.scheme]
        found = _HOST.fullmatch(host)
        assert found is not None
        origin_host = _HOST.fullmatch(parts.netloc)
        return (
            origin_host is not None
            and origin_host["name"] == found["name"]
            and (port or usual) == int(found["port"] or usual)
        )


async def refuse(scope: Scope, send: Send, status: int, text: str) -> None:
    """Answer a request with a status and a sentence, and close its connection: what else it sends is not read."""
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return the values of a header, in lower case."""
    return [value.decode("latin-1").strip().lower() for each, value in scope["headers"] if each == name]


def _with_headers(send: Send, scope: Scope) -> Send:
    """Return a `send` that adds HEADERS, and the header about frames, to the response."""
    in_frame = str(scope["path"]).startswith(_COMPONENT)
    more = HEADERS | {
        "Content-Security-Policy": POLICY.format(ancestors="'self'" if in_frame else "'none'"),
        "X-Frame-Options": "SAMEORIGIN" if in_frame else "DENY",
    }
    added = [(name.lower().encode(), value.encode()) for name, value in more.items()]
    names = {name for name, _ in added}

    async def answer(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            given = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in names]
            message = {**message, "headers": [*given, *added]}
        await send(message)

    return answer
