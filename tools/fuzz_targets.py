"""What is fuzzed: one row per reader of untrusted files, with the files it starts from, how they are changed, and what is called."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import soundfile

from ser_core.audio import decoding, waveform
from ser_core.classifiers import _onnx
from ser_core.cli import main
from ser_core.corpora import catalogue, doctor, install, library, recorded, scan, uploads
from ser_core.dataset import cache
from ser_core.experiments import cross_corpus, leakage_lab, measure, robustness, runs
from ser_core.experiments.workspace import Workspace, recall
from ser_core.features import vectors
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import analysis, personal, report, sandbox, store
from ser_core.recognition import timeline as recognition_timeline
from ser_core.recognition.bundle import MAX_BYTES, MAX_CARD_BYTES, MAX_LOADED_BYTES, export_model, import_model
from ser_core.recognition.card import ModelCard
from ser_core.recognition.timeline import MAX_DURATION_S, to_dict, window_predictor
from ser_core.serving import lesson
from ser_core.system import untrusted_json
from ser_core.system.spool import Spool
from ser_core.training import contamination, fit, jobs, supervisor
from ser_core.training.config import RunConfig
from ser_core.training.run_folder import read_config, read_epochs, read_log, read_rates, read_result, stop_request
from tools import foreign_networks, fuzz_models, fuzz_seeds, mutate

Mutate = Callable[[bytes, Sequence[bytes], np.random.Generator], bytes]


@dataclass(frozen=True)
class Target:
    """One row. share: of 1,000 inputs; seeds(empty folder): the files to start from; call(input, empty folder): what must bear it.

    few: seeds in place of those, for a run that may not take long. worst(): inputs that are tried as they are, the largest that the
    limits let in.
    """

    title: str
    share: int
    seeds: Callable[[Path], list[bytes]]
    mutate: Mutate
    call: Callable[[bytes, Path], None]
    few: Callable[[Path], list[bytes]] | None = None
    worst: Callable[[], list[bytes]] = list


def decode(data: bytes, place: Path) -> None:
    """Decode a sound, as for Recognize."""
    heard = decoding.decode(data, name="clip.wav")
    assert np.isfinite(heard.waveform.samples).all() and np.abs(heard.waveform.samples).max(initial=0) <= 1


def stream(data: bytes, place: Path) -> None:
    """Ask a sound how long it is, and read it piece by piece, as for a long recording; the pieces are what decoding gives."""
    said_s = decoding.declared_duration(data, max_duration_s=MAX_DURATION_S, name="clip.wav")
    assert said_s is None or said_s > 0
    given = decoding.stream(Spool(data), max_duration_s=MAX_DURATION_S, name="clip.wav")
    n = sum(len(block) for block in given.blocks())
    assert n > 0


def analyse(data: bytes, place: Path) -> None:
    """Decode and measure a sound, and say how good it is."""
    heard = analysis.analyse(data, name="clip.wav")
    json.dumps(analysis.to_dict("clip.wav", heard, []), allow_nan=False)


def timeline(data: bytes, place: Path) -> None:
    """Cut a recording into windows, and measure each."""
    json.dumps(
        to_dict("clip.wav", recognition_timeline.analyse(data, window_predictor([]), name="clip.wav")), allow_nan=False
    )


def record(data: bytes, place: Path) -> None:
    """Add a sound to a corpus that is recorded here."""
    name = recorded.create(place, "Mine")
    recorded.add(place, name, data, label="happy", speaker=data[:8].decode(errors="replace") + "a")
    assert len(library.clips(place, [name])) == 1


def upload(data: bytes, place: Path) -> None:
    """Look through a zip of recordings and a table, and read each of them."""
    given = uploads.collect([("../a.zip", io.BytesIO(data))])
    for each in given.recordings[:20]:
        with contextlib.suppress(decoding.AudioError):
            each.read()


def upload_table(data: bytes, place: Path) -> None:
    """Read a table of true labels that comes with recordings."""
    given = uploads.collect(
        [("labels.csv", io.BytesIO(data)), ("a.wav", io.BytesIO(b"RIFF")), ("happy/b.wav", io.BytesIO(b"RIFF"))]
    )
    assert len(given.recordings) == 2


def install_own(data: bytes, place: Path) -> None:
    """Install a zip of somebody's own recordings as a corpus, read its clips and look for what is wrong with them."""
    folder = install.install_own("Mine", data, place / "corpora")
    clips = library.clips(place / "corpora", [folder.name])
    assert all(Path(path).resolve().is_relative_to(folder.resolve()) for path in clips[catalogue.PATH])
    doctor.check(folder.name, folder)


