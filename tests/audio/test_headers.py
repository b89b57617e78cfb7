"""Real files: unfinished headers, joins, junk, several tracks, wrong lengths. Each is read as far as it goes, and says what was done."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from ser_core.audio import decoding, headers
from ser_core.audio.sources import OnDisk, Source
from ser_core.audio.waveform import to_pcm
from ser_core.errors import AudioError
from tests.support.signals import RATE, as_file, level_and_frequency, tone
from tools import check_lengths

ROOT = Path(__file__).resolve().parents[2]


def mp3(seconds: float = 2.0, *, xing: bool = True, rate: int = 16_000, frequency_hz: float = 440.0) -> bytes:
    """An MP3 without tags, with or without a frame that counts the others."""
    file = io.BytesIO()
    options = {"write_xing": str(int(xing)), "id3v2_version": "0", "write_id3v1": "0"}
    with av.open(file, "w", format="mp3", options=options) as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(seconds, rate, frequency_hz=frequency_hz)[None], "fltp", "mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def tracks(kind: str, codec: str, *sounds: np.ndarray, rate: int = 48_000) -> bytes:
    """A file with one sound track for each of some sounds at 48 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        streams = [container.add_stream(codec, rate=rate, layout="mono") for _ in sounds]
        for stream, samples in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(to_pcm(samples)[None], "s16", "mono")
            frame.sample_rate = rate
            context = stream.codec_context
            convert = av.AudioResampler(
                context.codec.audio_formats[0].name, "mono", rate, frame_size=context.frame_size or None
            )
            for part in (*convert.resample(frame), *convert.resample(None)):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    return file.getvalue()


def voice(rate: int = 48_000) -> np.ndarray:
    """A synthetic voice."""
    samples, source_rate = soundfile.read(ROOT / "pages" / "samples" / "bright.flac", dtype="float32")
    return soxr.resample(samples, source_rate, rate).astype(np.float32)


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def seconds(data: bytes, tmp_path) -> tuple[float, decoding.Clip]:
    """How long a file is when it is read, once its streaming from the disk has given the same."""
    clip = decoding.decode(data)
    path = tmp_path / "file"
    path.write_bytes(data)
    stream = decoding.stream(path)
    assert np.array_equal(np.concatenate(list(stream.blocks())), clip.waveform.samples)
    assert (stream.remarks, stream.truncated, stream.channel) == (clip.remarks, clip.truncated, clip.channel)
    return clip.waveform.duration_s, clip


# Unfinished headers


def rf64(data_size: int) -> bytes:
    fmt = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    ds64 = struct.pack("<QQQI", 0, data_size, 0, 0)
    pcm = to_pcm(tone()).tobytes()
    return (
        b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", len(ds64)) + ds64 + b"fmt \x10\0\0\0" + fmt
        + b"data\xff\xff\xff\xff" + pcm
    )  # fmt: skip


WAV = as_file(tone())
UNFINISHED = {
    "WAV, data size 0": patched(WAV, 40, bytes(4)),
    "WAV, both sizes 0": patched(patched(WAV, 40, bytes(4)), 4, bytes(4)),
    "WAV, both sizes all ones": patched(patched(WAV, 40, b"\xff" * 4), 4, b"\xff" * 4),
    "WAV, data size as a signed maximum": patched(WAV, 40, b"\xff\xff\xff\x7f"),
    "WAV in 24 bits": patched(as_file(tone(), subtype="PCM_24"), 40, bytes(4)),
    "RF64 from a pipe": rf64(0),
    "RF64 of unknown length": rf64(2**64 - 1),
    "AU": patched(as_file(tone(), kind="AU"), 8, bytes(4)),
    "W64": (lambda data: patched(data, data.index(b"data\xf3\xac") + 16, bytes(8)))(as_file(tone(), kind="W64")),
    "CAF": (lambda data: patched(data, data.index(b"data") + 4, bytes(8)))(as_file(tone(), kind="CAF")),
    "AIFF": (
        lambda data: patched(patched(data, data.index(b"SSND") + 4, bytes(4)), data.index(b"COMM") + 10, bytes(4))
    )(as_file(tone(), kind="AIFF")),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFINISHED)
