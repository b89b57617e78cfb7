"""Colours with a meaning, each defined once: emotions, lines, heat maps, shades.

Each colour stands at 3:1 or more against both the white and the dark ground, so that one set serves both themes, and the
emotions were spread to stay apart under red- and green-blind vision. Nine hues cannot be told apart by everyone: a colour
always comes with its word.
"""

EMOTIONS = {
    "neutral": "#5d646c",
    "calm": "#1f9097",
    "happy": "#b98009",
    "sad": "#6489e6",
    "angry": "#d31a14",
    "fear": "#754ecd",
    "disgust": "#4a7d2c",
    "surprise": "#d65ab5",
    "boredom": "#a07462",
}
"""Label -> colour. The order of labels is ser_core.corpora's, not this table's."""

UNKNOWN = "#7b8794"
"""For a label of a visitor's own model that is not in EMOTIONS."""

GROUPS = ("#6490f5", "#a99306", "#c3223a", "#9540a5", "#e45fa2", "#5145fe")
"""Corpora, speakers and other groups, in this order, then again from the first: a group always comes with its name too."""

LINE = "#3d85c6"
"""Waveforms and curves."""

NOT_USED = "rgba(128, 128, 128, 0.28)"
"""Laid over the parts of a clip that the models do not hear; the sound shows through."""

GRID = "rgba(128, 128, 128, 0.22)"

BELOW, MIDDLE, ABOVE = "#3f7fd6", "rgba(128, 128, 128, 0.12)", "#d07a1e"
"""Distances from a mean: less than it, about it, more than it; blue and orange stay apart for everyone."""

HEAT = "Cividis"
"""Levels: made to look the same under every common kind of colour vision."""


def emotion(label: str) -> str:
    """Return the colour of a label as '#rrggbb'."""
    return EMOTIONS.get(label, UNKNOWN)


def group(number: int) -> str:
    """Return the colour of the number-th group."""
    return GROUPS[number % len(GROUPS)]


SERIES = ("#3d85c6", "#b98009", "#b055ab", "#4f8a30", "#d6453d", "#1f9097", "#7b8794", "#a07462")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "x", "pentagon")
"""Models side by side: a model is known by its symbol and its name as well as by its colour."""

CHANCE = "#7b8794"
"""The line of what guessing reaches, and that of people."""

RING = "#ffffff"
"""Around a point that lies on a curve of its own colour."""

STAR = "#101418"
"""The visitor's clip on a map: no label has it, and its ring shows on a dark ground."""

RIGHT, WRONG = "#3d85c6", "#c2410c"
"""Answers that were right and that were wrong."""


def series(number: int) -> tuple[str, str]:
    """Return colour and symbol of the model in this place, from 0 on; they come again after as many as there are."""
    return SERIES[number % len(SERIES)], SYMBOLS[number % len(SYMBOLS)]