def install_known(data: bytes, place: Path) -> None:
    """Install a zip as one of the known corpora."""
    install.install_archive("ravdess" if len(data) % 2 else "savee", data, place / "corpora")


def bundle(data: bytes, place: Path) -> None:
    """Import a model, list it, write its card, and let it hear three seconds; then pass it on and delete it."""
    models = place / "models"
    card = import_model(data, models)
    heard = store.load(card.slug, models)
    samples = np.random.default_rng(1).normal(scale=0.1, size=3 * card.features.sample_rate).astype(np.float32)
    measured = analysis.measure(
        decoding.Clip(waveform.Waveform(samples, card.features.sample_rate), "WAV", 16_000, 1), card.features
    )
    answer = heard.answer(vectors.inputs(measured.clip.waveform, measured.features, heard.input_kind))
    assert abs(sum(answer.probabilities.values()) - 1) < 1e-3, answer
    import_model(export_model(card.slug, models), models)
    _show(card)
    store.delete(card.slug, models)


def network(data: bytes, place: Path) -> None:
    """Look through a network, and ask in its sandbox what it says of some windows."""
    _onnx.check_foreign(data)
    sandbox.try_out(sandbox.Model("cnn", catalogue.LABELS, data), WINDOWS)


WINDOWS = (
    np.random.default_rng(0).normal(size=(2, foreign_networks.N_FRAMES, foreign_networks.N_COLUMNS)).astype(np.float32)
)

_START = sandbox.Process
_SPARE: dict[str, sandbox.Process] = {}


def keep_processes() -> None:
    """Have the processes of the sandbox used by one input after another, unless they are lost: to start one takes longer than a trial."""
    sandbox.Process = _Again  # type: ignore[assignment, misc]


