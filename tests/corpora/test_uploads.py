"""Recordings handed over as files and zips: what is taken, what is passed over, who tells the true labels, and what is refused."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from ser_core.audio import decoding
from ser_core.corpora import download, uploads
from ser_core.errors import AudioError, CorpusError


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    file.seek(0)
    return file


def collect(files: dict[str, bytes | io.BytesIO]) -> uploads.Uploads:
    return uploads.collect(
        [(name, io.BytesIO(data) if isinstance(data, bytes) else data) for name, data in files.items()]
    )


def labels(found: uploads.Uploads) -> dict[str, tuple[str | None, str]]:
    return {each.name: (each.label, each.told_by) for each in found.recordings}


def test_files_and_zips_are_read_as_they_are():
    found = collect({"b.wav": b"one", "a.zip": zip_of({"x/a.FLAC": b"two", "x/c.mp3": b"three"})})
    assert [(each.name, each.read()) for each in found.recordings] == [
        ("b.wav", b"one"),
        ("x/a.FLAC", b"two"),
        ("x/c.mp3", b"three"),
    ]
    assert [each.read() for each in found.recordings] == [b"one", b"two", b"three"]
    assert found.notes == () and {each.label for each in found.recordings} == {None}


def test_what_is_no_recording_is_passed_over_and_counted():
    found = collect(
        {
            "a.zip": zip_of(
                {"a.wav": b"1", "notes.txt": b"", "b.zip": b"", "__MACOSX/a.wav": b"", "._a.wav": b"", "d/": b""}
            )
        }
    )
    assert [each.name for each in found.recordings] == ["a.wav"]
    assert found.notes == (
        "An archive within a zip, or of another kind, is not unpacked: b.zip. Unpack it, and choose what is in it.",
        "1 file that is neither sound nor table: skipped.",
    )


def test_a_table_tells_labels_by_path_name_or_stem_in_any_words():
    table = "File;Label\nx\\a.wav;Happiness\n B.WAV ;sad\nc;Anger\ngone.wav;fear\nd.wav;sleepy\ne.wav;\n"
    packed = zip_of({"t.csv": table.encode("utf-8-sig"), **{f"x/{name}.wav": b"" for name in "abcde"}})
    found = collect({"z.zip": packed})
    assert labels(found) == {
        "x/a.wav": ("happy", "table"),
        "x/b.wav": ("sad", "table"),
        "x/c.wav": ("angry", "table"),
        "x/d.wav": (None, ""),
        "x/e.wav": (None, ""),
    }
    assert "1 rows have labels that are not known, such as 'sleepy'" in found.notes[0]
    assert found.notes[1] == "1 row of the table names no recording that is here."


def test_names_of_known_corpora_and_folders_tell_labels_where_no_table_does():
    found = collect(
        {
            "z.zip": zip_of(
                {
                    "Sadness/x.wav": b"",
                    "03-01-05-01-02-01-12.wav": b"",
                    "angry/03a01Fa.flac": b"",
                    "DC/f01.wav": b"",
                    "x.wav": b"",
                }
            ),
            "t.csv": b"path,emotion\n03-01-05-01-02-01-12.wav,calm\n",
        }
    )
    assert labels(found) == {
        "03-01-05-01-02-01-12.wav": ("calm", "table"),
        "DC/f01.wav": ("fear", "name"),
        "Sadness/x.wav": ("sad", "folder"),
        "angry/03a01Fa.flac": ("happy", "name"),
        "x.wav": (None, ""),
    }
    assert [each.corpus for each in found.recordings] == ["ravdess", "savee", "", "emodb", ""]


def test_a_table_of_something_else_is_said_to_be_one():
    found = collect({"a.wav": b"", "prices.csv": b"item,price\nx,1\n"})
    assert found.notes == ("prices.csv has no column 'file' and 'label', so it gives no true labels.",)


def test_a_name_is_one_harmless_line_and_a_table_still_finds_it():
    nasty = {"\u202egpj.wav": b"", "\x1b[31mred.wav": b"", f"{'a' * 5000}.wav": b"", "=1+1.wav": b""}
    table = "file,label\n" + "".join(f"{name},sad\n" for name in nasty) + f"x.wav,\x1b{'b' * 5000}\n"
    found = collect({"z.zip": zip_of({**nasty, "\x1b.csv": table.encode()})})
    assert {each.name for each in found.recordings} == {
        "�gpj.wav",
        "�[31mred.wav",
        f"{'a' * 79}…{'a' * 36}.wav",
        "=1+1.wav",
    }
    assert {each.label for each in found.recordings} == {"sad"}
    assert (
        found.notes[0].startswith("�.csv: 1 rows have labels that are not known, such as '�bbb")
        and len(found.notes[0]) < 250
    )
    with pytest.raises(CorpusError, match=r"^�\[2J"):
        collect({"\x1b[2J.zip": b"no zip"})


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"notes.txt": b"hello"}, "no recording among these files"),
        ({"a.zip": b"no zip at all"}, "a.zip is not a complete zip archive"),
        ({"a.zip": zip_of({"a.wav": b"1"}).getvalue()[:40]}, "a.zip is not a complete zip archive"),
        ({"a.zip": zip_of({"../../a.wav": b"1"})}, "points outside the folder"),
        ({"a.zip": zip_of({"C:\\a.wav": b"1"})}, "points outside the folder"),
        ({"a.zip": zip_of({link("a.wav"): b"/etc/passwd"})}, "is a link or a device"),
        ({"a.zip": zip_of({f"{n}.wav": b"1" for n in range(501)})}, r"501 recordings; 500 are the most"),
        ({"a.zip": zip_of({"a.wav": bytes(120 * 2**20)})}, "grow from .* more than 50 times"),
        ({"a.wav": b"1", "t.csv": b'"\x81\xfe'}, "t.csv cannot be read"),
        ({"a.wav": b"1", "t.csv": b"file,label" + b",x" * 100_000}, r"t.csv cannot be read \(it has 100,002 columns"),
    ],
)
def test_what_is_unsafe_or_too_much_is_refused(files, sentence):
    with pytest.raises(CorpusError, match=sentence):
        collect(files)


def test_a_member_that_is_too_large_or_damaged_is_an_error_of_its_own(monkeypatch):
    packed = zip_of({"a.wav": b"abcdefgh" * 100, "b.wav": b"fine"}, zipfile.ZIP_STORED)
    data = bytearray(packed.getvalue())
    data[data.index(b"abcdefgh") + 3] ^= 0xFF
    first, second = collect({"z.zip": bytes(data)}).recordings
    with pytest.raises(AudioError, match=r"a\.wav cannot be unpacked: the zip is damaged"):
        first.read()
    assert second.read() == b"fine"
    monkeypatch.setattr(decoding, "MAX_BYTES", 100)
    with pytest.raises(AudioError, match=r"a\.wav has .* MB; the limit is"):
        first.read()


def test_too_many_members_are_refused_before_they_are_listed(monkeypatch):
    monkeypatch.setattr(download, "MAX_MEMBERS", 3)
    with pytest.raises(CorpusError, match="holds 4 files, more than 3"):
        collect({"z.zip": zip_of({f"{n}.txt": b"" for n in range(4)})})


def test_a_recording_says_how_large_it_is_before_it_is_read():
    found = collect({"b.wav": b"one", "a.zip": zip_of({"x/a.flac": b"four"})})
    assert {each.name: each.size for each in found.recordings} == {"b.wav": 3, "x/a.flac": 4}


def table(*rows: str) -> bytes:
    return "\n".join(["file,label", *rows]).encode()


def test_each_table_counts_for_its_own_folder():
    anna = {"anna/1.wav": b"", "anna/labels.csv": table("1.wav,happy")}
    ben = {"ben/1.wav": b"", "ben/labels.csv": table("1.wav,sad")}
    expected = {"anna/1.wav": ("happy", "table"), "ben/1.wav": ("sad", "table")}
    for files in (
        {"z.zip": zip_of(anna | ben)},
        {"z.zip": zip_of(ben | anna)},
        {"a.zip": zip_of(anna), "b.zip": zip_of(ben)},
    ):
        found = collect(files)
        assert labels(found) == expected and found.notes == ()


def test_a_table_in_a_folder_of_its_own_is_read_from_the_nearest_folder_in_which_all_its_paths_are():
    found = collect({"z.zip": zip_of({"x/wav/1.wav": b"", "x/meta/labels.csv": table("wav/1.wav,happy")})})
    assert labels(found) == {"x/wav/1.wav": ("happy", "table")}
    found = collect({"z.zip": zip_of({"anna/1.wav": b"", "ben/labels.csv": table("1.wav,sad")})})
    assert labels(found) == {"anna/1.wav": (None, "")} and "names no recording" in found.notes[0]


@pytest.mark.parametrize(
    "tables",
    [
        {"l.csv": table("1.wav,happy", "1.wav,sad")},
        {"l.csv": table("1.wav,happy", "./1.WAV,sad")},
        {"l.csv": table("1.wav,happy", "1,sad")},
        {"l.csv": table("1.wav,happy", "1.wav,sleepy")},
        {"l.csv": table("1.wav,happy"), "m.csv": table("1.wav,sad")},
    ],
)
def test_a_recording_in_rows_with_different_labels_is_told_and_has_none(tables):
    for files in ({"happy.zip": zip_of({"1.wav": b"", **tables})}, {"1.wav": b"", **tables}):
        found = collect(files)
        assert labels(found) == {"1.wav": (None, "")}
        assert (
            "1 recording (1.wav) is in rows with different labels, so it has no true label. Keep one row a recording."
            in found.notes
        )


def test_rows_that_agree_are_one():
    found = collect({"1.wav": b"", "l.csv": table("1.wav,happy", "1.wav,Joy")})
    assert labels(found) == {"1.wav": ("happy", "table")} and found.notes == ()


def test_a_bare_name_that_fits_several_recordings_is_told_and_labels_none():
    found = collect({"z.zip": zip_of({"anna/1.wav": b"", "ben/1.wav": b"", "l.csv": table("1.wav,happy")})})
    assert {each[0] for each in labels(found).values()} == {None}
    assert found.notes[0].startswith(
        "1 row of a table may mean several recordings (1.wav), so those have no true label."
    )
    found = collect({"a.zip": zip_of({"1.wav": b""}), "b.zip": zip_of({"1.wav": b""}), "l.csv": table("1.wav,happy")})
    assert [each.label for each in found.recordings] == [None, None] and "several" in found.notes[0]


def test_capitals_tell_recordings_apart():
    found = collect({"z.zip": zip_of({"A1.wav": b"", "a1.wav": b"", "l.csv": table("A1.wav,happy", "a1.wav,sad")})})
    assert labels(found) == {"A1.wav": ("happy", "table"), "a1.wav": ("sad", "table")} and found.notes == ()


def test_a_table_as_excel_saves_it_tells_labels():
    content = "sep=;\r\nFile Name;Emotion\r\nw\\1.wav;Joy\r\n".encode("utf-16")
    assert labels(collect({"z.zip": zip_of({"w/1.wav": b"", "l.csv": content})})) == {"w/1.wav": ("happy", "table")}


def test_folders_of_an_upload_are_read_as_those_of_a_corpus_are():
    names = ["angry/Joy/1.wav", "angry/Anna/1.wav", "sad/Joy/1.wav"]
    found = collect({"z.zip": zip_of(dict.fromkeys(names, b""))})
    assert {name: each[0] for name, each in labels(found).items()} == dict(
        zip(names, ["angry", "angry", "sad"], strict=True)
    )
    found = collect({"z.zip": zip_of(dict.fromkeys(["angry/Joy/1.wav", "sad/Ang/1.wav"], b""))})
    assert {each[0] for each in labels(found).values()} == {None}
    assert found.notes[0].startswith(
        "2 recordings (angry/Joy/1.wav, sad/Ang/1.wav) are in folders whose names contradict each other"
    )


def test_a_zip_that_holds_but_another_zip_says_so():
    with pytest.raises(CorpusError, match=r"An archive within a zip, .* is not unpacked: data\.zip\. Unpack it"):
        collect({"z.zip": zip_of({"outer/data.zip": b"PK"})})
