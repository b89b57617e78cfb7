"""Changes files as damage, a careless program or an attacker does: bytes, JSON, tables and zips. What is changed comes from `rng` alone.

Names and payloads among them would write ESCAPED or run code that makes CANARY: if either file appears, a check has failed.
"""

from __future__ import annotations

import copy
import csv
import functools
import io
import json
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ESCAPED = Path(tempfile.gettempdir()) / "ser-fuzz-escaped.wav"
CANARY = Path(tempfile.gettempdir()) / "ser-fuzz-ran"

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
LARGEST = 2 * 2**20
"""No input grows beyond this by copying."""

PICKLE = f"cposix\nsystem\n(S'touch {CANARY}'\ntR.".encode()
"""What a careless reader would run."""

NAMES = (
    "../ser-fuzz-escaped.wav",
    "../../../../../../../../../../tmp/ser-fuzz-escaped.wav",
    str(ESCAPED),
    "happy/../../ser-fuzz-escaped.wav",
    "..\\..\\ser-fuzz-escaped.wav",
    "C:\\ser-fuzz-escaped.wav",
    "C:ser-fuzz-escaped.wav",
    "\\\\host\\share\\a.wav",
    "//host/share/a.wav",
    "/",
    "",
    ".",
    "..",
    "./",
    "happy/",
    "happy",
    "happy/\0.wav",
    "happy/a\n.wav",
    "happy/\x1b[31m.wav",
    "happy/\u202egnp.wav",
    "happy/é.wav",
    "happy/e\u0301.wav",
    "happy/😀.wav",
    "happy/\ud800.wav",
    "con.wav",
    "happy/nul",
    "a" * 300 + ".wav",
    "a/" * 300 + "b.wav",
    "happy/" + "b" * 70_000 + ".wav",
    ".hidden.wav",
    "__MACOSX/happy/._a.wav",
    "clips.csv",
    "clips.parquet",
    "CLIPS.CSV",
    "card.json",
    "model.onnx",
    "model.skops",
    "model.keras",
    "title.txt",
    "recorded-here.txt",
    "recordings/../../x.wav",
    "~/.bashrc",
    "%2e%2e/x.wav",
    "$HOME/x.wav",
    "<img src=x onerror=alert(1)>.wav",
    "=cmd|' /C calc'!A0.wav",
    "happy/a.wav ",
    "happy /a.wav",
    "HAPPY/A.WAV",
    "-rf.wav",
)
"""File names that lead elsewhere, or are hard to keep."""

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    255,
    2**31,
    2**32,
    2**63,
    -(2**63),
    10**30,
    10**400,
    0.5,
    -0.5,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "nan",
    "happy",
    "boredom",
    "speaker",
    "../..",
    str(ESCAPED),
    "\0",
    "\ud800",
    "<b>&\"'",
    "a" * 100_000,
    [],
    {},
    [[]],
    [None],
    [0] * 1000,
    ["happy", "happy"],
    {"": None},
    {"a": {"a": {"a": []}}},
    [[[[[[[[]]]]]]]],
    {"__class__": "system", "__module__": "os"},
)

Change = Callable[[bytes, np.random.Generator], bytes]


