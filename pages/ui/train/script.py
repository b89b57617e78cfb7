"""A Python script that repeats a training with the same settings. No Streamlit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

SCRIPT = '''"""Trains the model again that was called {title!s}, with the same settings.

Run it in the project's folder, with the corpora where they were (SER_CORPORA): .venv/bin/python {name}
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = json.loads({config})

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "config.json"
    file.write_text(json.dumps(CONFIG), encoding="utf-8")
    sys.exit(subprocess.run([sys.executable, "-m", "ser_core", "train", "--config", str(file)]).returncode)
'''


def script(title: str, config: Mapping[str, Any], *, name: str = "this file") -> str:
    """Return the script. title: what a visitor called the model; it ends up in a comment, without what could end that comment."""
    safe = re.sub(r"[^\w .,:()-]+", " ", title).strip() or "unnamed"
    text = json.dumps(
        {key: "" if key == "scheduler" else value for key, value in config.items()}, indent=1
    )  # that is the teacher's own
    return SCRIPT.format(title=safe, name=name, config=f"r'''{text}'''" if "'" not in text else repr(text))
