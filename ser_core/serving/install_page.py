"""A page over plain HTTP that gives phones the certificate of the class's authority: without it, some cannot open the app.

It serves two texts from memory, to anyone, and reads nothing from a request but the path.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ser_core.errors import ConfigError

FILE = "/class.crt"
"""Path of the certificate, with the ending by which phones offer to install it."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Open the app on this device</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.05rem/1.5 system-ui, sans-serif; max-width: 38rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; }} h2 {{ font-size: 1.15rem; margin-top: 1.6rem; }}
li {{ margin: .35rem 0; }} code {{ overflow-wrap: anywhere; font-size: .85rem; }}
a {{ color: light-dark(#1d4ed8, #8ab4ff); }}
a.open {{ display: inline-block; padding: .6rem 1rem; border: 2px solid; border-radius: .5rem; font-weight: 600; }}
</style></head><body><main>
<h1>Open the app on this device</h1>
<p><a class="open" href="{url}">Open {url}</a></p>
<h2>Android, Windows, Linux, Mac</h2>
<p>The browser warns, because only your teacher vouches for this address. Choose <b>Advanced</b>, then <b>Proceed</b> (Firefox: <b>Accept
the risk</b>). That is enough.</p>
<h2>iPhone and iPad</h2>
<p>Some let the app load only once they trust its certificate:</p>
<ol>
<li>In Safari, <a href="{file}">download the certificate</a> and allow it.</li>
<li>Settings, General, VPN &amp; Device Management: choose <b>{name}</b> and tap <b>Install</b>.</li>
<li>Settings, General, About, Certificate Trust Settings: switch <b>{name}</b> on.</li>
<li>Come back here and open the app.</li>
</ol>
<p>Before you switch it on, compare its SHA-256 fingerprint with the one on the teacher's screen:</p>
<p><code>{fingerprint}</code></p>
<h2>After the lesson</h2>
<p>Remove it again: Settings, General, VPN &amp; Device Management, <b>{name}</b>, Remove. A device that trusts a certificate believes
whoever holds its key.</p>
</main></body></html>
"""


@contextmanager
def serve(host: str, port: int, *, url: str, name: str, fingerprint: str, authority_der: bytes) -> Iterator[None]:
    """Serve the page and the certificate while the block runs.

    Raises
    ------
    ConfigError : if the port is not available.
    """
    page = PAGE.format(url=escape(url), name=escape(name), fingerprint=escape(fingerprint), file=FILE).encode()
    answers = {"/": ("text/html; charset=utf-8", page), FILE: ("application/x-x509-ca-cert", authority_der)}

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            kind, body = answers.get(self.path.partition("?")[0], ("", b""))
            if not kind:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            for header, value in (
                ("Content-Type", kind),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ):
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body)

        def version_string(self) -> str:
            return "class"

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: visitors stay private."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Log nothing of a visitor who disconnects, or sends an invalid request: http.server would print the address."""

    try:
        server = Server((host, port), Handler)
    except OSError as error:
        raise ConfigError(
            f"The page for phones could not be served on port {port} ({error.strerror}). Choose another --port."
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
