"""What a server writes is its user's alone: looked at as another user of the machine would find it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ser_core.serving import permissions
from ser_core.training import supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")

ROOT = Path(__file__).resolve().parents[2]
WORK = """
import os, sys, time
from pathlib import Path
from ser_core.dataset import build
from ser_core import paths
from ser_core.features import config
from ser_core.training import jobs
from ser_core.corpora import library
from ser_core.corpora import recorded
from ser_core.serving import server

os.umask(0o022)
server._settle()
name = recorded.create(paths.corpora_folder(), "Class 9b")
recorded.add(paths.corpora_folder(), name, Path(sys.argv[1]).read_bytes(), label="happy", speaker="Ann")
build.build(library.clips(paths.corpora_folder(), [name]), config.FeatureConfig(), cache=paths.feature_cache(), n_jobs=2)
job = jobs.start(paths.runs_folder(), {}, title="Mine", command=(sys.executable, "-c", "print(1)"))
while not jobs.find(paths.runs_folder(), job.id).ended:
    time.sleep(0.1)
"""


def readable(folder: Path) -> list[str]:
    """Return what below a folder somebody else could read, the folder itself included."""
    return sorted(
        str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077 and not path.is_symlink()
    )


def test_corpora_runs_caches_and_logs_are_the_users_alone(tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("SER_CORPORA", "SER_RUNS", "SER_CACHE", "SER_RESULTS")}
    old = tmp_path / "SER_RUNS"
    old.mkdir(mode=0o755)
    voice = ROOT / "pages" / "samples" / "bright.flac"
    subprocess.run([sys.executable, "-c", WORK, str(voice)], cwd=ROOT, env=os.environ | places, check=True, timeout=200)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    for kind in ("*.wav", "status.json", supervisor.OUTPUT, "SER_CACHE/*/*"):
        assert any(path.match(kind) for path in written), kind
    assert readable(old) == []
    assert readable(tmp_path / "SER_CACHE") == []
    assert readable(tmp_path / "SER_CORPORA" / "class-9b") == []


def test_folders_that_are_there_lose_the_rights_of_others_and_places_for_all_keep_them(tmp_path: Path) -> None:
    mine, place_for_all, file = tmp_path / "runs", tmp_path / "tmp", tmp_path / "file"
    mine.mkdir()
    mine.chmod(0o775)
    place_for_all.mkdir()
    place_for_all.chmod(0o1777)
    file.touch()
    file.chmod(0o644)
    for path in (mine, place_for_all, file, tmp_path / "missing", Path("/")):
        permissions.close(path)
    modes = [path.stat().st_mode & 0o7777 for path in (mine, place_for_all, file)]
    assert modes == [0o700, 0o1777, 0o644]
    assert Path("/").stat().st_mode & 0o055 == 0o055
