"""Where bytes come from: memory, the disk, and pieces of either."""

from __future__ import annotations

from ser_core.audio.sources import MemoryFile, OnDisk, Source


def test_pieces_on_the_disk_read_like_pieces_in_memory(tmp_path, rng):
    data = rng.bytes(100_000)
    (tmp_path / "file").write_bytes(data)
    pieces = [b"head", slice(10, 70_000), b"", slice(99_990, 200_000), slice(5, 9)]
    expected = b"head" + data[10:70_000] + data[99_990:] + data[5:9]
    for source in (Source(data), OnDisk(tmp_path / "file", len(data))):
        joined = source.join(pieces)
        assert joined.size == len(expected)
        assert joined.open().read() == expected
        assert joined.part(60_000, 20_000) == expected[60_000:80_000]
        assert joined.join([slice(3, 30)]).part(0, 100) == expected[3:30]
        file = joined.open()
        assert (file.seek(-5, 2), file.read()) == (len(expected) - 5, expected[-5:])


def test_a_seek_before_the_start_stays_put():
    file = MemoryFile(b"RIFF")
    file.seek(3)
    assert (file.seek(-9), file.seek(2**70), file.seek(1)) == (3, 3, 1)
