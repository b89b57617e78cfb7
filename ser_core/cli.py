"""The command line: predict | models | card | train | evaluate | table | robustness | matrix | lab | serve | build-models | corpora.

Results go to stdout, what is being done and what went wrong to stderr, one line each. Exit status 0: all done; 2: something
could not be used, and a line says what and what to do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from ser_core import (
    cli_evaluate,
    cli_lab,
    cli_matrix,
    cli_models,
    cli_robustness,
    cli_serve,
    cli_table,
    cli_train,
    untrusted_text,
)
from ser_core.errors import ConfigError, SerError

if TYPE_CHECKING:
    from ser_core import batch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    with (
        contextlib.redirect_stdout(cast(TextIO, _Visible(sys.stdout))),
        contextlib.redirect_stderr(cast(TextIO, _Visible(sys.stderr))),
    ):
        return _run(_parser().parse_args(arguments))


_CODES = "|".join(map(re.escape, (cli_evaluate.RED, cli_evaluate.PLAIN, cli_train.WIPE)))
_OWN_CODES = re.compile(rf"(?:{_CODES}|\n|\x1b\[97;40m[ ▀▄█\xa0]*)+")
"""What this program writes to a terminal besides text, each by itself: red, a line wiped, and the rows of a QR code."""


class _Visible:
    """A stream of text to which only lines of visible characters are written: a file's name moves no cursor and colours nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text if _OWN_CODES.fullmatch(text) else untrusted_text.lines(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _run(options: argparse.Namespace) -> int:
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except SerError as error:
        return _complain(str(error))
    except BrokenPipeError:  # the reader, such as head, has seen enough; what is left in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _complain("Stopped.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ser_core", description="Speech emotion recognition from the command line."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="what the trained models make of sound files")
    predict.add_argument(
        "files", nargs="+", metavar="FILE", help="recordings in any common format, folders, or patterns such as '*.wav'"
    )
    predict.add_argument(
        "--models", default="", metavar="NAMES", help="comma-separated, such as knn,cnn (default: the shipped four)"
    )
    predict.add_argument("--long", action="store_true", help="moment by moment, for recordings of up to an hour")
    predict.add_argument(
        "--window", type=float, metavar="S", help="with --long: seconds that the models hear at once (default: 3)"
    )
    predict.add_argument(
        "--hop", type=float, metavar="S", help="with --long: seconds from one window to the next (default: 1)"
    )
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--csv",
        nargs="?",
        const="-",
        metavar="FILE.csv",
        help="print or write CSV: a line a file, with --long a window",
    )
    predict.add_argument(
        "--jobs", type=int, default=0, metavar="N", help="processes that share many files (default: one a core)"
    )
    predict.set_defaults(run=_predict)

    cli_models.add(commands)
    cli_train.add(commands)
    cli_evaluate.add(commands)
    cli_table.add(commands)
    cli_lab.add(commands)
    cli_robustness.add(commands)
    cli_matrix.add(commands)
    cli_serve.add(commands)

    build = commands.add_parser("build-models", help="retrain the shipped models from the corpora")
    build.add_argument(
        "--corpus", action="append", required=True, metavar="NAME=DIR", help="such as ravdess=DIR; may be repeated"
    )
    build.add_argument("--models", default="", metavar="NAMES", help="comma-separated (default: all four)")
    build.add_argument(
        "--work", type=Path, default=Path("build"), metavar="DIR", help="features and finished folds (default: build)"
    )
    build.add_argument("--jobs", type=int, default=2, help="processes for the features (default: 2)")
    build.set_defaults(run=_build_models)

    group = commands.add_parser("corpora", help="speech corpora: list, download, check, export their features")
    corpora_commands = group.add_subparsers(required=True, metavar="COMMAND")

    listing = corpora_commands.add_parser("list", help="the known corpora, where to get them, and which are installed")
    listing.add_argument("--json", action="store_true", help="print all facts as JSON")
    listing.set_defaults(run=_list_corpora)

    fetch = corpora_commands.add_parser(
        "download", help="fetch a corpus from its official source; a stopped download goes on"
    )
    fetch.add_argument("name", metavar="NAME", help="such as ravdess")
    fetch.add_argument(
        "--to", type=Path, metavar="DIR", help="folder of all corpora (default: SER_CORPORA, or corpora)"
    )
    fetch.set_defaults(run=_download_corpus)

    check = corpora_commands.add_parser("check", help="find what is missing, damaged or doubled in a corpus")
    check.add_argument("name", metavar="NAME", help="such as ravdess")
    check.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="where it lies (default: its folder in SER_CORPORA, or corpora)",
    )
    check.add_argument("--json", action="store_true", help="print the report, with the names of all files, as JSON")
    check.add_argument("--jobs", type=int, default=2, metavar="N", help="processes that read the clips (default: 2)")
    check.add_argument(
        "--leave-out",
        metavar="KINDS",
        help="leave the clips of these findings out from now on, such as silent,identical; none: use all again",
    )
    check.set_defaults(run=_check_corpus)

    table = corpora_commands.add_parser(
        "features", help="the features of all clips as CSV or Parquet, with label, speaker and split"
    )
    table.add_argument("names", nargs="+", metavar="NAME", help="installed corpora, such as ravdess")
    table.add_argument(
        "--dir", action="append", default=[], metavar="NAME=DIR", help="where a corpus lies that is not installed"
    )
    table.add_argument(
        "--labels", default="", metavar="LABELS", help="comma-separated, such as happy,sad (default: all)"
    )
    table.add_argument(
        "--calm", choices=("keep", "neutral", "leave-out"), default="keep", help="what becomes of calm (default: keep)"
    )
    table.add_argument("--boredom", action="store_true", help="keep boredom, which only EmoDB has")
    table.add_argument("--format", choices=("csv", "parquet"), help="(default: by the ending of FILE, else csv)")
    table.add_argument("--out", type=Path, metavar="FILE", help="(default: the standard output)")
    table.add_argument(
        "--jobs", type=int, default=-1, metavar="N", help="processes that measure the clips (default: one a core)"
    )
    table.set_defaults(run=_corpora_features)

    cache = corpora_commands.add_parser("cache", help="where measured features are kept, and how much that is")
    cache.add_argument("--clear", action="store_true", help="remove them; they are measured again when they are needed")
    cache.set_defaults(run=_cache)
    return parser


