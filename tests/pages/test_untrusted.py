"""Names that others gave, in every file and table that leaves: no formula for a spreadsheet, nothing unseen, no folder of the server."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pages.ui import downloads, frame, prediction_cards, recognition, state, timeline_downloads
from pages.ui.batch import run
from pages.ui.batch import table as batch_table
from pages.ui.batch.table import as_json

# What the page shows of a log; a run that fails with such a log takes a training.
from pages.ui.train.run import _log_text
from ser_core.audio import decoding, waveform
from ser_core.corpora import catalogue, install, recorded, scan, uploads
from ser_core.dataset import exploration, export
from ser_core.recognition import analysis, batch, store, timeline
from tests.support import pages

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
FORMULA = '=HYPERLINK("http://x";"y")'
NAMES = [
    f"{FORMULA}.flac",
    "+1.flac",
    "-1+1.flac",
    "@SUM(A1).flac",
    "\t=1.flac",
    " =1.flac",
    "＝1.flac",
    "\u200b=1.flac",
    "a;=1+1.flac",
    "\u202egpj.exe.flac",
    "\x1b[31mred.flac",
    f"{'a' * 5000}.flac",
    "a\0b.flac",
]
COMPUTED = re.compile(r"(?:^|;)[\s\u200b]*[=+\-@＝](?!\d+(?:\.\d+)?(?:e-?\d+)?$)")
"""What a spreadsheet computes; a number with a sign is one."""


def answer(label: str = "sad") -> dict:
    return {
        "model": "knn",
        "label": label,
        "sure": None,
        "milliseconds": 1.0,
        "probabilities": {"sad": 0.6, "calm": 0.4},
    }


def run_of(names: list[str], title: str = FORMULA) -> run.Run:
    """A batch of some names in a zip that has ended: the first half with answers, the others with an error."""
    found = uploads.collect([("all.zip", packed(dict.fromkeys(names, b"")))])
    results = [
        {
            "file": each.name,
            "duration_s": 2.0,
            "quality": {"summary": "fine"},
            "speech": True,
            "predictions": [answer()],
        }
        if number % 2
        else {"file": each.name, "error": f"{each.name} is empty."}
        for number, each in enumerate(found.recordings)
    ]
    titles, labels = {"knn": title, "mlp": f"{title}\u202e"}, {"knn": ("sad", "calm"), "mlp": ("sad",)}
    return run.Run(found, titles, labels, frozenset(), results=results)


def packed(files: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file


def clips_of(names: list[str], folder: Path) -> pd.DataFrame:
    """A corpus whose table gives the names to its clips, speakers and sentences."""
    (folder / "x.wav").write_bytes(SPEECH)
    rows = []
    for number, name in enumerate(names):
        (folder / f"{number}.wav").write_bytes(SPEECH)
        rows.append([f"{number}.wav", "sad", name, name, name])
    file = io.StringIO()
    csv.writer(file).writerows([["path", "label", "speaker", "sentence", "name"], *rows])
    (folder / "clips.csv").write_text(file.getvalue().replace("\0", ""), encoding="utf-8", newline="")
    return scan.read_table(folder / "clips.csv", corpus="mine")


def features_of(names: list[str], folder: Path) -> str:
    clips = clips_of(names, folder)
    facts, vectors = pd.DataFrame({"duration_s": np.ones(len(clips))}), np.ones((len(clips), 1), np.float32)
    measured = exploration.Measured(facts, vectors, ("=x",), (), "")
    return export.encode(export.table(clips, measured, np.full(len(clips), "")), "csv").decode()


def own_table(names: list[str], folder: Path) -> str:
    name = recorded.create(folder, FORMULA)
    loud = decoding.decode(SPEECH).waveform
    for number, each in enumerate(names):
        data = waveform.encode_wav(waveform.Waveform(loud.samples * (1 - 0.04 * number), loud.sample_rate))
        recorded.add(folder, name, data, label="sad", speaker=each, sentence=each)
    assert {f"{name}:{clip.speaker}" for clip in recorded.clips(folder, name)} == set(
        scan.read_table(folder / name / "clips.csv", corpus=name)[catalogue.SPEAKER]
    ), "what is read is what was written"
    return (folder / name / "clips.csv").read_text(encoding="utf-8")


def installed_table(names: list[str], folder: Path) -> str:
    inside = {f"sad/{name.replace('/', ':')}": b"" for name in names if len(name) < 200 and "\0" not in name}
    made = install.install_own("A", packed(inside), folder, speaker_pattern="sad/(?P<speaker>.*)[.]")
    assert len(scan.read_table(made / "clips.csv", corpus="a")) == len(inside), "each clip is found again"
    return (made / "clips.csv").read_text(encoding="utf-8")


def windows(names: list[str], folder: Path) -> str:
    found = timeline.analyse(SPEECH, timeline.window_predictor([]), window_s=1.0)
    offers = [each for name in names for each in timeline_downloads.offers(name, SPEECH, found) if each.key == "csv"]
    return "".join(str(each.build()) for each in offers)


def command_line(names: list[str], folder: Path) -> str:
    results = [{"file": name, "error": f"{name} is empty."} for name in names]
    columns = batch.columns({"knn": ("sad", FORMULA)})
    return batch.csv_lines([row for each in results for row in batch.rows(each)], columns, header=True)


def probabilities(names: list[str], folder: Path) -> str:
    evil = names[0]
    return downloads.probabilities_csv(
        [analysis.Prediction(model=evil, label=evil, probabilities={evil: 0.5, "=x": 0.5}, milliseconds=1.0)]
    )


def toolbar(names: list[str], folder: Path) -> str:
    """What st.dataframe's own button saves: the cells, as they were sent."""
    shown = [
        downloads.cells(batch_table.table(run_of(names))),
        downloads.cells(
            pd.DataFrame({"=1": names, "-1": range(len(names))}, index=pd.Index(names, name="=x"))
        ).reset_index(),
    ]
    return "".join(each.to_csv(index=False) for each in shown)


