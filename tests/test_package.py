"""What `pip install .` gives: a package with its data and the shipped models, and the command `ser`."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ser_core import paths
from ser_core.recognition import store

ROOT = Path(__file__).resolve().parents[1]
FACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PLAIN = [Requirement(text) for text in FACTS["project"]["dependencies"]]
TRAIN = [Requirement(text) for text in FACTS["project"]["optional-dependencies"]["train"]]
APP = {"streamlit", "streamlit-webrtc", "plotly", "cryptography", "segno", "ifaddr", "numba"}
"""What only the app needs, which is run from the project's folder; numba is pinned there, and librosa brings it."""

DISTRIBUTIONS = {"sklearn": "scikit-learn", "imblearn": "imbalanced-learn", "google": "protobuf"}
"""Imported name -> the name to install, where they differ."""

INDIRECT = {"threadpoolctl", "protobuf", "markupsafe"}
"""What scikit-learn, ONNX and Jinja need themselves."""

EXTRAS = sorted(
    {requirement.name.replace("-", "_") for requirement in TRAIN}
    | {"imblearn", "numba", "streamlit", "plotly", "segno"}
)
WITHOUT_EXTRAS = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
"""
"""A module that hides what a plain installation does not bring."""

PREDICT = ["predict", str(ROOT / "pages" / "samples" / "bright.flac"), "--json"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy without what a user's own folder holds besides the project."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("ser_core", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(source / "models" / "knn", source / "models" / "trained_here")
    build = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*build, "-w", str(out)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `ser` of a fresh environment that holds the wheel and sees the libraries of this one, but for the extras."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [sys.executable, "-m", "pip", "--python", str(binaries / "python"), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, "-q", str(wheel)], check=True, timeout=120)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    shown = subprocess.run([binaries / "python", "-c", code], capture_output=True, text=True, check=True).stdout
    packages = Path(shown.strip())
    (packages / "without_extras.py").write_text(WITHOUT_EXTRAS, encoding="utf-8")
    libraries = sysconfig.get_path("purelib")
    (packages / "libraries.pth").write_text(f"{libraries}\nimport without_extras\n", encoding="utf-8")
    return binaries / "ser"


def run(command: list[str], *, cwd: Path, data: Path) -> str:
    """Return what a command prints, run with no SER_* variable and with `data` as the user's data folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SER_", "PYTHON"))}
    environment |= {"XDG_DATA_HOME": str(data), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_rooms_their_data_and_the_shipped_models_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("ser_core/")}
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ser_core").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    models = {"ser_core/_models/together.json"} | {
        f"ser_core/_models/{slug}/{path.name}"
        for slug in (*store.SHIPPED, paths.ENCODERS)
        for path in (ROOT / "models" / slug).iterdir()
        if path.is_file()
    }
    assert names == files | models


def test_the_wheel_names_the_command_and_the_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        read = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "ser = ser_core.cli.main:main" in read["entry_points.txt"]
    assert "Version: 1.0.0" in read["METADATA"]
    assert "Provides-Extra: train" in read["METADATA"]


def test_the_installed_command_predicts_what_the_project_does(installed: Path, tmp_path: Path) -> None:
    """From another folder, without the extras: the same labels and probabilities, and nothing is written beside the caller."""
    with pytest.raises(AssertionError, match="ModuleNotFoundError: keras"):
        run([str(installed.with_name("python")), "-c", "import keras"], cwd=tmp_path, data=tmp_path)
    elsewhere, data = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    theirs = json.loads(run([str(installed), *PREDICT], cwd=elsewhere, data=data))[0]
    ours = json.loads(run([sys.executable, "-m", "ser_core", *PREDICT], cwd=ROOT, data=data))[0]
    for answer in (theirs, ours):
        for prediction in [*answer["predictions"], answer["together"]]:
            del prediction["milliseconds"]
    assert [prediction["model"] for prediction in ours["predictions"]] == list(store.SHIPPED)
    assert theirs == ours
    assert list(elsewhere.iterdir()) == []


def test_an_installed_package_keeps_its_folders_in_the_users_data_folder(installed: Path, tmp_path: Path) -> None:
    code = (
        "from ser_core import paths; "
        "print(*map(str, [paths.models_folder(), paths.runs_folder(), paths.corpora_folder()]), sep='\\n')"
    )
    shown = run([str(installed.with_name("python")), "-c", code], cwd=tmp_path, data=tmp_path / "data").splitlines()
    assert Path(shown[0]).parts[-2:] == ("ser_core", "_models")
    assert not Path(shown[1]).is_relative_to(Path(shown[0]).parents[1])
    if sys.platform == "linux":
        assert [Path(each) for each in shown[1:]] == [tmp_path / "data" / "ser" / name for name in ("runs", "corpora")]


def test_in_the_project_all_folders_are_the_projects_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SER_MODELS", "SER_RUNS", "SER_CACHE"):
        monkeypatch.delenv(name, raising=False)
    assert paths.models_folder() == ROOT / "models"
    assert paths.runs_folder() == ROOT / "runs"
    monkeypatch.setenv("SER_CACHE", "elsewhere")
    assert paths.feature_cache() == ROOT / "elsewhere"


def test_a_folder_that_is_named_goes_before_the_packages_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The models that come with an installed package, which this is not.
    monkeypatch.setattr(paths, "_PACKAGED_MODELS", tmp_path)
    monkeypatch.setenv("SER_MODELS", str(tmp_path / "mine"))
    assert paths.models_folder() == tmp_path / "mine"
    monkeypatch.delenv("SER_MODELS")
    assert paths.models_folder() == tmp_path


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(";")[0].strip().split("==") for line in lines if line and not line.startswith(("#", "-")))


def test_every_pin_of_the_project_lies_within_a_range_of_the_package() -> None:
    ranges = {requirement.name: requirement.specifier for requirement in PLAIN + TRAIN}
    assert set(pins()) == set(ranges) | APP
    for name, specifier in ranges.items():
        assert pins()[name] in specifier, (
            f"pyproject.toml wants {name}{specifier}; requirements.txt has {pins()[name]}."
        )


def test_every_library_that_the_package_imports_is_installed_with_it() -> None:
    named = {requirement.name for requirement in PLAIN + TRAIN} | INDIRECT | {"tensorflow"}
    for path in sorted((ROOT / "ser_core").rglob("*.py")):
        allowed = named | (APP if path.is_relative_to(ROOT / "ser_core" / "serving") else set())
        for name in imported(path):
            assert DISTRIBUTIONS.get(name, name) in allowed, (
                f"{path.relative_to(ROOT)} imports {name}, which pyproject.toml does not name."
            )


def imported(path: Path) -> set[str]:
    """Return the third-party packages that a file imports anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {re.sub(r"\..*", "", name) for name in names}
    return tops - set(sys.stdlib_module_names) - {"ser_core", "__future__"}
