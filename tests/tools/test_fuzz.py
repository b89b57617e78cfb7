"""Some hundred damaged and hostile files for every reader; `make check-long` tries 100,000. And: what fuzzing looks for, it finds."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from ser_core.errors import AudioError
from ser_core.experiments import runs
from ser_core.training import jobs, run_folder
from tools import fuzz, fuzz_seeds, fuzz_work, mutate
from tools.fuzz_targets import TARGETS

SLOW = ("bundle", "weights")
"""Their seeds are models: a few of their inputs take as long as all others together."""


@pytest.mark.slow
def test_a_slice_of_the_fuzzing_finds_nothing(tmp_path):
    quick = [name for name in TARGETS if name not in SLOW]
    tallies = [*fuzz.run(quick, 400, 8, quick=True, kept=tmp_path), *fuzz.run(SLOW, 40, 8, quick=True, kept=tmp_path)]
    assert [fault.sentence() for tally in tallies for fault in tally.faults] == []
    assert all(tally.inputs for tally in tallies) and sum(tally.inputs for tally in tallies) >= 430
    assert max(tally.peak_mb for tally in tallies) < fuzz_work.MAX_MB


def test_every_target_has_a_share_and_says_what_it_is():
    assert sum(target.share for target in TARGETS.values()) == 1000
    assert all(target.title and target.call.__doc__ for target in TARGETS.values())


def test_the_folders_of_measurements_that_fuzzing_starts_from_hold_results(tmp_path, monkeypatch):
    seen, read = {}, runs.read
    monkeypatch.setattr(
        runs, "read", lambda folder: seen.setdefault(runs.read_config(folder)["measurement"], read(folder))
    )
    for number, seed in enumerate(fuzz_seeds.measurements(tmp_path)):
        place = tmp_path / str(number)
        place.mkdir()
        TARGETS["measurement"].call(seed, place)
        (job,) = jobs.jobs(place)
        assert job.kind == list(seen)[-1] and jobs.of_subject(place, runs.subject(run_folder.read_config(job.folder)))
    assert set(seen) == set(runs.KINDS)
    assert [kind for kind, found in seen.items() if found is None] == [runs.SCORE], (
        "its outcomes are files of their own"
    )


@pytest.fixture
def yard(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_work.tempfile, "tempdir", None)
    monkeypatch.setenv("HOME", os.environ.get("HOME", "/"))
    before = Path.cwd()
    yield fuzz_work.Yard(tmp_path)
    os.chdir(before)


def refuse(data: bytes, place: Path) -> None:
    raise AudioError("No sound.")


def fail(data: bytes, place: Path) -> None:
    raise KeyError("a bug")


def leave(data: bytes, place: Path) -> None:
    (place / "mine.wav").write_bytes(data)


def escape(data: bytes, place: Path) -> None:
    (place / ".." / "evil.wav").write_bytes(data)


def change(data: bytes, place: Path) -> None:
    (place.parent.parent / "x.wav").write_bytes(data)


def run_code(data: bytes, place: Path) -> None:
    mutate.CANARY.touch()


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (refuse, "refused"),
        (leave, "accepted"),
        (fail, "error"),
        (escape, "outside"),
        (change, "outside"),
        (run_code, "code"),
    ],
)
def test_what_an_input_may_not_do_is_noticed(yard, call, kind):
    assert fuzz_work.try_one(call, b"data", yard)["kind"] == kind
    assert fuzz_work.try_one(leave, b"data", yard)["kind"] == "accepted"


def test_too_much_memory_is_noticed(yard, monkeypatch):
    monkeypatch.setattr(fuzz_work, "MAX_MB", fuzz_work.peak_mb() - 1)
    found = fuzz_work.try_one(lambda data, place: np.ones(2**26).sum(), b"data", yard)
    assert found["kind"] == "memory" and found["peak"] > fuzz_work.MAX_MB + 400


class Watched:
    """What a process tells, without one."""

    log = Path(os.devnull)

    def __init__(self, *told: dict | None, code: int = 0) -> None:
        self.told, self.code = list(told), code

    def next(self, patience_s: float) -> dict | None:
        if not self.told:
            raise fuzz.queue.Empty
        return self.told.pop(0)

    def ended(self) -> int:
        return self.code

    def tail(self) -> str:
        return "File audio.py"

    traces = tail


@pytest.mark.parametrize(
    ("watched", "kind"),
    [
        (Watched({"at": ["decode", 3]}, None, code=-11), "crash"),
        (Watched({"at": ["decode", 3]}), "hang"),
        (Watched({"ready": True}, {"at": ["decode", 3]}, {"kind": "refused", "seconds": 0.1, "peak": 5}), "refused"),
    ],
)
def test_a_lost_process_is_a_crash_or_a_hang(watched, kind):
    # One step of the loop that ends with the hours it is given.
    told = fuzz._next(watched)
    assert told["kind"] == kind and told["at"] == ["decode", 3]


def test_a_process_that_does_not_start_is_told():
    with pytest.raises(SystemExit, match="came to no start"):
        fuzz._next(Watched(None, code=1))


def test_the_same_seed_gives_the_same_inputs(tmp_path):
    (tmp_path / "seed-000").write_bytes(fuzz_seeds.wav(seconds=0.2))
    (tmp_path / "worst-000").write_bytes(b"large")
    first, again, other = (fuzz_work.Inputs(TARGETS["decode"], tmp_path, seed) for seed in (1, 1, 2))
    assert (
        [first.make(n) for n in range(2, 40)]
        == [again.make(n) for n in range(2, 40)]
        != [other.make(n) for n in range(2, 40)]
    )
    assert first.make(0) == fuzz_seeds.wav(seconds=0.2) and first.make(1) == b"large"


@pytest.mark.parametrize(
    ("change", "data"),
    [
        (mutate.mutate_bytes, b"RIFF" * 100),
        (mutate.mutate_json, b'{"a": [1, {"b": null}], "c": "d"}'),
        (mutate.mutate_csv, b"path,label\na.wav,happy\nb.wav,sad\n"),
        (mutate.mutate_zip, fuzz_seeds.packed({"happy/a.wav": b"RIFF" * 20})),
    ],
    ids=["bytes", "json", "csv", "zip"],
)
def test_changes_are_many_and_bounded(change, data):
    begun = time.process_time()
    made = {change(data, [data], np.random.default_rng(n)) for n in range(60)}
    assert len(made) > 40 and max(map(len, made)) <= 20 * mutate.LARGEST
    assert time.process_time() - begun < 20


def test_a_zip_that_is_packed_again_holds_the_same():
    members = mutate.unpack(fuzz_seeds.packed({"a.txt": b"one" * 50, "é/b.wav": b""}))
    assert [(info.filename, content) for info, content in mutate.unpack(mutate.pack(members))] == [
        ("a.txt", b"one" * 50),
        ("é/b.wav", b""),
    ]


def test_a_fault_is_kept_with_the_command_that_shows_it_again():
    fault = fuzz.Fault("decode", 7, "crash", "it ended with -11", "build/fuzz/decode.0.7")
    assert fault.sentence().endswith("again: python -m tools.fuzz --again build/fuzz/decode.0.7")