def test_a_header_that_was_never_completed_is_read_to_the_end_and_told(case, tmp_path):
    duration_s, clip = seconds(UNFINISHED[case], tmp_path)
    assert duration_s == pytest.approx(1.0, abs=0.01)
    assert level_and_frequency(clip.waveform)[1] == pytest.approx(440, abs=1)
    assert clip.remarks == (headers.NEVER_CLOSED,)
    assert not clip.truncated
    assert decoding.declared_duration(UNFINISHED[case]) == pytest.approx(1.0, abs=0.01)


def test_a_wav_whose_data_chunk_is_truly_empty_stays_empty():
    empty = patched(as_file(tone())[:44], 40, bytes(4)) + b"LIST\x0a\0\0\0INFOabcdef"
    with pytest.raises(decoding.AudioError, match="no sound in it"):
        decoding.decode(empty)


# Lengths that are wrong


@pytest.mark.parametrize(
    ("riff", "data", "is_cut"),
    [(1.0, 1.0, False), (1.2, 1.0, False), (0.5, 1.0, False), (0.0, 1.0, False), (1.0, 2.0, True), (2.0, 2.0, True)],
)
def test_a_wav_is_cut_off_where_its_data_chunk_says_so_whatever_the_riff_size(riff, data, is_cut, tmp_path):
    sizes = [round(riff * (len(WAV) - 8)), round(data * (len(WAV) - 44))]
    wrong = patched(patched(WAV, 4, struct.pack("<I", sizes[0])), 40, struct.pack("<I", sizes[1]))
    duration_s, clip = seconds(wrong, tmp_path)
    assert (duration_s, clip.truncated) == (1.0, is_cut)


AU = as_file(tone(), kind="AU")
CAF = as_file(tone(), kind="CAF")


