"""The parser and the entry point: help in plain English, one spelling each, threads, and readers that leave."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ser_core.cli import main
from tests.support.shell import ROOT

DIALECT = re.compile(
    r"\b(anew|told|heard|hears?|twins?|stranger|desk|surplus|beside|goes on|go on|worked out|made of|make of|kept|"
    r"an? (line|row|column|object|table|process|file|core) an? \w+|one an? \w+)\b"
)
"""Words that docs and pages do without as well; "a row a clip" is "one row per clip"."""


def commands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield each command with its parser, groups first."""
    yield name, parser
    for action in parser._actions:  # argparse offers no public way to its commands and options
        if isinstance(action, argparse._SubParsersAction):
            for word, each in action.choices.items():
                yield from commands(each, f"{name} {word}".strip())


COMMANDS = dict(commands(main.parser()))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_in_plain_english(name):
    parser = COMMANDS[name]
    text = " ".join(parser.format_help().split())
    assert not DIALECT.search(text), DIALECT.search(text)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            # The help lines of commands, to which argparse offers no public way either.
            assert {each.dest for each in action._choices_actions} == set(action.choices), (
                "each command has a help line"
            )
            assert all(each.help for each in action._choices_actions)
            continue
        assert action.help and action.help is not argparse.SUPPRESS, action
        assert action.nargs == 0 or action.metavar or action.choices, f"{action.option_strings} takes a value: which?"


def test_one_thing_has_one_option_and_an_option_one_spelling():
    helps: dict[str, set[str]] = {}
    for name, parser in COMMANDS.items():
        assert not parser.allow_abbrev, name
        for action in parser._actions:
            long = [option for option in action.option_strings if option != "-h"]
            assert len(long) <= 1, long
            for option in long:
                helps.setdefault(option, set()).add(str(action.metavar))
    assert not {"--write", "--to", "--models", "--corpora", "--dir", "--format", "--twins"} & set(helps)
    assert helps["--out"] == {"FILE"} and helps["--jobs"] == {"N"} and helps["--model"] == {"NAME"}
    assert helps["--corpus"] == {"NAME[=DIR]", "NAME=DIR"}  # build-models reads no installed corpora


@pytest.mark.parametrize("module", main.COMMANDS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_command_is_a_file_with_a_test(module):
    name = module.__name__.rpartition(".")[2]
    assert name.replace("_", "-") in COMMANDS and (Path(__file__).parent / f"test_{name}.py").is_file()


@pytest.mark.parametrize("start", ["ser_core.cli.main", "ser_core.__main__"])
def test_numpy_gets_one_thread_however_the_command_is_started(start):
    code = f"import os, {start}; print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "1"]


def test_the_installed_command_is_the_module(built, tmp_path):
    script = tmp_path / "ser"
    script.write_text("import sys\nfrom ser_core.cli.main import main\nsys.exit(main())\n")
    environment = {**os.environ, "SER_MODELS": str(built), "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}

    def shell(*command: object) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)

    ours, module = (shell(*start, "models", "--json") for start in ((script,), ("-m", "ser_core")))
    assert (ours.returncode, ours.stderr) == (0, "") and ours.stdout == module.stdout
    missing = shell(script, "predict", "Grüße.wav", "--model", "knn")
    assert missing.returncode == 2 and "does not exist" in missing.stderr
    assert shell(script).stderr.startswith("usage: ser ")


@pytest.mark.parametrize("arguments", [(), ("predict",), ("paint",), ("predict", "a.wav", "--colour")])
def test_a_misspelt_command_is_explained(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(list(arguments))
    assert stopped.value.code == 2
    assert "usage: python -m ser_core" in capsys.readouterr().err


def test_a_word_of_the_command_line_does_nothing_to_the_terminal(capsys):
    with pytest.raises(SystemExit):
        main.main(["predict", "a.wav", "--\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
@pytest.mark.parametrize("options", [["--json"], []], ids=["more than the buffer", "less"])
def test_a_reader_that_leaves_early_is_no_error(built, options):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "ser_core", "models", *options],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "SER_MODELS": str(built)},
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