def mutate_bytes(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return the bytes with one to four changes that know nothing of what they mean."""
    for _ in range(int(rng.integers(1, 5))):
        change = pick(rng, _BYTES)
        data = change(data, others, rng)[:LARGEST]
    return data


def _flip(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9)) if data else 0):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _noise(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    at, n = _place(data, rng), int(rng.integers(1, 65))
    return data[:at] + rng.bytes(n) + data[at + n :]


def _cut(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    return data[: _place(data, rng)] if rng.random() < 0.8 else data[_place(data, rng) :]


def _splice(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    other = pick(rng, others)
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def _repeat(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    start, stop = sorted((_place(data, rng), _place(data, rng)))
    return data[:stop] + data[start:stop] * int(rng.integers(1, 20)) + data[stop:]


def _drop(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    start, stop = sorted((_place(data, rng), _place(data, rng)))
    return data[:start] + data[stop:]


def _insert(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.bytes(int(rng.integers(1, 33))) + data[at:]


def _extreme(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Put a number that is a length's worst over bytes that may be one."""
    size = int(pick(rng, (1, 2, 4, 4, 4, 8)))
    number = (pick(rng, EXTREMES) % 2 ** (8 * size)).to_bytes(size, pick(rng, ("little", "big")))
    at = _place(data, rng)
    return data[:at] + number + data[at + size :]


_BYTES = (_flip, _noise, _cut, _splice, _repeat, _drop, _insert, _extreme, _extreme, _extreme)


def mutate_json(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return a JSON text with some of its values exchanged, left out, doubled or made huge; one in five is changed as bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(data, others, rng)
    root: list[Any] = [json.loads(data)]
    for _ in range(int(rng.integers(1, 4))):
        holder, key = _pick_place(root, rng)
        choice = rng.random()
        if choice < 0.5:
            holder[key] = copy.deepcopy(
                pick(rng, VALUES)
            )  # a list that was put in once would grow with what is put into it
        elif choice < 0.65 and holder is not root:
            del holder[key]
        elif choice < 0.75 and isinstance(holder, dict):
            holder[pick(rng, ("", "extra", "__class__", "slug", "\0", "a" * 1000))] = holder.pop(key)
        elif choice < 0.9:
            other, place = _pick_place(root, rng)
            holder[key] = json.loads(json.dumps(other[place]))
        else:
            holder[key] = "@deep@"
    text = json.dumps(root[0])
    depth = int(pick(rng, (50, 900, 100_000)))
    if '"@deep@"' in text:
        text = text.replace(
            '"@deep@"', pick(rng, ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth))
        )
    elif rng.random() < 0.05:
        text = text.replace("{", '{"labels": 1, "labels": 2, ', 1)
    return text.encode("utf-8", "surrogatepass")


def _pick_place(root: list[Any], rng: np.random.Generator) -> tuple[Any, Any]:
    """Return a container in a JSON value and a key of it, the outer ones more often."""
    holder: Any = root
    key: Any = 0
    while isinstance(holder[key], list | dict) and holder[key] and (holder is root or rng.random() < 0.75):
        holder = holder[key]
        key = pick(rng, list(holder)) if isinstance(holder, dict) else int(rng.integers(len(holder)))
    return holder, key


def mutate_csv(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return a table with hostile cells, columns and delimiters; one in five is changed as bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(data, others, rng)
    rows = list(csv.reader(io.StringIO(data.decode("utf-8"))))
    for _ in range(int(rng.integers(1, 4))):
        row = rows[int(rng.integers(len(rows)))]
        cell = int(rng.integers(len(row))) if row else 0
        choice = rng.random()
        if choice < 0.45 and row:
            row[cell] = str(
                pick(
                    rng, (*NAMES, *map(str, VALUES[:20]), "=1+1", '"', "'", '"a\n', "\r", "\r\n", ",;,", "x" * 200_000)
                )
            )
        elif choice < 0.55 and row:
            del row[cell]
        elif choice < 0.65:
            row.insert(cell, pick(rng, (*rows[0], "x")) if rows[0] else "x")
        elif choice < 0.75:
            rows.append(list(row))
        elif choice < 0.8 and len(rows) > 1:
            rows.pop(int(rng.integers(len(rows))))
        elif choice < 0.82:
            row += ["x"] * int(pick(rng, (10, 1000, 100_000)))
        elif choice < 0.84:
            rows += [list(row)] * int(pick(rng, (10, 1000)))
        elif row:
            source = rows[int(rng.integers(len(rows)))]
            row[cell] = source[int(rng.integers(len(source)))] if source else ""
        if not rows:
            rows = [[]]
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=pick(rng, (",", ",", ",", ",", ";", "\t", "|", " ")),
        lineterminator=pick(rng, ("\n", "\r\n", "\r")),
        quoting=pick(rng, (csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)),
        escapechar="\\",
    )
    writer.writerows(rows)
    encoded = text.getvalue().encode(
        pick(rng, ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")), "replace"
    )
    return encoded if rng.random() < 0.95 else encoded.replace(b"\n", b"\0\n")


def mutate_zip(data: bytes, others: Sequence[bytes], rng: np.random.Generator, *, inner: Change | None = None) -> bytes:
    """Return a zip with members under hostile names, links, bombs, lies about sizes; one in five is changed as bytes.

    inner : changes the content of some members; as bytes where it is None.
    """
    if rng.random() < 0.2:
        return mutate_bytes(data, others, rng)
    members = unpack(data)
    change: Change = inner or (lambda content, rng: mutate_bytes(content, others, rng))
    lie: Callable[[bytes], bytes] | None = None
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(members)))
        info, content = members[at]
        choice = rng.random()
        if choice < 0.3:
            members[at] = _member(pick(rng, NAMES)), content
        elif choice < 0.55:
            members[at] = info, change(content, rng)
        elif choice < 0.6:
            link = _member(info.filename)
            link.external_attr = int(pick(rng, (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK))) << 16
            members[at] = link, str(ESCAPED).encode()
        elif choice < 0.65:
            members.append((info, content))
        elif choice < 0.7 and len(members) > 1:
            members.pop(at)
        elif choice < 0.73:
            bomb = _member(info.filename)
            bomb.compress_type = zipfile.ZIP_DEFLATED
            members[at] = bomb, bytes(int(pick(rng, (2**20, 16 * 2**20))))
        elif choice < 0.75:
            members += [(_member(f"happy/{n}.wav"), b"") for n in range(int(pick(rng, (100, 3000))))]
        elif choice < 0.78:
            members[at] = info, PICKLE
        elif choice < 0.8:
            members[at] = _member(info.filename.rsplit("/", 1)[0] + "/inner.zip"), data
        elif choice < 0.83:
            members[at] = _member(info.filename + "/a.wav"), content
        else:
            lie = _lie(rng)
    packed = pack(members)
    return lie(packed) if lie else packed