@pytest.mark.parametrize(
    "half",
    [
        patched(WAV, 40, struct.pack("<I", (len(WAV) - 44) // 2)),
        patched(AU, 8, struct.pack(">I", (len(AU) - 24) // 2)),
        patched(CAF, CAF.index(b"data") + 4, struct.pack(">Q", 4 + RATE)),
    ],
    ids=["WAV", "AU", "CAF"],
)
def test_sound_that_no_header_names_is_told(half, tmp_path):
    duration_s, clip = seconds(half, tmp_path)
    assert duration_s == 0.5
    assert clip.truncated
    assert "named by no header" in " ".join(clip.remarks)


@pytest.mark.parametrize(("at", "value"), [(24, struct.pack("<I", 32_000)), (32, b"\x04\0"), (34, b"\x08\0")])
def test_a_header_that_contradicts_itself_is_told(at, value):
    assert headers.CONTRADICTORY in headers.read_layout(Source(patched(WAV, at, value))).remarks


def test_a_wav_whose_chunks_do_not_lead_to_its_sound_says_so(tmp_path):
    data = patched(rf64(2 * RATE), 16, struct.pack("<I", 56))
    _, clip = seconds(data, tmp_path)
    assert clip.remarks == (headers.CONTRADICTORY,)


def test_a_flac_is_read_at_the_rate_of_its_frames_whatever_its_header_says(tmp_path):
    data = as_file(tone(1.0, 44_100), 44_100, "FLAC")
    duration_s, clip = seconds(patched(data, 18, bytes([0x05, 0xDC, data[20]])), tmp_path)
    assert (duration_s, clip.source_rate) == (pytest.approx(1.0, abs=0.01), 44_100)


def test_zeros_behind_the_end_are_no_sound(tmp_path):
    duration_s, clip = seconds(WAV + bytes(50_000), tmp_path)
    assert (duration_s, clip.truncated, clip.remarks) == (1.0, False, ())


def test_chunks_behind_the_sound_are_no_recording(tmp_path):
    duration_s, clip = seconds(WAV + b"LIST" + struct.pack("<I", 8000) + b"INFO" + b"x" * 7996, tmp_path)
    assert (duration_s, clip.truncated, clip.remarks) == (1.0, False, ())


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "FLAC", "W64"])
def test_a_whole_file_is_not_called_cut_off(kind, tmp_path):
    assert not seconds(as_file(tone(), kind=kind), tmp_path)[1].truncated


def test_a_caf_of_compressed_packets_that_counts_too_many_frames_is_not_cut_off(tmp_path):
    data = as_file(tone(1.5, 11_025), 11_025, "CAF", "ALAC_16")
    at = data.index(b"pakt") + 12
    n_packets, n_frames = struct.unpack(">QQ", data[at : at + 16])
    wrong = patched(data, at + 8, struct.pack(">Q", n_packets * 4096)) if n_packets * 4096 > n_frames else data
    duration_s, clip = seconds(wrong, tmp_path)
    assert duration_s == pytest.approx(1.5, abs=0.4)
    assert not clip.truncated


@pytest.mark.parametrize("tail", [b"\xff" * 4, b"\0" * 300])
def test_a_damaged_packet_of_a_caf_gives_no_sound_of_another(tail, tmp_path):
    data = as_file(tone(0.6), kind="CAF", subtype="ALAC_16")
    damaged = data[: -len(tail) - 1] + tail + data[-1:]
    assert seconds(damaged, tmp_path)[0] == pytest.approx(2 * 4096 / RATE)


@pytest.mark.parametrize(
    ("at", "value"), [(42, b"\x08"), (14, b"\x01")], ids=["half the frames in a packet", "a chunk too long"]
)
def test_a_caf_whose_header_is_wrong_is_read_to_its_length_or_refused(at, value, tmp_path):
    try:
        duration_s, _ = seconds(patched(as_file(tone(0.6), kind="CAF", subtype="ALAC_16"), at, value), tmp_path)
    except AudioError:
        return
    assert duration_s == pytest.approx(0.6)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("rate", [RATE, 44_100, 37_123])
@pytest.mark.parametrize("divisor", [2, 3])
def test_a_flac_that_counts_too_few_samples_is_read_to_its_end(subtype, rate, divisor, tmp_path):
    data = as_file(tone(1.0, rate), rate, "FLAC", subtype)
    assert not headers.read_layout(Source(data)).parts[0].by_ffmpeg
    said = struct.pack(">I", rate // divisor)
    duration_s, clip = seconds(patched(data, 22, said), tmp_path)
    assert duration_s == pytest.approx(1.0, abs=0.001)
    assert not clip.truncated


@pytest.mark.parametrize("flags", [0x0B, 0x4674EC4B, 0x03])
def test_an_mp3_whose_count_lacks_fields_is_read_to_its_length(flags, tmp_path):
    data = mp3(2.0)
    at = re.search(b"Xing|Info", data).end()
    assert seconds(patched(data, at, struct.pack(">I", flags)), tmp_path)[0] == pytest.approx(2.0, abs=0.12)


@pytest.mark.parametrize("n_bytes", [2560, 4864, 5119])
@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM"])
def test_the_sound_of_an_adpcm_block_that_is_not_whole_is_read(subtype, n_bytes, tmp_path):
    data = as_file(tone(0.6), subtype=subtype)
    at = data.index(b"data") + 4
    duration_s, _ = seconds(patched(data, at, struct.pack("<I", n_bytes)), tmp_path)
    assert duration_s == pytest.approx(n_bytes * 2 / RATE, abs=0.03)


def test_a_voc_that_contradicts_itself_says_so(tmp_path):
    data = as_file(tone(), kind="VOC")
    assert seconds(data, tmp_path)[1].remarks == ()
    for at, value in ((34, b"\x20"), (36, b"\0"), (20, b"\x9a\x56"), (20, b"\0"), (28, b"\x25")):
        try:
            assert seconds(patched(data, at, value), tmp_path)[1].remarks == (headers.CONTRADICTORY,)
        except AudioError:
            continue


@pytest.mark.parametrize("n_bytes", [3, 500])
def test_a_voc_that_ends_within_a_block_is_cut_off(n_bytes, tmp_path):
    assert seconds(as_file(tone(), kind="VOC")[:-n_bytes], tmp_path)[1].truncated


def test_a_flac_whose_last_frame_is_damaged_is_not_called_whole(tmp_path):
    data = as_file(tone(0.6), kind="FLAC")
    damaged = patched(patched(data, 10, b"\x08"), len(data) - 40, bytes([data[-40] ^ 0xFF]))
    duration_s, clip = seconds(damaged, tmp_path)
    assert duration_s == pytest.approx(0.512)
    assert clip.truncated


@pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
def test_an_ogg_whose_page_is_too_short_for_its_sound_says_so(subtype, tmp_path):
    data = as_file(voice(), 48_000, "OGG", subtype)
    page = data.rindex(b"OggS")
    at = page + 27 + int(np.argmax(list(data[page + 27 : page + 27 + data[page + 26]])))
    damaged = check_lengths.with_checksums(patched(data, at, b"\0"))
    _, clip = seconds(damaged, tmp_path)
    assert f"It is damaged: {data[at]} bytes in it belong to no page, and were not read." in clip.remarks
    assert seconds(data + TAG, tmp_path)[1].remarks == ()


def test_a_flac_cut_off_within_its_first_second_gives_what_is_there(tmp_path):
    data = as_file(voice(44_100), 44_100, "FLAC")
    duration_s, clip = seconds(data[: len(data) // 3], tmp_path)
    assert duration_s > 0.5
    assert clip.truncated


@pytest.mark.parametrize("share", [0.31, 0.47, 0.9])
@pytest.mark.parametrize("xing", [True, False])
def test_an_mp3_that_ends_within_a_frame_is_cut_off(xing, share, tmp_path):
    data = mp3(xing=xing)
    assert not seconds(data, tmp_path)[1].truncated
    assert seconds(data[: round(share * len(data)) | 1], tmp_path)[1].truncated


def test_an_ogg_cut_within_its_last_page_is_cut_off(rng, tmp_path):
    data = as_file(tone(9.0) + rng.normal(0, 0.02, 9 * RATE), kind="OGG", subtype="VORBIS")
    assert not seconds(data, tmp_path)[1].truncated
    assert seconds(data[:-40], tmp_path)[1].truncated


# Recordings one after another


JOINED = {
    "MP3 with counts": mp3() + mp3(1.0),
    "MP3, the first with a count": mp3() + mp3(1.0, xing=False),
    "MP3 with a tag between": mp3() + b"TAG" + bytes(125) + b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0" + mp3(1.0),
    "MP3 without counts": mp3(xing=False) + mp3(1.0, xing=False),
    "Ogg Vorbis": as_file(tone(2.0), kind="OGG", subtype="VORBIS") + as_file(tone(), kind="OGG", subtype="VORBIS"),
    "Ogg Vorbis of two rates": as_file(tone(2.0), kind="OGG", subtype="VORBIS")
    + as_file(tone(1.0, 44_100), 44_100, "OGG", "VORBIS"),
    "Ogg Opus": as_file(tone(2.0), kind="OGG", subtype="OPUS") + as_file(tone(), kind="OGG", subtype="OPUS"),
    "FLAC": as_file(tone(2.0), kind="FLAC") + as_file(tone(), kind="FLAC"),
    "AAC": tracks("adts", "aac", tone(2.0, 48_000)) + tracks("adts", "aac", tone(1.0, 48_000)),
    "MP4": tracks("mp4", "aac", tone(2.0, 48_000)) + tracks("mp4", "aac", tone(1.0, 48_000)),
    "WebM": tracks("webm", "libopus", tone(2.0, 48_000)) + tracks("webm", "libopus", tone(1.0, 48_000)),
}


@pytest.mark.parametrize("case", JOINED)
def test_recordings_one_after_another_are_read_whole(case, tmp_path):
    duration_s, clip = seconds(JOINED[case], tmp_path)
    assert duration_s == pytest.approx(3.0, abs=0.17)
    assert level_and_frequency(clip.waveform)[1] == pytest.approx(440, abs=2)
    assert not clip.truncated
    assert decoding.declared_duration(JOINED[case]) in (None, pytest.approx(3.0, abs=0.3))


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU"])
def test_a_second_header_behind_the_first_recording_is_told(kind, tmp_path):
    duration_s, clip = seconds(as_file(tone(2.0), kind=kind) + as_file(tone(), kind=kind), tmp_path)
    assert duration_s == 2.0
    assert clip.truncated
    assert clip.remarks == (headers.SECOND,)


def test_two_data_chunks_are_read_as_one(tmp_path):
    pcm = to_pcm(tone()).tobytes()
    half = len(pcm) // 2
    data = (
        b"WAVE"
        + WAV[12:36]
        + b"".join(b"data" + struct.pack("<I", len(part)) + part for part in (pcm[:half], pcm[half:]))
    )
    duration_s, clip = seconds(b"RIFF" + struct.pack("<I", len(data)) + data, tmp_path)
    assert (duration_s, clip.truncated) == (1.0, False)
    np.testing.assert_array_equal(to_pcm(clip.waveform.samples), to_pcm(tone()))


# Junk


TAG = b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0"
BEFORE = {
    "a newline before MP3": (b"\n", mp3(1.0, xing=False)),
    "zeros before MP3": (bytes(417), mp3(1.0, xing=False)),
    "many zeros before MP3": (bytes(200_000), mp3(1.0)),
    "half a frame before MP3": (mp3()[-150:], mp3(1.0)),
    "a tag and zeros before MP3": (TAG + bytes(300), mp3(1.0)),
    "a newline before WAV": (b"\r\n", WAV),
    "128 bytes before AIFF": (bytes([0, 5]) + b"hello" + bytes(121), as_file(tone(), kind="AIFF")),
    "zeros before Ogg": (bytes(64), as_file(tone(), kind="OGG", subtype="VORBIS")),
    "zeros before FLAC": (bytes(64), as_file(tone(), kind="FLAC")),
    "a newline before AAC": (b"\n", tracks("adts", "aac", tone(1.0, 48_000))),
}


@pytest.mark.parametrize("case", BEFORE)
def test_junk_before_a_recording_is_skipped_and_told(case, tmp_path):
    junk, data = BEFORE[case]
    duration_s, clip = seconds(junk + data, tmp_path)
    assert duration_s == pytest.approx(1.0, abs=0.11)
    assert not clip.truncated
    assert clip.remarks[0].startswith("It begins with ")


@pytest.mark.parametrize(("kind", "codec"), [("adts", "aac"), ("ac3", "ac3"), ("mp3", "libmp3lame"), ("flac", "flac")])
def test_a_tag_before_any_stream_is_skipped_without_a_word(kind, codec, tmp_path):
    duration_s, clip = seconds(TAG + tracks(kind, codec, tone(1.0, 48_000)), tmp_path)
    assert duration_s == pytest.approx(1.0, abs=0.11)
    assert (clip.truncated, clip.remarks) == (False, ())


def test_junk_behind_an_mp3_does_not_make_it_cut_off(tmp_path):
    for junk in (bytes(5000), b"<html>" * 100, b"TAG" + bytes(125), b"\xff"):
        duration_s, clip = seconds(mp3(1.0) + junk, tmp_path)
        assert duration_s == pytest.approx(1.0, abs=0.1)
        assert not clip.truncated


def test_an_mp3_with_a_vbri_header_has_its_own_length_and_is_not_cut_off(tmp_path):
    frames = mp3(2.0, xing=False)
    size = headers._mpeg_frame(frames[:4]).size  # private: the size of one frame
    n = len(frames) // size
    first = bytearray(frames[:4] + bytes(size - 4))
    first[36:62] = b"VBRI" + struct.pack(">HHHIIHHHH", 1, 0, 75, len(frames) + size, n, n, 1, 2, n)
    duration_s, clip = seconds(bytes(first) + frames, tmp_path)
    assert duration_s == pytest.approx(2.0, abs=0.12)
    assert not clip.truncated


# Tracks


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "aac"), ("mov", "aac"), ("matroska", "libopus"), ("mpegts", "aac"), ("avi", "mp3")]
)
def test_the_track_with_the_voice_is_used_and_named(kind, codec, tmp_path):
    speech = voice()[: 3 * 48_000]
    for other in (np.zeros_like(speech), tone(len(speech) / 48_000, 48_000, amplitude=0.3)):
        _, clip = seconds(tracks(kind, codec, other, speech), tmp_path)
        assert (clip.track, clip.tracks) == (2, 2)
        assert clip.remarks == ("Sound track 2 of 2 was used: there is no speech in the other.",)
        _, clip = seconds(tracks(kind, codec, speech, other), tmp_path)
        assert (clip.track, clip.tracks) == (1, 2)


def test_of_two_voices_on_two_tracks_the_first_is_used_and_the_other_named(tmp_path):
    speech = voice()[: 3 * 48_000]
    _, clip = seconds(tracks("mp4", "aac", speech, np.roll(speech, 40_000)), tmp_path)
    assert (clip.track, clip.tracks) == (1, 2)
    assert clip.remarks == ("Sound track 1 of 2 was used; there is speech in track 2 too, which was not read.",)


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "aac"), ("matroska", "libopus"), ("avi", "mp3")])
def test_either_track_can_be_chosen(kind, codec):
    low, high = (tone(1.0, 48_000, frequency_hz=hz) for hz in (300.0, 900.0))
    data = tracks(kind, codec, low, high)
    for track, hz in ((1, 300), (2, 900)):
        clip = decoding.decode(data, track=track)
        assert level_and_frequency(clip.waveform)[1] == pytest.approx(hz, abs=5)
        assert (clip.track, clip.tracks) == (track, 2)
        assert clip.remarks == (f"Sound track {track} of 2 was used, as chosen.",)
        stream = decoding.stream(data, track=track)
        assert np.array_equal(np.concatenate(list(stream.blocks())), clip.waveform.samples)
        assert (stream.track, stream.tracks, stream.remarks) == (track, 2, clip.remarks)


