"""A visitor without a browser: speaks Streamlit's protocol to a running server, as its page in a browser does.

A websocket carries protobuf messages both ways, and files go up by HTTP under the protection against forged requests. Benchmarks and
tests have many of them at once, each with a session of its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from urllib3.util import Retry
from websockets.asyncio.client import ClientConnection, connect

XSRF = "_streamlit_xsrf"
MAX_MESSAGE = 2**27


class Refused(Exception):
    """The server did not take a file: its status and what it says."""


class Visitor:
    """One visit. Use it as `async with Visitor(url) as visitor`: the page has been drawn once then.

    elements : what the page shows, by its place. arrived : (time.perf_counter(), element) of all that came in the latest run.
    """

    def __init__(self, url: str, *, page: str = "", patience_s: float = 120.0) -> None:
        self.url = url.rstrip("/")
        self.page = page
        self.patience_s = patience_s
        self.session_id = ""
        self.elements: dict[tuple[int, ...], Element] = {}
        self.arrived: list[tuple[float, Element]] = []
        self.fragments: dict[str, float] = {}
        self.tabs: list[str] = []
        self.http = requests.Session()
        # As a browser does where the server has just closed a connection that was idle.
        for scheme in ("http://", "https://"):
            self.http.mount(scheme, HTTPAdapter(max_retries=Retry(2, allowed_methods=None)))
        self._states: dict[str, WidgetState] = {}
        self._socket: ClientConnection | None = None
        self._page_hash = ""
        self._n_asked = 0

    async def __aenter__(self) -> Visitor:
        await asyncio.to_thread(self.http.get, f"{self.url}/_stcore/health", timeout=self.patience_s)
        self._token = self.http.cookies.get(XSRF) or ""
        address = urlsplit(self.url)
        self._socket = await connect(
            f"ws{'s' * (address.scheme == 'https')}://{address.netloc}/_stcore/stream",
            subprotocols=["streamlit", self._token],  # type: ignore[list-item]
            origin=self.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": f"{XSRF}={self._token}"},
            max_size=MAX_MESSAGE,
            open_timeout=self.patience_s,
            compression=None,
        )
        await self.rerun()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket:
            await self._socket.close()
        self.http.close()

    def all(self, kind: str) -> Iterator[Any]:
        """Yield what the page shows of one kind, such as "button" or "html", from top to bottom."""
        for place in sorted(self.elements):
            if self.elements[place].WhichOneof("type") == kind:
                yield getattr(self.elements[place], kind)

    def sounds(self) -> list[str]:
        """Return where the clips lie that the page's players play, from top to bottom."""
        given = [json.loads(each.json or "null") for each in self.all("bidi_component")]
        return [each["url"] for each in given if isinstance(each, dict) and "url" in each]

    def widget(self, kind: str, key: str) -> Any:
        """Return the widget whose key begins so; raises LookupError where the page shows none."""
        found = next((each for each in self.all(kind) if f"-{key}" in each.id), None)
        if found is None:
            raise LookupError(f"The page shows no {kind} with the key {key!r}: {self.text()[:300]}")
        return found

    def text(self) -> str:
        """Return the words on the page: markdown, headings, alerts and HTML."""
        return "\n".join(each.body for kind in ("heading", "markdown", "alert", "html") for each in self.all(kind))

    def problems(self) -> list[str]:
        """Return what the page says went wrong."""
        return [each.body for each in self.all("alert") if each.format == 1] + [
            each.message for each in self.all("exception")
        ]

    async def rerun(self, *changed: WidgetState, fragment: str = "") -> None:
        """Tell the server what changed, and wait until the page, or one fragment of it, is drawn."""
        message = BackMsg()
        message.rerun_script.page_name = "" if self._page_hash else self.page
        message.rerun_script.page_script_hash = (
            self._page_hash
        )  # the name alone would lead a fragment that asks for the page elsewhere
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = bool(fragment)
        message.rerun_script.widget_states.widgets.extend([*self._states.values(), *changed])
        for state in changed:
            if not state.trigger_value:
                self._states[state.id] = state
        await self._send(message)
        await self._until_drawn()

    async def click(self, key: str) -> None:
        """Press the button whose key begins so."""
        await self.rerun(WidgetState(id=self.widget("button", key).id, trigger_value=True))

    async def type(self, kind: str, key: str, text: str) -> None:
        """Write into the field whose key begins so; kind is "text_input" or "text_area"."""
        await self.rerun(WidgetState(id=self.widget(kind, key).id, string_value=text))

    async def open(self, key: str, title: str) -> None:
        """Open one of the tabs whose key begins so."""
        await self.rerun(WidgetState(id=next(each for each in self.tabs if f"-{key}" in each), string_value=title))

    async def upload(self, name: str, data: bytes, *, key: str) -> None:
        """Choose a file in the uploader whose key begins so, and wait until the page is drawn with it; one chosen before is deleted."""
        widget = self.widget("file_uploader", key)
        before = self._states.get(widget.id, WidgetState()).file_uploader_state_value.uploaded_file_info
        urls = await self.address(name)
        await asyncio.to_thread(self.put, urls.upload_url, name, data)
        state = WidgetState(id=widget.id)
        state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(data), file_id=urls.file_id, file_urls=urls
        )
        await self.rerun(state)
        for each in before:
            await asyncio.to_thread(
                self.http.delete, f"{self.url}{each.file_urls.delete_url}", headers={"X-Xsrftoken": self._token}
            )

    async def address(self, name: str) -> FileURLs:
        """Return where the server wants a file."""
        self._n_asked += 1
        message = BackMsg()
        message.file_urls_request.request_id = str(self._n_asked)
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self.session_id
        await self._send(message)
        while True:
            told = await self._receive()
            if told.WhichOneof("type") == "file_urls_response":
                urls: FileURLs = told.file_urls_response.file_urls[0]
                return urls

    def put(self, path: str, name: str, data: bytes) -> None:
        """Send a file up; raises Refused where the server does not take it."""
        answer = self.http.put(
            f"{self.url}{path}",
            files={"file": (name, data, "application/octet-stream")},
            headers={"X-Xsrftoken": self._token},
            timeout=self.patience_s,
        )
        if answer.status_code != 204:
            raise Refused(f"{answer.status_code}: {answer.text[:300]}")

    def fetch(self, path: str) -> bytes:
        """Return what the server has at a path, such as a sound that the page plays; raises Refused where it gives nothing."""
        answer = self.http.get(f"{self.url}{path}", headers={"Range": "bytes=0-"}, timeout=self.patience_s)
        if answer.status_code not in (200, 206):
            raise Refused(f"{answer.status_code}: {answer.text[:300]}")
        return answer.content

    async def follow(self) -> None:
        """Let fragments that ask for it draw themselves anew, until none of them asks any more."""
        while self.fragments:
            fragment, wait_s = min(self.fragments.items(), key=lambda each: each[1])
            await asyncio.sleep(wait_s)
            await self.rerun(fragment=fragment)

    async def _send(self, message: BackMsg) -> None:
        assert self._socket is not None
        await self._socket.send(message.SerializeToString())

    async def _receive(self) -> ForwardMsg:
        assert self._socket is not None
        data = await asyncio.wait_for(self._socket.recv(decode=False), self.patience_s)
        message = ForwardMsg()
        message.ParseFromString(data)
        return message

    async def _until_drawn(self) -> None:
        drawn: set[tuple[int, ...]] = set()
        self.arrived = []
        while True:
            message = await self._receive()
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session_id = message.new_session.initialize.session_id
                if not message.metadata.run.fragment_ids:
                    self.fragments = {}
                    self.tabs = []
                    drawn = set()
            elif kind == "navigation":
                self._page_hash = message.navigation.page_script_hash
            elif kind == "auto_rerun":
                self.fragments[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "stop_auto_rerun":
                for each in message.stop_auto_rerun.fragment_ids:
                    self.fragments.pop(each, None)
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                place = tuple(message.metadata.delta_path)
                self.elements[place] = message.delta.new_element
                self.arrived.append((time.perf_counter(), message.delta.new_element))
                drawn.add(place)
            elif kind == "delta" and message.delta.add_block.tab_container.id:
                self.tabs.append(message.delta.add_block.tab_container.id)
            elif kind == "script_finished" and message.script_finished in (0, 1):
                self.elements = {place: each for place, each in self.elements.items() if place in drawn}
                there = {
                    getattr(getattr(each, str(each.WhichOneof("type"))), "id", "") for each in self.elements.values()
                }
                self._states = {name: state for name, state in self._states.items() if name in there.union(self.tabs)}
                return
            elif kind == "script_finished" and message.script_finished == 3:
                return


def cards_in(elements: Iterable[tuple[float, Element]]) -> list[tuple[float, str]]:
    """Return when HTML with model cards arrived, and that HTML."""
    return [
        (at, each.html.body)
        for at, each in elements
        if each.WhichOneof("type") == "html" and "<section>" in each.html.body
    ]
