"""What the tests of experiments share: the clips of two small corpora, and where a measurement keeps things."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ser_core.corpora import scan
from ser_core.experiments.workspace import Workspace


@pytest.fixture
def desk(base: Path, tmp_path: Path) -> Workspace:
    """A workspace whose models and features are those of the test's file; its results are of this test alone."""
    return Workspace(cache=base / "cache", results=tmp_path / "results", models=base / "models")


@pytest.fixture(scope="module")
def tables(base: Path) -> dict[str, pd.DataFrame]:
    """The clips of each corpus."""
    return {name: scan.scan(name, base / "corpora" / name) for name in ("ravdess", "tess")}


@pytest.fixture(scope="module")
def clips(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The clips of both corpora."""
    return pd.concat(list(tables.values()), ignore_index=True)
