"""The way of the sound from the browser to the server (WebRTC), and what to do where there is none.

streamlit_webrtc is imported when the page is drawn: its SRTP library and TensorFlow do not bear each other in one process, and the
server has no TensorFlow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from pages.ui.live.session import Visitor

LOCAL = {"localhost", "::1"}

PATIENCE_S = 8.0
"""A connection without sound for so long is said to have failed."""

AUDIO = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
"""The browser must not touch the sound: loudness is a cue, and its noise filters change voices."""

WORDS = {
    "start": "Start listening",
    "stop": "Stop",
    "select_microphone": "Microphone",
    "mute_microphone": "Mute",
    "unmute_microphone": "Unmute",
    "device_ask_permission": "The browser asks whether this page may use the microphone: allow it.",
    "device_access_denied": "The browser does not let this page use the microphone. Allow it beside the page's address, then start again.",
    "device_not_available": "The microphone cannot be used: is it plugged in, and does another program hold it? Then start again.",
    "media_api_not_available": "This browser gives no microphone to pages over plain http. Open the page with https, or on localhost.",
}

HTTPS = """
**The microphone needs https.** Browsers give it to pages from this machine (`localhost`) or over https only, and this page came over plain
http. Whoever runs the server can serve it so, with a certificate that is made on the spot:

```
make class
```

Then open `https://{host}{port}`. The browser warns once, because nobody but whoever runs the server vouches for the certificate. The
recorder needs https too; uploading a recording does not.
"""

FAILED = """
**No sound arrives**, {seconds:.0f} seconds after the start. If the browser asks for the microphone, allow it. If it already has it, the
connection is what fails: the browser must reach the server by UDP, and a firewall or a network that keeps its guests apart may not let
it. On one machine or in one plain network it works as it is; elsewhere, name a TURN server in `.streamlit/secrets.toml` (README tells
how). Or press Stop, and record a clip instead.
"""


def is_insecure(url: str | None) -> bool:
    """Return whether a browser that shows this address gives no microphone to it."""
    parts = urlsplit(url or "")
    host = parts.hostname or ""
    return (
        parts.scheme == "http" and host not in LOCAL and not host.startswith("127.") and not host.endswith(".localhost")
    )


def explain_https(url: str) -> None:
    """Draw why there is no microphone and what to type."""
    parts = urlsplit(url)
    st.warning(HTTPS.format(host=parts.hostname, port=f":{parts.port}" if parts.port else ""), icon=":material/lock:")


def ice_servers() -> list[dict[str, Any]]:
    """Return the STUN and TURN servers that the secrets name, none where there are no secrets: nobody else is asked."""
    try:
        given = st.secrets.get("ice_servers", [])
    except StreamlitSecretNotFoundError:
        given = []
    return [{name: list(value) if _is_list(value) else value for name, value in server.items()} for server in given]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | Mapping)


def connect(visitor: Visitor) -> bool:
    """Draw the start button of the microphone, and return whether it is on or just being switched on."""
    from streamlit_webrtc import WebRtcMode, webrtc_streamer

    async def receive(frames: list[Any]) -> list[Any]:
        visitor.receive(frames)
        return []

    try:
        context = webrtc_streamer(
            key="live.microphone",
            mode=WebRtcMode.SENDONLY,
            rtc_configuration={"iceServers": ice_servers()},
            media_stream_constraints={"audio": AUDIO, "video": False},
            queued_audio_frames_callback=receive,
            on_audio_ended=visitor.end,
            translations=WORDS,
        )
    except Exception:  # the library has errors of its own and of three others
        logging.getLogger(__name__).exception("The live connection failed")
        visitor.problem = "The connection could not be made: the server could not answer the browser. Reload the page and start again."
        visitor.end()
        return False
    is_on = bool(context.state.playing or context.state.signalling)
    if is_on:
        visitor.problem = ""
        visitor.asked_s = visitor.asked_s or time.monotonic()
    else:
        visitor.asked_s = None
        if visitor.is_on:
            visitor.end()
    return is_on
