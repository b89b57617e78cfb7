"""A lesson takes away what was made in it, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import soundfile

from ser_core import paths
from ser_core.audio import waveform
from ser_core.corpora import library, recorded
from ser_core.dataset import cache
from ser_core.errors import ConfigError, CorpusError
from ser_core.recognition import store
from ser_core.serving import lesson
from ser_core.serving.lesson import Made
from ser_core.training import jobs
from tests.support import models

ROOT = Path(__file__).resolve().parents[2]
VOICE, RATE = soundfile.read(ROOT / "pages" / "samples" / "bright.flac", dtype="float32")
WAITS = (
    "import os, sys, time; sys.path.insert(0, os.getcwd())\nfrom pathlib import Path\nfrom ser_core.training import run_folder\n"
    "while not run_folder.stop_request(Path(sys.argv[1])): time.sleep(0.05)"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def places(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable, name in (
        ("SER_CORPORA", "corpora"),
        ("SER_RUNS", "runs"),
        ("SER_CACHE", "cache"),
        ("SER_RESULTS", "results"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / name))
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SER_MODELS", str(Path(shutil.copytree(built, tmp_path / "models"))))
    return tmp_path


def add(root: Path, name: str, gain: float) -> str:
    data = waveform.encode_wav(waveform.Waveform(gain * VOICE, RATE))
    return recorded.add(root, name, data, label="happy", speaker="Ann").clip.id


def copy_model(slug: str, title: str) -> None:
    shutil.copytree(paths.models_folder() / "mlp", paths.models_folder() / slug)
    card = json.loads((paths.models_folder() / slug / store.CARD).read_text(encoding="utf-8"))
    (paths.models_folder() / slug / store.CARD).write_text(
        json.dumps(card | {"slug": slug, "title": title}), encoding="utf-8"
    )


def test_the_end_takes_away_what_the_lesson_made_and_leaves_what_was_there(places: Path) -> None:
    root, folder = places / "corpora", places / "class"
    old = recorded.create(root, "Last year")
    kept = add(root, old, 1.0)
    copy_model("before", "Before")
    measured = places / "cache" / "ab" / f"{'0' * 64}.npz"
    measured.parent.mkdir()
    measured.write_bytes(b"old")
    os.utime(measured, (time.time() - 60, time.time() - 60))
    began = lesson.begin(folder)
    assert lesson.made(began) == Made({}, {}, {}, []) and lesson.made(began).lines() == []

    new = recorded.create(root, "9b")
    add(root, new, 0.8)
    empty = recorded.create(root, "Nothing yet")
    (root / "zipped" / "sad").mkdir(parents=True)
    shutil.copy(ROOT / "pages" / "samples" / "flat.flac", root / "zipped" / "sad" / "a.flac")
    library.leave_out(root, "zipped", ["sad/a.flac"])
    added = add(root, old, 0.6)
    copy_model("after", "After")
    run = jobs.start(places / "runs", {}, title="theirs", command=[sys.executable, "-c", WAITS]).id
    (measured.parent / f"{'1' * 64}.npz").write_bytes(b"new")
    (places / "cache" / "notes.txt").write_text("somebody else's")
    (places / "results" / "knn-speaker.json").write_text("[]")

    assert lesson.begin(folder) == began, "a second start goes on with the lesson"
    made = lesson.made(began)
    assert made == Made(
        {new: "9b", empty: "Nothing yet", "zipped": "zipped"}, {old: [added]}, {"after": "After"}, [run]
    )
    assert made.lines()[1:3] == [f"1 recording in an older corpus: {old}", "1 model: After"]
    lesson.ask_end(folder)
    assert lesson.end_asked(folder)

    following = lesson.end(folder, began)
    assert list(recorded.listing(root)) == [old] and [clip.id for clip in recorded.clips(root, old)] == [kept]
    assert not (root / "zipped").exists() and library.left_out(root, "zipped") == {}
    assert {card.slug for card in store.list_models(paths.models_folder())[0]} == {*store.SHIPPED, "before"}
    assert jobs.jobs(places / "runs") == [] and list((places / "results").iterdir()) == []
    assert cache.usage(places / "cache") == (1, 3) and (places / "cache" / "notes.txt").exists()
    assert "Removed: 3 corpora: 9b, Nothing yet, zipped." in following.told and "Removed: 1 run." in following.told
    assert not lesson.end_asked(folder) and lesson.made(following) == Made({}, {}, {}, [])
    assert lesson.begin(folder) == following


def test_a_clock_that_is_set_back_in_a_lesson_hides_nothing_from_its_end(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour_s = 3600
    began = lesson.begin(places / "class")
    for name, ago_s in (
        ("0", 2 * hour_s),
        ("1", hour_s - 60),
    ):  # from before the lesson; and made in it, once the clock was set back
        measured = places / "cache" / "ab" / f"{name * 64}.npz"
        measured.parent.mkdir(exist_ok=True)
        measured.write_bytes(b"features")
        os.utime(measured, (time.time() - ago_s, time.time() - ago_s))
    monkeypatch.setattr(time, "time_ns", lambda original=time.time_ns: original() - hour_s * 10**9)
    lesson.end(places / "class", began)
    assert [path.name[0] for path in (places / "cache" / "ab").iterdir()] == ["0"]


def test_what_cannot_go_is_told_and_stays_the_lessons(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = places / "class"
    began = lesson.begin(folder)
    name = recorded.create(places / "corpora", "9b")

    def refuse(*_: object) -> None:
        raise CorpusError("The disk is read-only.")

    with monkeypatch.context() as patched:
        patched.setattr(recorded, "delete_all", refuse)
        after = lesson.end(folder, began)
    assert after.told == ["Not removed: The disk is read-only."] and lesson.made(after).corpora == {name: "9b"}
    assert lesson.end(folder, lesson.begin(folder)).told == ["Removed: 1 corpus: 9b."]


def test_a_damaged_lesson_is_named_and_nothing_is_taken_away(places: Path) -> None:
    lesson.begin(places / "class")
    (places / "class" / "lesson.json").write_text('{"began": 1', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"lesson.json'.* cannot be read .*Delete that file"):
        lesson.begin(places / "class")


@pytest.mark.parametrize(
    "change", [{"runs": 3}, {"models": None}, {"corpora": {"9b": 1}}, {"corpora": []}, {"began_ns": "now"}], ids=repr
)
def test_a_lesson_with_entries_of_another_kind_is_damaged(places: Path, change: dict[str, object]) -> None:
    lesson.begin(places / "class")
    path = places / "class" / "lesson.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        lesson.read(places / "class")
