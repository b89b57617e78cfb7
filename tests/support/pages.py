"""Pages as Streamlit's own tests run them: opened, read, and waited for while a thread works for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.support import waiting

APP = Path(__file__).resolve().parents[2] / "app.py"
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def visit(path: str = "", **keys: object) -> AppTest:
    """Open the app, go to a page such as "pages/train.py" where one is named, and run it with these keys of the session."""
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    if path:
        page.switch_page(path)
    for key, value in keys.items():
        page.session_state[key] = value
    return page.run() if path or keys else page


def text(page: AppTest, *more: str) -> str:
    """Return what a page says, without Markdown's escapes; fail where it has raised. more: further kinds, "caption" or "html"."""
    assert not page.exception, page.exception[0].value
    kinds = ("header", "markdown", "info", "error", "warning", *more)
    pieces = [each.proto.body if kind == "html" else each.value for kind in kinds for each in page.get(kind)]
    return _ESCAPE.sub(r"\1", " ".join(pieces))


def players(page: AppTest) -> list[dict[str, Any]]:
    """Return what the browser is given for each player of a clip (pages/ui/player), from top to bottom."""
    found = [json.loads(each.proto.json) for each in page.get("bidi_component") if each.proto.json]
    return [each for each in found if "url" in each]


def everything(page: AppTest) -> list[tuple[str, str]]:
    """Return all text that a page sends to the browser, from top to bottom, with where it goes."""
    return list(_below(page._tree))  # AppTest has no public way to all elements, whatever their kind


def wait_for(page: AppTest, condition: Callable[[str], object]) -> str:
    """Run a page until what it says is as wanted, and return it; a browser's timer runs it so."""
    waiting.until(lambda: condition(text(page)) or condition(text(page.run())), pause_s=0.05, saying=lambda: text(page))
    return text(page)


def finish(page: AppTest, key: str) -> AppTest:
    """Wait until the task of what the session holds under a key has ended, and run the page once more."""
    waiting.until(lambda: not page.session_state[key].task.running)
    return page.run()


def _strings(message: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield all text of a protobuf message, with the names of the fields that lead to it."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if field.message_type is None and isinstance(each, str):
                yield f"{place}.{field.name}", each
            elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
                yield from _strings(each, f"{place}.{field.name}")


def _below(node: Any) -> Iterator[tuple[str, str]]:
    """Yield all text of a part of a page, from top to bottom, with where it goes."""
    if hasattr(getattr(node, "proto", None), "ListFields"):
        yield from _strings(node.proto, type(node.proto).__name__)
    for child in getattr(node, "children", {}).values():
        yield from _below(child)
