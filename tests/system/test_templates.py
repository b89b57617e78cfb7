"""Templates in files: whatever is filled in is escaped, and nothing is left blank by mistake."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from ser_core.system import templates


def test_values_are_escaped_whatever_the_file_is_called(tmp_path: Path) -> None:
    (tmp_path / "page.j2").write_text('<p title="{{ name }}">{{ name }}</p>', encoding="utf-8")
    assert templates.load(tmp_path / "page.j2").render(name="<b>\"'&") == (
        '<p title="&lt;b&gt;&#34;&#39;&amp;">&lt;b&gt;&#34;&#39;&amp;</p>'
    )


def test_a_name_that_is_not_given_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.j2").write_text("{{ nmae }}", encoding="utf-8")
    with pytest.raises(jinja2.UndefinedError, match="nmae"):
        templates.load(tmp_path / "page.j2").render(name="a")
