"""What the tests of recognition share: tiny models in a folder of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.models import build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def models(built: Path, tmp_path: Path) -> Path:
    """The tiny models in a folder that a test may damage."""
    return shutil.copytree(built, tmp_path / "models")