def _predict(options: argparse.Namespace) -> int:
    from ser_core import batch, store

    status = 0
    long = _windows(options)
    output = _csv_file(options.csv)
    labels: dict[str, tuple[str, ...]] = {}
    for slug in _names(options.models) or store.SHIPPED:
        try:
            labels[slug] = store.load(slug, store.MODELS).labels
        except SerError as error:
            status = _complain(str(error))
    if not labels:
        return status
    files = batch.expand(options.files)
    columns = batch.columns(labels, long=options.long)
    results: list[batch.Result] = []
    told_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        table = None
        if options.csv:
            table = sys.stdout if output is None else stack.enter_context(_open_to_write(output))
            table.write(batch.csv_lines([], columns, header=True))
        for done, result in enumerate(
            batch.predict(files, list(labels), long=long, n_jobs=_n_jobs(options.jobs)), start=1
        ):
            if "error" in result:
                status = _complain(result["error"])
            if table:
                table.write(batch.csv_lines(batch.rows(result), columns))
            elif options.json:
                results.append(result)
            else:
                _print_result(result)
            if sys.stderr.isatty() and time.monotonic() - told_s >= 2:
                told_s = time.monotonic()
                _say(f"{done} of {len(files)} files")
    if options.json:
        print(json.dumps(results, indent=1))
    return status


def _windows(options: argparse.Namespace) -> batch.Long | None:
    """Return how --long cuts recordings, None where it was not asked for."""
    from ser_core import batch, segments

    given = {"window_s": options.window, "hop_s": options.hop}
    given = {name: value for name, value in given.items() if value is not None}
    if not options.long:
        if given:
            raise ConfigError("--window and --hop say how --long cuts a recording. Add --long, or leave them out.")
        return None
    long = batch.Long(**given)
    segments.check_windows(long.window_s, long.hop_s)
    return long


def _csv_file(given: str | None) -> Path | None:
    """Return the file that --csv names; a recording named there by mistake is not overwritten."""
    if given in (None, "-"):
        return None
    path = Path(str(given))
    if path.suffix.lower() != ".csv":
        raise ConfigError(
            f"--csv writes to a file whose name ends in .csv. Got '{given}'. To print CSV, put --csv after the recordings."
        )
    return path


