"""A row of settings (ser_core.setting) as widgets: one a setting, drawn by its kind, with its bounds and its help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from ser_core.errors import ConfigError
from ser_core.settings import CHOICE, NUMBER, SIZES, WHOLE, Setting


def draw(
    settings: Iterable[Setting], *, key: str, values: dict[str, Any] | None = None, columns: int = 2
) -> dict[str, Any]:
    """Draw the settings in columns, and return what was chosen by name. values: what stands there at first, where not the default."""
    values = values or {}
    narrow = [setting for setting in settings if setting.kind != SIZES]
    wide = [setting for setting in settings if setting.kind == SIZES]
    chosen = {setting.name: _sizes(setting, values.get(setting.name, setting.default), key) for setting in wide}
    for start in range(0, len(narrow), columns):
        for place, setting in zip(st.columns(columns), narrow[start : start + columns], strict=False):
            with place:
                chosen[setting.name] = one(setting, values.get(setting.name, setting.default), key)
    return chosen


def one(setting: Setting, value: Any, key: str) -> Any:
    """Draw one setting that holds a single value, and return it."""
    shown: dict[str, Any] = {"key": f"{key}.{setting.name}", "help": setting.help, "persist_state": "session"}
    if setting.kind == CHOICE:
        return st.selectbox(
            setting.title, setting.choices, index=setting.choices.index(value), format_func=str, **shown
        )
    if setting.kind == WHOLE:
        return st.number_input(
            setting.title, int(setting.low), int(setting.high), int(value), int(setting.step), **shown
        )
    if setting.kind == NUMBER:
        low, high, step = float(setting.low), float(setting.high), float(setting.step)
        return st.number_input(setting.title, low, high, float(value), step, format="%g", **shown)
    return st.select_slider(
        setting.title, magnitudes(setting, value), value=value, format_func=lambda number: f"{number:.2g}", **shown
    )


def _sizes(setting: Setting, value: Sequence[int], key: str) -> tuple[int, ...]:
    st.markdown(setting.title, help=setting.help)
    return tuple(
        place.number_input(
            f"{setting.title} {number}",
            int(setting.low),
            int(setting.high),
            int(size),
            int(setting.step) * 8,
            key=f"{key}.{setting.name}.{number}",
            persist_state="session",
        )
        for number, (place, size) in enumerate(zip(st.columns(len(value)), value, strict=True), start=1)
    )


def magnitudes(setting: Setting, value: float) -> list[float]:
    """Return what a slider offers: `value`, and from it up and down by the factor of the setting, as far as its bounds."""
    down, up = [value], [value]
    while down[-1] / setting.step >= setting.low > 0 and len(down) < 60:
        down.append(float(f"{down[-1] / setting.step:.3g}"))
    while up[-1] * setting.step <= setting.high and len(up) < 60:
        up.append(float(f"{up[-1] * setting.step:.3g}"))
    return [*reversed(down[1:]), *up]


def grid(settings: Iterable[Setting], *, key: str) -> dict[str, tuple[Any, ...]]:
    """Draw which values of each setting a search tries, and return them by name; one that is left empty is not searched.

    Raises
    ------
    ConfigError : where a value is no number.
    """
    searched = {}
    for setting in settings:
        shown: dict[str, Any] = {"key": f"{key}.{setting.name}", "help": setting.help, "persist_state": "session"}
        if setting.kind == CHOICE:
            values = tuple(
                st.multiselect(setting.title, setting.choices, default=setting.grid, format_func=str, **shown)
            )
        else:
            text = st.text_input(
                setting.title, ", ".join(f"{value:g}" for value in setting.grid), max_chars=200, **shown
            )
            values = numbers(setting, text or "")
        if values:
            searched[setting.name] = values
    return searched


def numbers(setting: Setting, text: str) -> tuple[float, ...]:
    """Return the numbers of a list such as "5, 15, 30"; raises ConfigError where something else stands there."""
    kind = int if setting.kind == WHOLE else float
    try:
        return tuple(dict.fromkeys(kind(part) for part in text.replace(";", ",").split(",") if part.strip()))
    except ValueError:
        example = ", ".join(f"{value:g}" for value in setting.grid or (setting.default,))
        what = "whole numbers" if kind is int else "numbers"
        raise ConfigError(
            f"{setting.title}: the search needs {what} with commas between them, such as {example}. Got {text!r}."
        ) from None
