"""Reads a stranger's model in a process of its own, before the server does: `python -m ser_core.probe CLASSIFIER FOLDER LABEL ...`.

scikit-learn makes its trees in C from what a file says, and does not check all of it: some damaged files end the process that reads them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ser_core import classifiers
from ser_core.errors import ModelError

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 120.0

UNCHECKED = frozenset({"forest", "boosting"})
"""Classifiers whose files may end the process that reads them."""


def survives(classifier: str, folder: Path, labels: Sequence[str]) -> bool:
    """Return whether a process that reads the model in `folder` lives to its end; one that refuses it with a sentence does."""
    command = [sys.executable, "-m", "ser_core.probe", classifier, str(folder.resolve()), *labels]
    try:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    with contextlib.suppress(ModelError):  # whoever asked reads it next, and tells why
        classifiers.load(sys.argv[1], Path(sys.argv[2]), tuple(sys.argv[3:]))
