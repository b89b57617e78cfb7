"""The commands of `corpora`: list, download, check, features, prints, listeners and cache."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import ProgressPrinter, fail, message
from ser_core.errors import ConfigError, SerError
from ser_core.system import units, untrusted_text


def add(commands: Any) -> None:
    """Add the command group to the parser."""
    group = commands.add_parser("corpora", help="speech corpora: list, download, check, export their features")
    each = group.add_subparsers(required=True, metavar="COMMAND")

    listing = each.add_parser("list", help="the known corpora, where to get them, and which are installed")
    shared.add_json(listing, "print all facts as JSON")
    listing.set_defaults(run=_list)

    download = each.add_parser(
        "download", help="download a corpus from its official source; a stopped download resumes"
    )
    download.add_argument("name", metavar="NAME", help="such as ravdess")
    shared.add_corpora_dir(download)
    download.set_defaults(run=_download)

    check = each.add_parser("check", help="find clips that are missing, damaged or duplicates")
    check.add_argument("name", metavar="NAME", help="such as ravdess")
    check.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="the corpus's folder (default: its folder in SER_CORPORA, or corpora)",
    )
    shared.add_json(check, "print the report, with the names of all files, as JSON")
    shared.add_jobs(check)
    check.add_argument(
        "--leave-out",
        metavar="KINDS",
        help="exclude the clips of these findings from now on, comma-separated, such as silent,identical; none: use all",
    )
    check.set_defaults(run=_check)

    features = each.add_parser("features", help="the features of all clips as a table, with label, speaker and split")
    features.add_argument(
        "names", nargs="+", metavar="NAME[=DIR]", help="an installed corpus, such as ravdess, or one in DIR"
    )
    shared.add_labels(features)
    form = features.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="write CSV (default, unless FILE ends in .parquet or .pq)")
    form.add_argument("--parquet", action="store_true", help="write Parquet")
    shared.add_out(features, "file to write (default: standard output)")
    shared.add_jobs(features)
    features.set_defaults(run=_features)

    prints = each.add_parser(
        "prints", help="compute the prints by which recordings of published corpora are recognised under other names"
    )
    prints.add_argument("names", nargs="+", metavar="NAME[=DIR]", help="a published corpus, installed or in DIR")
    shared.add_out(prints, "file to write (default: the one that comes with the project)")
    shared.add_jobs(prints)
    prints.set_defaults(run=_prints)

    listeners = each.add_parser(
        "listeners",
        help="how listeners label the clips: from stored results, or from the votes in a corpus's folder",
    )
    listeners.add_argument(
        "names",
        nargs="*",
        metavar="NAME[=DIR]",
        help="a corpus with votes, cremad, installed or in DIR (default: stored results)",
    )
    shared.add_out(listeners, "file to write the sums to, as JSON, besides printing them")
    shared.add_json(listeners, "print the sums as JSON")
    listeners.set_defaults(run=_listeners)

    cache = each.add_parser("cache", help="where extracted features are stored, and their size")
    cache.add_argument("--clear", action="store_true", help="delete them; they are extracted again when needed")
    cache.set_defaults(run=_cache)


def _list(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.corpora import catalogue, library

    installed = library.installed(paths.corpora_folder())
    own = [row for name, row in installed.items() if name not in catalogue.CORPORA]
    if options.json:
        facts = [
            {**catalogue.facts(name), "folder": str(installed[name].folder) if name in installed else None}
            for name in catalogue.CORPORA
        ]
        facts += [{"name": row.name, "title": row.title, "kind": row.kind, "folder": str(row.folder)} for row in own]
        print(untrusted_text.json_text(facts))
        return 0
    row = "{:<13} {:<8} {:>6} {:>9}  {:<10} {}"
    print(row.format("corpus", "language", "clips", "speakers", "", "source"))
    for name, spec in catalogue.CORPORA.items():
        state = "installed" if name in installed else "download" if spec.download else ""
        print(row.format(name, ", ".join(spec.languages), spec.n_clips, len(spec.speakers), state, spec.page))
    status = 0
    for each in own:
        try:
            clips = library.clips(paths.corpora_folder(), [each.name])
        except SerError as error:
            status = fail(str(error))
            continue
        n_speakers = len(set(clips[catalogue.SPEAKER]) - {catalogue.UNKNOWN_SPEAKER})
        print(row.format(each.name, "", len(clips), n_speakers or "unknown", "installed", each.folder))
    return status


def _download(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.corpora import catalogue, download, scan

    printer = ProgressPrinter()

    def on_progress(progress: download.Progress) -> None:
        printer.line(progress.text, last=progress.done == progress.total)

    root = options.corpora_dir or paths.corpora_folder()
    folder = download.download(options.name, root, on_progress=on_progress)
    print(f"{folder}: {len(scan.scan(options.name, folder))} clips of {catalogue.CORPORA[options.name].title}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.corpora import doctor, library

    n_jobs = shared.worker_count(options)
    progress = _counter("Read")
    folder = options.folder or paths.corpora_folder() / options.name
    kinds = shared.parse_names(options.leave_out)
    if options.leave_out is not None:
        installed = paths.corpora_folder() / options.name
        if not folder.exists() or not installed.exists() or not folder.samefile(installed):
            raise ConfigError(
                f"Clips are left out of installed corpora, and '{folder}' is not '{installed}'. Set SER_CORPORA, or move the folder."
            )
        unknown = [kind for kind in kinds if kind not in {*doctor.EFFECTS, "none"}]
        if unknown:
            raise ConfigError(
                f"There is no finding of the kind {', '.join(unknown)}. Choose from {', '.join(doctor.EFFECTS)}, or none."
            )
    report = doctor.check(options.name, folder, n_jobs=n_jobs, on_progress=progress)
    if options.leave_out is not None:
        library.leave_out_all(
            paths.corpora_folder(),
            options.name,
            {each.kind: each.removable for each in report.findings if each.kind in kinds},
        )
    if options.json:
        print(json.dumps(report.to_dict(), indent=1))
        return 0
    labels = ", ".join(f"{label} {n}" for label, n in report.labels.items())
    print(f"{report.n_clips} clips, {report.n_speakers or 'unknown'} speakers: {labels}")
    for finding in report.findings:
        print(f"\n{finding.kind}: {finding.message}\n  Effect on a score: {finding.effect}")
    if not report.findings:
        print("Nothing found: no clip is missing, damaged or a duplicate.")
    if options.leave_out is not None:
        left_out = library.left_out(paths.corpora_folder(), options.name)
        why = ", ".join(f"{reason} {len(files)}" for reason, files in left_out.items())
        print(f"\nLeft out from now on: {why or 'none'}.")
    return 0


def _features(options: argparse.Namespace) -> int:
    import numpy as np
    import pandas as pd

    from ser_core import paths
    from ser_core.dataset import duplicates, exploration, export
    from ser_core.dataset.labels import LabelMapping, apply

    n_jobs = shared.worker_count(options)
    mapping = LabelMapping(**(LabelMapping().to_dict() | shared.parse_mapping(options)))
    by_ending = options.out is not None and options.out.suffix.lower() in (".parquet", ".pq")
    kind = "parquet" if options.parquet or (by_ending and not options.csv) else "csv"
    if kind == "parquet" and not options.out and sys.stdout.isatty():
        raise ConfigError("Parquet cannot be shown on a terminal. Name a file: --out features.parquet.")
    shared.check_out(options.out)
    everything = pd.concat(shared.read_clips(options.names, None, option="features").values(), ignore_index=True)
    sounds = duplicates.sounds(
        everything, cache=paths.feature_cache(), n_jobs=n_jobs, on_progress=_counter("Compared by sound")
    )
    parts, meaning = export.split(everything, sounds)
    clips = apply(everything.assign(row=np.arange(len(everything))), mapping)
    measured = exploration.measure(clips, cache=paths.feature_cache(), n_jobs=n_jobs, on_progress=_counter("Measured"))
    rows = export.table(clips, measured, parts[clips["row"]])
    data = export.encode(rows, kind)
    if options.out:
        shared.write_out(options.out, data)
    else:
        sys.stdout.buffer.write(data)
    message(f"{len(rows)} clips, {len(rows.columns)} columns. {meaning}")
    status = 0
    for path, reason in measured.problems:
        status = fail(f"Left out: {path}: {reason}")
    return status


def _prints(options: argparse.Namespace) -> int:
    import pandas as pd

    from ser_core import paths
    from ser_core.dataset import duplicates, published

    n_jobs = shared.worker_count(options)
    out = options.out or published.PRINTS
    shared.check_out(out)
    tables = shared.read_clips(options.names, None, option="prints")
    sounds = duplicates.sounds(
        pd.concat(list(tables.values()), ignore_index=True),
        cache=paths.feature_cache(),
        n_jobs=n_jobs,
        on_progress=_counter("Decoded"),
    )
    n = published.write(out, tables, sounds)
    print(f"{out}: {n} prints of {', '.join(tables)}, {units.size(out.stat().st_size)}")
    return 0


def _listeners(options: argparse.Namespace) -> int:
    import dataclasses

    from ser_core import paths
    from ser_core.corpora import votes
    from ser_core.experiments import listeners

    if options.out and not options.names:
        raise ConfigError(
            "Name a corpus whose votes are to be summed up: corpora listeners cremad=DIR --out listeners.json."
        )
    shared.check_out(options.out)
    folders = shared.parse_corpora(options.names, "listeners")
    found = {
        name: listeners.count(name, votes.read(name, folder or paths.corpora_folder() / name))
        for name, folder in folders.items()
    } or listeners.read_results()
    if options.out:
        listeners.write_results(options.out, found)
    if options.json:
        print(
            json.dumps([{**dataclasses.asdict(each), "accuracy": each.accuracy} for each in found.values()], indent=1)
        )
        return 0
    for each in found.values():
        print(
            f"{listeners.describe(each)}\nRows: acted label, columns: heard label, number of answers; source: {each.source}"
        )
        print(f"  {'':<9} {'clips':>6} {'named':>6}  " + " ".join(f"{label[:8]:>8}" for label in each.labels))
        for label, n, named, row in zip(each.labels, each.n_clips, each.named, each.heard, strict=True):
            print(f"  {label:<9} {n:>6} {named / n:>6.1%}  " + " ".join(f"{n:>8}" for n in row))
    return 0


def _counter(verb: str) -> Callable[[int, int], None]:
    """Return what prints how many clips are done, such as 'Read 500 of 1440 clips.'."""
    printer = ProgressPrinter()

    def on_progress(done: int, total: int) -> None:
        printer.line(f"{verb} {done} of {total} clips.", last=done == total)

    return on_progress


def _cache(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.dataset.cache import clear, usage

    folder = paths.feature_cache()
    n, size = clear(folder) if options.clear else usage(folder)
    print(f"{folder}: {n} entries, {units.size(size)}{' removed' if options.clear else ''}")
    return 0
