"""What README says is what the project prints."""

import re
from pathlib import Path

from ser_core import cli, store

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_figures_is_what_the_command_prints(capsys, monkeypatch):
    monkeypatch.setattr(store, "MODELS", ROOT / "models")
    assert cli.main(["models"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line]
    block = re.search(r"`python -m ser_core models` prints this.*?```\n(.*?)```", README, re.DOTALL)
    shown = [line.rstrip() for line in block.group(1).splitlines()]
    assert shown == printed


def test_every_model_that_is_shipped_is_there():
    cards, problems = store.list_models(ROOT / "models")
    assert [card.slug for card in cards[:4]] == list(store.SHIPPED)
    assert problems == []
    weight = sum(path.stat().st_size for path in (ROOT / "models").rglob("*") if path.is_file())
    assert weight < 25 * 2**20


def test_every_place_on_the_map_exists():
    for row in re.findall(r"^\| (`.+?) \|", README, re.MULTILINE):
        folder = ROOT
        for name in re.findall(r"`([^`]+)`", row):
            path = ROOT / name if "/" in name or name == "app.py" else folder / name
            folder = path.parent
            assert path.exists(), name


def test_the_pictures_exist():
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file()
