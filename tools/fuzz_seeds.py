"""The files that fuzzing starts from, all made by the project itself: synthetic voices in every encoding, zips, models, runs, tables."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import soundfile
import soxr

from ser_core import classifiers, paths
from ser_core.audio import waveform
from ser_core.corpora import catalogue, recorded
from ser_core.dataset import cache
from ser_core.experiments import cross_corpus, leakage_lab, robustness, runs
from ser_core.features import config, vectors
from ser_core.metrics import evaluation
from ser_core.recognition import personal, store
from ser_core.recognition.bundle import export_model
from ser_core.serving import lesson
from ser_core.system.files import utc_now
from ser_core.training import contamination, jobs, run_folder, supervisor
from ser_core.training.config import RunConfig
from tools import foreign_networks

VOICES = Path(__file__).resolve().parents[1] / "pages" / "samples"

SNDFILE = (
    ("WAV", "PCM_16", 16_000, 1),
    ("WAV", "PCM_24", 44_100, 2),
    ("WAV", "PCM_U8", 8000, 1),
    ("WAV", "FLOAT", 48_000, 1),
    ("WAV", "DOUBLE", 16_000, 1),
    ("WAV", "ULAW", 8000, 1),
    ("WAV", "IMA_ADPCM", 16_000, 1),
    ("WAV", "MS_ADPCM", 16_000, 1),
    ("WAV", "GSM610", 8000, 1),
    ("WAVEX", "PCM_16", 16_000, 6),
    ("RF64", "PCM_16", 16_000, 1),
    ("W64", "PCM_16", 16_000, 1),
    ("AIFF", "PCM_16", 16_000, 1),
    ("AIFF", "IMA_ADPCM", 16_000, 1),
    ("AU", "PCM_16", 16_000, 1),
    ("AU", "G721_32", 8000, 1),
    ("CAF", "PCM_16", 16_000, 1),
    ("CAF", "ALAC_16", 16_000, 1),
    ("FLAC", "PCM_16", 16_000, 1),
    ("FLAC", "PCM_24", 48_000, 2),
    ("OGG", "VORBIS", 16_000, 1),
    ("OGG", "OPUS", 16_000, 1),
    ("MP3", "MPEG_LAYER_III", 16_000, 1),
    ("NIST", "PCM_16", 16_000, 1),
    ("VOC", "PCM_16", 16_000, 1),
)
"""libsndfile's formats: container, samples, rate in Hz, channels."""

FFMPEG = (
    ("mp4", "aac", 44_100, "fltp"),
    ("mov", "pcm_s16le", 16_000, "s16"),
    ("ipod", "alac", 16_000, "s16p"),
    ("adts", "aac", 16_000, "fltp"),
    ("webm", "libopus", 48_000, "s16"),
    ("webm", "libvorbis", 16_000, "fltp"),
    ("matroska", "pcm_f32le", 16_000, "flt"),
    ("matroska", "libmp3lame", 16_000, "s16p"),
    ("asf", "wmav2", 44_100, "fltp"),
    ("avi", "pcm_s16le", 16_000, "s16"),
    ("avi", "libmp3lame", 16_000, "s16p"),
    ("flv", "libmp3lame", 22_050, "s16p"),
    ("mp3", "libmp3lame", 44_100, "s16p"),
    ("ogg", "libopus", 48_000, "s16"),
    ("wv", "wavpack", 16_000, "s16p"),
    ("tta", "tta", 16_000, "s16"),
    ("ac3", "ac3", 48_000, "fltp"),
    ("mpegts", "mp2", 48_000, "s16"),
    ("3gp", "aac", 16_000, "fltp"),
    ("amr", "libopencore_amrnb", 8000, "s16"),
    ("aiff", "pcm_s16be", 16_000, "s16"),
    ("caf", "pcm_s16be", 16_000, "s16"),
    ("wav", "adpcm_ms", 16_000, "s16"),
)
"""FFmpeg's: container, encoder, rate in Hz, format of samples. A build that lacks an encoder has a seed less."""


@functools.cache
def voice(name: str = "bright", *, rate: int = 16_000, seconds: float = 0.6) -> np.ndarray:
    """Return the middle of a synthetic voice, float32 (n,)."""
    samples, source_rate = soundfile.read(VOICES / f"{name}.flac", dtype="float32")
    start = len(samples) // 4
    return soxr.resample(samples[start : start + round(seconds * source_rate)], source_rate, rate).astype(np.float32)


