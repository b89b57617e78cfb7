"""Serves the app: to this machine, or to a room full of phones, lesson after lesson.

Streamlit runs in a process of its own; this one looks at what a class needs, prints it, and ends a lesson while no server runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from ser_core import admin, certificates, classroom, install_page, lesson, locks, permissions
from ser_core.classroom import Check
from ser_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
_START_S = 90.0
_STOP_S = 10.0

ROOM = {"server.maxUploadSize": "60", "server.maxMessageSize": "100"}
"""Streamlit's limits for a full room, in megabytes: five minutes of WAV a file, so that thirty visitors fit into the memory of a laptop."""


def alone(port: int) -> int:
    """Serve the app to this machine until it ends, and return its exit status.

    Raises
    ------
    ConfigError : if no port is free, or the admin word that is set does not count.
    """
    _settle()
    admin.check(os.environ)
    port, check = classroom.free_port(port, "localhost")
    _print(check)
    with _streamlit({"server.port": str(port), "server.address": "localhost"}, {}) as server:
        return server.wait()


def _settle() -> None:
    """Name all folders from the project's own, as Streamlit's settings are, keep them to this user, and end when told to end."""
    os.chdir(ROOT)
    permissions.restrict()
    signal.signal(signal.SIGTERM, _leave)


def _leave(*_: object) -> NoReturn:
    sys.exit(0)


def for_class(port: int, address: str = "") -> NoReturn:
    """Serve the app to everyone in this network, lesson after lesson, until this process is stopped.

    address : one of this machine's, "" for the likeliest.

    Raises
    ------
    ConfigError : if the address is none, no port is free, the admin word that is set does not count, the certificate cannot be made, or
        the server ends by itself.
    """
    found = classroom.addresses()
    if address and address not in found:
        raise ConfigError(
            f"'{address}' is no address of this machine. It has: {', '.join(found) or 'none in any network'}."
        )
    address = address or (found[0] if found else "localhost")
    _settle()
    folder = Path(os.environ.get("SER_CLASS") or "class").resolve()
    certificates.private(folder)
    held = locks.take(folder / "serving.lock")
    if held is None:
        raise ConfigError(
            f"A class is being served from '{folder}' already. Stop that server, or name another folder with SER_CLASS."
        )
    with held:
        _serve_class(port, address, found, folder)


def _serve_class(port: int, address: str, found: Sequence[str], folder: Path) -> NoReturn:
    word, is_new = admin.ensure(os.environ)
    port, port_check = classroom.free_port(port)
    url = f"https://{address}:{port}"
    names = classroom.names()
    # Its plain name is no part of the certificate: "dev" would permit all that ends in .dev.
    local = [name for name in names if name.endswith(".local")]
    issued = certificates.issue(
        folder, list(dict.fromkeys([address, "localhost", "127.0.0.1"])), others=[*found, *local]
    )
    install_port, _ = classroom.free_port(port + 1)
    install_url = f"http://{address}:{install_port}/"
    checks = [
        port_check,
        classroom.disk(folder),
        classroom.corpora(),
        classroom.models(),
        classroom.certificate(issued),
        classroom.network(found, address),
    ]
    for check in checks:
        _print(check)
    settings = ROOM | {
        "server.port": str(port),
        "server.address": "0.0.0.0" if found else "localhost",
        # Named, so that Streamlit asks nobody outside under which address it is seen.
        "browser.serverAddress": address,
        "server.sslCertFile": str(issued.file),
        "server.sslKeyFile": str(issued.file),
        "logger.hideWelcomeMessage": "true",
        "logger.level": "warning",
    }
    environment = {lesson.VARIABLE: str(folder), admin.VARIABLE: word, admin.HOSTS: hosts([*found, *names], os.environ)}
    with install_page.serve(
        address,
        install_port,
        url=url,
        name=certificates.ORGANISATION,
        fingerprint=issued.fingerprint,
        authority_der=issued.authority_der,
    ):
        is_first = True
        while True:
            here = replace(
                lesson.begin(folder),
                url=url,
                install_url=install_url,
                fingerprint=issued.fingerprint,
                checks=tuple(checks),
            )
            lesson.write(folder, here)
            with _streamlit(settings, environment) as server:
                _wait_for(server, f"https://localhost:{port}", issued)
                if is_first:
                    checks.append(classroom.reach(url, issued.authority_der))
                    _print(checks[-1])
                    lesson.write(folder, replace(here, checks=tuple(checks)))
                    _tell(url, install_url, here, word if is_new else "")
                is_first = False
                while server.poll() is None and not lesson.end_asked(folder):
                    time.sleep(0.3)
                if server.poll() is not None:
                    raise ConfigError(
                        f"The server ended (exit status {server.returncode}); the lines above say why. Start it again."
                    )
            print("Ending the lesson ...", flush=True)
            for line in lesson.end(folder, here).told:
                print(f"  {line}", flush=True)


def hosts(names: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return under which names and addresses a server may be asked, those that are set in SER_HOSTS too, separated by commas."""
    told = [name.strip() for name in environment.get(admin.HOSTS, "").split(",")]
    return ",".join(dict.fromkeys(name for name in [*told, *names] if name))


@contextlib.contextmanager
def _streamlit(settings: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the app while the block runs. It gets no terminal to ask on."""
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    command += [part for name, value in settings.items() for part in (f"--{name}", value)]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(server: subprocess.Popen[bytes], url: str, issued: certificates.Certificate) -> None:
    """Wait until the server answers.

    Raises
    ------
    ConfigError : if it ends, or takes longer than a slow laptop does.
    """
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        if classroom.reach(url, issued.authority_der).good:
            return
        time.sleep(0.3)
    raise ConfigError("The server did not start; the lines above say why. Mend that, and start it again.")


def _print(check: Check) -> None:
    print(f"{'ok ' if check.good else 'LOOK'} {check.title}: {check.text}", flush=True)


def _tell(url: str, install_url: str, here: lesson.Lesson, word: str) -> None:
    if sys.stdout.isatty():
        print(f"\n{classroom.terminal_qr(url)}")
    print(f"\nThe class opens    {url}")
    print(f"Phones that cannot {install_url}")
    print(f"Your screen        {url}/lesson   (a QR code to show, and the end of the lesson)")
    print(f"Admin word         {word or 'the one that you have set'}   (for you alone: not on the projector)")
    print(
        f"Lesson             began {here.began}; its end, on your screen, takes away what it made; Ctrl+C does not",
        flush=True,
    )