@pytest.mark.parametrize("track", [-1, 0, 3, 10**9])
def test_a_track_that_is_not_there_is_refused(track):
    data = tracks("mp4", "aac", tone(1.0, 48_000), tone(1.0, 48_000))
    with pytest.raises(AudioError, match=f"a.mp4 has 2 sound tracks, and no track {track}. Choose 1 to 2."):
        decoding.decode(data, track=track, name="a.mp4")


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "mp4"])
def test_a_file_of_one_track_has_no_second(kind):
    data = tracks("mp4", "aac", tone(1.0, 48_000)) if kind == "mp4" else as_file(tone(), kind=kind)
    assert decoding.decode(data, track=1).remarks == ()
    with pytest.raises(AudioError, match=r"has one sound track, and no track 2. Choose 1\."):
        decoding.decode(data, track=2)


# Opus


def opus_with_rate(rate: int, *, frequency_hz: float = 6000.0) -> bytes:
    """An Opus file whose header says this rate, its first page with a checksum that fits."""
    data = bytearray(tracks("ogg", "libopus", tone(1.0, 48_000, frequency_hz=frequency_hz)))
    at = data.index(b"OpusHead")
    data[at + 12 : at + 16] = struct.pack("<I", rate)
    return check_lengths.with_checksums(bytes(data))


