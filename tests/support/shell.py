"""The command line as a process, and recordings to give it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "pages" / "samples"
SPEECH, OTHER, NO_SPEECH = (SAMPLES / name for name in ("bright.flac", "fast_loud.flac", "no_speech.flac"))


def process(*arguments: object, models: Path, text: bool = True, **environment: str) -> subprocess.CompletedProcess:
    """Run a command as a process of its own, with a folder of models."""
    return subprocess.run(
        [sys.executable, "-m", "ser_core", *map(os.fspath, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=text,
        check=False,
        env={**os.environ, "SER_MODELS": str(models), **environment},
        encoding="utf-8" if text else None,
    )
