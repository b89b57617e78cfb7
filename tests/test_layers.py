"""The walls of the house: who may import whom, read from the source with `ast`, and what `import ser_core` loads."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "ser_core"
TESTS = ROOT / "tests"

ROOMS = (
    {"errors"},
    {"paths"},
    {"settings"},
    {"system"},
    {"metrics"},
    {"audio"},
    {"classifiers"},
    {"features"},
    {"corpora"},
    {"dataset"},
    {"recognition"},
    {"explanation"},
    {"training"},
    {"experiments", "serving"},
    {"cli"},
    {"__main__"},
)
"""A room imports rooms above its own line only, and none beside it; a room that is missing here fails the test."""

FLOOR = {name: floor for floor, names in enumerate(ROOMS) for name in names}

# library -> files of ser_core that may import it
HEAVY = {
    "streamlit": set(),
    "streamlit_webrtc": set(),  # its SRTP library crashes the process once TensorFlow is loaded
    "plotly": set(),
    "librosa": {"audio/augment.py"},
    "numba": set(),
    "tensorflow": {"classifiers/_keras.py"},
    "keras": {"classifiers/_keras.py"},
    "tf2onnx": {"classifiers/_keras.py"},
    "onnxruntime": {"classifiers/_onnx.py", "features/encoder.py"},
    "av": {"audio/decoding.py", "audio/codecs.py", "audio/recording.py"},
    "soundfile": {"audio/decoding.py", "audio/recording.py", "audio/waveform.py"},
}

TESTED_ELSEWHERE = {
    "audio/warm_up.py": "run by `make setup`: test_setup.py warms a cold cache by it",
    "classifiers/_estimators.py": "private: classifiers/test_table.py runs over every kind",
    "classifiers/_keras.py": "private: training/test_networks.py trains both networks, in processes of their own",
    "classifiers/_onnx.py": "private: recognition/test_sandbox.py and classifiers/test_table.py give it networks",
    "classifiers/_sklearn.py": "private: classifiers/test_table.py runs over every kind",
    "cli/options.py": "what the commands share: cli/test_main.py",
    "cli/terminal.py": "what the commands print with: cli/test_main.py, cli/test_predict.py and cli/test_train.py",
}
"""Modules of ser_core without a test file of their name, and why."""

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


def room(path: Path) -> str:
    """Return the room of a file: ser_core/classifiers/_onnx.py -> classifiers, ser_core/paths.py -> paths."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def module_of(name: str) -> str:
    """Return the module that an imported dotted name is, or is in."""
    return name if (ROOT / f"{name.replace('.', '/')}.py").exists() else name.rpartition(".")[0]


@pytest.mark.parametrize("path", core_files(), ids=relative)
def test_a_room_imports_lower_rooms_only(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    assert own in FLOOR, f"{relative(path)} is in no room of ROOMS. Give it one, below everything that it imports."
    for item in imports(path):
        package, _, rest = item.name.partition(".")
        assert package not in {"pages", "app"}, (
            f"{relative(path)}:{item.line} imports {item.name}; the core knows no pages."
        )
        target = rest.split(".")[0]
        if package != "ser_core" or target == own:
            continue
        assert target in FLOOR, f"{relative(path)}:{item.line} imports {item.name}, which is in no room of ROOMS."
        assert FLOOR[target] < FLOOR[own], (
            f"{relative(path)}:{item.line} imports {item.name}; {own} may import rooms above it only."
        )


def test_there_is_no_circle() -> None:
    graph = {
        module_of(f"ser_core.{'.'.join(path.relative_to(CORE).with_suffix('').parts)}"): {
            module_of(item.name) for item in imports(path) if item.name.startswith("ser_core.")
        }
        for path in core_files()
    }
    order = graphlib.TopologicalSorter(
        {name: {each for each in found if each != name} for name, found in graph.items()}
    )
    assert len(list(order.static_order())) >= len(graph)


def test_few_files_stand_outside_of_the_rooms_and_none_only_forwards() -> None:
    assert len(list(CORE.glob("*.py"))) <= 6
    for path in core_files():
        if path.name != "__init__.py":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert any(not isinstance(each, ast.Expr | ast.Import | ast.ImportFrom) for each in body), relative(path)


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


OF_OTHER_PAGES = {
    ("pages/ui/recognize/answers.py", "pages.ui.live.session"),
    ("pages/ui/compare/measurement.py", "pages.ui.train.run"),
}
"""Imports of one page's folder by another's that are still there; no more may come."""


def test_a_folder_of_a_page_imports_no_other_pages_folder() -> None:
    folder = ROOT / "pages" / "ui"
    of_pages = {path.stem for path in page_files()} | {"recognize"}
    found = {
        (relative(path), item.name)
        for path in ui_files()
        for item in imports(path)
        if path.parent != folder
        and item.name.startswith("pages.ui.")
        and (other := item.name.split(".")[2]) in of_pages
        and other != path.relative_to(folder).parts[0]
        and (folder / other).is_dir()
    }
    assert {(path, ".".join(name.split(".")[:4])) for path, name in found} == OF_OTHER_PAGES


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, ser_core; print(*sorted({'streamlit', 'tensorflow', 'keras', 'numba', 'librosa'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_module_has_a_test_file_of_its_name() -> None:
    inside = [path.relative_to(CORE) for path in core_files() if not path.name.startswith("__")]
    lacking = {path.as_posix() for path in inside if not (TESTS / path.parent / f"test_{path.name}").exists()}
    assert lacking == set(TESTED_ELSEWHERE), "write tests/<room>/test_<module>.py, or say in TESTED_ELSEWHERE why not"
    assert all((CORE / each).is_file() for each in TESTED_ELSEWHERE), "a module of TESTED_ELSEWHERE has gone"


def private_names(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each private name that a file uses of something else, in code or for monkeypatch, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found = []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "os"):
            found = [node.attr]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("ser_core", "pages")):
            found = [each.name for each in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".setattr", ".setitem", ".delattr")):
            found = [str(each.value).split(".")[-1] for each in node.args[:2] if isinstance(each, ast.Constant)]
        for name in found:
            if name.startswith("_") and not name.startswith("__"):
                yield name, node.lineno


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_a_test_that_uses_a_private_name_says_why(path: Path) -> None:
    """A comment on one of its lines or the one above; tests speak to what everybody may use."""
    lines = ["", *path.read_text(encoding="utf-8").splitlines()]
    used = list(private_names(path))
    explained = {name for name, line in used if any("# " in each for each in lines[line - 1 : line + 1])}
    lacking = {name for name, _ in used} - explained
    assert not lacking, f"{sorted(lacking)}: use a public name, or say why not in a comment there"
