"""The commands of `models`: list, show, rename, describe, delete, export and import."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import FAILED, message
from ser_core.system import units

if TYPE_CHECKING:
    from ser_core.recognition.card import ModelCard


def add(commands: Any) -> None:
    """Add the command group to the parser; without a command of its own it lists."""
    group = commands.add_parser(
        "models", help="the trained models: list, show, rename, describe, delete, export, import"
    )
    shared.add_models_dir(group)
    shared.add_json(group, "print the model cards as JSON")
    group.set_defaults(run=_list)
    each = group.add_subparsers(metavar="COMMAND")

    show = each.add_parser("show", help="a model's labels, figures and layers")
    _add_name(show)
    show.set_defaults(run=_show)

    rename = each.add_parser("rename", help="change a model's title; its short name stays")
    _add_name(rename)
    rename.add_argument("title", metavar="TITLE", help="the new title")
    rename.set_defaults(run=_rename)

    describe = each.add_parser("describe", help="change a model's description")
    _add_name(describe)
    describe.add_argument("description", metavar="TEXT", help="what the model is for")
    describe.set_defaults(run=_describe)

    delete = each.add_parser("delete", help="delete a model; the shipped models cannot be deleted")
    _add_name(delete)
    delete.set_defaults(run=_delete)

    export = each.add_parser("export", help="write a model to one file, to share it")
    _add_name(export)
    shared.add_out(export, "file to write (default: NAME.ser.zip in the current folder)")
    export.set_defaults(run=_export)

    bring = each.add_parser("import", help="import a model from such a file, once it has passed every check")
    bring.add_argument("file", type=Path, metavar="FILE", help="a file that export wrote")
    bring.set_defaults(run=_import)


def _add_name(command: argparse.ArgumentParser) -> None:
    command.add_argument("slug", metavar="NAME", help="the model's short name, such as cnn")


def _folder(options: argparse.Namespace) -> Path:
    from ser_core import paths

    return options.models_dir or paths.models_folder()


def _list(options: argparse.Namespace) -> int:
    from ser_core.recognition import store

    cards, problems = store.list_models(_folder(options))
    for problem in problems:
        message(problem)
    if options.json:
        print(json.dumps([card.to_dict() for card in cards], indent=1))
    else:
        _print_models(cards)
    return FAILED if problems else 0


def _print_models(cards: Sequence[ModelCard], *, unseen: bool = False) -> None:
    """Print one row per model and corpus: its figures on unseen speakers; unseen: on unseen corpora as well."""
    from ser_core.dataset import protocols

    row = f"{{:<10}} {{:>10}}  {{:<8}} {{:<{12 if unseen else 9}}} {{:<21}} {{:>8}} {{:>7}} {{:>6}} {{:>9}}"
    print(
        row.format("model", "parameters", "corpus", "protocol", "UAR (95 %)", "accuracy", "chance", "clips", "speakers")
    )
    for card in cards:
        first = (card.slug, f"{card.n_parameters:,}")
        for name, each in card.measured if unseen else card.per_corpus.items():
            low, high = each.interval["uar"]
            uar = f"{each.uar:.1%} ({low:.1%} to {high:.1%})"
            figures = (uar, f"{each.accuracy:.1%}", f"{each.chance:.1%}", each.n_clips, each.n_test_speakers)
            print(row.format(*first, name, each.protocol, *figures))
            first = ("", "")
    told = [protocols.caveat(name, each.protocol) for card in cards for name, each in card.measured]
    for text in dict.fromkeys(filter(None, told)):
        message(text)


def _show(options: argparse.Namespace) -> int:
    from ser_core.audio import degradations
    from ser_core.recognition import store

    card = store.read_card(options.slug, _folder(options))
    if options.json:
        print(json.dumps(card.to_dict(), indent=1))
        return 0
    print(f"{card.title} ({card.slug}), {card.classifier}, trained {card.created}")
    if card.description:
        print(card.description)
    print(f"Labels: {', '.join(card.labels)}\nFigures: {card.protocol}")
    _print_models([card], unseen=True)
    for name, each in card.unheard.items():
        label, share = each.favourite
        print(
            f"Trained without {name}, it answers '{label}' for {share:.1%} of its clips, more often than any other label."
        )
    for name, each in card.per_corpus.items():
        for condition, accuracy in (each.under or {}).items():
            print(f"{name}, {degradations.describe(condition)}: accuracy {accuracy:.1%}")
    for row in card.architecture:
        shape = " × ".join(map(str, row.get("shape", ())))
        print(f"  {row.get('name', ''):<28} {shape:>14} {row.get('parameters', 0):>10,}  {row.get('detail', '')}")
    return 0


def _rename(options: argparse.Namespace) -> int:
    from ser_core.recognition import store

    print(f"{options.slug}: {store.rename(options.slug, title=options.title, folder=_folder(options)).title}")
    return 0


def _describe(options: argparse.Namespace) -> int:
    from ser_core.recognition import store

    store.rename(options.slug, description=options.description, folder=_folder(options))
    print(f"{options.slug}: described")
    return 0


def _delete(options: argparse.Namespace) -> int:
    from ser_core.recognition import store

    store.delete(options.slug, _folder(options))
    print(f"{options.slug}: deleted")
    return 0


def _export(options: argparse.Namespace) -> int:
    from ser_core.recognition import bundle, store

    content = bundle.export_model(options.slug, _folder(options))
    target = options.out or Path(bundle.file_name(store.read_card(options.slug, _folder(options))))
    shared.write_out(target, content)
    print(f"{target}: {units.size(len(content))}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from ser_core.recognition import bundle

    card = bundle.import_model(options.file, _folder(options))
    print(f"{card.slug}: {card.title}")
    return 0
