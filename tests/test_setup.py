"""What a newcomer meets first: pins, configuration, the first start at a terminal, a cold numba cache."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import servers

ROOT = Path(__file__).resolve().parents[1]

ASKED_AFTER_THE_WARM_UP = """
from numba.core import caching
asked, load = [], caching.Cache.load_overload
def noted(cache, signature, context):
    asked.append(f"{cache.cache_path} {signature}")
    return load(cache, signature, context)
caching.Cache.load_overload = noted

from ser_core.audio import warm_up
warm_up.run()
n_asked = len(asked)

import numpy as np
from ser_core.audio import augment, waveform
from ser_core.features import extraction
rng = np.random.default_rng(1)
sound = waveform.Waveform(rng.normal(scale=0.1, size=30_000).astype(np.float32), 16_000)
for effect in augment.EFFECTS.values():
    extraction.extract(effect.apply(sound, 0.5, rng))
print(n_asked, asked[n_asked:])
"""
"""Prints how often the warm-up asks numba's cache for something compiled, and what every effect and measuring ask for after it."""


def requirement_lines(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def tracked_files() -> list[Path]:
    """Return the files of the repository, or everything outside ignored folders where there is no git."""
    if (ROOT / ".git").exists():
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]
    hidden = {".venv", "build", "runs", "corpora"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden & set(path.relative_to(ROOT).parts)]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "constraints.txt"])
def test_every_pin_is_exact(name: str) -> None:
    for line in requirement_lines(name):
        assert re.match(r"^[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*\s*(;.*)?$", line), (
            f"{name}: '{line}' is no exact pin (name==version)."
        )


def test_each_library_is_pinned_in_one_place() -> None:
    pinned = [
        re.split(r"==", line)[0]
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in requirement_lines(name)
    ]
    pulled_in = {re.split(r"==", line)[0] for line in requirement_lines("constraints.txt")}
    assert len(pinned) == len(set(pinned))
    assert not set(pinned) & pulled_in


def locked() -> dict[str, set[str]]:
    """Return the lines of requirements.lock: requirement with its marker -> hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            requirement, *hashes = line.split("--hash=")
            found[requirement.strip()] = {each.strip() for each in hashes}
    return found


def test_the_lock_names_every_file_by_its_hash() -> None:
    for requirement, hashes in locked().items():
        assert re.match(r"^[a-z0-9-]+==[0-9][A-Za-z0-9.]*( ; .*)?$", requirement), requirement
        assert hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), requirement


def test_the_lock_has_the_pins_of_requirements_and_constraints() -> None:
    """Offline; that nothing is missing, and the hashes are those of the files, `make check-pins` looks up."""

    def pin(line: str) -> str:
        return line.split(";")[0].strip().lower().replace("_", "-")

    direct, pulled_in, lock = (
        set(map(pin, lines))
        for lines in (requirement_lines("requirements.txt"), requirement_lines("constraints.txt"), locked())
    )
    assert direct <= lock, f"not in requirements.lock: {sorted(direct - lock)}. Run: make pins"
    assert lock <= direct | pulled_in, (
        f"in requirements.lock alone: {sorted(lock - direct - pulled_in)}. Run: make pins"
    )


def test_both_set_ups_install_what_the_lock_names_and_again_when_it_changes() -> None:
    makefile, batch = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "run.bat"))
    assert re.search(r"^\.venv/\.ready: requirements\.lock ", makefile, re.MULTILINE)
    for text in (makefile, batch):
        assert "--require-hashes -r requirements.lock" in text
    assert (
        "fc /b requirements.lock .venv\\installed.txt" in batch
        and "copy /b requirements.lock .venv\\installed.txt" in batch
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs make and a shell")
@pytest.mark.parametrize("fails", ["", "ruff", "mypy", "coverage", "tools.branches"])
def test_make_test_runs_each_check_and_fails_where_one_does(tmp_path: Path, fails: str) -> None:
    """With a Python that only tells what it is asked: mypy works beside the tests, and says what it has to say after them."""
    for name in ("requirements.lock", "requirements.txt", "requirements-dev.txt", "constraints.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".venv").mkdir()
    for name in (".ready", ".ready-dev"):
        (tmp_path / ".venv" / name).touch()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$2"\ntest "$2" != "{fails}"\n')
    python.chmod(0o755)
    command = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), "test", f"PY={python}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == (fails == ""), done.stderr
    ran = ["tools.browser", "ruff", "ruff", "coverage", "tools.branches", "mypy"]
    shown = {"ruff": ran[:2], "coverage": [*ran[:4], "mypy"]}.get(fails, ran)
    assert done.stdout.split() == shown


def test_no_download_address_and_no_other_lock_file_is_tracked() -> None:
    names = ("pythonhosted.", "pypi.", "npmjs.", "deb.debian.")
    hosts = [f"{name}{end}".encode() for name in names for end in ("org", "com")]
    for path in tracked_files():
        is_lock = path.suffix == ".lock" or path.name in {"package-lock.json", "pylock.toml"}
        assert not is_lock or path == ROOT / "requirements.lock", f"{path.name} is a lock file."
        content = path.read_bytes()
        assert not [host for host in hosts if host in content], f"{path.relative_to(ROOT)} names a package registry."


def test_streamlit_reads_the_configuration_as_meant() -> None:
    """Asked of Streamlit itself: it ignores a misspelt option silently."""
    wanted = {
        "server.address": "localhost",
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.maxUploadSize": 200,
        "server.fileWatcherType": "none",
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "browser.gatherUsageStats": False,
        "runner.postScriptGC": False,
        "client.showSidebarNavigation": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "type",
    }
    code = f"from streamlit import config; config.get_config_options(); print({{name: config.get_option(name) for name in {list(wanted)}}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(wanted)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_on_a_projector(theme: str) -> None:
    """WCAG 2.1 level AAA asks for a contrast of 7; a projector in a bright room takes some of it away."""
    colours = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][theme]
    for background in ("backgroundColor", "secondaryBackgroundColor"):
        assert contrast(colours["textColor"], colours[background]) > 12
        assert contrast(colours["primaryColor"], colours[background]) > 3


def contrast(first: str, second: str) -> float:
    """Return the WCAG contrast ratio of two '#rrggbb' colours, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("headless", ["true", "false"])
def test_the_first_start_at_a_terminal_asks_nothing(tmp_path: Path, headless: str) -> None:
    """A home without Streamlit's files, a terminal as input; with headless off, Streamlit would ask for an e-mail address."""
    for opener in ("xdg-open", "open"):  # headless off opens a browser; this one does nothing
        (tmp_path / opener).write_text("#!/bin/sh\n")
        (tmp_path / opener).chmod(0o755)
    port = servers.free_port()
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}", "BROWSER": "true"}
    command = servers.streamlit(port, server_headless=headless)
    terminal, theirs = os.openpty()
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    os.set_blocking(terminal, False)
    lines = []

    def shown() -> str:
        lines.append(read(terminal))
        return "".join(lines)

    try:
        servers.wait_until_served(server, port, shown=shown)
        assert "Email" not in shown()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=20)
        os.close(terminal)


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 65_536).decode(errors="replace")
    except OSError:  # nothing new, or the other side has closed
        return ""


def test_the_warm_up_leaves_nothing_to_compile() -> None:
    """Two processes that fill numba's cache at once can break it: after the set-up nothing must be left that they would put there."""
    command = [sys.executable, "-c", ASKED_AFTER_THE_WARM_UP]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    n_asked, _, left = done.stdout.strip().partition(" ")
    assert int(n_asked) > 0 and left == "[]", done.stdout + done.stderr