WRITERS: dict[str, Callable[[list[str], Path], str]] = {
    "batch": lambda names, _: str(
        next(each for each in batch_table.offers(run_of(names)) if each.key == "csv").build()
    ),
    "command line": command_line,
    "timeline": windows,
    "predictions": probabilities,
    "features": features_of,
    "own corpus": own_table,
    "installed corpus": installed_table,
    "toolbar of a table": toolbar,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_no_csv_that_is_written_holds_a_formula(tmp_path: Path, writer: str) -> None:
    text = WRITERS[writer](NAMES, tmp_path)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) > 1
    assert not [cell for row in rows for cell in row if COMPUTED.search(cell)]
    if writer != "installed corpus":  # whose paths are those of files
        assert all(cell.isprintable() for row in rows for cell in row)


def test_every_csv_and_every_table_goes_the_same_way() -> None:
    strays = []
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "ser_core").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            first = ast.unparse(node.args[0]) if node.args else ""
            shown = first.startswith(("downloads.cells(", "cells(")) or (
                path.name == "protocols.py" and first == "shown"
            )
            if node.func.attr in ("to_csv", "writer", "DictWriter") and path.name != "untrusted_csv.py":
                strays.append(f"{path.name}:{node.lineno} writes CSV; untrusted_csv.py does.")
            if node.func.attr == "write_csv" and "untrusted_csv.safe(" not in first:
                strays.append(f"{path.name}:{node.lineno} writes CSV without untrusted_csv.safe.")
            if node.func.attr in ("dataframe", "data_editor") and not shown:
                strays.append(
                    f"{path.name}:{node.lineno} shows a table, whose toolbar saves it, without downloads.cells."
                )
    assert not strays


