"""What a trained model has heard before of the clips that it is tested on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from ser_core.corpora import catalogue, scan
from ser_core.dataset import duplicates, published
from ser_core.recognition import store
from ser_core.training import contamination
from tests.support import corpora, models
from tests.support.utterances import utterance


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return corpora.build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def clips(base) -> pd.DataFrame:
    return pd.concat([scan.scan(name, base / name) for name in ("ravdess", "tess")], ignore_index=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of tiny models."""
    folder = tmp_path_factory.mktemp("models")
    models.build(folder)
    return folder


def of(clips: pd.DataFrame, *names: str) -> pd.DataFrame:
    return clips[clips[catalogue.CORPUS].isin(names)].reset_index(drop=True)


def test_a_trained_model_says_what_it_has_heard(clips, folder):
    rows = of(clips, "ravdess")
    card = store.read_card("knn", folder)
    ravdess = ({"corpus": "ravdess"},)
    told = {
        "speakers": {"train": {"speakers": ["ravdess:01", "ravdess:02"]}, "validation": {"speakers": ["ravdess:03"]}},
        "clips": {
            "train": {"speakers": ["ravdess:01"], "clips": {"ravdess": [rows[catalogue.NAME][0]]}},
            "validation": {"speakers": []},
        },
    }
    by_speaker = contamination.heard(replace(card, corpora=ravdess, split=told["speakers"]), rows)
    assert contamination.shares(by_speaker) == {"clip": 0.25, "speaker": 0.25, "chosen": 0.125, "untold": 0}
    assert "25% of these clips it was trained on" in contamination.warning(by_speaker)
    by_clip = contamination.heard(replace(card, corpora=ravdess, split=told["clips"]), rows)
    assert contamination.shares(by_clip) == {"clip": 1 / 64, "speaker": 0.125, "chosen": 0, "untold": 0}
    assert contamination.shares(contamination.heard(replace(card, corpora=ravdess), rows))["untold"] == 1
    assert (
        contamination.warning(
            contamination.heard(replace(card, corpora=ravdess, split=told["speakers"]), of(clips, "tess"))
        )
        == ""
    )


def test_copies_of_a_known_corpus_under_another_name_are_recognised(clips, folder):
    rows = of(clips, "ravdess")
    mine = rows.assign(corpus="mine", speaker="mine:a", name="happy/" + rows[catalogue.NAME])
    card = replace(
        store.read_card("knn", folder),
        corpora=({"corpus": "ravdess"},),
        split={"train": {"speakers": ["ravdess:01"]}},
    )
    assert contamination.shares(contamination.heard(card, mine))["clip"] == 0.125


def test_a_speaker_whose_most_frequent_spelling_has_changed_was_heard_all_the_same(clips, folder):
    mine = of(clips, "ravdess").assign(corpus="mine", speaker="mine:Anna")
    card = replace(
        store.read_card("knn", folder), corpora=({"corpus": "mine"},), split={"train": {"speakers": ["mine:anna"]}}
    )
    assert contamination.shares(contamination.heard(card, mine))["speaker"] == 1


def test_the_shipped_cards_tell_whom_they_heard(clips):
    for slug in store.SHIPPED:
        card = store.read_card(slug)
        found = contamination.heard(card, clips)
        assert (found.speaker | found.chosen).all() and not found.untold.any() and found.clip.any()
        learned = {each["corpus"] for each in card.corpora}
        assert learned <= set(published.read().corpus), "their recordings are recognised under other names"


def test_a_model_that_went_on_from_another_has_heard_what_that_one_heard(clips, folder, tmp_path):
    rows = of(clips, "ravdess")
    card = replace(store.read_card("knn", folder), training={"start_from": "gone"})
    assert contamination.heard_by(card, rows, folder).untold.all()
    card = replace(card, training={"start_from": "cnn"}, split={"train": {"speakers": ["x"]}})
    assert not contamination.heard_by(card, rows, folder).any.any()


