import time

import pytest

from ser_core import csv_tables


@pytest.mark.parametrize("delimiter", csv_tables.DELIMITERS)
def test_a_table_is_read_whatever_stands_between_its_cells(delimiter):
    text = '\ufeffFile| Label \r\n"a|b.wav"|happy\r\n\r\nc.wav|\r\nd.wav\r\n'.replace("|", delimiter)
    table = csv_tables.read(text.encode())
    assert list(table.columns) == ["file", "label"]
    assert table.to_numpy().tolist() == [[f"a{delimiter}b.wav", "happy"], ["c.wav", ""], ["d.wav", ""]]


def test_of_columns_of_one_name_the_first_is_taken_and_empty_cells_at_the_end_are_forgiven():
    table = csv_tables.read(b"file,FILE,label\na,b,c,,\n")
    assert table.to_dict("records") == [{"file": "a", "label": "c"}]


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "it is empty"), (b"\n\n", "it is empty"), (b"a,b\n1,2,3\n", "line 2 has 3 cells, and the first row names 2 columns"),
    (b"\xff\xfe\x00", "utf-8"), (b"a\n" + b"x" * 200_000, "field larger"), (b'a,b\n"' + b"x\n" * 100_000, "field larger"),
    (b"a," * 600, "601 columns; 500 is the most"),
])  # fmt: skip
def test_what_is_no_table_is_a_value_error(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        csv_tables.read(data)


def test_size_and_rows_have_limits(monkeypatch):
    monkeypatch.setattr(csv_tables, "MAX_ROWS", 2)
    assert len(csv_tables.read(b"a\n1\n2\n")) == 2
    with pytest.raises(ValueError, match="more than 2 rows"):
        csv_tables.read(b"a\n1\n2\n3\n")
    monkeypatch.setattr(csv_tables, "MAX_BYTES", 2**20)
    with pytest.raises(ValueError, match="2 MB; 1 MB is the most"):
        csv_tables.read(bytes(2 * 2**20))


@pytest.mark.parametrize("line", [
    b"file,label" + b",x" * 100_000, b"a" + b"," * 200_000, b'"\n",' * 100_000, b"a\n" + b"1," * 100_000,
])
def test_a_hundred_thousand_columns_are_refused_at_once(line):
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"columns|cells"):
        csv_tables.read(line + b"\n")
    assert time.process_time() - begun < 2