def _open_to_write(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be written: {error.strerror}. Choose another file.") from None


def _n_jobs(given: int) -> int:
    if given < 0:
        raise ConfigError(f"--jobs takes a number of processes from 1 on. Got {given}.")
    if given:
        return given
    import joblib

    return int(joblib.cpu_count())


def _print_result(result: dict[str, Any]) -> None:
    if "error" in result:
        return
    print(f"{result['file']}: {result['quality']['summary']} ({result['duration_s']:.1f} s)")
    for prediction in result["predictions"]:
        ranked = sorted(prediction["probabilities"].items(), key=lambda item: -item[1])
        first = ", ".join(f"{label} {p:.0%}" for label, p in ranked[:3])
        print(f"  {prediction['model']:<10} {_unsure(prediction)}{first}")
    for segment in result.get("segments", []):
        says = [
            f"{each['model']} {_unsure(each)}{each['label']} {each['probabilities'][each['label']]:.0%}"
            for each in segment["predictions"]
        ]
        print(f"  {segment['start_s']:7.1f} to {segment['end_s']:7.1f} s  {', '.join(says) or 'no speech'}")


def _unsure(prediction: dict[str, Any]) -> str:
    return "not sure: " if prediction["sure"] is False else ""


def _build_models(options: argparse.Namespace) -> int:
    from ser_core import shipped

    folders = _folders("--corpus", options.corpus)
    slugs = _names(options.models) or list(shipped.RECIPES)
    unknown = [slug for slug in slugs if slug not in shipped.RECIPES]
    if unknown:
        raise ConfigError(f"There is no recipe for {', '.join(unknown)}. Choose from {', '.join(shipped.RECIPES)}.")
    material = shipped.gather(folders, work=options.work, n_jobs=options.jobs, say=_say)
    shipped.build(slugs, material, work=options.work, say=_say)
    return 0


def _list_corpora(options: argparse.Namespace) -> int:
    from ser_core import corpora, library

    installed = library.installed(library.root())
    own = [row for name, row in installed.items() if name not in corpora.CORPORA]
    if options.json:
        facts = [
            {**corpora.facts(name), "folder": str(installed[name].folder) if name in installed else None}
            for name in corpora.CORPORA
        ]
        facts += [{"name": row.name, "title": row.title, "kind": row.kind, "folder": str(row.folder)} for row in own]
        print(untrusted_text.json_text(facts))
        return 0
    row = "{:<13} {:<8} {:>6} {:>9}  {:<10} {}"
    print(row.format("corpus", "language", "clips", "speakers", "", "source"))
    for name, spec in corpora.CORPORA.items():
        state = "installed" if name in installed else "download" if spec.download else ""
        print(row.format(name, ", ".join(spec.languages), spec.n_clips, len(spec.speakers), state, spec.page))
    status = 0
    for each in own:
        try:
            clips = library.clips(library.root(), [each.name])
        except SerError as error:
            status = _complain(str(error))
            continue
        n_speakers = len(set(clips[corpora.SPEAKER]) - {corpora.UNKNOWN_SPEAKER})
        print(row.format(each.name, "", len(clips), n_speakers or "unknown", "installed", each.folder))
    return status


def _download_corpus(options: argparse.Namespace) -> int:
    from ser_core import corpora, download, library

    said_s = 0.0

    def on_progress(progress: download.Progress) -> None:
        nonlocal said_s
        now_s = time.monotonic()
        if now_s - said_s >= 2 or progress.done == progress.total:
            said_s = now_s
            _say(progress.text)

    folder = download.download(options.name, options.to or library.root(), on_progress=on_progress)
    print(f"{folder}: {len(corpora.scan(options.name, folder))} clips of {corpora.CORPORA[options.name].title}")
    return 0


def _check_corpus(options: argparse.Namespace) -> int:
    from ser_core import doctor, library

    def on_progress(done: int, total: int) -> None:
        if done % 500 == 0 or done == total:
            _say(f"Read {done} of {total} clips.")

    folder = options.folder or library.root() / options.name
    kinds = _names(options.leave_out or "")
    if options.leave_out is not None:
        installed = library.root() / options.name
        if not folder.exists() or not installed.exists() or not folder.samefile(installed):
            raise ConfigError(
                f"Clips are left out of installed corpora, and '{folder}' is not '{installed}'. Set SER_CORPORA, or move it."
            )
        unknown = [kind for kind in kinds if kind not in {*doctor.EFFECTS, "none"}]
        if unknown:
            raise ConfigError(
                f"There is no finding of the kind {', '.join(unknown)}. Choose from {', '.join(doctor.EFFECTS)}, or none."
            )
    report = doctor.check(options.name, folder, n_jobs=options.jobs, on_progress=on_progress)
    if options.leave_out is not None:
        library.leave_out_all(
            library.root(), options.name, {each.kind: each.surplus for each in report.findings if each.kind in kinds}
        )
    if options.json:
        print(json.dumps(report.to_dict(), indent=1))
        return 0
    labels = ", ".join(f"{label} {n}" for label, n in report.labels.items())
    print(f"{report.n_clips} clips, {report.n_speakers or 'unknown'} speakers: {labels}")
    for finding in report.findings:
        print(f"\n{finding.kind}: {finding.message}\n  What it does to a score: {finding.effect}")
    if not report.findings:
        print("Nothing found: no clip is missing, doubled or damaged.")
    if options.leave_out is not None:
        left_out = library.left_out(library.root(), options.name)
        why = ", ".join(f"{reason} {len(files)}" for reason, files in left_out.items())
        print(f"\nLeft out from now on: {why or 'none'}.")
    return 0


def _corpora_features(options: argparse.Namespace) -> int:
    import numpy as np
    import pandas as pd

    from ser_core import dataset, exploration, export, library, mapping

    if options.jobs == 0 or options.jobs < -1:
        raise ConfigError(f"--jobs must be a number of processes, or -1 for one a core. Got {options.jobs}.")
    wanted = mapping.LabelMapping(
        calm={"leave-out": mapping.LEAVE_OUT}.get(options.calm, options.calm),
        boredom=options.boredom,
        labels=tuple(_names(options.labels)),
    )
    kind = options.format or ("parquet" if options.out and options.out.suffix.lower() in (".parquet", ".pq") else "csv")
    if kind == "parquet" and not options.out and sys.stdout.isatty():
        raise ConfigError("Parquet is not for the terminal's eyes. Name a file: --out features.parquet.")
    folders = _folders("--dir", options.dir)
    strange = [name for name in folders if name not in options.names]
    if strange:
        raise ConfigError(
            f"--dir names {strange[0]!r}, which is none of the corpora to export: {', '.join(options.names)}."
        )
    found = [
        library.read(name, folders[name]) if name in folders else library.clips(library.root(), [name])
        for name in dict.fromkeys(options.names)
    ]
    everything = pd.concat(found, ignore_index=True)
    parts, meaning = export.split(everything)
    clips = mapping.apply(everything.assign(row=np.arange(len(everything))), wanted)
    said_s = 0.0

    def on_progress(done: int, total: int) -> None:
        nonlocal said_s
        now_s = time.monotonic()
        if now_s - said_s >= 2 or done == total:
            said_s = now_s
            _say(f"Measured {done} of {total} clips.")

    measured = exploration.measure(clips, cache=dataset.cache_folder(), n_jobs=options.jobs, on_progress=on_progress)
    rows = export.table(clips, measured, parts[clips["row"]])
    data = export.encode(rows, kind)
    if options.out:
        try:
            options.out.write_bytes(data)
        except OSError as error:
            raise ConfigError(
                f"'{options.out}' cannot be written ({error.strerror}). Name a file in a folder that is there."
            ) from None
    else:
        sys.stdout.buffer.write(data)
    _say(f"{len(rows)} clips, {len(rows.columns)} columns. {meaning}")
    status = 0
    for path, reason in measured.problems:
        status = _complain(f"Left out: {path}: {reason}")
    return status


def _cache(options: argparse.Namespace) -> int:
    from ser_core import dataset

    folder = dataset.cache_folder()
    n, size = dataset.clear(folder) if options.clear else dataset.usage(folder)
    print(f"{folder}: {n} entries, {size / 1e6:.1f} MB{' removed' if options.clear else ''}")
    return 0


def _folders(option: str, given: Sequence[str]) -> dict[str, Path]:
    """Return the folders that an option names as NAME=DIR."""
    folders = {}
    for pair in given:
        name, separator, folder = pair.partition("=")
        if not separator or not folder:
            raise ConfigError(f"{option} takes NAME=DIR, such as ravdess=/data/RAVDESS. Got {pair!r}.")
        folders[name] = Path(folder)
    return folders


def _names(given: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _complain(sentence: str) -> int:
    print(" ".join(sentence.split()), file=sys.stderr, flush=True)
    return 2
