"""JSON as text -> values, where the text may be damaged or a stranger's: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
import re
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")


def loads(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises
    ------
    ValueError : if it is no JSON, is nested too deeply, or holds halves of characters, which no file and no page could hold again.
    """
    try:
        values = json.loads(text)
        half = b"\\ud" if isinstance(text, bytes) else "\\ud"
        if half in text.lower() and _HALF.search(json.dumps(values, ensure_ascii=False)):  # type: ignore[operator]
            raise ValueError("it holds half a character (a surrogate)")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return values