def _lie(rng: np.random.Generator) -> Callable[[bytes], bytes]:
    """Return what changes a field of the headers of a zip: sizes, method, flags, counts, places, times."""
    central, local = b"PK\x01\x02", b"PK\x03\x04"
    mark, offset, size = pick(
        rng,
        (
            (central, 24, 4),
            (central, 20, 4),
            (local, 22, 4),
            (local, 18, 4),
            (central, 10, 2),
            (local, 8, 2),
            (central, 8, 2),
            (local, 6, 2),
            (central, 42, 4),
            (central, 28, 2),
            (central, 30, 2),
            (central, 16, 4),
            (b"PK\x05\x06", 8, 2),
            (b"PK\x05\x06", 10, 2),
            (b"PK\x05\x06", 12, 4),
            (b"PK\x05\x06", 16, 4),
            (central, 12, 4),
            (central, 38, 4),
        ),
    )
    number = int(pick(rng, (*EXTREMES, 8, 9, 12, 14, 93, 95, 99))) % 2 ** (8 * size)
    every = rng.random() < 0.3

    def change(data: bytes) -> bytes:
        changed, at = bytearray(data), data.find(mark)
        while at >= 0:
            changed[at + offset : at + offset + size] = number.to_bytes(size, "little")
            at = data.find(mark, at + 1) if every else -1
        return bytes(changed)

    return change


def unpack(data: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """Return what a zip of our own holds."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info, archive.read(info)) for info in archive.infolist()]


def pack(members: Sequence[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a zip of members under any names, as no zip program would write it."""
    out, directory = io.BytesIO(), []
    for info, content in members:
        deflated = info.compress_type == zipfile.ZIP_DEFLATED
        body = _deflated(content) if deflated else content
        name = info.filename.encode("utf-8", "surrogatepass")[:65_535]
        shared = b"".join(
            (
                (20).to_bytes(2, "little"),
                (0x800).to_bytes(2, "little"),
                (8 if deflated else 0).to_bytes(2, "little"),
                b"\0\0\x21\0",
                zlib.crc32(content).to_bytes(4, "little"),
                len(body).to_bytes(4, "little"),
                len(content).to_bytes(4, "little"),
                len(name).to_bytes(2, "little"),
                b"\0\0",
            )
        )
        place = out.tell().to_bytes(4, "little")
        attributes = (info.external_attr % 2**32).to_bytes(4, "little")
        directory.append(b"PK\x01\x02" + b"\x14\x03" + shared + bytes(6) + attributes + place + name)
        out.write(b"PK\x03\x04" + shared + name + body)
    start, entries = out.tell(), b"".join(directory)
    count = (len(members) % 2**16).to_bytes(2, "little")
    out.write(
        entries
        + b"PK\x05\x06"
        + bytes(4)
        + 2 * count
        + len(entries).to_bytes(4, "little")
        + start.to_bytes(4, "little")
        + b"\0\0"
    )
    return out.getvalue()


def _deflated(content: bytes) -> bytes:
    return _zeros(len(content)) if len(content) >= 2**20 and not any(content[:1000]) else _raw_deflate(content)


@functools.lru_cache(maxsize=8)
def _zeros(n: int) -> bytes:
    """Return so many zeros, deflated: a bomb takes a while to make."""
    return _raw_deflate(bytes(n))


def _raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _place(data: bytes, rng: np.random.Generator) -> int:
    """Return a place in the data; every other one is near the start or the end, where headers are."""
    if not data:
        return 0
    choice = rng.random()
    near = min(len(data), 256)
    if choice < 0.4:
        return int(rng.integers(near))
    return int(rng.integers(len(data) - near, len(data))) if choice < 0.5 else int(rng.integers(len(data)))


def pick(rng: np.random.Generator, among: Sequence[Any]) -> Any:
    """Return one of a sequence, drawn evenly."""
    return among[int(rng.integers(len(among)))]
