"""The command predict: what the trained models predict for sound files."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ser_core.cli import options as shared
from ser_core.cli.terminal import ProgressPrinter, fail, message
from ser_core.errors import ConfigError, SerError
from ser_core.system import untrusted_text

if TYPE_CHECKING:
    from ser_core.recognition import batch
    from ser_core.recognition.personal import Reference, Voice


def add(commands: Any) -> None:
    """Add the command to the parser."""
    predict = commands.add_parser("predict", help="what the trained models predict for sound files")
    predict.add_argument(
        "files", nargs="+", metavar="FILE", help="recordings in any common format, folders, or patterns such as '*.wav'"
    )
    shared.add_model(predict, "a model, such as cnn (default: the shipped models)")
    predict.add_argument(
        "--long", action="store_true", help="one prediction per window, for recordings of up to an hour"
    )
    predict.add_argument(
        "--window", type=float, metavar="S", help="with --long: length of a window in seconds (default: 3)"
    )
    predict.add_argument(
        "--hop", type=float, metavar="S", help="with --long: seconds from one window to the next (default: 1)"
    )
    predict.add_argument(
        "--voice",
        type=Path,
        metavar="FILE",
        help="a saved voice, from the page 'My voice', that the models are adapted to",
    )
    shared.add_channel(predict)
    shared.add_track(predict)
    form = predict.add_mutually_exclusive_group()
    shared.add_json(form)
    form.add_argument(
        "--csv", action="store_true", help="print CSV: one line per file, or per window of a file with --long"
    )
    shared.add_out(predict, "file to write to instead of printing; its name ends in .csv, .json or .txt as the form is")
    shared.add_jobs(predict)
    predict.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.recognition import batch, personal, store, together

    status = 0
    long = _windows(options)
    n_jobs = shared.worker_count(options)
    channel, track = shared.channel_name(options), shared.track_number(options)
    _check_out(options)
    labels: dict[str, tuple[str, ...]] = {}
    digests: dict[str, str] = {}
    references: list[Reference] = []
    for slug in dict.fromkeys(options.model or store.usual()):
        try:
            model = store.load(slug, paths.models_folder())
            labels[slug], digests[slug] = model.labels, model.digest
            references += [personal.reference(model)] if options.voice else []
        except SerError as error:
            status = fail(str(error))
    if not labels:
        return status
    voice = _voice(options.voice, references) if options.voice else None
    files = batch.expand(options.files)
    if problem := together.problem(paths.models_folder()):
        status = fail(problem)
    pool = together.choose(paths.models_folder(), digests)
    columns = batch.columns(
        ({together.NAME: pool.labels} if pool else {}) | labels, long=options.long, adapted=voice is not None
    )
    results: list[batch.Result] = []
    progress = ProgressPrinter()
    with _output(options.out) as out:
        if options.csv:
            out.write(batch.csv_lines([], columns, header=True))
        for done, result in enumerate(
            batch.predict(files, list(labels), long=long, channel=channel, track=track, n_jobs=n_jobs, voice=voice),
            start=1,
        ):
            if "error" in result:
                status = fail(result["error"])
            if options.csv:
                out.write(batch.csv_lines(batch.rows(result), columns))
            elif options.json:
                results.append(result)
            else:
                _print(result, out)
            if sys.stderr.isatty():
                progress.line(f"{done} of {len(files)} files")
        if options.json:
            print(json.dumps(results, indent=1), file=out)
    return status


def _voice(path: Path, references: Sequence[Reference]) -> Voice:
    """Return a saved voice, and say which of the models it adapts; raises ConfigError or PersonalError."""
    from ser_core.recognition import personal, recognizer

    try:
        with path.open("rb") as file:
            content = file.read(personal.MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be read: {error.strerror}. Name a saved voice with --voice.") from None
    voice = personal.Voice.from_bytes(content, references)
    message(f"{', '.join(voice.adaptations)}: {recognizer.adapted_to(voice.n_takes)}")
    if others := [each.slug for each in references if each.slug not in voice.adaptations]:
        message(
            f"{', '.join(others)}: not adapted; the voice was saved for other models, or for them as they were before a training"
        )
    return voice


def _windows(options: argparse.Namespace) -> batch.Long | None:
    """Return how --long cuts recordings, None without it."""
    from ser_core.recognition import batch, timeline

    given = {"window_s": options.window, "hop_s": options.hop}
    given = {name: value for name, value in given.items() if value is not None}
    if not options.long:
        if given:
            raise ConfigError("--window and --hop say how --long cuts a recording. Add --long, or leave them out.")
        return None
    long = batch.Long(**given)
    timeline.check_windows(long.window_s, long.hop_s)
    return long


def _check_out(options: argparse.Namespace) -> None:
    """Raise ConfigError for a file of --out that may be a recording, such as the first of `--out *.wav`."""
    ending = ".csv" if options.csv else ".json" if options.json else ".txt"
    if options.out and options.out.suffix.lower() != ending:
        raise ConfigError(
            f"--out writes to a file whose name ends in {ending} here. Got '{options.out}'. "
            "For CSV add --csv and take .csv, for JSON --json and .json, for text neither and .txt."
        )
    shared.check_out(options.out)


def _output(path: Path | None) -> contextlib.AbstractContextManager[TextIO]:
    """Return where results go, to be closed after the last one; raises ConfigError."""
    if path is None:
        return contextlib.nullcontext(sys.stdout)
    try:
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be written: {error.strerror}. Choose another file with --out.") from None


def _print(result: dict[str, Any], out: TextIO) -> None:
    """Print a file's predictions, a line for each model and one for all together, and a line for each window."""
    from ser_core.recognition import batch

    if "error" in result:
        return
    lines = [f"{result['file']}: {result['quality']['summary']} ({result['duration_s']:.1f} s)"]
    lines += [f"  {sentence}" for sentence in result["remarks"]]
    for prediction in batch.predictions(result):
        ranked = sorted(prediction["probabilities"].items(), key=lambda item: -item[1])
        first = ", ".join(f"{label} {p:.0%}" for label, p in ranked[:3])
        lines.append(f"  {prediction['model']:<10} {_unsure(prediction)}{first}")
    for segment in result.get("segments", []):
        labels = [
            f"{each['model']} {_unsure(each)}{each['label']} {each['probabilities'][each['label']]:.0%}"
            for each in batch.predictions(segment)
        ]
        lines.append(f"  {segment['start_s']:7.1f} to {segment['end_s']:7.1f} s  {', '.join(labels) or 'no speech'}")
    for line in lines:
        print(untrusted_text.lines(line), file=out)


def _unsure(prediction: Mapping[str, Any]) -> str:
    return "not sure: " if prediction["sure"] is False else ""