def wav(name: str = "bright", *, seconds: float = 0.6) -> bytes:
    """Return a synthetic voice as a WAV file of 16 kHz."""
    return waveform.encode_wav(waveform.Waveform(voice(name, seconds=seconds), 16_000))


def sounds(place: Path) -> list[bytes]:
    """Return a voice in every encoding that can be written here."""
    found = []
    for container, samples, rate, channels in SNDFILE:
        file = io.BytesIO()
        soundfile.write(
            file, np.repeat(voice(rate=rate)[:, np.newaxis], channels, axis=1), rate, format=container, subtype=samples
        )
        found.append(file.getvalue())
    return found + [_encoded(*row) for row in FFMPEG if row[1] in av.codecs_available]


def found_sounds(place: Path) -> list[bytes]:
    """Return files as people have them: several tracks, joined, unfinished, with junk before and behind, with channels that differ."""
    mp3, aac, opus = (
        _encoded(*row)
        for row in (
            ("mp3", "libmp3lame", 16_000, "s16p"),
            ("adts", "aac", 16_000, "fltp"),
            ("ogg", "libopus", 48_000, "s16"),
        )
    )
    plain, tag = wav(), b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0"
    flac = waveform.encode_pcm(waveform.to_pcm(voice()), 16_000, container="FLAC")
    halves = len(plain) // 2
    data = (
        b"WAVE"
        + plain[12:36]
        + b"".join(b"data" + len(part).to_bytes(4, "little") + part for part in (plain[44:halves], plain[halves:]))
    )
    two = np.stack([voice(), voice("slow_low")], axis=1)
    files = [
        mp3 + mp3,
        opus + opus,
        flac + flac,
        plain + plain,
        b"RIFF" + len(data).to_bytes(4, "little") + data,
        plain[:40] + bytes(4) + plain[44:],
        b"RF64" + plain[4:40] + b"\xff" * 4 + plain[44:],
        bytes(417) + mp3,
        b"\r\n" + plain,
        tag + aac,
        tag + bytes(100) + mp3 + b"TAG" + bytes(125),
        flac[: 2 * len(flac) // 3],
        _encoded("mp4", "aac", 16_000, "fltp", tracks=2),
        _encoded("matroska", "pcm_s16le", 16_000, "s16", tracks=3),
        _encoded("mpegts", "mp2", 48_000, "s16", tracks=2),
    ]
    for sound in (two, two * [1, -1] + 0.1, np.concatenate([two] * 3, axis=1)):
        file = io.BytesIO()
        soundfile.write(file, sound, 16_000, format="WAV")
        files.append(file.getvalue())
    return files


def all_sounds(place: Path) -> list[bytes]:
    """Return a voice in every encoding, and files as people have them."""
    return sounds(place) + found_sounds(place)


def _encoded(container: str, encoder: str, rate: int, sample_format: str, *, tracks: int = 1) -> bytes:
    """Return a voice in a file that FFmpeg writes, as often as there are tracks."""
    file = io.BytesIO()
    pcm = waveform.to_pcm(voice(rate=rate))[np.newaxis]
    options = {"fflags": "+bitexact"}  # else each file has another name for its tracks
    with av.open(file, "w", format=container, container_options=options) as out:
        for stream in [out.add_stream(encoder, rate=rate, layout="mono") for _ in range(tracks)]:
            stream.bit_rate = stream.bit_rate or 64_000
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate = rate
            resampled = av.AudioResampler(
                format=sample_format, layout="mono", rate=rate, frame_size=stream.codec_context.frame_size or None
            )
            for part in (*resampled.resample(frame), *resampled.resample(None)):
                part.pts = None
                for packet in stream.encode(part):
                    out.mux(packet)
            for packet in stream.encode(None):
                out.mux(packet)
    return file.getvalue()


def spoken(place: Path) -> list[bytes]:
    """Return voices long enough to be judged, and one file without any."""
    short = wav("no_speech", seconds=0.4)
    flac = waveform.encode_pcm(waveform.to_pcm(voice("slow_low", seconds=1.5)), 16_000, container="FLAC")
    return [wav(seconds=1.5), flac, short]


def packed(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip of files by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


TABLE = b"path,label,speaker,sentence\nhappy/a.wav,happy,anna,one\nsad/b.wav,sad,ben,two\nsad/c.flac,sad,ben,\n"


def zips(place: Path) -> list[bytes]:
    """Return zips of recordings: with a table, in folders named after labels, with the names of two corpora."""
    short = wav(seconds=0.2)
    flac = waveform.encode_pcm(waveform.to_pcm(voice(seconds=0.2)), 16_000, container="FLAC")
    files = {"happy/a.wav": short, "sad/b.wav": short, "sad/c.flac": flac}
    told = b"file,label\na.wav,happy\nsad/b.wav,boredom\n"
    return [
        packed(files),
        packed({"clips.csv": TABLE, **files}),
        packed({f"mine/{name}": content for name, content in files.items()}),
        packed({"labels.csv": told, **files, "notes.txt": b"hello", "__MACOSX/._a.wav": b"x"}),
        packed({"Actor_01/03-01-03-01-01-01-01.wav": short, "Actor_02/03-01-04-01-02-01-02.wav": short}),
        packed({"DC_a01.wav": short, "JK_sa02.wav": short}),
    ]


def tables(place: Path) -> list[bytes]:
    """Return tables that list recordings and their labels."""
    return [
        TABLE,
        b"file;label\r\na.wav;happy\r\nb.wav;sad\r\n",
        b"filename\temotion\na.wav\tangry\nc.flac\tneutral\n",
        b'\xef\xbb\xbfpath,emotion,speaker,name\n"happy/a.wav",Happy,"anna, b.",x\nsad/b.wav,SAD,,y\n',
    ]


def own_tables(place: Path) -> list[bytes]:
    """Return the table of a corpus that was recorded here."""
    name = recorded.create(place, "Class 9b")
    for number, label in enumerate(("happy", "sad")):
        recorded.add(
            place, name, spoken(place)[number], label=label, speaker="anna", sentence=recorded.SENTENCES[number]
        )
    return [(place / name / "clips.csv").read_bytes()]


SMALL = config.FeatureConfig(n_mels=8, n_mfcc=4)
QUICK = ("mlp", "svm", "forest", "logistic")
"""Classifiers that are fitted in a moment."""


@functools.cache
def _fitted(classifier: str) -> classifiers.TrainableClassifier:
    """Return a small classifier of summaries, fitted to invented numbers."""
    small = {
        "mlp": {"hidden": 8, "epochs": 2},
        "forest": {"n_trees": 10},
        "boosting": {"epochs": 1, "max_leaves": 4},
    }.get(classifier, {})
    y = np.arange(48) % 4
    X = np.zeros((len(y), len(vectors.summary_columns(SMALL))), np.float32)
    X[:, :40] = np.random.default_rng(0).normal(size=(len(y), 40)) * 50
    return classifiers.build(classifier, catalogue.LABELS[:4], {**small, "seed": 0}).fit(X, y)


def models(place: Path, kinds: Iterable[str] = tuple(classifiers.CLASSIFIERS)) -> list[bytes]:
    """Return a bundle of a small model of every kind: those of summaries fitted here, the networks as they are shipped."""
    shipped = store.read_card("mlp")
    found = []
    for name in kinds:
        spec = classifiers.CLASSIFIERS[name]
        if spec.input_kind != "frames":
            made = _fitted(name)
            card = replace(
                shipped,
                slug=name,
                title=f"A {spec.title}",
                classifier=name,
                labels=catalogue.LABELS[:4],
                hyperparameters={},
                features=SMALL,
                evaluation=_evaluation(),
                per_corpus={"ravdess": _evaluation()},
            )
            store.save(lambda files, card=card: replace(card, files=files), made, place)  # type: ignore[misc]
            found.append(export_model(name, place))
    return found + networks(place)


def few_models(place: Path) -> list[bytes]:
    """Return bundles of the kinds that are fitted in a moment, and the networks."""
    return models(place, QUICK)


def networks(place: Path) -> list[bytes]:
    """Return bundles of the networks as they are shipped, with next to nothing in place of what training goes on from."""
    found = []
    for name in ("cnn", "cnn_lstm"):
        files = dict(unpacked(export_model(name)))
        files[store.KERAS_FILE] = packed({"config.json": b"{}", "model.weights.h5": b"x"})
        found.append(fixed(files))
    return found


def graphs(place: Path) -> list[bytes]:
    """Return networks as they are shipped, and a small one."""
    shipped = [(paths.models_folder() / name / "model.onnx").read_bytes() for name in ("cnn", "cnn_lstm")]
    return [*shipped, foreign_networks.honest().SerializeToString()]


def _evaluation() -> evaluation.Evaluation:
    y = np.arange(40) % 4
    return evaluation.evaluate(
        y,
        np.eye(4)[(y + (np.arange(40) % 3 == 0)) % 4] * 0.8 + 0.05,
        labels=catalogue.LABELS[:4],
        speakers=y % 5,
        protocol="speaker",
        corpus="ravdess",
        rng=np.random.default_rng(0),
        n_bootstrap=20,
    )


def unpacked(bundle: bytes) -> list[tuple[str, bytes]]:
    """Return the files of a bundle."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def fixed(files: Mapping[str, bytes]) -> bytes:
    """Return a bundle whose card has the hashes of its files, so that what is behind that check is reached."""
    weights = {name: content for name, content in files.items() if name != store.CARD}
    try:
        card = json.loads(files[store.CARD])
        card["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in weights.items()}
        text = json.dumps(card).encode()
    except (ValueError, TypeError, RecursionError):  # the card was changed beyond that
        text = files[store.CARD]
    return packed({store.CARD: text, **weights})


def cards(place: Path) -> list[bytes]:
    """Return the cards of a small model and of the shipped networks."""
    small = dict(unpacked(models(place, ("mlp",))[0]))[store.CARD]
    return [
        json.dumps(json.loads(card) | {"slug": "mine"}).encode()
        for card in (small, (paths.models_folder() / "cnn" / store.CARD).read_bytes())
    ]


def configs(place: Path) -> list[bytes]:
    """Return settings of training runs."""
    plain = RunConfig(corpora=("ravdess",))
    rich = RunConfig(
        corpora=("ravdess", "mine"),
        classifier="mlp",
        name="A name",
        hyperparameters={"hidden": 64},
        effects={"noise": 0.5},
        grid={"alpha": (1e-4, 1e-2)},
        folds=3,
        seed=7,
    )
    return [json.dumps(each.to_dict()).encode() for each in (plain, rich)]


RUN_FILES = (
    run_folder.CONFIG,
    run_folder.STATUS,
    jobs.JOB,
    run_folder.EPOCHS,
    run_folder.RESULT,
    run_folder.SEARCH,
    "rates.json",
    run_folder.STOP,
    supervisor.QUEUED_AT,
)


def run_folders(place: Path) -> list[bytes]:
    """Return the folders of runs, each as one JSON value: name of a file -> what is in it."""
    values = {
        run_folder.CONFIG: json.loads(configs(place)[1]),
        run_folder.STATUS: {
            "stage": "training",
            "fraction": 0.4,
            "text": "epoch 2 of 5",
            "left_s": 3.5,
            "epoch": 2,
            "epochs": 5,
            "pid": 1,
            "started": utc_now(),
            "updated": utc_now(),
            "model": None,
            "problem": "",
            "clips_per_s": 12.5,
        },
        jobs.JOB: {"title": "A name", "created": utc_now(), "key": "0" * 64, "browser": "0" * 64},
        run_folder.EPOCHS: {"fold": None, "epoch": 1, "epochs": 5, "loss": 1.5, "validation_uar": 0.4},
        run_folder.RESULT: {"model": "mine", "seconds": 12.0, "evaluation": _evaluation().to_dict()},
        run_folder.SEARCH: {"fold": 0, "settings": {"alpha": 0.1}, "uar": 0.4},
        "rates.json": {"features": 40.0, "mlp": 1000.0},
        run_folder.STOP: "keep",
        supervisor.QUEUED_AT: 1_700_000_000_000_000_000,
    }
    done = {
        **values,
        run_folder.STATUS: {**values[run_folder.STATUS], "stage": "done", "fraction": 1.0, "model": "mine"},
    }
    waiting = {**values, run_folder.STATUS: {**values[run_folder.STATUS], "stage": "queued"}}
    return [json.dumps(each).encode() for each in (values, done, waiting)]


def measurements(place: Path) -> list[bytes]:
    """Return the folders of runs that measure, each as one JSON value as those of `run_folders`: one that is done of each kind."""
    done = json.loads(run_folders(place)[1])
    study = json.loads(leakage_lab.RESULTS.read_text(encoding="utf-8"))["studies"][0]
    cells = next(iter(json.loads(cross_corpus.RESULTS.read_text(encoding="utf-8"))["models"].values()))[:3]
    found = {
        runs.SCORE: {"n_outcomes": 1, "left_out": 2},
        runs.RETRAIN: {"n_outcomes": 0, "left_out": 0},
        runs.ROBUSTNESS: robustness.dump(_robustness()),
        runs.CROSS: {"cells": cells},
        runs.LAB: {"steps": [{"title": "Speakers apart", "row": study}]},
    }
    folders = []
    for kind, values in found.items():
        config = runs.settings(kind, corpora={"ravdess": "0" * 32})
        job = done[jobs.JOB] | {"kind": kind, "subject": runs.subject(config)}
        folders.append(done | {run_folder.CONFIG: config, run_folder.RESULT: values, jobs.JOB: job})
    return [json.dumps(each).encode() for each in folders]


def _robustness() -> robustness.Robustness:
    """Return what two models reached without noise and with some, and what they knew of the two clips."""
    rows = [
        (model, condition, level, 2, *[0.5] * 4, *[lost] * 3)
        for model in ("knn", "mlp")
        for condition, level, lost in (("clean", np.nan, np.nan), ("noise", 10.0, 0.1))
    ]
    clips = pd.DataFrame({name: ["a", "b"] for name in catalogue.COLUMNS}).assign(
        **{catalogue.EMOTION: ["happy", "sad"]}
    )
    overlap = contamination.TrainingOverlap(*np.array([[True, False]] * 4))
    return robustness.Robustness(
        rows=pd.DataFrame(rows, columns=list(robustness.COLUMNS)),
        clips=clips,
        heard={"mlp": overlap},
        problems=(("c.wav", "it is empty"),),
    )


def results(place: Path) -> list[bytes]:
    """Return results of the lab, of the cross-corpus map and of an evaluation, with only a few rows each."""
    studies = json.loads(leakage_lab.RESULTS.read_text(encoding="utf-8"))
    cells = json.loads(cross_corpus.RESULTS.read_text(encoding="utf-8"))
    studies["studies"] = studies["studies"][:3]
    cells["models"] = {slug: rows[:2] for slug, rows in cells["models"].items()}
    stored = {
        "clips": [0, 1, 2],
        "probabilities": [[0.5, 0.5], [0.1, 0.9], [1, 0]],
        "temperature": 1.5,
        "answers": [[0.5, 0.5]] * 3,
    }
    return [json.dumps(each).encode() for each in (studies, cells, _evaluation().to_dict(), stored)]


def lessons(place: Path) -> list[bytes]:
    """Return what is kept of a lesson."""
    kept = lesson.Lesson(
        began=utc_now(),
        began_ns=1_700_000_000_000_000_000,
        corpora={"mine": ["0" * 16], "other": []},
        models=["mlp"],
        runs=["20260101-000000-abcdef00"],
        told=["Removed: 1 model."],
        url="https://192.168.0.2:8501",
        checks=(("Port", True, "8501 is free."),),
    )
    lesson.write(place, kept)
    return [(place / "lesson.json").read_bytes()]


VOICE_MODELS = ("transfer", "cnn")
"""Models of a saved voice: one with a discriminant, and one without."""


def reference(slug: str) -> personal.Reference:
    """Return what adaptation needs of one of VOICE_MODELS."""
    if slug == "cnn":
        return personal.Reference(slug, "ab12", catalogue.LABELS, 1.5)
    n = len(catalogue.LABELS)
    return personal.Reference(
        slug, "ab12", catalogue.LABELS, 1.5, np.eye(n)[:, : n - 1] * 3, np.arange(n), np.zeros(n, int)
    )


def voices(place: Path) -> list[bytes]:
    """Return saved voices: of one take per label, and of few takes of one model."""
    rng = np.random.default_rng(0)
    takes = [
        personal.Take(label, {"transfer": rng.normal(size=7), "cnn": personal.logarithms(rng.dirichlet(np.ones(8)))})
        for label in catalogue.LABELS
    ]
    both = personal.adapt(takes, map(reference, VOICE_MODELS)).to_bytes()
    return [both, personal.adapt(takes[:4], [reference("cnn")]).to_bytes()]


def lists(place: Path) -> list[bytes]:
    """Return lists of clips that are left out."""
    return [json.dumps(["happy/a.wav", "sad/b.wav"]).encode()]


def arrays(place: Path) -> list[bytes]:
    """Return a file of the features' cache."""
    values: dict[str, Any] = {
        "vector": np.arange(20, dtype=np.float32),
        "windows": np.zeros((2, 8, 4), np.float16),
        "facts": np.ones(8),
    }
    cache.write_arrays(place / "aa" / "a.npz", **values)
    return [(place / "aa" / "a.npz").read_bytes()]


def parquets(place: Path) -> list[bytes]:
    """Return tables of clips as Parquet."""
    table = pd.read_csv(io.BytesIO(TABLE))
    found = []
    for compression in ("snappy", "gzip", None):
        file = io.BytesIO()
        table.to_parquet(file, compression=compression, index=False)
        found.append(file.getvalue())
    return found
