"""The way the shipped models are made, end to end, on a small corpus of synthetic voices.

TensorFlow trains, so the networks are built in a process of their own; this one serves what it saved, and builds what is no network.
"""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_core.audio import decoding
from ser_core.cli import main
from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.dataset.build import Dataset, subset
from ser_core.features import extraction, vectors
from ser_core.recognition import analysis, store, together
from ser_core.training import fit, held_out, shipped
from ser_core.training import together as training_together

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000
PITCH = {"01": 1.0, "02": 0.9, "03": 1.5, "04": 0.75, "05": 1.9, "06": 2.3, "07": 0.6, "08": 2.8}
SMALL = {"n_copies": 1, "strength": 0.2}
"""What all recipes have here in place of their own."""
QUICK = {
    "mlp": {"epochs": 20},
    "cnn": {"epochs": 2, "clips_per_epoch": 32, "filters": (4, 4, 4, 4)},
    "cnn_lstm": {"epochs": 2, "clips_per_epoch": 32, "filters": (4, 4, 4), "units": 4},
}
"""The hyperparameters of some."""
NETWORKS = (
    f"""
import dataclasses, sys
import tensorflow
tensorflow.config.run_functions_eagerly(True)  # to build a graph takes longer than the few steps of these trainings
from ser_core.cli import main
from ser_core.training import shipped
for slug, recipe in shipped.RECIPES.items():
    shipped.RECIPES[slug] = dataclasses.replace(recipe, **{SMALL!r}, hyperparameters={QUICK!r}.get(slug, {{}}))
STATUS = main.main(sys.argv[1:])
"""
    + """
import os, keras, numpy
from pathlib import Path
work = Path(sys.argv[sys.argv.index("--work") + 1])
model = keras.saving.load_model(Path(os.environ["SER_MODELS"]) / "cnn_lstm" / "model.keras", compile=False)
numpy.save(work / "answers.npy", model.predict_on_batch(numpy.load(work / "windows.npy")))
sys.exit(STATUS)
"""
)
"""Builds what it is told to; of a network Keras's own answers to some windows are kept."""


