"""What the tests of experiments share: tiny models, and where a measurement keeps things."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_core.experiments.workspace import Workspace
from tests.support import models


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose models and features all tests of a process share; its results are of this test alone."""
    folder = tmp_path_factory.getbasetemp() / "assessed-models"
    if not folder.exists():
        models.build(folder)
    return Workspace(
        cache=tmp_path_factory.getbasetemp() / "assessment-cache", results=tmp_path / "results", models=folder
    )
