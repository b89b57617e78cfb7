"""Files that processes share: replaced as a whole, added to line by line, and read while somebody writes."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ser_core.system import files


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "status.json"
    for text in ("first", "zweites – 二"):
        files.write_atomically(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_put_in_place_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "status.json"
    files.write_atomically(path, "old")

    def refuse(*_):
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no room"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("n_refused", "written"), [(3, True), (1000, False)])
def test_a_file_that_is_being_read_is_tried_again_for_a_while(n_refused, written, tmp_path, monkeypatch):
    path, replace, tries = tmp_path / "status.json", os.replace, []

    def busy(source, target):
        tries.append(source)
        if len(tries) <= n_refused:
            raise PermissionError
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    if written:
        files.write_atomically(path, "new")
        assert path.read_text() == "new" and len(tries) == n_refused + 1
    else:
        with pytest.raises(PermissionError):
            files.write_atomically(path, "new")
        assert not list(tmp_path.iterdir()) and len(tries) < n_refused


def test_lines_come_back_in_their_order_without_half_or_damaged_ones(tmp_path):
    path = tmp_path / "log.jsonl"
    assert files.read_json_lines(path) == []
    for n in (1, 2):
        files.append_json_line(path, {"n": n, "text": "a\nb"})
    with path.open("ab") as file:
        file.write(b"no json\n[3]\n\xff\n" + json.dumps({"n": 4}).encode() + b'\n{"n": 5')
    assert files.read_json_lines(path) == [{"n": 1, "text": "a\nb"}, {"n": 2, "text": "a\nb"}, {"n": 4}]


def test_a_number_that_json_has_not_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.append_json_line(tmp_path / "log.jsonl", {"loss": float("nan")})
    assert files.read_json_lines(tmp_path / "log.jsonl") == []


def test_the_time_is_in_utc():
    told = datetime.fromisoformat(files.utc_now())
    assert told.utcoffset() == timedelta(0) and told <= datetime.now(UTC)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read_limited(tmp_path / "a", 5) == b"12345"
    with pytest.raises(ValueError, match="it has more than 4 Bytes"):
        files.read_limited(tmp_path / "a", 4)
    with pytest.raises(OSError):
        files.read_limited(tmp_path / "none", 4)