def test_a_published_corpus_under_other_names_is_recognised_by_its_sound(folder, tmp_path, monkeypatch):
    for seed in range(6):
        path = tmp_path / "ravdess" / f"03-01-03-01-01-0{1 + seed % 2}-0{1 + seed // 2}.wav"
        corpora.write(path, utterance(seed))
    rows = scan.scan("ravdess", tmp_path / "ravdess")
    monkeypatch.setattr(published, "PRINTS", tmp_path / "prints.npz")
    published.write(published.PRINTS, {"ravdess": rows}, duplicates.sounds(rows))
    paths = [str(tmp_path / f"x{number}.flac") for number in range(6)]
    for path, copy in zip(rows["path"], paths, strict=True):
        samples, rate = soundfile.read(path)
        soundfile.write(copy, samples, rate)
    mine = rows.assign(corpus="mine", speaker="mine:a", path=paths, name=[f"x{number}" for number in range(6)])
    card = replace(
        store.read_card("knn", folder),
        corpora=({"corpus": "ravdess"},),
        split={"train": {"speakers": ["ravdess:01"]}, "validation": {"speakers": ["ravdess:02"]}},
    )
    found = contamination.heard(card, mine, duplicates.sounds(mine))
    assert contamination.shares(found) == {"clip": 1 / 3, "speaker": 1 / 3, "chosen": 1 / 3, "untold": 0}
    assert contamination.warning(found).startswith("NOT A HELD-OUT FIGURE: 33% of these clips it was trained on")
    assert contamination.warning(contamination.heard(card, mine)) == "", "by their names they are others"


def test_what_a_card_lists_of_a_users_corpus_stays_heard_where_it_is_recognised_as_published(
    folder, tmp_path, monkeypatch
):
    """Trained on somebody's copies of RAVDESS under other names, and asked about more of them: the card knows these by their own names."""
    for seed in range(4):
        corpora.write(tmp_path / "ravdess" / f"03-01-03-01-01-0{1 + seed % 2}-0{1 + seed // 2}.wav", utterance(seed))
    rows = scan.scan("ravdess", tmp_path / "ravdess")
    monkeypatch.setattr(published, "PRINTS", tmp_path / "prints.npz")
    published.write(published.PRINTS, {"ravdess": rows}, duplicates.sounds(rows))
    mine = rows.assign(corpus="mine", speaker="mine:A", name=[f"x{number}" for number in range(4)])
    split = {"train": {"speakers": ["mine:A"], "clips": {"mine": []}}}
    card = replace(store.read_card("knn", folder), corpora=({"corpus": "mine"},), split=split)
    found = contamination.heard(card, mine, duplicates.sounds(mine))
    assert contamination.shares(found) == {"clip": 0, "speaker": 1, "chosen": 0, "untold": 0}


def test_recordings_under_other_names_are_recognised_by_their_sound(clips, folder, tmp_path):
    rows = of(clips, "ravdess").iloc[:8].reset_index(drop=True)
    other = of(clips, "tess").iloc[:4].reset_index(drop=True)
    told = duplicates.sounds(rows).texts(rows)
    card = replace(
        store.read_card("knn", folder),
        corpora=({"corpus": "first"},),
        split={
            "train": {"speakers": ["first:a"], "clips": {"first": []}, "sounds": {"first": told[:2]}},
            "validation": {"speakers": [], "clips": {"first": []}, "sounds": {"first": told[2:3]}},
        },
    )
    paths = []
    for number, path in enumerate([*rows["path"], *other["path"]]):
        samples, rate = soundfile.read(path)
        paths.append(str(tmp_path / f"x{number}.flac"))
        soundfile.write(paths[-1], samples, rate, subtype="PCM_24")
    mine = pd.concat([rows, other], ignore_index=True)
    mine = mine.assign(corpus="mine", speaker="mine:b", path=paths, name=[f"x{number}" for number in range(len(paths))])
    found = contamination.heard(card, mine, duplicates.sounds(mine))
    assert found.clip[:2].all() and found.any[2] and not found.any[-4:].any()
    assert "of these clips it was trained on" in contamination.warning(found)
    assert contamination.warning(contamination.heard(card, mine)) == "", "by their names they are others"
