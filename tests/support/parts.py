"""What must hold of the parts of a split: no speaker is in two of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue


def assert_no_shared_speaker(clips: pd.DataFrame, parts: Mapping[str, np.ndarray]) -> None:
    """Fail where two parts share a speaker. parts: name -> bool (n_clips,)."""
    speakers = clips[catalogue.SPEAKER].to_numpy()
    seen: dict[str, str] = {}
    for part, mask in parts.items():
        for speaker in sorted(set(speakers[mask])):
            other = seen.setdefault(speaker, part)
            assert other == part, f"Speaker '{speaker}' is in both {other} and {part}."
