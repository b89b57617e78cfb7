"""The held-out answers of every clip as a file: what comes back of it, what is added, and what is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.training import held_out
from ser_core.training.held_out import HeldOut

LABELS = ("neutral", "happy", "sad")


def clips(n: int = 12, corpus: str = "ravdess") -> pd.DataFrame:
    return pd.DataFrame(
        {
            catalogue.CORPUS: corpus,
            catalogue.NAME: [f"Actor_{k % 4}/{k}.wav" for k in range(n)],
            catalogue.EMOTION: [LABELS[k % 3] for k in range(n)],
            catalogue.SPEAKER: [f"{corpus}:{k % 4}" for k in range(n)],
        }
    )


def answers(slug: str, *, n: int = 12, seed: int = 0, key: str = "k", **place: str) -> HeldOut:
    table = clips(n, place.get("corpus") or "ravdess")
    shares = np.random.default_rng(seed).dirichlet(np.full(len(LABELS), 0.3), n)
    where = {"protocol": "speaker", "scope": held_out.ALL, **place}
    return held_out.of(table, np.arange(n) % 2, shares, slug, labels=LABELS, key=key, **where)


def test_answers_come_back_almost_as_they_were(tmp_path):
    """A byte each: off by at most half a step of the root, so that small probabilities keep their size."""
    fresh = answers("knn")
    held_out.write(tmp_path / "a.npz", [fresh])
    (found,) = held_out.read(tmp_path / "a.npz")
    pd.testing.assert_frame_equal(found.clips, fresh.clips, check_dtype=False)
    assert (found.place, found.labels, found.keys) == (fresh.place, LABELS, {"knn": "k"})
    was, now = fresh.probabilities["knn"], found.probabilities["knn"]
    assert np.abs(np.sqrt(was) - np.sqrt(now)).max() < 1 / 255
    assert (was.argmax(axis=1) == now.argmax(axis=1)).all()
    assert now.sum(axis=1) == pytest.approx(1)
    assert found.y.tolist() == [k % 3 for k in range(12)]
    held_out.write(tmp_path / "b.npz", [found])
    (again,) = held_out.read(tmp_path / "b.npz")
    assert np.array_equal(again.probabilities["knn"], now)


def test_the_answer_comes_back_where_another_label_is_all_but_as_probable(tmp_path):
    shares = np.array([[0.4, 0.3999, 0.2001], [0.3999, 0.4, 0.2001], [0.4, 0.4, 0.2]])
    fresh = held_out.of(clips(3), np.zeros(3), shares, "knn", labels=LABELS, protocol="speaker", scope=held_out.ALL)
    for _ in range(2):
        held_out.write(tmp_path / "a.npz", [fresh])
        (fresh,) = held_out.read(tmp_path / "a.npz")
        assert fresh.probabilities["knn"].argmax(axis=1).tolist() == [0, 1, 0]
    assert fresh.probabilities["knn"][2, 0] == fresh.probabilities["knn"][2, 1]


def test_clips_without_an_answer_are_left_out():
    table, shares = clips(4), np.array([[1.0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]])
    found = held_out.of(table, np.arange(4), shares, "knn", labels=LABELS, protocol="speaker", scope=held_out.ALL)
    assert found.clips[held_out.FOLD].tolist() == [0, 2, 3] and len(found.probabilities["knn"]) == 3


def test_models_are_added_to_the_same_clips_and_other_clips_begin_anew(tmp_path):
    path = tmp_path / "results" / "a.npz"
    held_out.add(path, answers("knn"), answers("knn", protocol="cross-corpus", scope=held_out.OTHERS))
    held_out.add(path, answers("mlp", seed=1), answers("knn", seed=2, key="later"))
    joint = held_out.find(held_out.read(path), "speaker", held_out.ALL)
    assert joint.keys == {"knn": "later", "mlp": "k"} and set(joint.probabilities) == {"knn", "mlp"}
    held_out.add(path, answers("cnn", n=9), answers("cnn", corpus="savee", scope=held_out.ALONE))
    parts = held_out.read(path)
    assert set(held_out.find(parts, "speaker", held_out.ALL).probabilities) == {"cnn"}
    assert set(held_out.find(parts, "cross-corpus", held_out.OTHERS).probabilities) == {"knn"}
    assert held_out.find(parts, "speaker", held_out.ALONE, "savee").clips[catalogue.CORPUS].eq("savee").all()
    assert held_out.find(parts, "speaker", held_out.ALONE, "tess") is None


def test_a_damaged_file_is_begun_anew(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"half a fi")
    held_out.add(tmp_path / "a.npz", answers("knn"))
    assert len(held_out.read(tmp_path / "a.npz")) == 1


def refused(path: Path) -> str:
    with pytest.raises(ConfigError, match=r"'a\.npz' cannot be read \(.*make models") as caught:
        held_out.read(path)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    held_out.write(tmp_path / "a.npz", [answers("knn")])
    return tmp_path / "a.npz"


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_missing_file_is_told(tmp_path):
    assert "No such file" in refused(tmp_path / "a.npz")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_told(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path)


def test_turned_bits_are_told_or_harmless(path):
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            held_out.read(path)
        except ConfigError:
            pass


class Bomb:
    def __reduce__(self):
        return print, ("run",)


ARRAYS = {
    "rows_0": [
        npy(np.arange(12, dtype=np.int64)),
        npy(np.full(12, 12, np.int32)),
        npy(np.full(12, -1, np.int32)),
        npy(np.zeros((3, 4), np.int32)),
        npy(np.arange(11, dtype=np.int32)),
        npy(np.array([Bomb()] * 12, object)),
    ],
    "folds_0": [npy(np.zeros(5, np.int16)), npy(np.zeros(12)), b"", b"\x93NUMPY\x01\x00\xff\xff"],
    "answers_0_knn": [
        npy(np.zeros((12, 3), np.uint8)),
        npy(np.full((12, 4), 100, np.uint8)),
        npy(np.full((3, 12), 100, np.uint8).T),
        npy(np.full((12, 3), 100, np.float64)),
        pickle.dumps(Bomb()),
    ],
    "facts": [npy(np.frombuffer(b"{}", np.uint8)), npy(np.frombuffer(b"[" * 5000, np.uint8)), npy(np.array(["{}"]))],
}


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, found in ARRAYS.items() for each in found])
def test_an_array_of_another_kind_or_size_is_told_and_nothing_is_run(path, name, content, capsys):
    rewrite(path, {**members(path), f"{name}.npy": content})
    refused(path)
    assert capsys.readouterr().out == ""


def test_a_missing_array_is_told(path):
    files = members(path)
    for name in files:
        rewrite(path, {each: content for each, content in files.items() if each != name})
        refused(path)


def test_an_array_that_claims_to_be_huge_is_refused_before_it_is_made(path):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({2**45}, 3), }}"
    claimed = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"abc"
    rewrite(path, {**members(path), "answers_0_knn.npy": claimed})
    refused(path)


def test_a_bomb_is_refused_by_what_it_unpacks_to(path, monkeypatch):
    monkeypatch.setattr(held_out, "MAX_UNPACKED", 2**20)
    rewrite(path, {**members(path), "more.npy": bytes(2**21)})
    assert "unpacks to more than" in refused(path)


def test_a_file_of_too_many_bytes_is_refused(path, monkeypatch):
    monkeypatch.setattr(held_out, "MAX_BYTES", 100)
    assert "has more than" in refused(path)


def part(**values):
    return lambda facts: facts["parts"][0].update(values)


@pytest.mark.parametrize(
    "change",
    [
        part(protocol="guessed"),
        part(scope="everything"),
        part(corpus="x" * 101),
        part(labels=["happy", "happy", "sad"]),
        part(labels=["happy", "sad", "<b>"]),
        part(labels=["neutral", "happy", "angry"]),
        part(labels=3),
        part(keys={"../knn": "k"}),
        part(keys={"knn": 3}),
        part(keys={"knn": "k" * 2000}),
        part(keys={"cnn": "k"}),
        part(more=1),
        lambda facts: facts.update(format=2),
        lambda facts: facts.update(more=2),
        lambda facts: facts.update(parts=facts["parts"] * 2),
        lambda facts: facts.update(parts=facts["parts"] * 501),
        lambda facts: facts["clips"].pop("speaker"),
        lambda facts: facts["clips"]["speaker"].pop(),
        lambda facts: facts["clips"].update(speaker=[1] * 12),
        lambda facts: facts["clips"].update(emotion=["joy"] * 12),
        lambda facts: facts["clips"].update(name=["\ud800"] * 12),
    ],
)
def test_facts_that_cannot_be_are_told(path, change):
    files = members(path)
    facts = json.loads(files["facts.npy"][files["facts.npy"].index(b"\n") + 1 :])
    change(facts)
    numbers = {f"{name}_1.npy": files[f"{name}_0.npy"] for name in ("rows", "folds")}
    content = npy(np.frombuffer(json.dumps(facts).encode(), np.uint8))
    rewrite(path, {**files, **numbers, "answers_1_knn.npy": files["answers_0_knn.npy"], "facts.npy": content})
    refused(path)


def test_what_comes_with_the_project_can_be_read():
    if held_out.RESULTS.exists():
        assert held_out.find(held_out.read(), "speaker", held_out.ALL)


def test_answers_of_before_there_were_conditions_are_read(path):
    files = members(path)
    facts = json.loads(files["facts.npy"][files["facts.npy"].index(b"\n") + 1 :])
    del facts["parts"][0]["condition"]
    rewrite(path, files | {"facts.npy": npy(np.frombuffer(json.dumps(facts).encode(), np.uint8))})
    (read,) = held_out.read(path)
    assert read.condition == "" and set(read.probabilities) == {"knn"}
