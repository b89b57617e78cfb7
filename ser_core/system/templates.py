"""Jinja templates as files beside the module that fills them: every value is escaped, and a name that is not given is an error."""

from __future__ import annotations

from pathlib import Path

import jinja2


def load(path: Path) -> jinja2.Template:
    """Return the compiled template in a file. A module loads its own once, when it is imported."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name)
