"""Votes of listeners: the official table in a corpus's folder, and what is wrong where it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_core.corpora import catalogue, votes
from ser_core.errors import CorpusError

HEAD = '"","A","D","F","H","N","S","fileName","numResponses","emoVote"'
ROWS = (
    '"100001",6,2,0,0,1,0,"1001_DFA_ANG_XX",9,"A"',
    '"100002",0,0,0,4,4,1,"1001_DFA_HAP_XX",9,"H:N"',
    '"100003",0,0,0,0,0,0,"1001_DFA_SAD_XX",0,""',
    '"200001",0,0,9,0,0,0,"1001_DFA_ANG_XX",9,"F"',
    '"300001",0,9,0,0,0,0,"1001_DFA_HAP_XX",9,"D"',
    '"100004",0,9,0,0,0,0,"practice",9,"D"',
)


def write(folder: Path, *rows: str, head: str = HEAD) -> Path:
    path = folder / votes.VOTES["cremad"].place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder


def test_the_votes_by_voice_alone_are_read_for_each_clip_that_has_any(tmp_path):
    table = votes.read("cremad", write(tmp_path, *ROWS))
    assert list(table.index) == ["1001_DFA_ANG_XX", "1001_DFA_HAP_XX"]
    assert list(table.columns) == ["neutral", "happy", "sad", "angry", "fear", "disgust"]
    assert table.loc["1001_DFA_ANG_XX"].to_dict() == {
        "neutral": 1,
        "happy": 0,
        "sad": 0,
        "angry": 6,
        "fear": 0,
        "disgust": 2,
    }
    assert [votes.acted_label("cremad", name) for name in ("1001_DFA_ANG_XX", "1040_ITH_SAD_X", "x")] == [
        "angry",
        "sad",
        None,
    ]


def test_the_folder_of_the_clips_will_do_and_one_without_votes_has_none(tmp_path):
    clips = write(tmp_path / "repository", *ROWS) / "AudioWAV"
    clips.mkdir()
    assert len(votes.read("cremad", clips)) == 2
    assert votes.find("cremad", tmp_path) is None and votes.find("tess", clips) is None
    with pytest.raises(
        CorpusError, match=r"holds no votes of listeners: processedResults/tabulatedVotes\.csv is missing"
    ):
        votes.read("cremad", tmp_path)
    with pytest.raises(CorpusError, match=r"No votes of listeners are published for 'tess'\. Choose one of cremad"):
        votes.read("tess", clips)


@pytest.mark.parametrize(
    ("rows", "head", "words"),
    [
        (ROWS, HEAD.replace('"A"', '"X"'), "cannot be read"),
        (['"100001",many,0,0,0,0,0,"1001_DFA_ANG_XX",0,""'], HEAD, "cannot be read"),
        (['"100001",-1,2,0,0,0,0,"1001_DFA_ANG_XX",1,""'], HEAD, "not one row per clip"),
        ([ROWS[0], ROWS[0]], HEAD, "not one row per clip"),
        (ROWS[3:], HEAD, "not one row per clip"),
    ],
    ids=["no column", "no number", "negative", "twice", "none by voice"],
)
def test_a_damaged_table_is_refused(tmp_path, rows, head, words):
    with pytest.raises(CorpusError, match=words):
        votes.read("cremad", write(tmp_path, *rows, head=head))


def test_every_corpus_with_votes_is_known_and_has_their_labels():
    for name, spec in votes.VOTES.items():
        assert set(spec.labels.values()) == set(catalogue.CORPORA[name].labels.values())