@pytest.mark.parametrize("rate", [0, 1, 8000, 11_025, 12_000, 44_100, 96_000, 2**32 - 1])
def test_an_opus_header_names_no_playback_rate(rate, tmp_path):
    duration_s, clip = seconds(opus_with_rate(rate), tmp_path)
    assert duration_s == pytest.approx(1.0, abs=0.03)
    assert clip.source_rate == 48_000
    assert level_and_frequency(clip.waveform) == pytest.approx((0.5 / np.sqrt(2), 6000.0), rel=0.06)


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
@pytest.mark.parametrize(("wanted", "frequency_hz"), [(16_000, 6000.0), (22_050, 10_000.0), (48_000, 11_000.0)])
def test_an_opus_file_keeps_what_the_rate_asked_for_can_hold(rate, wanted, frequency_hz):
    clip = decoding.decode(opus_with_rate(rate, frequency_hz=frequency_hz), sample_rate=wanted)
    assert level_and_frequency(clip.waveform) == pytest.approx((0.5 / np.sqrt(2), frequency_hz), rel=0.08)


# Bits


def wav_32(samples: np.ndarray, valid_bits: int, *, extensible: bool = True) -> bytes:
    pcm = samples.astype("<i4").tobytes()
    fmt = struct.pack("<HHIIHH", 0xFFFE if extensible else 1, 1, RATE, 4 * RATE, 4, 32)
    if extensible:
        fmt += struct.pack("<HHI", 22, valid_bits, 4) + b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("valid_bits", "extensible"), [(24, True), (20, True), (16, True), (24, False), (32, True)])
