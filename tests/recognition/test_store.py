"""The store: what is saved comes back, every damage has its own sentence, and no file of a model can run code."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from ser_core import classifiers, paths
from ser_core.corpora import catalogue
from ser_core.errors import ModelError
from ser_core.features import config, encoder, vectors
from ser_core.recognition import store

# private: what older formats of a card lack
from ser_core.recognition.card import _ADDED, FORMAT, MAX_CARD_BYTES, ModelCard

ROOT = Path(__file__).resolve().parents[2]
N_COLUMNS = len(vectors.summary_columns(config.FeatureConfig()))
VECTORS = np.random.default_rng(1).normal(size=(5, N_COLUMNS)).astype(np.float32) * 50


@pytest.fixture(scope="module")
def trained() -> classifiers.TrainableClassifier:
    return trained_classifier(seed=9)


def trained_classifier(*, seed: int) -> classifiers.TrainableClassifier:
    rng = np.random.default_rng(seed)
    y = np.arange(80) % len(catalogue.LABELS)
    X = rng.normal(size=(len(y), N_COLUMNS)).astype(np.float32) * 50
    return classifiers.build("mlp", catalogue.LABELS, {"hidden": 8, "epochs": 2, "seed": seed}).fit(X, y)


def change_card(models: Path, slug: str, /, **values: object) -> None:
    path = models / slug / store.CARD
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_a_saved_model_comes_back_as_it_was(models, trained):
    saved = store.save(
        lambda files: replace(store.read_card("mlp", models), files=files, temperature=1.5), trained, models
    )
    assert store.read_card("mlp", models) == saved
    loaded = store.load("mlp", models)
    assert (loaded.slug, loaded.labels, loaded.config, loaded.temperature) == (
        "mlp",
        catalogue.LABELS,
        saved.features,
        1.5,
    )
    np.testing.assert_array_equal(loaded.classifier.predict_proba(VECTORS), trained.predict_proba(VECTORS))
    assert sorted(path.name for path in models.iterdir()) == sorted(store.SHIPPED)


def test_the_shipped_ones_come_first_then_the_others_by_title(models):
    for slug, title in [("aaa", "zebra"), ("zzz", "Ant")]:
        shutil.copytree(models / "knn", models / slug)
        change_card(models, slug, slug=slug, title=title)
    cards, problems = store.list_models(models)
    assert [card.slug for card in cards] == [*store.SHIPPED, "zzz", "aaa"]
    assert problems == []


def test_files_and_hidden_folders_are_no_models(models):
    (models / "README.md").write_text("notes")
    (models / ".part-1").mkdir()
    cards, problems = store.list_models(models)
    assert len(cards) == len(store.SHIPPED) and problems == []


def test_a_missing_models_folder_is_named(tmp_path):
    cards, (problem,) = store.list_models(tmp_path / "nowhere")
    assert cards == [] and "There is no models folder at" in problem and "SER_MODELS" in problem
    with pytest.raises(ModelError, match=r"There is no model 'cnn' in .*nowhere\. Restore that folder"):
        store.load("cnn", tmp_path / "nowhere")


def remove_card(folder: Path) -> None:
    (folder / store.CARD).unlink()


def break_json(folder: Path) -> None:
    text = (folder / store.CARD).read_text()
    (folder / store.CARD).write_text(text[: len(text) // 2])


def break_encoding(folder: Path) -> None:
    (folder / store.CARD).write_bytes(b"\xff\xfe\x00{")


def edit(**values: object):
    return lambda folder: change_card(folder.parent, folder.name, **values)


def drop(name: str):
    def damage(folder: Path) -> None:
        values = json.loads((folder / store.CARD).read_text())
        del values[name]
        (folder / store.CARD).write_text(json.dumps(values))

    return damage


CARD_DAMAGES = {
    "no card": (remove_card, r"Model 'mlp' has no card\.json\. Restore"),
    "half a card": (break_json, r"Model 'mlp': its card cannot be read .*Restore"),
    "not text": (break_encoding, r"Model 'mlp': its card cannot be read"),
    "later format": (edit(format=99), r"format 99, and this version reads format 4\. Update"),
    "a list": (lambda folder: (folder / store.CARD).write_text("[]"), r"its card has format None"),
    "missing entry": (drop("labels"), r"missing or unknown entries: labels"),
    "unknown entry": (edit(colour=1), r"missing or unknown entries: colour"),
    "other slug": (edit(slug="cnn"), r"its card says it is 'cnn'. Rename the folder"),
    "wrong features": (edit(features={"n_mels": 3}), r"its card cannot be used: The feature settings should name"),
    "no temperature": (edit(temperature=0), r"temperature: expected float >= 0\.001, got 0"),
    "no threshold": (edit(threshold=1.5), r"threshold: expected float <= 1\.0, got 1\.5"),
    "a word as threshold": (
        edit(threshold="low"),
        r"its card cannot be used: threshold: expected float \| null, got str",
    ),
    "no labels": (edit(labels=[]), r"its card has \[\] as labels"),
    "a label twice": (edit(labels=["sad", "sad"]), r"its card has \['sad', 'sad'\] as labels"),
    "no files": (edit(files={}), r"its card has \{\} as files"),
    "too deep": (lambda folder: (folder / store.CARD).write_text("[" * 100_000), r"nested too deeply"),
    "half a character": (edit(description="a\ud800"), r"half a character"),
    "a corpus without a name": (edit(corpora=[{}]), r"its card has \[\{\}\] as corpora"),
    "a corpus that is a word": (edit(corpora=["ravdess"]), r"its card has \['ravdess'\] as corpora"),
    "a layer that is a word": (edit(architecture=["LSTM"]), r"its card has \['LSTM'\] as architecture"),
    "labels that are no words": (edit(labels=[1, 2]), r"its card has \[1, 2\] as labels"),
    "a part that is a list": (edit(split={"train": []}), r"as split"),
    "speakers that are numbers": (edit(split={"train": {"speakers": [3]}}), r"as split"),
    "clips that are a list": (edit(split={"train": {"clips": ["a"]}}), r"as split"),
    "a start that is no name": (edit(training={"start_from": ["cnn"]}), r"as training"),
    "a version that is a number": (edit(versions={"numpy": 2}), r"versions\[\.\.\.\]: expected str, got int"),
}


@pytest.mark.parametrize(("damage", "sentence"), CARD_DAMAGES.values(), ids=CARD_DAMAGES.keys())
def test_a_damaged_card_is_reported_and_the_other_models_stay(models, damage, sentence):
    damage(models / "mlp")
    cards, (problem,) = store.list_models(models)
    assert [card.slug for card in cards] == [slug for slug in store.SHIPPED if slug != "mlp"]
    with pytest.raises(ModelError, match=sentence) as caught:
        store.load("mlp", models)
    assert str(caught.value) == problem
    assert store.load("cnn", models).slug == "cnn"


def change_inside(name: str, change):
    """Damage an entry of the card that holds others."""

    def damage(folder: Path) -> None:
        values = json.loads((folder / store.CARD).read_text())
        change(values[name])
        (folder / store.CARD).write_text(json.dumps(values))

    return damage


def with_clips(n: int):
    return change_inside(
        "per_corpus", lambda each: each["ravdess"].update(n_clips=n, confusion=[[n] + [0] * 7, *[[0] * 8] * 7])
    )


BEYOND = {
    "more parameters than there are atoms": (edit(n_parameters=10**39), "in n_parameters"),
    "parameters below nothing": (edit(n_parameters=-1), "n_parameters: expected int >= 0, got -1"),
    "parameters that are a truth": (edit(n_parameters=True), "n_parameters: expected int, got bool"),
    "a temperature that flattens everything": (edit(temperature=1e308), "beyond"),
    "a temperature that flattens much": (edit(temperature=2000), r"temperature: expected float <= 1000\.0, got 2000"),
    "a temperature that is no number": (edit(temperature=float("nan")), "a number that is none"),
    "a temperature that is a truth": (edit(temperature=True), "temperature: expected float, got bool"),
    "a threshold beyond 1": (edit(threshold=1.5), r"threshold: expected float <= 1\.0"),
    "a time that is none": (edit(created="zzzz"), "'zzzz' as created"),
    "a time without a zone": (edit(created="2026-01-01T00:00:00"), "as created"),
    "a time of another zone": (edit(created="2026-01-01T00:00:00+02:00"), "as created"),
    "a time in other digits": (edit(created="２０２６-01-01T00:00:00+00:00"), "as created"),
    "a slug that is a path": (edit(slug="../mlp"), "as slug"),
    "a slug that is long": (edit(slug="x" * 200), "as slug"),
    "a title from right to left": (edit(title="a\u202egpj.exe"), "as title"),
    "a title of two lines": (edit(title="a\nb"), "as title"),
    "a title of no width": (edit(title="\u200b"), "as title"),
    "a long title": (edit(title="x" * 81), "as title"),
    "a description with an escape": (edit(description="a\x1b[2J"), "as description"),
    "a description from right to left": (edit(description="a\u2067b"), "as description"),
    "a long description": (edit(description="x" * 2001), "as description"),
    "a licence from right to left": (edit(licence="\u202emoc"), "letters that cannot be seen in licence"),
    "long limits": (edit(limits="x" * 100_000), "a text of 100,000 letters in limits"),
    "a label that is unknown": (edit(labels=["happy", "<b>"]), "as labels"),
    "many labels": (edit(labels=["happy"] * 1000), "as labels"),
    "a setting beyond all numbers": (edit(hyperparameters={"hidden": 10**39}), r"is beyond 1e\+15 in hyperparameters"),
    "a setting that is infinite": (edit(hyperparameters={"alpha": float("inf")}), "in hyperparameters"),
    "a training without end": (edit(training={"seed": 10**30}), "in training"),
    "a training that hides letters": (edit(training={"balance": "a\u200bb"}), "as training"),
    "a layer with a name that is a number": (edit(architecture=[{"name": 7}]), "as architecture"),
    "a layer of too many parameters": (edit(architecture=[{"parameters": 10**39}]), "as architecture"),
    "a layer of a shape that is a text": (edit(architecture=[{"shape": "wide"}]), "as architecture"),
    "a layer of a shape of texts": (edit(architecture=[{"shape": ["wide"]}]), "as architecture"),
    "figures of too many clips": (with_clips(10**30), "in per_corpus"),
    "figures of labels that are unknown": (
        change_inside("per_corpus", lambda each: each["ravdess"].update(labels=list("abcdefgh"), per_label={})),
        "of other labels",
    ),
    "very many values": (edit(split={"train": {"speakers": ["x"] * 400_000}}), "more than 300,000 values in split"),
    "a deep card": (edit(training={"a": json.loads("[" * 60 + "]" * 60)}), "nested too deeply"),
    "a large card": (edit(limits="x" * (MAX_CARD_BYTES + 1)), "more than 5 MB"),
}


@pytest.mark.parametrize(("damage", "sentence"), BEYOND.values(), ids=BEYOND)
def test_a_card_beyond_what_can_be_has_a_sentence_and_the_other_models_stay(models, damage, sentence):
    damage(models / "mlp")
    cards, (problem,) = store.list_models(models)
    assert [card.slug for card in cards] == [slug for slug in store.SHIPPED if slug != "mlp"]
    assert re.search(sentence, problem) and problem.isprintable() and len(problem) < 1000


def test_a_card_in_other_scripts_and_of_a_training_that_went_astray_is_read(models):
    lost = {"history": [{"loss": float("nan")}]}
    change_card(
        models, "mlp", title="语音 ñ é", description="Größe\nعربي 😀", training=lost, created="2026-01-01T00:00:00Z"
    )
    card = store.read_card("mlp", models)
    assert card.title == "语音 ñ é" and card.training == {"history": [{"loss": None}]}


@pytest.mark.parametrize("name", [field.name for field in fields(ModelCard)])
@pytest.mark.parametrize("value", [7.5, "text", ["text"], {"text": None}, None], ids=repr)
def test_an_entry_of_another_kind_never_escapes_as_a_bug(models, name, value):
    change_card(models, "mlp", **{name: value})
    cards, problems = store.list_models(models)
    assert len(cards) + len(problems) == len(store.SHIPPED)
    try:
        store.load("mlp", models)
    except ModelError as error:
        assert "Model 'mlp'" in str(error) or "model.skops" in str(error)


def truncate(folder: Path) -> None:
    weights = folder / "model.skops"
    weights.write_bytes(weights.read_bytes()[:-100])


def truncate_and_rehash(folder: Path) -> None:
    truncate(folder)
    rehash(folder)


def rehash(folder: Path) -> None:
    # private: the hash that a card holds
    change_card(folder.parent, folder.name, files={"model.skops": store._sha256(folder / "model.skops")})


def plant(step: object):
    def damage(folder: Path) -> None:
        skops.io.dump(Pipeline([("step", step)]), folder / "model.skops")
        rehash(folder)

    return damage


WEIGHT_DAMAGES = {
    "hash mismatch": (
        edit(files={"model.skops": "0" * 64}),
        r"model\.skops is not what its card describes \(the hash differs\)",
    ),
    "truncated": (truncate, r"model\.skops is not what its card describes"),
    "truncated before the card was written": (truncate_and_rehash, r"model\.skops cannot be read as a model"),
    "missing": (lambda folder: (folder / "model.skops").unlink(), r"model\.skops cannot be read \(No such file"),
    "outside": (
        edit(files={"../cnn/model.skops": "0" * 64}),
        r"names a file outside its folder \('\.\./cnn/model\.skops'\)",
    ),
    "absolute": (edit(files={"/etc/hostname": "0" * 64}), r"names a file outside its folder"),
    "fewer labels": (edit(labels=["happy", "sad"]), r"does not hold a classifier of 2 labels"),
    "unknown classifier": (edit(classifier="oracle"), r"is a 'oracle', which this version does not know"),
    "foreign type": (plant(FunctionTransformer(os.system)), r"cannot be read as a model: .*(?i:untrusted)"),
}


@pytest.mark.parametrize(("damage", "sentence"), WEIGHT_DAMAGES.values(), ids=WEIGHT_DAMAGES.keys())
def test_damaged_weights_are_refused_with_a_sentence(models, damage, sentence):
    damage(models / "mlp")
    with pytest.raises(ModelError, match=sentence):
        store.load("mlp", models)
    assert len(store.list_models(models)[0]) == len(store.SHIPPED)
    assert store.load("knn", models).slug == "knn"


def test_a_pickle_in_place_of_the_weights_is_not_run(models, tmp_path):
    witness = tmp_path / "was here"
    (models / "mlp" / "model.skops").write_bytes(b"cos\nmkdir\n(V" + str(witness).encode() + b"\ntR.")
    rehash(models / "mlp")
    with pytest.raises(ModelError, match="cannot be read as a model"):
        store.load("mlp", models)
    assert not witness.exists()


@pytest.mark.parametrize("slug", ["..", ".", "", "../models/cnn", "/etc", ".part-1", "cnn/..", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(models, slug):
    with pytest.raises(ModelError, match=r"is not a model's name|There is no model|cannot be read"):
        store.load(slug, models)


@pytest.mark.parametrize("slug", ["..", "../escape", ".hidden"])
def test_nothing_is_saved_under_a_name_that_leads_elsewhere(models, trained, slug):
    before = sorted(models.parent.rglob("*"))
    with pytest.raises(ModelError, match="is not a model's name"):
        store.save(lambda files: replace(store.read_card("mlp", models), slug=slug, files=files), trained, models)
    assert sorted(models.parent.rglob("*")) == before


def test_an_unknown_model_is_named_with_those_there_are(models):
    with pytest.raises(
        ModelError, match=r"There is no model 'tree' in .*\. Choose from cnn, cnn_lstm, knn, mlp, transfer\."
    ):
        store.load("tree", models)


def save_again(models: Path, classifier: classifiers.TrainableClassifier) -> ModelCard:
    card = replace(store.read_card("mlp", models), title="Second")
    return store.save(lambda files: replace(card, files=files), classifier, models)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the code under test may answer it."""


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_kill_between_writing_and_renaming_leaves_the_old_model(models, trained, monkeypatch, at):
    before = store.load("mlp", models).classifier.predict_proba(VECTORS)
    calls = []

    def interrupted(source, target, original=os.replace):
        calls.append(target)
        if len(calls) == at:
            raise Killed
        original(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(Killed):
        save_again(models, trained)
    monkeypatch.undo()
    cards, problems = store.list_models(models)
    assert [card.slug for card in cards] == list(store.SHIPPED) and problems == []
    np.testing.assert_array_equal(store.load("mlp", models).classifier.predict_proba(VECTORS), before)

    assert save_again(models, trained).title == "Second"
    assert store.read_card("mlp", models).title == "Second"
    assert sorted(path.name for path in models.iterdir()) == sorted(store.SHIPPED)


def test_a_kill_after_renaming_leaves_the_new_model(models, trained, monkeypatch):
    def killed(*_, **__):
        raise Killed

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(Killed):
        save_again(models, trained)
    monkeypatch.undo()
    cards, problems = store.list_models(models)
    assert [card.title for card in cards] == ["KNN", "Second", "CNN", "CNN-LSTM", "Whisper + LDA"] and problems == []


@pytest.mark.parametrize("where", ["weights", "card", "folder"])
def test_a_full_disk_leaves_the_old_model_and_nothing_else(models, trained, monkeypatch, where):
    before = store.read_card("mlp", models)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    place = {
        "weights": (type(trained), "save"),
        "card": (store, "write_atomically"),
        "folder": (store.tempfile, "mkdtemp"),
    }
    monkeypatch.setattr(*place[where], full)
    with pytest.raises(ModelError, match=r"could not be saved in .*: No space left on device\. Free some space"):
        save_again(models, trained)
    monkeypatch.undo()
    assert store.read_card("mlp", models) == before
    assert sorted(path.name for path in models.iterdir()) == sorted(store.SHIPPED)
    assert store.load("mlp", models)


@pytest.mark.parametrize("earlier", _ADDED)
def test_a_card_of_an_earlier_format_still_loads(models, earlier):
    values = json.loads((models / "mlp" / store.CARD).read_text()) | {"format": earlier}
    for name in _ADDED[earlier]:
        values.pop(name, None)
    (models / "mlp" / store.CARD).write_text(json.dumps(values))
    card = store.read_card("mlp", models)
    assert card.threshold is None and card.format == FORMAT
    assert {
        name: list(value) if isinstance(value := getattr(card, name), tuple) else value for name in _ADDED[earlier]
    } == (_ADDED[earlier])
    assert store.load("mlp", models).threshold is None


def test_new_figures_are_written_into_a_card_whose_weights_stay(models):
    card = store.read_card("mlp", models)
    assert store.replace_card(replace(card, threshold=0.42), models).threshold == 0.42
    assert store.load("mlp", models).threshold == 0.42
    with pytest.raises(ModelError, match="other weights than these figures belong to"):
        store.replace_card(replace(card, files={"model.skops": "0"}), models)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("My model", "my-model"),
        ("Größe & Co.", "grosse-co"),
        ("../../etc/passwd", "etc-passwd"),
        ("!", "model"),
        ("语音", "model"),
        ("con", "model-con"),
        ("x" * 80, "x" * 40),
        ("CNN", "cnn-2"),
        ("CNN LSTM", "cnn-lstm-2"),
    ],
)
def test_a_new_model_gets_a_plain_name_made_from_its_title(tmp_path, trained, title, slug):
    card = replace(tiny_card(), title=title)
    assert store.save_new(lambda files: replace(card, files=files), trained, tmp_path).slug == slug
    assert store.read_card(slug, tmp_path).title == title and store.load(slug, tmp_path).slug == slug


