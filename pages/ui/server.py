"""What stands between the network and the pages: app.py gives it to st.App, so that every way to start the app has it.

Besides ser_core.guard, which knows nothing of Streamlit: messages that a page never sends, and limits on files that are sent up.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections import Counter

from google.protobuf.message import DecodeError
from starlette.middleware import Middleware
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackMsg

from pages.ui import visits
from ser_core.errors import ConfigError
from ser_core.serving import admin, guard, permissions, preflight
from ser_core.serving.guard import Application, Message, Receive, Scope, Send
from ser_core.system import priority

MESSAGES = frozenset({"rerun_script", "stop_script", "file_urls_request", "app_heartbeat", "backend_operation_request"})
"""What a page says to the server. Streamlit knows more, for its developers: one clears the caches of all visitors."""

MOST_UPLOADS = 64
"""So many files may be on their way from one address at a time: a browser sends six at once, and a class may share an address."""

UPLOAD_S = 600.0
"""A file that takes longer on its way is given up: 60 MB in that time are 0.8 Mbit/s."""

BEGIN_S = 1.0
"""A websocket that takes longer to begin lets the next one begin."""

_UPLOAD = re.compile(r".*/_stcore/upload_file/(?P<session>[^/]+)/[^/]+")


def middleware() -> list[Middleware]:
    """Return what st.App puts before Streamlit, the outermost first, and keep what the server writes to its owner.

    Where others reach the server, there is an admin word from here on. Ends the program with a sentence where a setting cannot be used.
    """
    is_here_alone = config.get_option("server.address") in ("localhost", "127.0.0.1", "::1")
    try:
        _set_admin_word(is_here_alone=is_here_alone)
        priority.worker_count()
        priority.highest_niceness()
        hosts = guard.hosts(os.environ, () if is_here_alone else _own_names())
    except ConfigError as error:
        sys.exit(str(error))
    permissions.restrict()
    return [
        Middleware(guard.Guard, hosts=hosts, is_secure=bool(config.get_option("server.sslCertFile"))),
        Middleware(Uploads),
        Middleware(Websockets),
    ]


def _set_admin_word(*, is_here_alone: bool) -> None:
    """Make an admin word and print it where others reach the server and none is set; say it where the one that is set does not count."""
    if is_here_alone:
        if problem := admin.problem(os.environ):
            print(problem, file=sys.stderr, flush=True)
        return
    word, is_new = admin.ensure(os.environ)
    os.environ[admin.VARIABLE] = word
    if is_new:
        print(f"Others can reach this server, so it has an admin word, for you alone: {word}", flush=True)


def _own_names() -> list[str]:
    """Return the addresses and names of this machine in its network."""
    name = socket.gethostname().lower()
    return [*preflight.addresses(), name, f"{name.removesuffix('.local')}.local"]


class Websockets:
    """Lets websockets begin one after another, and drops what comes over one and is none of MESSAGES.

    Each that begins makes a session; hundreds that begin at once would hold everybody up until the last. What cannot be read, Streamlit
    refuses itself.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or websocket, as ASGI asks for."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        await self._turn.acquire()
        await asyncio.sleep(0)  # whoever else waits for the loop comes in between
        leave = iter([self._turn.release])
        patience = asyncio.get_running_loop().call_later(BEGIN_S, lambda: next(leave, int)())
        is_connected = False

        async def next_message() -> Message:
            nonlocal is_connected
            if is_connected:  # asked for the next message: its session is made
                next(leave, int)()
            is_connected = True
            while True:
                message = await receive()
                if message["type"] != "websocket.receive" or _is_known(message.get("bytes") or b""):
                    return message

        try:
            await self._app(scope, next_message, send)
        finally:
            patience.cancel()
            next(leave, int)()


def _is_known(data: bytes) -> bool:
    try:
        return BackMsg.FromString(data).WhichOneof("type") in (*MESSAGES, None)
    except DecodeError:
        return True


class Uploads:
    """Lets in files that are sent up while there is room for them: few at once from an address, all within visits.MOST_HELD."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._by_address: Counter[str] = Counter()
        self._on_the_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or websocket, as ASGI asks for."""
        found = _UPLOAD.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "PUT" else None
        if not found:
            await self._app(scope, receive, send)
            return
        address = str((scope.get("client") or ("",))[0])
        size = _size(scope)
        if size is None:
            await guard.refuse(scope, send, 411, "The size of the file is missing.")
        elif self._by_address[address] >= MOST_UPLOADS:
            await guard.refuse(
                scope, send, 429, "Too many uploads from this address at once. Wait until some have finished."
            )
        elif not visits.make_room(self._on_the_way + size, found["session"], address):
            await guard.refuse(
                scope,
                send,
                507,
                "The server has no room for more recordings just now. Try again in some minutes, or send less.",
            )
        else:
            self._by_address[address] += 1
            self._on_the_way += size
            try:
                async with asyncio.timeout(UPLOAD_S):
                    await self._app(scope, receive, send)
            except TimeoutError:  # without an answer, its connection is closed
                pass
            finally:
                self._on_the_way -= size
                self._by_address[address] -= 1
                if not self._by_address[address]:
                    del self._by_address[address]


def _size(scope: Scope) -> int | None:
    """Return how many bytes a request says that it brings; None where it does not say."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if len(lengths) == 1 and re.fullmatch(rb"[0-9]{1,12}", lengths[0]) else None