class _Again:
    """A process of the sandbox, new or as another input left it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._process: sandbox.Process | None = _SPARE.pop(kind, None)
        if self._process is None:
            watched, tempfile.tempdir = (
                tempfile.tempdir,
                None,
            )  # its folder stays for longer than the input for which it is made
            try:
                self._process = _START(kind)
            finally:
                tempfile.tempdir = watched

    def load(self, *given: Any, **named: Any) -> None:
        self._ask("load", *given, **named)

    def predict(self, *given: Any, **named: Any) -> Any:
        return self._ask("predict", *given, **named)

    def _ask(self, what: str, *given: Any, **named: Any) -> Any:
        try:
            return getattr(self._process, what)(*given, **named)
        except sandbox.LostError:
            self._process = None
            raise

    def end(self) -> None:
        process, self._process = self._process, None
        if process and self._kind in _SPARE:
            process.end()
        elif process:
            _SPARE[self._kind] = process


def card(data: bytes, place: Path) -> None:
    """List a models folder with a changed card, and show what it says."""
    (place / "mine").mkdir()
    (place / "mine" / store.CARD).write_bytes(data)
    cards, problems = store.list_models(place)
    assert len(cards) + len(problems) == 1
    for each in cards:
        _show(each)
        store.rename(each.slug, title="Another", folder=place)


def _show(card: ModelCard) -> None:
    """Make of a card what the pages make of it."""
    page = report.html(card)
    assert "<b>&" not in page, "the page holds untrusted text as it is"
    contamination.heard(card, CLIPS)
    contamination.heard_by(card, CLIPS, Path("nowhere"))


def table(data: bytes, place: Path) -> None:
    """Read an untrusted table of clips."""
    _some_clips(place)
    (place / "clips.csv").write_bytes(data)
    clips = scan.read_table(place / "clips.csv", corpus="mine", inside=True)
    assert all(Path(path).resolve().is_relative_to(place.resolve()) for path in clips[catalogue.PATH])


def parquet(data: bytes, place: Path) -> None:
    """Read the same as Parquet, which only somebody with a hand on this machine may bring."""
    _some_clips(place)
    (place / "clips.parquet").write_bytes(data)
    scan.read_table(place / "clips.parquet", corpus="mine")


def own_table(data: bytes, place: Path) -> None:
    """Read, pack and delete a corpus whose table somebody changed."""
    name = recorded.create(place, data[:20].decode(errors="replace") + "Mine")
    (place / name / "clips.csv").write_bytes(data)
    (place / name / "title.txt").write_bytes(data)
    for clip in set(re.findall(rb"[0-9a-f]{16}", data)):
        (place / name / "recordings" / f"{clip.decode()}.wav").write_bytes(b"RIFF")
    recorded.listing(place)
    clips = recorded.clips(place, name)
    recorded.pack(place, name)
    if clips:
        recorded.relabel(place, name, clips[0].id, "sad")
        recorded.delete(place, name, [clips[0].id])
    recorded.delete_all(place, name)


def left_out(data: bytes, place: Path) -> None:
    """Read a list of clips to leave out."""
    folder = place / ".left-out" / "mine"
    folder.mkdir(parents=True)
    (folder / "by_hand.json").write_bytes(data)
    library.left_out(place, "mine")


def run_folder(data: bytes, place: Path) -> None:
    """List and read a run whose files were changed."""
    folder = _write_run(data, place)
    found = jobs.jobs(place)
    for job in found:
        jobs.may_stop(job, browser="a", key="b")
        jobs.printed(job)
        json.dumps(job.status.__dict__)
        f"{job.status.fraction:.0%} {job.status.epoch:d} {job.status.epochs:d}" + job.status.text + job.status.problem
    read_epochs(folder)
    read_result(folder)
    read_log(folder)
    read_rates(place)
    stop_request(folder)
    RunConfig.from_dict(read_config(folder))


def measurement(data: bytes, place: Path) -> None:
    """Find a run that measures by what it measures, and read what it found."""
    folder = _write_run(data, place)
    for job in jobs.jobs(place):
        job.kind.title()
    found = runs.read(folder)
    if isinstance(found, robustness.Robustness):
        json.dumps(robustness.dump(found))
    jobs.of_subject(place, runs.subject(runs.read_config(folder)))


def _write_run(data: bytes, place: Path) -> Path:
    """Write the files of a run that an input holds, into each that it leaves out the input as it is, and return its folder."""
    folder = place / "20260101-000000-abcdef00"
    folder.mkdir()
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    for name in fuzz_seeds.RUN_FILES:
        value = values.get(name) if isinstance(values, dict) else None
        text = (
            data
            if value is None
            else (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")
        )
        (folder / name).write_bytes(text)
        (place / name).write_bytes(text)
    (folder / supervisor.OUTPUT).write_bytes(data[:3000])
    return folder


def config(data: bytes, place: Path) -> None:
    """Train with settings from a file, as far as they can be read: there is no corpus here."""
    (place / "settings.json").write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = main.main(["train", "--plan", "--config", str(place / "settings.json"), "--json"])
    assert status == 2, status


def result(data: bytes, place: Path) -> None:
    """Read results of the lab, the map, an evaluation and of parts that are kept for next time."""
    path = place / "results.json"
    path.write_bytes(data)
    leakage_lab.command(path)
    kept = Workspace(results=place)
    recall(kept, path.stem, Evaluation.from_dict)
    recall(kept, path.stem, functools.partial(robustness._kept, n_clips=3))
    recall(kept, path.stem, functools.partial(measure._kept, test=np.ones(5, bool)))
    fit._read_fold(path, np.arange(5), [fit.AS_RECORDED])
    for read in (leakage_lab.read_results, cross_corpus.read_results):
        with contextlib.suppress(leakage_lab.ConfigError):
            read(path)
    with contextlib.suppress(ValueError):
        values = untrusted_json.loads(data)
        Evaluation.from_dict(values)


def lesson_state(data: bytes, place: Path) -> None:
    """Read what is kept of a lesson, and find out what it made."""
    (place / "lesson.json").write_bytes(data)
    kept = lesson.read(place)
    if kept:
        lesson.made(kept).lines()


def voice(data: bytes, place: Path) -> None:
    """Load a saved voice, hear a clip with it, and save it again."""
    references = [fuzz_seeds.reference(slug) for slug in fuzz_seeds.VOICE_MODELS]
    found = personal.Voice.from_bytes(data, references)
    for each in references:
        shares = np.full(len(each.labels), 1 / len(each.labels))
        seen = np.zeros(0 if each.means is None else each.means.shape[1])
        answer = found.answer(each.slug, seen, shares)
        assert np.isfinite(answer).all() and abs(answer.sum() - 1) < 1e-6, answer
    personal.Voice.from_bytes(found.to_bytes(), references)


def arrays(data: bytes, place: Path) -> None:
    """Read a file of the features' cache."""
    (place / "a.npz").write_bytes(data)
    cache.read_arrays(place / "a.npz", "vector", "facts", "windows")


