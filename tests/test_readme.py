"""What README and the other documents say is what the project prints, and what they point to is there."""

import re
import shlex
from pathlib import Path

import pytest

from ser_core.cli import main
from ser_core.recognition import store

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in DOCUMENTS.items()}
README = TEXTS["README.md"]

SOURCES = ("ser_core/", "pages/", "tests/", "tools/", "benchmarks/", "models/", "docs/")
SOURCE_ENDINGS = (".py", ".md", ".toml", ".lock", ".bat", "requirements.txt", "requirements-dev.txt", "constraints.txt")
OF_A_USER = {".streamlit/secrets.toml"}
"""What a document names and only a user makes."""


def test_the_table_of_figures_is_what_the_command_prints(capsys, monkeypatch):
    monkeypatch.setenv("SER_MODELS", str(ROOT / "models"))
    assert main.main(["models"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line]
    block = re.search(r"`python -m ser_core models` prints this.*?```\n(.*?)```", README, re.DOTALL)
    shown = [line.rstrip() for line in block.group(1).splitlines()]
    assert shown == printed


def test_every_model_that_is_shipped_is_there():
    cards, problems = store.list_models(ROOT / "models")
    assert [card.slug for card in cards[: len(store.SHIPPED)]] == list(store.SHIPPED)
    assert problems == []
    weight = sum(path.stat().st_size for path in (ROOT / "models").rglob("*") if path.is_file())
    assert weight < 45 * 2**20


@pytest.mark.parametrize("name", TEXTS)
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (DOCUMENTS[name].parent / file).resolve() if file else DOCUMENTS[name]
        assert path.exists(), f"{name} links to '{target}', which does not exist."
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{name} links to '{target}': no such heading."


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings: lower case, hyphens for spaces, no punctuation."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_of_the_project_that_is_named_exists(name: str) -> None:
    for path in re.findall(r"`([\w./-]+)`", TEXTS[name]):
        if path not in OF_A_USER and (path.startswith(SOURCES) or path.endswith(SOURCE_ENDINGS)):
            assert (ROOT / path).exists(), f"{name} names '{path}', which does not exist."


def test_the_map_names_every_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "ser_core").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `ser_core/(\w+)/` \|", README, re.MULTILINE)) == rooms


def test_every_document_is_linked_from_the_readme() -> None:
    for name in TEXTS:
        assert name == "README.md" or f"]({name}" in README, f"README.md has no link to {name}."


def examples() -> list[str]:
    """Return the shell examples of all documents, without their comments."""
    blocks = [
        block for text in TEXTS.values() for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("python -m ser_core ")]
    return sorted({re.sub(r"\s+#.*", "", line) for line in lines})


@pytest.mark.parametrize("example", examples())
def test_every_example_is_a_command_with_options_that_it_knows(
    example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(example)[3:]
    command = words[:2] if words[0] in ("models", "corpora") and len(words) > 1 else words[:1]
    with pytest.raises(SystemExit) as ended:
        main.main([*command, "--help"])
    assert ended.value.code == 0
    known = capsys.readouterr().out
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert re.search(rf"{re.escape(option)}(?![\w-])", known), f"'{example}': {' '.join(command)} has no {option}."


def test_the_environment_variables_are_those_that_are_read() -> None:
    code = "".join(
        path.read_text(encoding="utf-8") for room in ("ser_core", "pages") for path in (ROOT / room).rglob("*.py")
    )
    read = set(re.findall(r'"(SER_[A-Z_]+)"', code)) - {"SER_LESSON"}  # which make class sets for its own server
    table = TEXTS["docs/deployment.md"].partition("## Environment variables")[2]
    assert set(re.findall(r"^\| `(SER_[A-Z_]+)`", table, re.MULTILINE)) == read


def test_the_version_is_the_newest_of_the_changelog() -> None:
    facts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', facts, re.MULTILINE).group(1)
    assert re.search(r"^## (\S+)", TEXTS["CHANGELOG.md"], re.MULTILINE).group(1) == version


def test_the_pictures_exist():
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file()
