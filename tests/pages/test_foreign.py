"""Models from elsewhere on the pages: each asked in a process of its own, and in a class taken in by the teacher."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import recognition, state
from pages.ui.train import models as train_models
from pages.ui.train.models import may_import, take_in
from ser_core import paths
from ser_core.errors import ModelError
from ser_core.features import encoder, vectors
from ser_core.recognition import analysis, bundle, sandbox, service, store
from ser_core.recognition.card import ModelCard
from ser_core.recognition.recognizer import Prediction
from ser_core.serving import lesson
from ser_core.system import workers

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()


@pytest.fixture(scope="module")
def exported(built: Path) -> bytes:
    return bundle.export_model("mlp", built)


@pytest.fixture
def cards(models: Path, exported: bytes, monkeypatch: pytest.MonkeyPatch) -> list[ModelCard]:
    """Two models of this machine around one from elsewhere."""
    monkeypatch.setattr(sandbox, "try_out", lambda *_: None)
    slug = bundle.import_model(exported, models).slug
    found = {card.slug: card for card in store.list_models(models)[0]}
    return [found["knn"], found[slug], found["mlp"]]


def answers_of(cards: list[ModelCard]) -> service.Answers:
    return recognition.predict(SPEECH, "a.flac", cards)[1]


def no_answer(*_: object, **__: object) -> None:
    raise sandbox.LostError(late=True)


def test_each_is_asked_where_it_belongs(cards: list[ModelCard], monkeypatch: pytest.MonkeyPatch) -> None:
    handed, run = [], workers.run
    monkeypatch.setattr(
        workers, "run", lambda work, *args, **named: handed.append((work, args)) or run(work, *args, **named)
    )
    said = answers_of(cards)
    assert [each.model for each in said] == ["knn", "mlp-2", "mlp"]
    assert said[1].probabilities == pytest.approx(said[2].probabilities, abs=1e-6)
    ((work, (_, asked, _)),) = handed
    assert work is service.analyse and [slug for slug, _ in asked] == ["knn", "mlp"], (
        "a worker has read an imported model"
    )


def test_windows_are_judged_by_each_where_it_belongs(cards: list[ModelCard], monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = analysis.analyse(SPEECH).clip.waveform
    measured, said = recognition.predict_window(cards)(waveform)
    assert measured.quality.has_speech and [each.model for each in said] == ["knn", "mlp-2", "mlp"]
    monkeypatch.setattr(sandbox.Process, "predict", no_answer)
    assert [each.model for each in recognition.predict_window(cards)(waveform)[1]] == ["knn", "mlp"]


def test_one_that_does_not_answer_has_a_sentence_of_its_own(
    cards: list[ModelCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.Process, "predict", no_answer)
    said = answers_of(cards)
    assert isinstance(said[0], Prediction) and isinstance(said[2], Prediction)
    assert "did not answer within 2 s" in said[1]


def test_the_card_on_recognize_says_so(cards: list[ModelCard], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.Process, "predict", no_answer)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.session_state[state.MODELS] = [card.slug for card in cards]
    page.run().get("file_uploader")[0].set_value(("a.flac", SPEECH, "audio/flac"))
    page.run()
    assert not page.exception
    drawn = " ".join(element.proto.body for element in page.get("html"))
    assert "did not answer within 2 s" in drawn and drawn.count("<section>") == 3


def test_one_that_answers_again_is_asked_again(cards: list[ModelCard], monkeypatch: pytest.MonkeyPatch) -> None:
    asked, predict = [], service.predict

    def noted(clip: analysis.Analysis, models: service.Models, folder: Path, **more: Any) -> service.Answers:
        asked.extend(slug for slug, _ in models)
        return ["Not now."] * len(models) if len(asked) == 1 else predict(clip, models, folder, **more)

    monkeypatch.setattr(service, "predict", noted)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.session_state[state.MODELS] = [card.slug for card in cards]
    page.run().get("file_uploader")[0].set_value(("a.flac", SPEECH, "audio/flac"))
    drawn = [" ".join(element.proto.body for element in page.run().get("html")) for _ in range(3)]
    assert ["Not now." in each for each in drawn] == [True, False, False]
    assert asked == ["mlp-2", "mlp-2"]


def test_the_pretrained_encoder_of_an_imported_model_runs_in_a_worker(
    cards: list[ModelCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = analysis.analyse(SPEECH)
    expected = vectors.inputs(clip.clip.waveform, clip.features, vectors.EMBEDDING)
    monkeypatch.setattr(encoder, "outputs", lambda _: pytest.fail("it runs in the server"))
    seen: list[np.ndarray] = []

    def predict_proba(_: sandbox.ForeignClassifier, X: np.ndarray) -> np.ndarray:
        seen.append(X)
        return np.full((len(X), len(cards[0].labels)), 1 / len(cards[0].labels))

    monkeypatch.setattr(sandbox.ForeignClassifier, "predict_proba", predict_proba)
    load = service.loaded
    monkeypatch.setattr(service, "loaded", lambda *given: replace(load(*given), input_kind=vectors.EMBEDDING))
    (said,) = [each for card, each in zip(cards, answers_of(cards), strict=True) if card.imported]
    assert isinstance(said, Prediction)
    np.testing.assert_allclose(seen[0], expected, atol=1e-4)


def test_no_process_is_started_before_one_is_asked(cards: list[ModelCard], monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("a process is started")

    monkeypatch.setattr(sandbox, "Process", started)
    answers_of([cards[0]])
    assert isinstance(store.load("mlp-2", paths.models_folder()).classifier, sandbox.ForeignClassifier)


# --- taking them in


@pytest.fixture
def a_class(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server that serves a class, with the admin word."""
    monkeypatch.setenv(lesson.VARIABLE, str(tmp_path / "class"))
    monkeypatch.setenv("SER_ADMIN_WORD", "open sesame")
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    return models


def visit(word: str = "") -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.session_state[state.ADMIN_WORD] = word
    page.run().switch_page("pages/train.py")
    page.session_state["train.tab"] = "Models"
    return page.run()


def test_in_a_class_nobody_but_the_teacher_takes_in_a_model(a_class: Path, exported: bytes) -> None:
    page = visit()
    assert not page.exception and not page.get("file_uploader")
    assert any("In a class, the teacher imports models" in each.value for each in page.markdown)
    page = visit("open sesame")
    page.get("file_uploader")[0].set_value(("a.zip", exported, "application/zip")).run()
    page.button(key="train.import.go").click().run()
    assert not page.exception and not page.error
    assert [card.slug for card in store.list_models(a_class)[0] if card.imported] == ["mlp-2"]


def test_who_is_no_longer_the_teacher_takes_in_nothing(
    a_class: Path, exported: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_models, "may_import", lambda: False)
    with pytest.raises(ModelError, match="Only the teacher"):
        take_in(io.BytesIO(exported))
    assert not [card for card in store.list_models(a_class)[0] if card.imported]


def test_where_there_is_no_class_whoever_is_at_home_takes_in_models(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(lesson.VARIABLE, raising=False)
    assert may_import()