def _some_clips(place: Path) -> None:
    for name in ("happy/a.wav", "sad/b.wav", "sad/c.flac"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(b"x")


def _clips() -> pd.DataFrame:
    rows = [
        (f"/nowhere/{n}.wav", "ravdess", f"ravdess:{n:02}", "happy", "", "", "", f"03-01-03-01-01-01-{n:02}")
        for n in range(1, 4)
    ]
    return pd.DataFrame(rows, columns=list(catalogue.COLUMNS))


CLIPS = _clips()


def loud() -> list[bytes]:
    """Return the largest sounds that are let in: as many bytes, channels and seconds as may be."""
    second = np.tile(fuzz_seeds.voice(seconds=1.0), 590)
    pcm = waveform.to_pcm(second)
    silence = np.zeros(590 * 48_000, np.int16)
    many = io.BytesIO()
    soundfile.write(
        many,
        np.tile(np.float64(fuzz_seeds.voice(rate=384_000, seconds=1.0))[:, None], (8, 8)),
        384_000,
        format="WAV",
        subtype="DOUBLE",
    )
    return [waveform.encode_pcm(pcm, 16_000), waveform.encode_pcm(silence, 48_000, container="FLAC"), many.getvalue()]


def heavy_models() -> list[bytes]:
    """Return bundles that are loaded to as much as may be, most of them of next to nothing."""
    with tempfile.TemporaryDirectory() as place:
        files = dict(fuzz_seeds.unpacked(fuzz_seeds.models(Path(place), ("mlp",))[0]))
        network = dict(fuzz_seeds.unpacked(fuzz_seeds.networks(Path(place))[0]))
    members = mutate.unpack(files["model.skops"])
    at = next(n for n, (info, _) in enumerate(members) if info.filename.endswith(".npy"))
    npy = io.BytesIO()
    np.save(npy, np.zeros((MAX_LOADED_BYTES - 2**20) // 8))
    found = []
    for packing in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        members[at][0].compress_type = packing
        heavy = mutate.pack([*members[:at], (members[at][0], npy.getvalue()), *members[at + 1 :]])
        found.append(fuzz_seeds.fixed(files | {"model.skops": heavy}))
    model = onnx.load_model_from_string(network["model.onnx"])
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.zeros((MAX_LOADED_BYTES - 2**21) // 4, np.float32), "heavy")
    )
    keras = fuzz_seeds.packed({"a": bytes(MAX_BYTES - 2**20)})
    found.append(fuzz_seeds.fixed(network | {"model.onnx": model.SerializeToString(), store.KERAS_FILE: keras}))
    deep = b'{"a":' * 800_000
    found.append(
        fuzz_seeds.packed({**files, store.CARD: files[store.CARD][:-2] + b"," + b" " * (MAX_CARD_BYTES - 2**20) + deep})
    )
    return found


def greedy_networks() -> list[bytes]:
    """Return networks that are small, pass the static check, and take all that they are let."""
    made = [foreign_networks.expanding(size) for size in (10_000, 30_000)] + [foreign_networks.multiplying(100, 2000)]
    return [each.SerializeToString() for each in made]


TARGETS: dict[str, Target] = {
    "decode": Target("The decoder", 280, fuzz_seeds.all_sounds, mutate.mutate_bytes, decode, worst=loud),
    "stream": Target("The decoder of long recordings", 110, fuzz_seeds.all_sounds, mutate.mutate_bytes, stream),
    "analyse": Target("A sound from bytes to its quality", 20, fuzz_seeds.sounds, mutate.mutate_bytes, analyse),
    "timeline": Target("A recording moment by moment", 10, fuzz_seeds.sounds, mutate.mutate_bytes, timeline),
    "record": Target("Recordings for a corpus", 5, fuzz_seeds.spoken, mutate.mutate_bytes, record),
    "upload": Target("Zips of recordings", 90, fuzz_seeds.zips, mutate.mutate_zip, upload),
    "upload-table": Target("Tables of true labels", 60, fuzz_seeds.tables, mutate.mutate_csv, upload_table),
    "install-own": Target("Zips of user-recorded corpora", 25, fuzz_seeds.zips, mutate.mutate_zip, install_own),
    "install-known": Target("Zips of known corpora", 20, fuzz_seeds.zips, mutate.mutate_zip, install_known),
    "bundle": Target(
        "Models as files",
        15,
        fuzz_seeds.models,
        mutate.mutate_zip,
        bundle,
        few=fuzz_seeds.few_models,
        worst=heavy_models,
    ),
    "weights": Target(
        "Models behind their hashes", 15, fuzz_seeds.models, fuzz_models.mutate_model, bundle, few=fuzz_seeds.few_models
    ),
    "networks": Target(
        "Networks in their sandbox", 100, fuzz_seeds.graphs, fuzz_models.mutate_graph, network, worst=greedy_networks
    ),
    "card": Target("Cards of models", 50, fuzz_seeds.cards, mutate.mutate_json, card),
    "table": Target("Tables of clips", 50, fuzz_seeds.tables, mutate.mutate_csv, table),
    "parquet": Target("Tables of clips as Parquet", 10, fuzz_seeds.parquets, mutate.mutate_bytes, parquet),
    "own-table": Target("Tables of recorded corpora", 15, fuzz_seeds.own_tables, mutate.mutate_csv, own_table),
    "left-out": Target("Lists of clips to leave out", 10, fuzz_seeds.lists, mutate.mutate_json, left_out),
    "run": Target("Folders of training runs", 25, fuzz_seeds.run_folders, mutate.mutate_json, run_folder),
    "measurement": Target("Folders of measurements", 10, fuzz_seeds.measurements, mutate.mutate_json, measurement),
    "config": Target("Settings of training runs", 20, fuzz_seeds.configs, mutate.mutate_json, config),
    "result": Target("Stored results", 20, fuzz_seeds.results, mutate.mutate_json, result),
    "voice": Target("Saved voices", 20, fuzz_seeds.voices, mutate.mutate_json, voice),
    "lesson": Target("The state of a lesson", 10, fuzz_seeds.lessons, mutate.mutate_json, lesson_state),
    "cache": Target("The cache of features", 10, fuzz_seeds.arrays, mutate.mutate_zip, arrays),
}
