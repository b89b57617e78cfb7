"""Certificates: a year at most, for this machine's names alone, by an authority that can vouch for no other."""

from __future__ import annotations

import ipaddress
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from ser_core.errors import ConfigError
from ser_core.serving import certificates, preflight

NAMES = ["192.168.7.9", "localhost"]
STRANGERS = [
    "example.org",
    "login.example.org",
    "192.168.7.10",
    "192.168.7.1",
    "8.8.8.8",
    "fe80::9",
    "127.0.0.2",
    "otherhost",
]


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


# Whoever steals the authority's key signs with it; nothing public does that for them.
def authority_of(folder: Path) -> certificates._Authority:
    # The key of the authority, which nothing public gives away.
    found = certificates._read(folder / "authority.pem")
    assert found is not None
    return found


def steal(folder: Path, name: str, to: Path) -> Path:
    """Sign a certificate for another name with the authority's key, as who has stolen it would, and return the file."""
    # The thief's signature is made as ours is.
    to.write_text(certificates._sign(authority_of(folder), [name], datetime.now(UTC)), encoding="ascii")
    return to


def handshake(file: Path, authority_der: bytes, name: str) -> None:
    """Let a device that trusts the authority open a connection to who shows a certificate; raises ssl.SSLError where it refuses."""
    server, device = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=authority_der)
    server.load_cert_chain(file)
    device.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_device = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        device.wrap_bio(to_device, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_device, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def verify(file: Path, authority_der: bytes, name: str) -> None:
    """Verify as the library cryptography does; raises VerificationError."""
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    store = verification.Store([x509.load_der_x509_certificate(authority_der)])
    verification.PolicyBuilder().store(store).build_server_verifier(subject).verify(read(file), [])


@pytest.mark.parametrize("name", [*NAMES, "10.9.8.7", "laptop.local"])
def test_a_device_that_trusts_the_authority_believes_this_server(name: str, tmp_path: Path) -> None:
    made = certificates.issue(tmp_path, NAMES, others=["10.9.8.7", "laptop.local"])
    assert made.names == (*NAMES, "10.9.8.7", "laptop.local")
    handshake(made.file, made.authority_der, name)
    verify(made.file, made.authority_der, name)


@pytest.mark.parametrize("name", STRANGERS)
def test_who_steals_the_key_can_vouch_for_no_other_site(name: str, tmp_path: Path) -> None:
    made = certificates.issue(tmp_path / "class", NAMES, others=["laptop.local"])
    stolen = steal(tmp_path / "class", name, tmp_path / "stolen.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"permitted subtree violation|excluded subtree violation"):
        handshake(stolen, made.authority_der, name)
    with pytest.raises(verification.VerificationError):
        verify(stolen, made.authority_der, name)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_the_command_openssl_agrees(tmp_path: Path) -> None:
    made = certificates.issue(tmp_path / "class", NAMES)
    root = tmp_path / "root.pem"
    root.write_text(ssl.DER_cert_to_PEM_cert(made.authority_der), encoding="ascii")
    for file, status in ((made.file, 0), (steal(tmp_path / "class", "example.org", tmp_path / "stolen.pem"), 2)):
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(root), str(file)]
        assert subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == status


def test_the_authority_may_sign_certificates_and_nothing_else_and_makes_no_further_authority(tmp_path: Path) -> None:
    authority = x509.load_der_x509_certificate(certificates.issue(tmp_path, NAMES).authority_der)
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value == certificates._usage(key_cert_sign=True)
    assert authority.extensions.get_extension_for_class(x509.NameConstraints).critical
    basic = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and basic.value.ca and basic.value.path_length == 0


def test_authority_and_certificate_live_a_year_at_most_and_end_together(tmp_path: Path) -> None:
    made = certificates.issue(tmp_path / "class", NAMES)
    authority, leaf = x509.load_der_x509_certificate(made.authority_der), read(made.file)
    for each in (authority, leaf):
        assert each.not_valid_after_utc - each.not_valid_before_utc <= timedelta(days=365)
        assert each.not_valid_before_utc < datetime.now(UTC) < each.not_valid_after_utc
    assert leaf.not_valid_after_utc == authority.not_valid_after_utc == made.until
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("192.168.7.9")]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_the_authority_is_kept_across_starts(tmp_path: Path) -> None:
    first = certificates.issue(tmp_path, NAMES, others=["10.1.1.1"])
    second = certificates.issue(tmp_path, ["10.1.1.1", "localhost"], others=["172.17.0.1"])
    assert (first.is_new_authority, second.is_new_authority) == (True, False)
    assert first.authority_der == second.authority_der and first.replaced == second.replaced == ""
    assert len(first.fingerprint) == 95 and first.fingerprint == second.fingerprint
    assert second.names == ("10.1.1.1", "localhost"), "it may not vouch for what the machine got since"
    read(second.file).verify_directly_issued_by(x509.load_der_x509_certificate(second.authority_der))
    assert preflight.certificate(first).good and preflight.certificate(second).good
    assert "which phones do not know yet" in preflight.certificate(first).text