def tiny_card() -> ModelCard:
    figures = store.read_card("mlp", paths.models_folder())
    return replace(figures, features=config.FeatureConfig(), labels=catalogue.LABELS, temperature=1.0, split={})


def test_a_new_model_never_replaces_another(models, trained):
    before = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    slugs = [
        store.save_new(lambda files: replace(tiny_card(), title="MLP", files=files), trained, models).slug
        for _ in range(3)
    ]
    assert slugs == ["mlp-2", "mlp-3", "mlp-4"]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_many_at_once_get_names_of_their_own(tmp_path, trained):
    names = trained.save(tmp_path)

    def copy(part: Path) -> ModelCard:
        for name in names:
            shutil.copy(tmp_path / name, part / name)
        return replace(tiny_card(), title="Same", files={name: store._sha256(part / name) for name in names})

    folder = tmp_path / "models"
    with ThreadPoolExecutor(8) as pool:
        cards = list(pool.map(lambda _: store.add(copy, folder), range(16)))
    assert len({card.slug for card in cards}) == 16
    listed, problems = store.list_models(folder)
    assert {card.slug for card in listed} == {card.slug for card in cards} and problems == []


COMES_AND_GOES = """
import shutil, sys
from dataclasses import replace
from pathlib import Path
from ser_core.recognition import store

folder, card = Path(sys.argv[1]), store.read_card("mlp", Path(sys.argv[1]))

def fill(part):
    for name in card.files:
        shutil.copy(folder / "mlp" / name, part / name)
    return replace(card, title="Mine")

while not (folder.parent / "enough").exists():
    made = store.add(fill, folder)
    store.rename(made.slug, title="Another", folder=folder)
    store.delete(made.slug, folder)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there a folder that somebody reads cannot be renamed")
def test_two_servers_on_one_folder_never_show_each_other_half_a_model(models):
    before = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    others = [subprocess.Popen([sys.executable, "-c", COMES_AND_GOES, str(models)], cwd=ROOT) for _ in range(2)]
    shown, problems, times = set(), [], 0
    deadline = time.monotonic() + 90
    while (times < 300 or not {"Mine", "Another"} <= shown) and time.monotonic() < deadline:
        cards, found = store.list_models(models)
        shown |= {card.title for card in cards}
        problems += found
        times += bool(len(cards) > 4)
    (models.parent / "enough").touch()
    assert [other.wait(60) for other in others] == [0, 0] and problems == []
    assert {"Mine", "Another"} <= shown, "they came and went while this one looked"
    assert {path: path.read_bytes() for path in models.rglob("*") if path.is_file()} == before


def test_a_name_taken_at_the_last_moment_is_left_to_who_took_it(models, trained, monkeypatch):
    def rename(source, target, original=os.rename):
        if Path(target).name == "mine":
            Path(target).mkdir()
            (Path(target) / "theirs").write_text("")
        original(source, target)

    monkeypatch.setattr(os, "rename", rename)
    card = store.save_new(lambda files: replace(tiny_card(), title="Mine", files=files), trained, models)
    assert card.slug == "mine-2" and [path.name for path in (models / "mine").iterdir()] == ["theirs"]


def test_an_own_model_is_renamed_and_described(models, trained):
    store.save_new(lambda files: replace(tiny_card(), title="Mine", files=files), trained, models)
    store.rename("mine", title=" Better ", folder=models)
    card = store.rename("mine", description="For tests.\nOf two lines.", folder=models)
    assert store.read_card("mine", models) == card
    assert (card.slug, card.title, card.description) == ("mine", "Better", "For tests.\nOf two lines.")
    assert sorted(path.name for path in (models / "mine").iterdir()) == ["card.json", "model.skops"]
    for wrong in (
        {"title": ""},
        {"title": "x" * 81},
        {"title": "a\x1b[0m"},
        {"description": "x" * 2001},
        {"description": "a\0"},
    ):
        with pytest.raises(ModelError, match="characters"):
            store.rename("mine", folder=models, **wrong)
    assert store.read_card("mine", models) == card


def test_the_pretrained_encoders_folder_is_no_model(models):
    (models / paths.ENCODERS).mkdir()
    for action in (store.delete, store.read_card, store.load):
        with pytest.raises(ModelError, match="is not a model's name"):
            action(paths.ENCODERS, models)
    assert (models / paths.ENCODERS).is_dir()


def test_an_own_model_is_deleted_whole_or_damaged(models, trained):
    store.save_new(lambda files: replace(tiny_card(), title="Mine", files=files), trained, models)
    (models / "mine" / store.CARD).write_text("{")
    store.delete("mine", models)
    assert sorted(path.name for path in models.iterdir()) == sorted(store.SHIPPED)
    with pytest.raises(ModelError, match=r"There is no model 'mine' in .*Choose from"):
        store.delete("mine", models)
    with pytest.raises(ModelError, match="is not a model's name"):
        store.delete("../models", models)


@pytest.mark.parametrize("slug", store.SHIPPED)
def test_the_shipped_models_stay_as_they_are(models, slug):
    before = {path: path.read_bytes() for path in (models / slug).iterdir()}
    for change in (lambda: store.delete(slug, models), lambda: store.rename(slug, title="Mine", folder=models)):
        with pytest.raises(ModelError, match=f"'{slug}' is one of the shipped models, which cannot be changed"):
            change()
    assert {path: path.read_bytes() for path in (models / slug).iterdir()} == before


def test_what_a_killed_process_left_is_removed_after_a_day(models, trained):
    old, young = models / ".part-1-old", models / ".part-1-young"
    for part in (old, young):
        part.mkdir()
    os.utime(old, (0, 0))
    store.save_new(lambda files: replace(tiny_card(), title="Mine", files=files), trained, models)
    assert not old.exists() and young.exists()
    (models / f".part-{os.getpid()}-x").mkdir()
    store.sweep(models)
    assert [path.name for path in models.iterdir() if path.name.startswith(".part")] == [young.name]


def test_a_kill_while_a_new_model_is_written_leaves_no_model(models, trained, monkeypatch):
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(Killed()))
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(Killed):
        store.save_new(lambda files: replace(tiny_card(), title="Mine", files=files), trained, models)
    assert [card.slug for card in store.list_models(models)[0]] == list(store.SHIPPED) and store.list_models(models)[
        1
    ] == []


def test_a_model_on_another_pretrained_encoder_is_refused(models):
    """Its numbers would mean something else, and it would answer all the same."""
    change_card(models, "transfer", classifier="transfer", versions={encoder.VERSION_NAME: "0" * 64})
    with pytest.raises(ModelError, match="Model 'transfer' was trained on the outputs of another pretrained encoder"):
        store.load("transfer", models)
    change_card(models, "transfer", classifier="transfer", versions={})
    with pytest.raises(ModelError, match="another pretrained encoder"):
        store.load("transfer", models)


def test_without_the_pretrained_models_the_four_are_listed_and_asked(models, monkeypatch):
    change_card(models, "transfer", classifier="transfer")
    assert [card.slug for card in store.list_models(models)[0]] == list(store.SHIPPED) == list(store.usual())
    monkeypatch.setenv(store.TRANSFER, "0")
    assert [card.slug for card in store.list_models(models)[0]] == list(store.FOUR) == list(store.usual())


def test_a_model_that_learned_from_other_measures_is_refused(models):
    """It could not answer, and how a clip is measured may change from version to version."""
    few = classifiers.build("mlp", catalogue.LABELS, {"hidden": 8, "epochs": 1}).fit(
        VECTORS[:, :20].repeat(8, axis=0), np.arange(40) % len(catalogue.LABELS)
    )
    store.save(lambda files: replace(store.read_card("mlp", models), files=files), few, models)
    with pytest.raises(ModelError, match=rf"learned from 20 measures of a clip, and this version takes {N_COLUMNS:,}"):
        store.load("mlp", models)


def test_a_name_that_was_taken_and_is_free_again_is_passed_over(models, trained, monkeypatch):
    """Another process renamed its folder to it first, and has deleted that model since."""

    def rename(source, target, original=os.rename):
        if Path(target).name == "mine":
            raise OSError(errno.ENOTEMPTY, "Directory not empty")
        original(source, target)

    monkeypatch.setattr(os, "rename", rename)
    made = store.save_new(lambda files: replace(tiny_card(), title="Mine", files=files), trained, models)
    assert made.slug == "mine-2"
