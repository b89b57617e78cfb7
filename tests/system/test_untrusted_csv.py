import random
import time

import numpy as np
import pandas as pd
import pytest

from ser_core.system import untrusted_csv


@pytest.mark.parametrize("delimiter", untrusted_csv.DELIMITERS)
def test_a_table_is_read_whatever_stands_between_its_cells(delimiter):
    text = '\ufeffFile| Label \r\n"a|b.wav"|happy\r\n\r\nc.wav|\r\nd.wav\r\n'.replace("|", delimiter)
    table = untrusted_csv.read(text.encode())
    assert list(table.columns) == ["file", "label"]
    assert table.to_numpy().tolist() == [[f"a{delimiter}b.wav", "happy"], ["c.wav", ""], ["d.wav", ""]]


SPOKEN = "Path;Sprecher\r\nwä/1.wav;Jörg\r\n"
READ = [{"path": "wä/1.wav", "sprecher": "Jörg"}]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be-mark", "utf-32", "cp1252", "latin-1"]
)
def test_a_table_is_read_in_the_encodings_that_spreadsheets_save(encoding):
    data = b"\xfe\xff" + SPOKEN.encode("utf-16-be") if encoding.endswith("mark") else SPOKEN.encode(encoding)
    assert untrusted_csv.read(data).to_dict("records") == READ


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", '"sep=;"\r\n', "SEP=; \n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_line_by_which_excel_states_the_delimiter_is_no_row(first, encoding):
    assert untrusted_csv.read((first + SPOKEN).encode(encoding)).to_dict("records") == READ
    assert untrusted_csv.read(b"sep=\t\na;b\tc\n1\t2\n").to_dict("records") == [{"a;b": "1", "c": "2"}]


def test_of_columns_of_one_name_the_first_is_taken_and_empty_cells_at_the_end_are_forgiven():
    table = untrusted_csv.read(b"file,FILE,label\na,b,c,,\n")
    assert table.to_dict("records") == [{"file": "a", "label": "c"}]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"a,b\n1,2,3\n", "line 2 has 3 cells, and the first row names 2 columns"),
        (b"\xff\xfe\x00", "utf-16"),
        (b"a,b\n\x81,1\n", "utf-8"),
        (b"a,\xf6\n\x01,1\n", "utf-8"),
        (b"a\n" + b"x" * 200_000, "field larger"),
        (b'a,b\n"' + b"x\n" * 100_000, "field larger"),
        (b"a," * 600, "601 columns; 500 is the most"),
    ],
)
def test_what_is_no_table_is_a_value_error(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        untrusted_csv.read(data)


def test_size_and_rows_have_limits(monkeypatch):
    monkeypatch.setattr(untrusted_csv, "MAX_ROWS", 2)
    assert len(untrusted_csv.read(b"a\n1\n2\n")) == 2
    with pytest.raises(ValueError, match="more than 2 rows"):
        untrusted_csv.read(b"a\n1\n2\n3\n")
    monkeypatch.setattr(untrusted_csv, "MAX_BYTES", 2**20)
    with pytest.raises(ValueError, match="2 MB; 1 MB is the most"):
        untrusted_csv.read(bytes(2 * 2**20))


@pytest.mark.parametrize(
    "line",
    [
        b"file,label" + b",x" * 100_000,
        b"a" + b"," * 200_000,
        b'"\n",' * 100_000,
        b"a\n" + b"1," * 100_000,
    ],
)
def test_a_hundred_thousand_columns_are_refused_at_once(line):
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"columns|cells"):
        untrusted_csv.read(line + b"\n")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("\u200b=1", "'\u200b=1"),
        ("'=1", "''=1"),
        ("a;=1", "a;'=1"),
        ("a\n-1", "a\n'-1"),
        ("=a; +b", "'=a;' +b"),
        ("a=b-c", "a=b-c"),
        ("Ann, -1", "Ann, -1"),
        ("", ""),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_text_that_a_spreadsheet_would_compute_gets_an_apostrophe_which_reading_takes_away(text, written):
    assert untrusted_csv.cell(text) == written and untrusted_csv.unmarked(written) == text
    assert untrusted_csv.read(f"a,b\n{untrusted_csv.lines([[text, 1]])}".encode()).to_dict("records") == (
        [{"a": text, "b": "1"}]
    )


def test_whatever_is_written_is_read_again():
    rng = random.Random(1)
    for _ in range(20_000):
        text = "".join(rng.choices("=+-@'; \t\r\na\u200b＝", k=rng.randrange(9)))
        assert untrusted_csv.unmarked(untrusted_csv.cell(text)) == text


def test_numbers_stay_numbers_and_names_of_columns_are_text_too():
    table = pd.DataFrame({"=n": [-1, -2], "x": [-0.5, np.nan], "t": ["-1", None], "b": [True, False]})
    assert untrusted_csv.encode(table) == "'=n,x,t,b\n-1,-0.5,'-1,True\n-2,,,False\n"
    assert untrusted_csv.lines([["-1", -1, -0.5, None, True]]) == "'-1,-1,-0.5,,True\n"