def old_kind(folder: Path) -> None:
    """Keep an authority as earlier versions made it: for any name, to the year 3000, its key in the form of that time."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, certificates.ORGANISATION)])
    # cryptography asks for all nine uses of a key; this names those that are meant.
    usage = certificates._usage(digital_signature=True, key_cert_sign=True, crl_sign=True)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(3000, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    text = key.private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ) + made.public_bytes(pem)
    (folder / "authority.pem").write_bytes(text)


def made_ago(days: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        # The public issue makes one of today.
        certificates._make(folder / "authority.pem", NAMES, datetime.now(UTC) - timedelta(days=days))

    return make


def too_long(folder: Path) -> None:
    certificates.AUTHORITY_DAYS, days = 4000, certificates.AUTHORITY_DAYS
    try:
        made_ago(0)(folder)
    finally:
        certificates.AUTHORITY_DAYS = days


def elsewhere(folder: Path) -> None:
    certificates._make(folder / "authority.pem", ["10.0.0.5", "localhost"], datetime.now(UTC))


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (old_kind, "could vouch for any address in the world"),
        (too_long, r"was good until 20\d\d"),
        (made_ago(certificates.AUTHORITY_DAYS - certificates.SPARE_DAYS + 1), "is good until .* only"),
        (made_ago(900), "is good until .* only"),
        (made_ago(-9), "is not good before"),
        (elsewhere, r"may not vouch for 192\.168\.7\.9, which this machine had not"),
    ],
)
def test_an_authority_that_can_or_may_not_serve_is_replaced_with_a_sentence(
    before: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    before(tmp_path)
    old = authority_of(tmp_path)
    made = certificates.issue(tmp_path, NAMES)
    assert made.is_new_authority and authority_of(tmp_path).key.public_key() != old.key.public_key()
    assert old.certificate.public_bytes(serialization.Encoding.DER) != made.authority_der
    check = preflight.certificate(made)
    assert not check.good and "Phones that installed the old one should remove it" in check.text
    assert re.search(why, check.text), check.text
    handshake(made.file, made.authority_der, "localhost")
    again = certificates.issue(tmp_path, NAMES)
    assert not again.is_new_authority and again.replaced == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_nobody_else_may_read_the_keys(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir(mode=0o755)
    certificates.issue(tmp_path / "class", NAMES)
    assert (tmp_path / "class").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "class").iterdir())


def test_a_damaged_authority_is_not_replaced_in_silence(tmp_path: Path) -> None:
    certificates.issue(tmp_path / "one", NAMES)
    certificates.issue(tmp_path / "other", NAMES)
    file = tmp_path / "one" / "authority.pem"
    whole = file.read_text(encoding="ascii")
    key, _, certificate = whole.partition("-----BEGIN CERT")
    other_key = (tmp_path / "other" / "authority.pem").read_text(encoding="ascii").partition("-----BEGIN CERT")[0]
    certificate = f"-----BEGIN CERT{certificate}"
    for damaged in (whole[:300], "", key, certificate, whole.replace("MII", "MIA"), other_key + certificate):
        file.write_text(damaged, encoding="ascii")
        with pytest.raises(ConfigError, match=r"authority.pem' is damaged. Delete that file"):
            certificates.issue(tmp_path / "one", NAMES)
        assert file.read_text(encoding="ascii") == damaged


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "class").write_text("a file")
    with pytest.raises(ConfigError, match=r"class' could not be written to"):
        certificates.issue(tmp_path / "class", NAMES)
