"""Checks before the server starts of what a class needs: a port, an address that phones reach, disk, corpora, models.

Each gives a Check: a sentence on what was found and, where it is not good, what to do. Nothing here prompts the user, and
nothing outside this machine is contacted.
"""

from __future__ import annotations

import io
import ipaddress
import re
import shutil
import socket
import ssl
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import ifaddr
import segno

from ser_core import paths
from ser_core.corpora import library
from ser_core.errors import ConfigError, ModelError
from ser_core.features import encoder
from ser_core.recognition import store
from ser_core.system import units

if TYPE_CHECKING:
    from ser_core.serving.certificates import Certificate

SPARE_BYTES = 2 * 2**30
"""A class that records and trains needs less than this."""

TRIES = 20
"""Number of ports tried, one after the other."""

_VIRTUAL = re.compile(
    r"docker|veth|br-|virbr|vmnet|vbox|virtualbox|vmware|hyper-v|vethernet|tun|tap|wg|zt|tailscale|wsl", re.IGNORECASE
)
_NAME = re.compile(r"(?=.{1,240}$)(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_ELSEWHERE = ("198.51.100.1", 9)
"""An address reserved for documentation (RFC 5737): asking the system for its route sends nothing."""


class Check(NamedTuple):
    """What was checked, whether it is good, and a sentence."""

    title: str
    good: bool
    text: str


def free_port(wanted: int, host: str = "") -> tuple[int, Check]:
    """Return the requested port, or the next one that is free, and its check.

    Raises
    ------
    ConfigError : if none of TRIES ports is free, or the number is not a port.
    """
    if not 1 <= wanted <= 65535:
        raise ConfigError(f"A port is a number from 1 to 65535. Got {wanted}.")
    last = min(wanted + TRIES, 65536)
    for port in range(wanted, last):
        if _is_free(host, port):
            text = f"{port} is free." if port == wanted else f"{wanted} is taken by another program, so this is {port}."
            return port, Check("Port", True, text)
    raise ConfigError(f"No port from {wanted} to {last - 1} is free. Choose another one with --port, above 1023.")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        if sys.platform != "win32":  # on Windows it would let two programs share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def addresses() -> list[str]:
    """Return the IPv4 addresses under which others may reach this machine, most likely first."""
    found = [(str(ip.ip), adapter.nice_name) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return rank(found, _way_out())


def rank(found: Sequence[tuple[str, str]], way_out: str) -> list[str]:
    """Return addresses, given with the names of their adapters, most likely first; loopback and link-local ones are left out.

    way_out : the address of the default route, "" where there is none.
    """

    def unlikely(each: tuple[str, str]) -> tuple[bool, bool, bool]:
        address, adapter = each
        return bool(_VIRTUAL.match(adapter)), address != way_out, not ipaddress.ip_address(address).is_private

    usable = [
        each
        for each in found
        if not ipaddress.ip_address(each[0]).is_loopback and not ipaddress.ip_address(each[0]).is_link_local
    ]
    return list(dict.fromkeys(address for address, _ in sorted(usable, key=unlikely)))


def names() -> list[str]:
    """Return the names under which others may reach this machine: its host name, and the one for multicast DNS."""
    name = socket.gethostname().lower().rstrip(".")
    if not _NAME.fullmatch(name) or name == "localhost":
        return []
    return list(dict.fromkeys([name, f"{name.partition('.')[0]}.local"]))


def _way_out() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            return str(probe.getsockname()[0])
        except OSError:  # no default route: a hotspot without internet, or no network
            return ""


def disk(folder: Path) -> Check:
    """Check the free space on the disk that holds a folder."""
    free = shutil.disk_usage(folder).free
    room = f"{units.size(free, binary=True)} are free"
    if free >= SPARE_BYTES:
        return Check("Disk", True, f"{room}.")
    return Check(
        "Disk",
        False,
        f"{room}, and recordings and trainings of a class may take {units.size(SPARE_BYTES, binary=True)}. Make room.",
    )


def corpora() -> Check:
    """Check which corpora are installed."""
    root = paths.corpora_folder()
    titles = [row.title for row in library.installed(root).values()]
    if titles:
        return Check("Corpora", True, f"{', '.join(titles)}, in '{root}'.")
    return Check(
        "Corpora",
        False,
        f"None in '{root}': the class can only listen to the samples, and train on its own recordings. "
        "Download some on the Corpora page, before the lesson.",
    )


def models() -> Check:
    """Check whether the shipped models can be used: cards and weights."""
    cards, problems = store.list_models(paths.models_folder())
    there = [card for card in cards if card.slug in store.usual()]
    for card in there:
        try:
            store.load(card.slug, paths.models_folder())
            if store.is_pretrained(card):
                encoder.check()
        except ModelError as error:
            problems.append(str(error))
    if len(there) == len(store.usual()) and not problems:
        return Check("Models", True, f"{', '.join(card.title for card in cards)}.")
    missing = sorted(set(store.usual()) - {card.slug for card in there})
    incomplete = (
        [f"{', '.join(missing)} missing; restore the folder '{paths.models_folder()}' from the project."]
        if missing
        else []
    )
    return Check("Models", False, " ".join([*incomplete, *problems]))


def certificate(issued: Certificate) -> Check:
    """Return what was issued, and what to do about a replaced authority."""
    whom = f"For {', '.join(issued.names)}, until {issued.until:%d %B %Y}, by"
    if issued.replaced:
        return Check(
            "Certificate",
            False,
            f"{whom} a new authority, because the previous one {issued.replaced}. Phones that installed the old "
            "one should remove it; those that need one install the new.",
        )
    how = "a new authority, which phones do not know yet" if issued.is_new_authority else "the authority kept here"
    return Check("Certificate", True, f"{whom} {how}.")


def network(found: Sequence[str], chosen: str) -> Check:
    """Return under which address others reach this machine, and which alternatives there are."""
    if not found:
        return Check(
            "Network",
            False,
            "This machine is not in a network, so only it can open the app. Join the Wi-Fi, or a phone's hotspot, "
            "and start again.",
        )
    others = [address for address in found if address != chosen]
    more = f" It has others too ({', '.join(others)}); --address takes one of them." if others else ""
    return Check("Network", True, f"This machine is {chosen} to others.{more}")


def reach(url: str, authority_der: bytes) -> Check:
    """Check that a running server answers, its certificate verified, at the address that phones use; say what may still block phones."""
    context = ssl.create_default_context(cadata=authority_der)
    try:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        opener.open(f"{url}/_stcore/health", timeout=5).close()
    except OSError as error:
        reason = getattr(error, "reason", error)
        return Check("Reachable", False, f"{url} does not answer on this machine ({reason}). {firewall(url)}")
    return Check(
        "Reachable",
        True,
        f"{url} answers on this machine. Try it with one phone before the lesson: if it cannot connect, "
        f"{firewall(url)[0].lower()}{firewall(url)[1:]}",
    )


def firewall(url: str) -> str:
    """Return what to do where phones cannot connect, in sentences for this operating system."""
    port = url.rpartition(":")[2]
    allow = {
        "win32": "Let Python through Windows' firewall, for private and public networks (Settings, Firewall, Allow an app).",
        "darwin": "Let Python accept incoming connections (System Settings, Network, Firewall, Options).",
    }.get(
        sys.platform,
        f"Let TCP port {port} through this machine's firewall (such as sudo ufw allow {port}), and UDP for the Live page.",
    )
    return f"{allow} Many school networks isolate guests: then open a hotspot on a phone, let everyone join it, and start again."


def qr(text: str) -> str:
    """Return a QR code as an SVG picture in a data: URL, black on white in every theme."""
    return str(segno.make(text, error="m", micro=False).svg_data_uri(scale=8, border=4, dark="#000", light="#fff"))


def terminal_qr(text: str) -> str:
    """Return a QR code as lines for a terminal, white on black in every colour scheme."""
    drawn = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out=drawn, compact=True, border=2)
    return "".join(f"\x1b[97;40m{line}\x1b[0m\n" for line in drawn.getvalue().splitlines())
