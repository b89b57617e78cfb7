"""The commands of `python -m ser_core models`: list, show, rename, describe, delete, export and import; and `card`, a page to print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.errors import ModelError

if TYPE_CHECKING:
    from ser_core.store import ModelCard


def add(commands: Any) -> None:
    """Add the command group to the parser; without a command of its own it lists."""
    group = commands.add_parser(
        "models", help="the trained models: list, show, rename, describe, delete, export, import"
    )
    group.add_argument(
        "--models-dir", type=Path, metavar="DIR", help="another models folder (default: SER_MODELS, or models)"
    )
    group.add_argument("--json", action="store_true", help="print the model cards as JSON")
    group.set_defaults(run=_list)
    each = group.add_subparsers(metavar="COMMAND")

    show = each.add_parser("show", help="what a model is made of")
    show.add_argument("slug", metavar="NAME")
    show.set_defaults(run=_show)

    rename = each.add_parser("rename", help="give a model another title; its short name stays")
    rename.add_argument("slug", metavar="NAME")
    rename.add_argument("title", metavar="TITLE")
    rename.set_defaults(run=_rename)

    describe = each.add_parser("describe", help="write down what a model is for")
    describe.add_argument("slug", metavar="NAME")
    describe.add_argument("description", metavar="TEXT")
    describe.set_defaults(run=_describe)

    delete = each.add_parser("delete", help="delete a model; the shipped four stay")
    delete.add_argument("slug", metavar="NAME")
    delete.set_defaults(run=_delete)

    export = each.add_parser("export", help="write a model into one file, to pass on")
    export.add_argument("slug", metavar="NAME")
    export.add_argument("--to", type=Path, metavar="FILE", help="default: NAME.ser.zip here")
    export.set_defaults(run=_export)

    bring = each.add_parser("import", help="take in a model from such a file, once it has passed every check")
    bring.add_argument("file", type=Path, metavar="FILE")
    bring.set_defaults(run=_import)

    page = commands.add_parser(
        "card", help="write a model's result card: one page to read and to print, with its figures"
    )
    page.add_argument("slug", metavar="NAME")
    page.add_argument("--out", type=Path, metavar="FILE", help="default: NAME-card.html here")
    page.add_argument(
        "--models-dir", type=Path, metavar="DIR", help="another models folder (default: SER_MODELS, or models)"
    )
    page.set_defaults(run=_card)


def _folder(options: argparse.Namespace) -> Path:
    from ser_core import store

    return options.models_dir or store.MODELS


def _list(options: argparse.Namespace) -> int:
    from ser_core import store

    cards, problems = store.list_models(_folder(options))
    for problem in problems:
        print(" ".join(problem.split()), file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps([card.to_dict() for card in cards], indent=1))
    else:
        _print_models(cards)
    return 2 if problems else 0


def _print_models(cards: Sequence[ModelCard], *, unheard: bool = False) -> None:
    """Print a row a model and corpus: what was measured on speakers that the model had never heard; unheard: and on corpora."""
    row = f"{{:<10}} {{:>10}}  {{:<8}} {{:<{12 if unheard else 9}}} {{:<21}} {{:>8}} {{:>7}} {{:>6}} {{:>9}}"
    print(
        row.format("model", "parameters", "corpus", "protocol", "UAR (95 %)", "accuracy", "chance", "clips", "speakers")
    )
    for card in cards:
        first = (card.slug, f"{card.n_parameters:,}")
        for name, each in card.measured if unheard else card.per_corpus.items():
            low, high = each.interval["uar"]
            uar = f"{each.uar:.1%} ({low:.1%} to {high:.1%})"
            figures = (uar, f"{each.accuracy:.1%}", f"{each.chance:.1%}", each.n_clips, each.n_test_speakers)
            print(row.format(*first, name, each.protocol, *figures))
            first = ("", "")


def _show(options: argparse.Namespace) -> int:
    from ser_core import conditions, store

    card = store.read_card(options.slug, _folder(options))
    if options.json:
        print(json.dumps(card.to_dict(), indent=1))
        return 0
    print(f"{card.title} ({card.slug}), {card.classifier}, made {card.created}")
    if card.description:
        print(card.description)
    print(f"Labels: {', '.join(card.labels)}\nFigures: {card.protocol}")
    _print_models([card], unheard=True)
    for name, each in card.unheard.items():
        label, share = each.favourite
        print(f"Without {name}, of its clips {share:.1%} are answered '{label}', more than anything else.")
    for name, each in card.per_corpus.items():
        for condition, accuracy in (each.under or {}).items():
            print(f"{name}, {conditions.describe(condition)}: accuracy {accuracy:.1%}")
    for row in card.architecture:
        shape = " × ".join(map(str, row.get("shape", ())))
        print(f"  {row.get('name', ''):<28} {shape:>14} {row.get('parameters', 0):>10,}  {row.get('detail', '')}")
    return 0


def _rename(options: argparse.Namespace) -> int:
    from ser_core import store

    print(f"{options.slug}: {store.rename(options.slug, title=options.title, folder=_folder(options)).title}")
    return 0


def _describe(options: argparse.Namespace) -> int:
    from ser_core import store

    store.rename(options.slug, description=options.description, folder=_folder(options))
    print(f"{options.slug}: described")
    return 0


def _delete(options: argparse.Namespace) -> int:
    from ser_core import store

    store.delete(options.slug, _folder(options))
    print(f"{options.slug}: deleted")
    return 0


def _export(options: argparse.Namespace) -> int:
    from ser_core import bundles, store

    content = bundles.export_model(options.slug, _folder(options))
    target = options.to or Path(bundles.file_name(store.read_card(options.slug, _folder(options))))
    try:
        target.write_bytes(content)
    except OSError as error:
        raise ModelError(f"'{target}' cannot be written: {error.strerror}. Choose another file with --to.") from None
    print(f"{target}: {len(content) / 2**20:.1f} MB")
    return 0


def _card(options: argparse.Namespace) -> int:
    from ser_core import result_card, store

    card = store.read_card(options.slug, _folder(options))
    target = options.out or Path(result_card.file_name(card))
    try:
        target.write_text(result_card.html(card), encoding="utf-8")
    except OSError as error:
        raise ModelError(f"'{target}' cannot be written: {error.strerror}. Choose another file with --out.") from None
    print(target)
    return 0


def _import(options: argparse.Namespace) -> int:
    from ser_core import bundles

    card = bundles.import_model(options.file, _folder(options))
    print(f"{card.slug}: {card.title}")
    return 0
