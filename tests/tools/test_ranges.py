"""The tool that measures what is usual for each label, on a small corpus."""

from __future__ import annotations

import json

from ser_core.explanation import measures
from tests.support import corpora
from tools import ranges


def test_it_writes_percentiles_of_the_labels_that_there_are(tmp_path):
    corpora.build(tmp_path)
    out = tmp_path / "ranges.json"
    given = [f"ravdess={tmp_path / 'ravdess'}", f"tess={tmp_path / 'tess'}"]
    assert ranges.main([*given, "--cache", str(tmp_path / "cache"), "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["corpora"] == ["ravdess", "tess"] and set(found["percentiles"]) == set(corpora.PITCH)
    assert set(found["percentiles"]["sad"]) == {each.column for each in measures.NAMED}
    assert found["percentiles"]["angry"]["f0_p50"][10] > found["percentiles"]["sad"]["f0_p50"][10]
