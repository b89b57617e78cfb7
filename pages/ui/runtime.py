"""The little of Streamlit's runtime that has no public way: visits, their files, and the browser's secret."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import ipaddress
import secrets
from collections import Counter
from collections.abc import Sequence

import streamlit as st
from streamlit import runtime
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui import state
from ser_core.system import workers


def release_upload(held: UploadedFile | Sequence[UploadedFile] | None) -> None:
    """Have Streamlit drop files that were sent up; it would keep them until the visit ends."""
    context = get_script_run_ctx()
    for file in held if isinstance(held, list) else [held]:
        if context and isinstance(file, UploadedFile):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def media_url(data: bytes, mime: str, place: str) -> str:
    """Return where the browser of this visit fetches a file, as long as its page shows it. place: what tells it from others there."""
    context = get_script_run_ctx()
    if context is None:
        return ""
    url = runtime.get_instance().media_file_mgr.add(data, mime, place)
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{url}" if base else url


def browser() -> str:
    """Return a secret that nobody else has: of the browser, whose visits share it, else of this visit."""
    return _cookie() or st.session_state.setdefault(state.BROWSER, secrets.token_hex(16))


def who() -> workers.Who:
    """Return the address and the browser that this visit comes from, for counting and taking turns: "" where there is none.

    Anybody can make up the browser's part. Whoever brings none shares it with the others at the address who do not; this machine's own
    address is "". Of an IPv6 address it is the network of 64 bits, of which a single machine has all.
    """
    return _network(st.context.ip_address or ""), _cookie()


def announce() -> None:
    """Have the work of this thread count as this visit's (workers.WHO). A thread of ours, which has no visit, was told when it began."""
    if get_script_run_ctx():
        workers.WHO.set(who())


def stop_asking() -> None:
    """Have the browser ask no more for the fragment that is being drawn; its run_every would last until the whole page is drawn again."""
    context, fragment = get_script_run_ctx(), ThreadState.get().fragment_id
    if context and fragment:
        message = ForwardMsg()
        message.stop_auto_rerun.fragment_ids.append(fragment)
        context.enqueue(message)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network(f"{found}/64", strict=False))
    return str(found)


def _cookie() -> str:
    """Return the secret in Streamlit's own protection against forged requests, "" where the browser brings none.

    That cookie holds a mask, 16 random bytes under that mask, which stay the same as long as the browser runs, and a time.
    """
    kind, _, rest = str(st.context.cookies.get("_streamlit_xsrf", "")).strip("\"'").partition("|")
    try:
        mask, masked, _ = rest.split("|")
        key, cipher = bytes.fromhex(mask), bytes.fromhex(masked)
        if kind == "2" and len(key) == 4 and len(cipher) == 16:
            return bytes(byte ^ key[place % 4] for place, byte in enumerate(cipher)).hex()
    except ValueError:
        pass
    return ""


class Server:
    """The little of Streamlit's runtime that this needs. It has no public way to a visit's end."""

    def is_here(self, name: str) -> bool:
        """Return whether a visit has a connection."""
        return runtime.get_instance().is_active_session(name)

    def held(self) -> dict[str, int]:
        """Return how many bytes of files each visit has sent up and not yet let go of: Streamlit's and those that its pages keep."""
        files = runtime.get_instance().uploaded_file_mgr.file_storage
        sizes = Counter(
            {name: sum(len(each.data) for each in list(kept.values())) for name, kept in list(files.items())}
        )
        for info in runtime.get_instance()._session_mgr.list_sessions():
            sizes[info.session.id] += state.kept_bytes(info.session.session_state)
        return {name: size for name, size in sizes.items() if size}

    def drop(self, name: str) -> None:
        """Drop the files that a visit has sent up, and what its pages keep of them."""
        runtime.get_instance().uploaded_file_mgr.remove_session_files(name)
        info = runtime.get_instance()._session_mgr.get_session_info(name)
        if info is not None:
            info.session._event_loop.call_soon_threadsafe(state.release_inputs, info.session.session_state)

    def end(self, name: str) -> None:
        """End a visit: nothing of it stays."""
        server = runtime.get_instance()
        info = server._session_mgr.get_session_info(name)
        if info is None:
            return
        session = info.session

        def close() -> None:
            if self.is_here(name):  # came back meanwhile
                return
            state.release_inputs(session.session_state)
            server.close_session(name)
            session.session_state.clear()
            session._fragment_storage.clear()

        session._event_loop.call_soon_threadsafe(close)

    def draw(self, name: str) -> None:
        """Redraw the page of a visit."""
        info = runtime.get_instance()._session_mgr.get_session_info(name)
        if info is not None:
            info.session._event_loop.call_soon_threadsafe(info.session.request_rerun, None)


def tidy() -> None:
    """Give memory that nobody uses back to the system: visits are rings of objects, and glibc keeps what was freed."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # other systems have no such function
        ctypes.CDLL(None).malloc_trim(0)
