"""Certificates for one classroom: an authority of its own, kept in a private folder, and what it signs for this machine's addresses.

Knows nothing of servers. Whoever holds the authority's key can vouch for any site towards devices that trust it: the key stays in the
folder, which its owner alone may read.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from ser_core import runs
from ser_core.errors import ConfigError

DAYS = 364
"""How long a server's certificate is good from now on. It starts a day ago, for clocks that are late, and iPhones count its whole life."""

ORGANISATION = "Speech emotion recognition, this classroom"
_AUTHORITY, _SERVER = "authority.pem", "server.pem"


@dataclass(frozen=True)
class Certificate:
    """What a server shows. file: certificate, chain and key in one PEM; until: its last day, UTC; is_new_authority: made just now.

    authority_der: the certificate of the authority, for devices to install.
    """

    file: Path
    until: datetime
    authority_der: bytes
    is_new_authority: bool

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the authority's certificate as pairs of capital letters and digits."""
        return hashlib.sha256(self.authority_der).digest().hex(":").upper()


def issue(folder: Path, names: Sequence[str]) -> Certificate:
    """Sign a certificate for host names and addresses, by the authority that the folder keeps or, the first time, gets.

    Raises
    ------
    ConfigError : if the folder cannot be written, or the authority in it is damaged.
    """
    private(folder)
    try:
        authority, is_new = _authority(folder / _AUTHORITY)
        now = datetime.now(UTC)
        until = now + timedelta(days=DAYS)
        leaf = authority.issue_cert(
            *names, organization_name=ORGANISATION, organization_unit_name="server", common_name=names[0],
            not_before=now - timedelta(days=1), not_after=until,
        )  # fmt: skip
        runs.replace_text(folder / _SERVER, leaf.private_key_and_cert_chain_pem.bytes().decode("ascii"))
    except OSError as error:
        raise _unwritable(folder, error) from None
    der = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode("ascii"))
    return Certificate(folder / _SERVER, until, der, is_new)


def private(folder: Path) -> None:
    """Make a folder that its owner alone may read; raises ConfigError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"'{folder}' could not be written to ({error.strerror}). Make room there, or name another folder with SER_CLASS.")


def _authority(file: Path) -> tuple[trustme.CA, bool]:
    """Return the authority of a file, and whether it had to be made."""
    try:
        kept = file.read_bytes()
    except FileNotFoundError:
        made = trustme.CA(organization_name=ORGANISATION, organization_unit_name=f"made {datetime.now(UTC):%Y-%m-%d}", path_length=0)
        text = made.private_key_pem.bytes() + made.cert_pem.bytes()
        runs.replace_text(file, text.decode("ascii"))
        return made, True
    try:
        return trustme.CA.from_pem(cert_bytes=kept, private_key_bytes=kept), False
    except ValueError:
        raise ConfigError(
            f"The authority in '{file}' is damaged. Delete that file: a new one is made, which phones must install again."
        ) from None
