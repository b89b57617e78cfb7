"""What the supervisor of a run tells of its end."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace

import pytest

from ser_core.training import run_folder, supervisor


def test_a_full_disk_is_named_even_where_the_log_had_no_room(monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=4096))
    assert supervisor.explain(1, tmp_path) == supervisor.OUT_OF_SPACE


@pytest.mark.parametrize(
    ("code", "said", "sentence"),
    [
        (0, "", supervisor.NO_WORD),
        (None, "", supervisor.NO_WORD),
        (1, "ValueError: x", supervisor.FAULT),
        (-9, "", supervisor.OUT_OF_MEMORY),
        (137, "", supervisor.OUT_OF_MEMORY),
        (1, "MemoryError", supervisor.OUT_OF_MEMORY),
        (1, "OSError: [Errno 28] No space left on device", supervisor.OUT_OF_SPACE),
    ],
)
def test_an_exit_status_and_the_last_words_tell_what_happened(code, said, sentence, tmp_path):
    (tmp_path / supervisor.OUTPUT).write_text(said)
    assert supervisor.explain(code, tmp_path) == sentence


@pytest.mark.skipif(sys.platform == "win32", reason="there a crash has no signal")
def test_any_other_signal_is_named(tmp_path):
    assert signal.strsignal(signal.SIGSEGV) in supervisor.explain(-signal.SIGSEGV, tmp_path)


def test_only_the_end_of_a_long_log_is_read(tmp_path):
    log = tmp_path / run_folder.LOG
    log.write_bytes(b"MemoryError" + b"x" * supervisor.TAIL)
    assert supervisor.tail(log) == "x" * supervisor.TAIL
    assert supervisor.explain(1, tmp_path) == supervisor.FAULT
    log.write_bytes(b"\xff end")
    assert supervisor.tail(log) == "\ufffd end" and supervisor.tail(tmp_path / "gone") == ""