def voice(actor: int, emotion: str, repetition: int) -> np.ndarray:
    """Return a syllable-like voice whose pitch tells the emotion, from an actor with a pitch of their own."""
    rng = np.random.default_rng(actor * 100 + int(emotion) * 10 + repetition)
    time = np.arange(int(0.8 * RATE)) / RATE
    phase = 2 * np.pi * 110 * (1 + 0.01 * actor) * PITCH[emotion] * time
    tone = sum(np.sin(k * phase) / k for k in range(1, 8)) * (0.2 + np.abs(np.sin(2 * np.pi * 4 * time)))
    return (0.1 * tone + 0.002 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """RAVDESS in small: two clips of each of eight emotions by each of eight actors, of two folds, and one unreadable file."""
    folder = tmp_path_factory.mktemp("ravdess")
    for actor in sorted(int(actor) for fold in splits.RAVDESS_FOLDS[:2] for actor in fold):
        for emotion in PITCH:
            for repetition in (1, 2):
                name = f"03-01-{emotion}-01-01-{repetition:02d}-{actor:02d}.wav"
                soundfile.write(folder / name, voice(actor, emotion, repetition), RATE)
    (folder / "03-01-01-01-02-01-01.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    return folder


def arguments(corpus: Path, work: Path, slugs: Sequence[str]) -> list[str]:
    """Return the command that builds models, as the program takes it."""
    models = [word for slug in slugs for word in ("--model", slug)]
    return ["build-models", "--corpus", f"ravdess={corpus}", *models, "--work", str(work), "--jobs", "1"]


@pytest.fixture
def build(monkeypatch, capsys) -> Callable[[Path, Path, Path, str], tuple[int, str]]:
    """A function that builds one model that is no network, here, and returns the status and what was said."""
    small = {
        slug: dataclasses.replace(each, **SMALL, hyperparameters=QUICK.get(slug, {}))
        for slug, each in shipped.RECIPES.items()
    }
    monkeypatch.setattr(shipped, "RECIPES", small)

    def run(corpus: Path, work: Path, models: Path, slug: str) -> tuple[int, str]:
        monkeypatch.setenv("SER_MODELS", str(models))
        status = main.main(arguments(corpus, work, [slug]))
        return status, capsys.readouterr().err

    return run


def windows(corpus: Path) -> np.ndarray:
    """Return what a network sees of a clip."""
    heard = decoding.decode(corpus / "03-01-03-01-01-01-11.wav").waveform
    return vectors.windows(extraction.extract(heard))


@pytest.fixture(scope="module")
def built(corpus, tmp_path_factory) -> tuple[Path, Path, str]:
    work, models = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("models")
    np.save(work / "windows.npy", windows(corpus))
    environment = {
        "SER_MODELS": str(models),
        "PATH": "/usr/bin:/bin",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", NETWORKS, *arguments(corpus, work, store.SHIPPED)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    return work, models, result.stderr


@pytest.mark.slow
def test_the_shipped_models_are_made_and_serve(built, corpus):
    _, models, said = built
    cards, problems = store.list_models(models)
    assert [card.slug for card in cards] == list(store.SHIPPED)
    assert problems == []
    assert "Git LFS pointer" in said
    heard = analysis.analyse(corpus / "03-01-05-01-01-01-01.wav")
    predictions = analysis.recognize([store.load(slug, models) for slug in store.SHIPPED], heard)
    for prediction in predictions:
        assert list(prediction.probabilities) == list(catalogue.LABELS)
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.slow
def test_the_card_tells_what_was_measured(built):
    _, models, _ = built
    for card in store.list_models(models)[0]:
        assert card.evaluation.n_clips == 128
        assert card.evaluation.n_test_speakers == 8
        assert card.corpora[0]["n_clips"] == 113 and card.corpora[0]["n_speakers"] == 7  # one chose the epoch
        assert card.training["unreadable"] == 1
        assert "speaker" in card.protocol
        assert card.n_parameters > 0
        assert 0 < card.threshold <= 1 and card.evaluation.sure["right"] <= card.evaluation.sure["answered"] <= 128
        assert card.evaluation.curves.risk[-1] == (1.0, pytest.approx(1 - card.evaluation.accuracy, abs=1e-4))
    assert store.read_card("knn", models).evaluation.accuracy > 0.8


@pytest.mark.slow
def test_the_card_tells_what_is_left_under_worse_conditions(built):
    _, models, said = built
    for card in store.list_models(models)[0]:
        assert list(card.evaluation.under) == ["telephone 3400", "babble 10", "reverb 0.5"] and card.unheard == {}
    knn = store.read_card("knn", models).evaluation
    assert f"knn: ravdess under babble 10: accuracy {knn.under['babble 10']:.1%}" in said
    assert knn.under["babble 10"] < knn.accuracy


@pytest.mark.slow
def test_the_held_out_answers_are_kept_and_the_models_answer_together(built, corpus):
    work, models, said = built
    joint, *under = held_out.read(work / "held_out.npz")
    assert joint.place == ("speaker", held_out.ALL, "", "") and list(joint.probabilities) == list(store.SHIPPED)
    assert [each.condition for each in under] == ["babble 10", "reverb 0.5", "telephone 3400"]
    assert len(joint.clips) == 128 and set(joint.clips[held_out.FOLD]) == {0, 1}
    for card in store.list_models(models)[0]:
        right = (joint.probabilities[card.slug].argmax(axis=1) == joint.y).mean()
        assert right == pytest.approx(card.evaluation.accuracy, abs=0.02)  # bytes may turn a tie
    pools = together.read(models)
    assert [tuple(pool.weights) for pool in pools] == [store.SHIPPED, store.FOUR]
    for pool in pools:
        figures = pool.per_corpus["ravdess"]
        assert figures.n_clips == 128 and figures.accuracy > 0.8 and pool.unheard == {} and figures.curves is None
        assert f"together of {len(pool.weights)}: ravdess accuracy {figures.accuracy:.1%}" in said
        assert list(figures.under) == [each.condition for each in under]
    heard = analysis.analyse(corpus / "03-01-05-01-01-01-01.wav")
    recognizers = [store.load(slug, models) for slug in store.SHIPPED]
    assert analysis.recognize(recognizers, heard, folder=models)[0].label == "angry"


@pytest.mark.slow
def test_a_network_serves_what_it_learned(built, corpus):
    """The ONNX file gives the probabilities that Keras gives, which the process that built it has left."""
    work, models, _ = built
    ours = store.load("cnn_lstm", models).classifier.predict_proba(windows(corpus))
    assert np.abs(ours - np.load(work / "answers.npy")).max() < 1e-5


@pytest.mark.slow
def test_finished_folds_are_not_run_again(built, corpus, build, tmp_path):
    work, _, _ = built
    folds = sorted((work / "folds").glob("knn-*"))
    assert len(folds) == 2
    folds[1].write_text("half a fi")
    status, said = build(corpus, work, tmp_path, "knn")
    assert status == 0, said
    run = [line for line in said.splitlines() if line.startswith("knn: fold") and " of 2" in line]
    assert run == ["knn: fold 2 of 2"]


@pytest.mark.slow
def test_a_finished_model_is_not_made_again_unless_it_was_changed(built, corpus, build):
    work, models, _ = built
    before = store.read_card("mlp", models)
    store.replace_card(
        dataclasses.replace(before, threshold=None, evaluation=None), models
    )  # as an earlier version wrote it
    assert "mlp: already trained" in build(corpus, work, models, "mlp")[1]
    assert store.read_card("mlp", models) == before
    (models / "mlp" / "card.json").unlink()
    assert "mlp: saved" in build(corpus, work, models, "mlp")[1]
    assert store.read_card("mlp", models).files.keys() == before.files.keys()


def invented() -> tuple[pd.DataFrame, Dataset]:
    """Return clips of three corpora and their vectors: the labels lie the same way in all but one."""
    rng = np.random.default_rng(0)
    names = ("ravdess", "savee", "tess")
    rows = [
        (name, speaker, label) for name in names for speaker in range(4) for label in ("sad", "happy") for _ in range(8)
    ]
    clips = pd.DataFrame(rows, columns=[catalogue.CORPUS, catalogue.SPEAKER, catalogue.EMOTION])
    clips[catalogue.SPEAKER] = clips[catalogue.CORPUS] + ":" + clips[catalogue.SPEAKER].astype(str)
    clips.loc[len(clips)] = ["ravdess", "ravdess:0", "calm"]  # a label that the others lack
    clips[catalogue.NAME] = [f"{n}.wav" for n in range(len(clips))]
    clips[catalogue.SEX] = "f"
    turned = np.where(clips[catalogue.CORPUS] == "tess", -1, 1)
    side = np.where(clips[catalogue.EMOTION] == "sad", 1, -1) * turned
    vectors = np.outer(side, [1.0, 2.0, 0.5]) + rng.normal(scale=0.1, size=(len(clips), 3))
    data = Dataset(
        vectors=vectors.astype(np.float32),
        embeddings=np.zeros((len(clips), 0), np.float32),
        windows=np.zeros((0, 1, 1), np.float16),
        window_row=np.zeros(0, int),
        clip=np.arange(len(clips)),
        copy=np.zeros(len(clips), int),
        problems=(),
        facts=pd.DataFrame(index=range(len(clips))),
    )
    return clips.reindex(columns=list(catalogue.COLUMNS), fill_value=""), data


def test_a_recipe_is_tested_on_each_corpus_by_a_model_of_the_others(tmp_path):
    """Where the labels lie the same way in all corpora but one, that one alone is not recognised."""
    names = ("ravdess", "savee", "tess")
    clips, data = invented()
    material = shipped.Material(clips, data, np.zeros(len(clips), int), {})
    recipe = fit.FitConfig(classifier="lda", n_copies=0)
    found = shipped.across(material, recipe, work=tmp_path, say=lambda text: None)
    assert {name: each.protocol for name, each in found.items()} == dict.fromkeys(names, "cross-corpus")
    assert found["ravdess"].labels == ("happy", "sad") and found["ravdess"].n_clips == 64
    assert found["tess"].accuracy == 0.0
    one = clips[catalogue.CORPUS].to_numpy() == "ravdess"
    alone = shipped.Material(clips[one].reset_index(drop=True), subset(data, one), np.zeros(one.sum(), int), {})
    assert shipped.across(alone, recipe, work=tmp_path, say=lambda text: None) == {}


def cremad(folder: Path) -> Path:
    """Write CREMA-D in small: two actors of two folds, six labels, and one clip of digital silence."""
    for actor in (1001, 1002):
        for code, emotion in (("NEU", "01"), ("HAP", "03"), ("SAD", "04"), ("ANG", "05"), ("FEA", "06"), ("DIS", "07")):
            soundfile.write(folder / f"{actor}_IEO_{code}_XX.wav", voice(actor % 50, emotion, 1), RATE)
    soundfile.write(folder / "1002_MTI_SAD_XX.wav", np.zeros(RATE, np.float32), RATE)
    return folder


def test_cremad_is_a_fifth_corpus_in_the_six_folds(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "RECIPES", {"knn": fit.FitConfig(classifier="knn", n_copies=0)})
    clips = tmp_path / "cremad"
    clips.mkdir()
    said: list[str] = []
    material = shipped.gather({"cremad": cremad(clips)}, work=tmp_path, say=said.append)
    actor = material.clips[catalogue.SPEAKER].str[-4:].astype(int)
    assert len(actor) == 13 and (material.folds == actor % 6).all() and "13 cremad" in said[0]
    text = shipped.how_measured(pd.DataFrame({catalogue.CORPUS: ["ravdess", "cremad"]}))
    assert "91 CREMA-D actors" in text and "RAVDESS by the published folds" in text and "EmoDB" not in text


def test_make_passes_a_fifth_corpus_on(tmp_path):
    asked = ["make", "-n", "models", *(f"{name}=/{name}" for name in ("RAVDESS", "TESS", "SAVEE", "EMODB"))]
    four, five = (
        subprocess.run([*asked, *more], cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
        for more in ([], ["CREMAD=/x y"])
    )
    assert '--corpus "emodb=/EMODB"' in four and "cremad" not in four.partition("build-models")[2]
    assert '--corpus "cremad=/x y"' in five


def test_every_build_adds_its_held_out_answers_and_the_pool_is_made_once_all_are_there(tmp_path, monkeypatch):
    clips, data = invented()
    folds = clips[catalogue.SPEAKER].str[-1].astype(int).to_numpy() % 2
    material = shipped.Material(clips, data, folds, {})
    recipes = {slug: fit.FitConfig(classifier=slug, n_copies=0) for slug in ("knn", "lda")}
    monkeypatch.setattr(shipped, "RECIPES", recipes)
    path, models = tmp_path / "held_out.npz", tmp_path / "models"
    said: list[str] = []

    def build(slug: str) -> tuple[together.Pool, ...]:
        shipped.build([slug], material, work=tmp_path, models=models, held_out_answers=path, say=said.append)
        return training_together.build([tuple(recipes)], path, models, say=said.append)

    assert build("knn") == () and "together: no pool of knn, lda, because lda must be built first" in said
    (pool,) = build("lda")
    parts = held_out.read(path)
    joint = held_out.find(parts, "speaker", held_out.ALL)
    across = held_out.find(parts, "cross-corpus", held_out.OTHERS)
    assert list(joint.probabilities) == list(across.probabilities) == ["knn", "lda"]
    assert len(joint.clips) == len(clips) and across.labels == ("happy", "sad")
    for slug in recipes:
        card = store.read_card(slug, models)
        answers = {"speaker": (joint, card.per_corpus), "cross-corpus": (across, card.unheard)}
        for part, figures in answers.values():
            right = part.probabilities[slug].argmax(axis=1) == part.y
            for corpus, each in figures.items():
                assert right[part.clips[catalogue.CORPUS] == corpus].mean() == pytest.approx(each.accuracy, abs=0.02)
    assert set(pool.per_corpus) == set(pool.unheard) == {"ravdess", "savee", "tess"} and together.read(models) == (
        pool,
    )
    assert build("knn") == (pool,) and any(each.startswith("knn: already trained") for each in said)


def test_a_corpus_argument_without_a_folder_is_explained(tmp_path, build):
    status, said = build(Path("/nowhere"), tmp_path, tmp_path, "knn")
    assert status == 2
    assert "Traceback" not in said
    assert "/nowhere" in said
