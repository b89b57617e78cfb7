"""Certificates for one classroom: a private authority, kept in a private folder, and what it signs for this machine's addresses.

Knows nothing of servers. Whoever holds the authority's key can vouch, towards devices that trust it, for the addresses and names that
the authority is limited to, and for no others. The key stays in the folder, which only its owner may read.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ser_core.errors import ConfigError
from ser_core.serving import permissions
from ser_core.system import files

AUTHORITY_DAYS = 364
"""How long an authority is valid from now on. It starts a day ago, for clocks that are late: a year in all."""

SPARE_DAYS = 60
"""An authority that ends sooner is replaced, so that a server that is never stopped shows a valid certificate for at least this long."""

ORGANISATION = "Speech emotion recognition, this classroom"
_AUTHORITY, _SERVER = "authority.pem", "server.pem"


@dataclass(frozen=True)
class Certificate:
    """What a server shows. file: certificate, chain and key in one PEM; names: whom it is for; until: its last day, UTC.

    authority_der: the certificate of the authority, for devices to install; is_new_authority: just created; replaced: why the previous
    one was replaced, "" where there was none or it stays.
    """

    file: Path
    names: tuple[str, ...]
    until: datetime
    authority_der: bytes
    is_new_authority: bool
    replaced: str = ""

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the authority's certificate as pairs of capital letters and digits."""
        return hashlib.sha256(self.authority_der).digest().hex(":").upper()


@dataclass(frozen=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def issue(folder: Path, names: Sequence[str], *, others: Sequence[str] = ()) -> Certificate:
    """Sign a certificate for host names and addresses, by the authority in the folder if that may, else by a new one.

    others : further names, included as far as the authority may sign for them; a new one may.

    Raises
    ------
    ConfigError : if the folder cannot be written, or the authority in it is damaged.
    """
    permissions.create_private(folder)
    now = datetime.now(UTC)
    try:
        kept = _read(folder / _AUTHORITY)
        replaced = _flaw(kept.certificate, names, now) if kept else ""
        authority = kept if kept and not replaced else _make(folder / _AUTHORITY, [*names, *others], now)
        signed = tuple(dict.fromkeys([*names, *(name for name in others if _permits(authority.certificate, name))]))
        leaf = _sign(authority, signed, now)
        files.write_atomically(folder / _SERVER, leaf)
    except OSError as error:
        raise permissions.unwritable(folder, error) from None
    der = authority.certificate.public_bytes(serialization.Encoding.DER)
    return Certificate(
        folder / _SERVER, signed, authority.certificate.not_valid_after_utc, der, authority is not kept, replaced
    )


def _read(file: Path) -> _Authority | None:
    """Return the authority of a file, None where there is no file."""
    try:
        pem = file.read_bytes()
    except FileNotFoundError:
        return None
    try:
        certificate, key = x509.load_pem_x509_certificate(pem), serialization.load_pem_private_key(pem, None)
        _ = certificate.extensions  # read now: these fields may be damaged
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key():
            return _Authority(key, certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    raise ConfigError(
        f"The authority in '{file}' is damaged. Delete that file: a new one is made, which phones must install again."
    )


def _flaw(certificate: x509.Certificate, names: Sequence[str], now: datetime) -> str:
    """Return why an authority can no longer sign for these names, as the end of a sentence about it; "" where it can."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not _is_limited(certificate):
        return "could vouch for any address in the world"
    if end - begin > timedelta(days=AUTHORITY_DAYS + 2):
        return f"was good until {end.year}"
    if not begin <= now <= end - timedelta(days=SPARE_DAYS):
        return f"is good until {end:%d %B %Y} only" if begin <= now else f"is not good before {begin:%d %B %Y}"
    strange = [name for name in names if not _permits(certificate, name)]
    return f"may not vouch for {', '.join(strange)}, which this machine had not when it was made" if strange else ""


def _is_limited(certificate: x509.Certificate) -> bool:
    """Return whether critical extensions limit an authority to names and addresses, and to signing certificates."""
    try:
        limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        return False
    kinds = {type(each) for each in limits.value.permitted_subtrees or ()}
    return limits.critical and kinds == {x509.DNSName, x509.IPAddress} and usage.critical and usage.value == _SIGNS_ONLY


def _permits(certificate: x509.Certificate, name: str) -> bool:
    """Return whether an authority covers a name or address."""
    limits = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    return _subtree(name) in (limits.permitted_subtrees or ())


def _usage(**used: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**dict.fromkeys(names, False) | used)


_SIGNS_ONLY = _usage(key_cert_sign=True)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _subtree(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.IPAddress(ipaddress.ip_network(address)) if address else x509.DNSName(name)


def _subject(*, unit: str, name: str = "") -> x509.Name:
    parts = [
        (NameOID.ORGANIZATION_NAME, ORGANISATION),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        (NameOID.COMMON_NAME, name),
    ]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])


def _make(file: Path, names: Sequence[str], now: datetime) -> _Authority:
    """Create an authority that may sign for these names and addresses only, and save it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(unit=f"made {now:%Y-%m-%d}", name=ORGANISATION)
    # With IPv4 addresses alone, it is up to the device whether any IPv6 address is permitted.
    excluded = None if any(":" in name for name in names) else [x509.IPAddress(ipaddress.ip_network("::/0"))]
    limits = x509.NameConstraints(list(dict.fromkeys(map(_subtree, names))), excluded)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_ONLY, critical=True)
        .add_extension(limits, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    files.write_atomically(file, _pem(key) + _pem(certificate))
    return _Authority(key, certificate)


def _sign(authority: _Authority, names: Sequence[str], now: datetime) -> str:
    """Return a server's key, its certificate and the authority's, as PEM. It is valid until the authority's last day."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), authority.certificate
    addresses = {name: _address(name) for name in names}
    who = x509.SubjectAlternativeName(
        [x509.IPAddress(address) if address else x509.DNSName(name) for name, address in addresses.items()]
    )
    certificate = (
        # No common name: some devices check it as one more name.
        x509.CertificateBuilder(issuer.subject, _subject(unit="server"), key.public_key(), x509.random_serial_number())
        .not_valid_before(max(now - timedelta(days=1), issuer.not_valid_before_utc))
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(who, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _pem(key) + _pem(certificate) + _pem(issuer)


def _pem(part: ec.EllipticCurvePrivateKey | x509.Certificate) -> str:
    if isinstance(part, x509.Certificate):
        return part.public_bytes(serialization.Encoding.PEM).decode("ascii")
    return part.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
