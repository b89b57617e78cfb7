"""The walls of the house: who may import whom, read from the source with `ast`, and what `import ser_core` loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "ser_core"

# A module may import rows above its own line only; a module that is missing here fails the test.
ROWS = (
    {"untrusted_text"},
    {"errors", "curves", "spool", "svg", "plain_json", "csv_tables"},
    {
        "audio",
        "corpora",
        "evaluation",
        "locks",
        "runs",
        "setting",
        "cluster",
        "functionals",
        "spectral",
        "filterbanks",
        "install_page",
        "certainty",
        "guard",
        "admin",
    },
    {
        "features",
        "augment",
        "lossy",
        "splits",
        "balance",
        "classifiers",
        "warm_up",
        "library",
        "mapping",
        "supervisor",
        "certificates",
    },
    {"protocols", "conditions", "recognizer", "quality", "syllables", "download", "run_config", "jobs", "sandbox"},
    {"dataset", "store", "analysis", "doctor", "own", "uploads"},
    {
        "training",
        "exploration",
        "plans",
        "bundles",
        "background",
        "beside",
        "segments",
        "exposure",
        "classroom",
        "result_card",
    },
    {"assessment", "clip_map", "export", "search", "cards", "batch", "live"},
    {"pipeline", "lab", "matrix", "protocol_table", "comparison", "lesson", "permissions"},
    {"robustness", "serving"},
    {"shipped", "cli_models", "cli_train", "cli_serve"},
    {"cli_evaluate"},
    {"cli_lab", "cli_matrix", "cli_robustness", "cli_table"},
    {"cli"},
    {"__main__"},
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}

# library -> files of ser_core that may import it
HEAVY = {
    "streamlit": set(),
    "streamlit_webrtc": set(),  # its SRTP library crashes the process once TensorFlow is loaded
    "plotly": set(),
    "librosa": {"augment.py", "warm_up.py"},
    "numba": set(),
    "tensorflow": {"classifiers/_keras.py"},
    "keras": {"classifiers/_keras.py"},
    "tf2onnx": {"classifiers/_keras.py"},
    "onnxruntime": {"classifiers/_onnx.py"},
    "av": {"audio.py", "lossy.py"},
    "soundfile": {"audio.py"},
}

UI_LIBRARIES = {"streamlit", "streamlit_webrtc", "plotly", "numpy", "pandas"}
SERVER_LIBRARIES = {"starlette", "google"}
"""What stands between the network and Streamlit, pages/ui/server.py, needs these as well."""


class Import(NamedTuple):
    """One imported dotted name, and whether it is imported as the file is (not inside a function)."""

    name: str
    at_once: bool
    line: int


def imports(path: Path) -> Iterator[Import]:
    """Yield what a file imports: `from ser_core import audio` as ser_core.audio, relative imports made absolute."""
    package = path.relative_to(ROOT).parent.parts

    def walk(node: ast.AST, at_once: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, at_once, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
                if node.level
                else node.module
            )
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", at_once, node.lineno)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        inside = at_once and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)), True)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def page_files() -> list[Path]:
    return [path for path in [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))] if path.exists()]


def ui_files() -> list[Path]:
    return sorted((ROOT / "pages" / "ui").rglob("*.py"))


def core_module(path: Path) -> str:
    """Return the row name of a file: ser_core/classifiers/_onnx.py -> classifiers."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", core_files(), ids=relative)
def test_a_core_module_imports_lower_rows_only(path: Path) -> None:
    module = core_module(path)
    if module == "__init__":
        return
    assert module in ROW_OF, f"{relative(path)} has no row. Give it one in ROWS, below everything that it imports."
    own = ROW_OF[module]
    for item in imports(path):
        package, _, rest = item.name.partition(".")
        assert package not in {"pages", "app"}, (
            f"{relative(path)}:{item.line} imports {item.name}; the core knows no pages."
        )
        if package != "ser_core":
            continue
        target = rest.split(".")[0]
        if target == module:
            continue
        assert target in ROW_OF, f"{relative(path)}:{item.line} imports {item.name}, which has no row in ROWS."
        assert ROW_OF[target] < own, (
            f"{relative(path)}:{item.line} imports {target} (row {ROW_OF[target]}); only rows under {own} may be."
        )


@pytest.mark.parametrize("path", core_files(), ids=relative)
def test_heavy_libraries_stay_where_they_belong(path: Path) -> None:
    inside = path.relative_to(CORE).as_posix()
    for item in imports(path):
        library = item.name.split(".")[0]
        if library in HEAVY:
            allowed = sorted(HEAVY[library]) or "nowhere in ser_core"
            assert inside in HEAVY[library], f"{relative(path)}:{item.line} imports {library}; allowed: {allowed}."


@pytest.mark.parametrize("path", core_files(), ids=relative)
def test_the_training_networks_are_imported_only_when_used(path: Path) -> None:
    for item in imports(path):
        if item.name.startswith("ser_core.classifiers._keras"):
            assert not item.at_once, (
                f"{relative(path)}:{item.line}: the server would load TensorFlow. Import _keras in a function."
            )


@pytest.mark.parametrize("path", page_files(), ids=relative)
def test_a_page_imports_the_core_and_ui_helpers_only(path: Path) -> None:
    for item in imports(path):
        library = item.name.split(".")[0]
        allowed = (
            library in {"ser_core", "streamlit"}
            or library in sys.stdlib_module_names
            or item.name.startswith("pages.ui")
        )
        assert allowed, (
            f"{relative(path)}:{item.line} imports {item.name}; a page may use ser_core, pages.ui and streamlit."
        )


@pytest.mark.parametrize("path", ui_files(), ids=relative)
def test_ui_helpers_import_the_core_and_drawing_libraries_only(path: Path) -> None:
    for item in imports(path):
        library = item.name.split(".")[0]
        libraries = UI_LIBRARIES | (SERVER_LIBRARIES if path.name == "server.py" else set())
        allowed = (
            library in libraries | {"ser_core"}
            or library in sys.stdlib_module_names
            or item.name.startswith("pages.ui")
        )
        assert allowed, (
            f"{relative(path)}:{item.line} imports {item.name}; pages/ui may use ser_core and {sorted(libraries)}."
        )


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, ser_core; print(*sorted({'streamlit', 'tensorflow', 'keras', 'numba', 'librosa'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
