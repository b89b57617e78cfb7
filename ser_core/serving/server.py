"""Serves the app: to this machine, or to a classroom of phones, lesson after lesson.

Streamlit runs in a separate process; this one checks what a class needs, prints it, and ends a lesson while no server runs.
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

from ser_core import paths
from ser_core.errors import ConfigError
from ser_core.serving import admin, certificates, guard, install_page, lesson, permissions, preflight
from ser_core.serving.preflight import Check
from ser_core.system import locks

_START_S = 90.0
_STOP_S = 10.0

ROOM = {"server.maxUploadSize": "60", "server.maxMessageSize": "100"}
"""Streamlit's limits for a class, in megabytes: five minutes of WAV per file, so that thirty visitors fit into a laptop's memory."""


def alone(port: int) -> int:
    """Serve the app to this machine only until it ends, and return its exit status.

    Raises
    ------
    ConfigError : if no port is free, or the admin word that is set is invalid.
    """
    _settle()
    admin.check(os.environ)
    port, check = preflight.free_port(port, "localhost")
    _print(check)
    with _streamlit({"server.port": str(port), "server.address": "localhost"}, {}) as server:
        return server.wait()


def _settle() -> None:
    """Work in the project's folder, as Streamlit's settings expect, restrict files to this user, and exit on SIGTERM."""
    os.chdir(paths.PROJECT)
    permissions.restrict()
    signal.signal(signal.SIGTERM, _leave)


def _leave(*_: object) -> NoReturn:
    sys.exit(0)


def for_class(port: int, address: str = "") -> NoReturn:
    """Serve the app to everyone in this network, lesson after lesson, until this process is stopped.

    address : one of this machine's, "" for the most likely.

    Raises
    ------
    ConfigError : if the address is not this machine's, no port is free, the admin word that is set is invalid, the certificate cannot be
        issued, or the server ends by itself.
    """
    found = preflight.addresses()
    if address and address not in found:
        raise ConfigError(
            f"'{address}' is not an address of this machine. It has: {', '.join(found) or 'none in any network'}."
        )
    address = address or (found[0] if found else "localhost")
    _settle()
    folder = paths.class_folder()
    permissions.create_private(folder)
    lock = locks.take(folder / "serving.lock")
    if lock is None:
        raise ConfigError(
            f"A class is being served from '{folder}' already. Stop that server, or name another folder with SER_CLASS."
        )
    with lock:
        _serve_class(port, address, found, folder)


def _serve_class(port: int, address: str, found: Sequence[str], folder: Path) -> NoReturn:
    word, is_new = admin.ensure(os.environ)
    port, port_check = preflight.free_port(port)
    url = f"https://{address}:{port}"
    names = preflight.names()
    # The plain host name is not in the certificate: "dev" would permit every name that ends in .dev.
    local = [name for name in names if name.endswith(".local")]
    issued = certificates.issue(
        folder, list(dict.fromkeys([address, "localhost", "127.0.0.1"])), others=[*found, *local]
    )
    install_port, _ = preflight.free_port(port + 1)
    install_url = f"http://{address}:{install_port}/"
    checks = [
        port_check,
        preflight.disk(folder),
        preflight.corpora(),
        preflight.models(),
        preflight.certificate(issued),
        preflight.network(found, address),
    ]
    for check in checks:
        _print(check)
    settings = ROOM | {
        "server.port": str(port),
        "server.address": "0.0.0.0" if found else "localhost",
        # Set, so that Streamlit does not ask an outside service for its address.
        "browser.serverAddress": address,
        "server.sslCertFile": str(issued.file),
        "server.sslKeyFile": str(issued.file),
        "logger.hideWelcomeMessage": "true",
        "logger.level": "warning",
    }
    environment = {
        lesson.VARIABLE: str(folder),
        admin.VARIABLE: word,
        guard.VARIABLE: hosts([*found, *names], os.environ),
    }
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
                    checks.append(preflight.reach(url, issued.authority_der))
                    _print(checks[-1])
                    lesson.write(folder, replace(here, checks=tuple(checks)))
                    _print_addresses(url, install_url, here, word if is_new else "")
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
    """Return the names and addresses under which a server may be reached, with those set in SER_HOSTS, separated by commas."""
    return ",".join(dict.fromkeys([*guard.named(environment), *names]))


@contextlib.contextmanager
def _streamlit(settings: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the app while the block runs. It has no terminal to prompt on."""
    command = [sys.executable, "-m", "streamlit", "run", str(paths.PROJECT / "app.py")]
    command += [part for name, value in settings.items() for part in (f"--{name}", value)]
    server = subprocess.Popen(command, cwd=paths.PROJECT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
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
    ConfigError : if it ends, or does not answer within _START_S.
    """
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        if preflight.reach(url, issued.authority_der).good:
            return
        time.sleep(0.3)
    raise ConfigError("The server did not start; the lines above say why. Fix that, and start it again.")


def _print(check: Check) -> None:
    print(f"{'ok ' if check.good else 'LOOK'} {check.title}: {check.text}", flush=True)


def _print_addresses(url: str, install_url: str, here: lesson.Lesson, word: str) -> None:
    if sys.stdout.isatty():
        print(f"\n{preflight.terminal_qr(url)}")
    print(f"\nThe class opens    {url}")
    print(f"Phones that cannot {install_url}")
    print(f"Your screen        {url}/lesson   (a QR code to show, and the end of the lesson)")
    print(f"Admin word         {word or 'the one that you have set'}   (for you only: not on the projector)")
    print(
        f"Lesson             began {here.began}; ending it on your screen removes what it created; Ctrl+C does not",
        flush=True,
    )
