"""Certificates: good for a year at most, for the names asked for, by an authority that stays."""

from __future__ import annotations

import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from ser_core import certificates
from ser_core.errors import ConfigError

NAMES = ["192.168.7.9", "localhost"]


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_a_certificate_lives_a_year_at_most_and_is_for_its_names(tmp_path: Path) -> None:
    made = read(certificates.issue(tmp_path / "class", NAMES).file)
    assert made.not_valid_after_utc - made.not_valid_before_utc <= timedelta(days=365)
    assert made.not_valid_before_utc < datetime.now(UTC) < made.not_valid_after_utc
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("192.168.7.9")]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_the_authority_is_kept_across_starts(tmp_path: Path) -> None:
    first, second = (certificates.issue(tmp_path, NAMES) for _ in range(2))
    assert (first.is_new_authority, second.is_new_authority) == (True, False)
    assert first.authority_der == second.authority_der
    assert len(first.fingerprint) == 95 and first.fingerprint == second.fingerprint
    authority = x509.load_der_x509_certificate(second.authority_der)
    read(second.file).verify_directly_issued_by(authority)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_nobody_else_may_read_the_keys(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir(mode=0o755)
    certificates.issue(tmp_path / "class", NAMES)
    assert (tmp_path / "class").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "class").iterdir())


def test_a_damaged_authority_is_not_replaced_in_silence(tmp_path: Path) -> None:
    certificates.issue(tmp_path, NAMES)
    file = tmp_path / "authority.pem"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ConfigError, match=r"authority.pem' is damaged. Delete that file"):
        certificates.issue(tmp_path, NAMES)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "class").write_text("a file")
    with pytest.raises(ConfigError, match=r"class' could not be written to"):
        certificates.issue(tmp_path / "class", NAMES)
