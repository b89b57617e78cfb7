"""The page that gives phones the certificate: two texts and nothing else."""

from __future__ import annotations

import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import pytest

from ser_core.errors import ConfigError
from ser_core.serving import install_page
from tests.support import servers, waiting


def test_it_serves_the_page_and_the_certificate_only() -> None:
    port = servers.free_port()
    told = {
        "url": "https://10.0.0.5:8501/?a=<b>",
        "name": "Room <7>",
        "fingerprint": "AA:BB",
        "authority_der": b"\x30\x00",
    }
    with install_page.serve("127.0.0.1", port, **told):
        base = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{base}/?from=qr", timeout=5) as answer:
            page = answer.read().decode()
        assert (
            "<b>AA" not in page
            and "Room &lt;7&gt;" in page
            and "AA:BB" in page
            and 'href="https://10.0.0.5:8501/?a=&lt;b&gt;"' in page
        )
        assert "http" not in page.replace("https://10.0.0.5:8501", ""), "nothing comes from outside"
        with urllib.request.urlopen(f"{base}{install_page.FILE}", timeout=5) as answer:
            assert (answer.headers["Content-Type"], answer.read()) == ("application/x-x509-ca-cert", b"\x30\x00")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/../class/authority.pem", timeout=5)
        with pytest.raises(ConfigError, match=f"port {port}"), install_page.serve("127.0.0.1", port, **told):
            pass


def test_a_visitor_who_leaves_in_the_middle_or_sends_nonsense_leaves_no_address(
    capfd: pytest.CaptureFixture[str],
) -> None:
    port = servers.free_port()
    n_threads = threading.active_count()
    with install_page.serve(
        "127.0.0.1", port, url="https://10.0.0.5:8501", name="Room", fingerprint="AA", authority_der=b""
    ):
        for sent in (
            b"GET / HTT",
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            b"\xff\r\n\r\n",
            b"POST / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/9\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as visitor:
                visitor.sendall(sent)
                time.sleep(0.1)
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end is a reset
        waiting.until(lambda: threading.active_count() <= n_threads + 1)  # the one that serves
    assert capfd.readouterr() == ("", "")
