"""The server never trains, and loads no model: every page is walked, every piece of work started, and nothing fits or predicts in it."""

from __future__ import annotations

import functools
import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from sklearn.base import BaseEstimator
from streamlit.testing.v1 import AppTest

from pages.ui import frame
from ser_core.audio import degradations
from ser_core.dataset import clip_map
from ser_core.system import locks
from ser_core.training import jobs, run_folder, supervisor
from tests.support import corpora, ruled_corpus
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
LEARN = ("fit", "fit_transform", "fit_predict", "partial_fit", "predict", "predict_proba", "kneighbors", "transform")
USED = ("discriminant_analysis", "ensemble", "linear_model", "neighbors", "neural_network", "pipeline", "preprocessing")
USED += ("svm", "decomposition", "manifold")
"""What of scikit-learn this project uses."""

PATIENCE_S = 280
"""A run steps back behind everything else: where all cores are busy, it takes its time."""


@pytest.fixture
def done_here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What fits or predicts in this process, which is the server: the name of each class and method, as it is called.

    Models, runs, results and features lie in folders of this test's own, and there is no corpus yet.
    """
    for name in ("RUNS", "RESULTS", "CACHE"):
        monkeypatch.setenv(f"SER_{name}", str(tmp_path / name.lower()))
    called: list[str] = []
    for name in USED:
        importlib.import_module(f"sklearn.{name}")
    for each in _subclasses(BaseEstimator):
        if each.__module__ == "sklearn.preprocessing._label":
            continue  # sklearn.metrics numbers labels so, to count given answers: no model
        for method in LEARN:
            if inspect.isfunction(vars(each).get(method)):
                monkeypatch.setattr(each, method, _recorded(vars(each)[method], f"{each.__name__}.{method}", called))
    init = onnxruntime.InferenceSession.__init__
    monkeypatch.setattr(onnxruntime.InferenceSession, "__init__", _recorded(init, "InferenceSession", called))
    yield called
    for job in jobs.jobs(tmp_path / "runs"):
        jobs.stop(job)
    until(lambda: not any(locks.is_taken(job.folder / supervisor.LOCK) for job in jobs.jobs(tmp_path / "runs")))


def _subclasses(of: type) -> Iterator[type]:
    for each in of.__subclasses__():
        yield each
        yield from _subclasses(each)


def _recorded(method: Callable[..., Any], name: str, called: list[str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def record(*args: Any, **named: Any) -> Any:
        called.append(name)
        return method(*args, **named)

    return record


def visit(path: str, **session: Any) -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    if path != "app.py":
        page.switch_page(path)
    for key, value in session.items():
        page.session_state[key.replace("__", ".")] = value
    return page.run()


def text(page: AppTest) -> str:
    assert not page.exception, page.exception[0].value
    kinds = (page.header, page.markdown, page.info, page.error, page.warning)
    return " ".join([each.value for kind in kinds for each in kind] + [each.proto.body for each in page.get("html")])


def shows(page: AppTest, sign: str) -> None:
    """Wait until the page shows a result."""

    def look() -> bool:
        assert not page.error, text(page)
        return sign in text(page.run())

    until(look, patience_s=PATIENCE_S, pause_s=0.3, saying=lambda: text(page))


def is_clean(called: list[str]) -> bool:
    return called == [] and not {"keras", "tensorflow"} & set(sys.modules)


def test_what_is_recorded_would_be_seen(done_here: list[str]) -> None:
    from sklearn.preprocessing import StandardScaler

    StandardScaler().fit_transform([[1.0], [2.0]])
    assert not is_clean(done_here) and "StandardScaler.fit" in done_here


def test_no_page_trains_or_predicts_as_it_is_drawn(done_here: list[str], tmp_path: Path) -> None:
    corpora.build(tmp_path / "corpora")
    for path, _, _ in frame.MENU:
        text(visit(path))
    assert is_clean(done_here)


def test_a_clip_is_predicted_elsewhere(done_here: list[str]) -> None:
    page = visit("app.py")
    page.button("recognize.sample.bright.flac").click().run()
    shows(page, "KNN")
    assert is_clean(done_here)


CONDITIONS = f"compare__robust__conditions__{len(degradations.CONDITIONS)}"
SECTIONS = {
    "score": ("Score on a corpus", {"compare__score__models": ["knn", "mlp"]}, "Where they disagree"),
    "retrain": ("Score on a corpus", {"compare__score__how": "anew"}, "Who is recognised less well"),
    "robust": (
        "Robustness",
        {"compare__robust__models": ["knn"], CONDITIONS: ["telephone"]},
        "All conditions, each at its worst",
    ),
    "cross": ("Cross-corpus", {"compare__cross__place": "here"}, "leaving the corpus costs"),
    "lab": ("Leakage Lab", {"compare__lab__place": "tess"}, "points of the score came from the leaks"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SECTIONS))
def test_a_measurement_is_done_elsewhere(name: str, done_here: list[str], tmp_path: Path) -> None:
    corpora.build(tmp_path / "corpora")
    tab, session, sign = SECTIONS[name]
    page = visit("pages/compare.py", compare__tab=tab)
    for key, value in session.items():
        page.session_state[key.replace("__", ".")] = value
    page.run()
    for key, names in (("compare.robust.corpora", ["tess"]), ("compare.retrain.recipes", ["model knn"])):
        if any(each.key == key for each in page.get("button_group")):
            page.button_group(key).set_value(names if key.endswith("corpora") else page.button_group(key).value[:1])
    page.run().button(f"compare.{name}.start").click().run()
    shows(page, sign)
    assert is_clean(done_here)
    assert [job.status.stage for job in jobs.jobs(tmp_path / "runs")] == [run_folder.DONE]


@pytest.mark.slow
@pytest.mark.parametrize("method", [clip_map.PCA, clip_map.TSNE])
def test_a_map_is_drawn_elsewhere(method: str, done_here: list[str], tmp_path: Path) -> None:
    ruled_corpus.write_as_ravdess(tmp_path / "corpora" / "ravdess")
    page = visit("pages/corpora.py", corpora__tab="Explore", corpora__explore__section="Map")
    shows(page, "nearest clips")
    page.session_state["corpora.map.method"] = method
    page.run()
    shows(page, "nearest clips")
    assert is_clean(done_here)


def test_the_pages_load_no_library_that_only_workers_and_trainings_need() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "pages" / "ui").rglob("*.py"))
        if "live" not in path.parts  # its connection brings libraries of its own
    ]
    others = {"sklearn", "onnxruntime", "librosa", "joblib", "dask", "scipy.signal", "scipy.sparse", "cryptography"}
    code = f"import importlib, sys; [importlib.import_module(each) for each in {modules}]; print(*{others} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(modules) > 50 and done.stdout.split() == []