def test_cells_keep_their_numbers_and_names_of_columns_stay_apart() -> None:
    table = pd.DataFrame([[1, None, True, "x"]], columns=["A", "A\u200b", "A\ufeff", "=1"])
    shown = downloads.cells(table)
    assert list(shown.columns) == ["A", "A (2)", "A (3)", "'=1"] and shown.iloc[0, 0] == 1 and shown.iloc[0, 2]
    assert list(table.columns)[1] == "A\u200b"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_harmless_in_the_files_of_a_clip(models: Path, name: str) -> None:
    heard = analysis.analyse(SPEECH)
    found = timeline.analyse(SPEECH, timeline.window_predictor([]), window_s=1.0)
    for offer in [*downloads.offers(name, SPEECH, heard, list), *timeline_downloads.offers(name, SPEECH, found)]:
        assert re.fullmatch(r"\w[\w.-]{0,80}", offer.file_name), offer.file_name
        if offer.key == "json":
            text = str(offer.build())
            assert all(map(str.isprintable, text.split("\n"))) and len(json.loads(text)[0]["file"]) <= 120
        if offer.key == "html":
            assert "\x1b" not in str(offer.build()) and "HYPERLINK(" not in str(offer.build())


def test_markup_in_a_name_is_no_markup_in_the_page_of_pictures(models: Path) -> None:
    name = "</script><script>alert(1)</script><img src=x>.wav"
    html = next(
        each for each in downloads.offers(name, SPEECH, analysis.analyse(SPEECH), list) if each.key == "html"
    ).build()
    assert "alert(1)" not in str(html) and "<img" not in str(html)


def test_the_batch_page_shows_harmless_names(models: Path) -> None:
    page = pages.visit("pages/batch.py")
    names = [*[name for name in NAMES if "\0" not in name][-4:], NAMES[0]]
    inside = packed(
        {name.replace("/", "_"): SPEECH if "HYPER" in name else b"" for name in names} | {"\x1b[2J.csv": b"a,b\n"}
    )
    page.get("file_uploader")[0].set_value([("all.zip", inside.getvalue(), "application/zip")])
    page.run().button("batch.start").click().run()
    pages.finish(page, state.BATCH)
    assert not page.exception
    cells = [str(cell) for cell in page.dataframe[0].value.to_numpy().ravel()]
    assert not [cell for cell in cells if COMPUTED.search(cell) or not cell.isprintable() or len(cell) > 300]
    assert any(cell.startswith("'=HYPERLINK(") for cell in cells) and any("�gpj" in cell for cell in cells)
    assert all(each.value.isprintable() for each in page.markdown if "column" in each.value)
    made = as_json(page.session_state[state.BATCH])
    assert all(map(str.isprintable, made.split("\n")))


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_one_visible_line(name: str) -> None:
    shown = frame.plain(f"{name} is no sound.")
    assert shown.isprintable() and len(shown) < 2500 and shown.endswith(r"is no sound\.")


def test_a_page_names_no_folder_of_the_server(models: Path, tmp_path: Path) -> None:
    (models / "knn" / "card.json").write_text("{", encoding="utf-8")
    (models / "mlp" / next(iter(store.read_card("mlp", models).files))).unlink()
    page = pages.visit()
    page.button("recognize.sample.bright.flac").click().run()
    assert not page.exception and page.warning
    said = " ".join(str(each.value) for kind in (page.warning, page.error, page.markdown) for each in kind)
    said += " ".join(each.proto.body for each in page.get("html"))
    assert (
        "Restore knn" in said and "Restore" in said.split("mlp", 1)[1] and tmp_path.name not in said.replace("\\", "")
    )
    problem = recognition.Answer(store.list_models(models)[0][0], None, f"Restore {models / 'cnn'} or train it again.")
    assert str(tmp_path) not in prediction_cards.grid([problem]) and "Restore cnn" in prediction_cards.grid([problem])


def test_the_log_of_a_run_names_no_folder_of_the_server() -> None:
    trace = f'Traceback:\n  File "{ROOT}/ser_core/pipeline.py", line 7, in run\n\x1b[31mCorpusError: {Path.home()}/x y/z.wav'
    shown = _log_text(trace)
    assert (
        shown.count("\n") == 2
        and 'File "pipeline.py", line 7' in shown
        and str(ROOT) not in shown
        and "\x1b" not in shown
    )