def test_samples_in_the_lower_bits_are_raised_to_full_scale(valid_bits, extensible, tmp_path):
    bits = min(valid_bits, 24)
    _, clip = seconds(wav_32(np.rint(tone() * 2.0 ** (bits - 1)), valid_bits, extensible=extensible), tmp_path)
    assert level_and_frequency(clip.waveform)[0] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert clip.remarks == (f"Its samples fill the lower {bits} of 32 bits only: they were raised to full scale.",)


def test_samples_in_the_upper_bits_stay_as_they_are_however_quiet(tmp_path):
    for samples in (tone(), 0.001 * tone()):
        _, clip = seconds(wav_32(np.rint(samples * 2.0**23) * 256, 24), tmp_path)
        np.testing.assert_allclose(clip.waveform.samples, samples, atol=1e-6)
        assert clip.remarks == ()


def test_a_plain_wav_is_not_put_together_anew():
    source = Source(WAV)
    assert headers.read_layout(source).parts[0].source is source


# Files of nothing but headers

MOST = 4_000_000
HEADERS_ONLY = {
    "empty chunks": b"RIFF\xff\xff\xff\x7fWAVE" + b"junk\0\0\0\0" * (MOST // 8),
    "empty boxes": b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08free" * (MOST // 8),
    "beginnings of FLAC": b"fLaC\0\0\0\x22" * (MOST // 8),
    "pages without a packet": (b"OggS\0\x02" + bytes(21)) * (MOST // 27),
    "frames of AMR without sound": b"#!AMR\n" + b"\x7c" * MOST,
    "bytes that look like a frame's first": (mp3(0.5, xing=False)[:576] + b"\xff" * 60_000) * (MOST // 60_000),
    "counts and no frames": mp3(0.2)[:144] * (MOST // 144),
}


@pytest.mark.parametrize("case", HEADERS_ONLY)
def test_a_file_of_nothing_but_headers_is_not_looked_through_to_its_end(case, tmp_path, monkeypatch):
    parts = []
    for each in (Source, OnDisk):
        part = each.part
        monkeypatch.setattr(each, "part", lambda self, *rest, part=part: parts.append(rest) or part(self, *rest))
    path = tmp_path / "file"
    path.write_bytes(HEADERS_ONLY[case])
    for source in (Source(HEADERS_ONLY[case]), OnDisk(path, len(HEADERS_ONLY[case]))):
        assert len(headers.read_layout(source).parts) <= 100
        assert len(parts) < 50_000
        parts.clear()
