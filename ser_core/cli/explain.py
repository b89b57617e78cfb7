"""The command explain: why the trained models answer as they do about a clip, and whether their maps mark what matters."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import ProgressPrinter, fail, message
from ser_core.errors import ConfigError, ModelError, SerError
from ser_core.system import untrusted_text

if TYPE_CHECKING:
    from ser_core.explanation.service import Explanation


def add(commands: Any) -> None:
    """Add the command to the parser."""
    explain = commands.add_parser(
        "explain",
        help="why the trained models answer as they do about a clip",
        description="Networks: where in time and frequency they look. KNN: the training recordings that are most alike. MLP and KNN: which "
        "groups of measures count. With --study, whether the maps of networks mark what matters, on clips of speakers new to them.",
    )
    explain.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a recording of up to eight seconds")
    shared.add_model(explain, "a model, such as cnn (default: the shipped models)")
    explain.add_argument("--label", metavar="LABEL", help="the label that is explained (default: each model's answer)")
    shared.add_json(explain)
    explain.add_argument(
        "--html", type=Path, metavar="FILE", help="write a result card of the clip: one page to print or send"
    )
    shared.add_channel(explain)
    shared.add_track(explain)
    explain.add_argument(
        "--study", action="store_true", help="measure the maps on many clips in place of explaining one"
    )
    shared.add_corpus(explain, "with --study: a corpus to draw clips from")
    shared.add_corpora_dir(explain)
    explain.add_argument(
        "--clips", type=int, default=200, metavar="N", help="with --study: clips to draw (default: 200)"
    )
    explain.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.study:
        return _study(options)
    if options.file is None:
        raise ConfigError("Name a recording to explain, or --study with --corpus.")
    return _explain(options)


def _explain(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.explanation import service
    from ser_core.recognition import analysis, store, timeline

    channel, track = shared.channel_name(options), shared.track_number(options)
    shared.check_out(options.html)
    folder = paths.models_folder()
    heard = analysis.analyse(
        options.file, name=options.file.name, max_duration_s=timeline.LONG_S, channel=channel, track=track
    )
    if not heard.quality.has_speech:
        return fail(f"There is no speech in {options.file.name}, so no model answers.")
    slugs = list(dict.fromkeys(options.model or store.usual()))
    labels = dict.fromkeys(slugs, options.label) if options.label else None
    found = dict(
        zip(
            slugs,
            service.explain(heard.clip.waveform, [(slug, "") for slug in slugs], folder, labels=labels),
            strict=True,
        )
    )
    status = 0
    for each in found.values():
        if isinstance(each, str):
            status = fail(each)
    explained = {slug: each for slug, each in found.items() if not isinstance(each, str)}
    if options.html:
        _write_page(options, heard, found)
        message(f"{options.html}: written")
    if options.json:
        print(
            json.dumps({"file": options.file.name, "models": [each.to_dict() for each in explained.values()]}, indent=1)
        )
    else:
        for each in explained.values():
            _print(each)
    return status


def _write_page(options: argparse.Namespace, heard: Any, found: dict[str, Explanation | str]) -> None:
    from ser_core import paths
    from ser_core.explanation import report
    from ser_core.recognition import analysis, store

    titles: dict[str, str] = {}
    models = []
    for slug in found:
        try:
            models.append(store.load(slug, paths.models_folder()))
            titles[slug] = store.read_card(slug, paths.models_folder()).title
        except SerError:  # said above
            continue
    predictions = analysis.recognize(models, heard)
    shared.write_out(options.html, report.html(options.file.name, heard, predictions, found, titles).encode())


def _print(found: Explanation) -> None:
    lines = [f"{found.model}: {found.label} {found.probability:.0%}", *found.sentences]
    if found.measures:
        groups = ", ".join(f"{group} {round(100 * fall):+d}" for group, fall in found.measures.fall.items())
        lines += [f"Points that each group adds: {groups}", *(each.words for each in found.measures.unusual)]
    if found.neighbours:
        for each in found.neighbours.nearest:
            which = f"{each.corpus} {each.name}, speaker {each.speaker}" if each.name else "a recording without a name"
            lines.append(f"{each.distance:8.2f}  {each.label:<9} {which}{', a changed copy' if each.copy else ''}")
    for number, line in enumerate(lines):
        print(untrusted_text.lines(f"{'  ' if number else ''}{line}"))


def _study(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    import pandas as pd

    from ser_core import paths
    from ser_core.experiments import deletion
    from ser_core.recognition import store

    if not options.corpus or options.file:
        raise ConfigError("--study draws clips from corpora: name one with --corpus, and no recording.")
    if options.clips < 1:
        raise ConfigError(f"--clips must be 1 or more. Got {options.clips}.")
    folder = paths.models_folder()
    cards = [store.read_card(slug, folder) for slug in dict.fromkeys(options.model or ("cnn", "cnn_lstm", "transfer"))]
    if others := [card.slug for card in cards if not deletion.has_map(card)]:
        raise ModelError(
            f"There is no map of {', '.join(others)}: it sees no picture of a clip. Name networks with --model."
        )
    clips = pd.concat(shared.read_clips(options.corpus, options.corpora_dir).values(), ignore_index=True)
    curves = deletion.study(cards, clips, folder, n_clips=options.clips, on_progress=ProgressPrinter())
    if options.json:
        print(json.dumps(deletion.to_dict(curves), indent=1))
    else:
        print(*deletion.lines(curves), sep="\n")
    return 0
