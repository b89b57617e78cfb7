"""Decoding: known signals through every format, limits and hostile files, each with its own sentence."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import subprocess
import sys
import threading
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from ser_core.audio import decoding
from ser_core.audio.sources import MemoryFile
from ser_core.audio.waveform import Waveform, resample
from ser_core.errors import AudioError
from ser_core.system.spool import Spool
from tests.support.signals import RATE, as_file, level_and_frequency, tone

ROOT = Path(__file__).resolve().parents[2]
TONE_HZ = 440.0
AMPLITUDE = 0.5


def encode(
    samples: np.ndarray,
    kind: str,
    codec: str,
    rate: int,
    *,
    options: dict[str, str] | None = None,
    picture: bool = False,
    path: Path | None = None,
) -> bytes:
    """The bytes of a file that FFmpeg writes, mono, from samples at 16 kHz; optionally with a black video; samples (0,): no sound."""
    file = io.BytesIO()
    with av.open(path or file, "w", format=kind, options=options or {}) as container:
        video = container.add_stream("mpeg4", rate=10) if picture else None
        stream = container.add_stream(codec, rate=rate, layout="mono") if len(samples) else None
        if video:
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for i in range(10):
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                image.pts = i
                container.mux(video.encode(image))
            container.mux(video.encode(None))
        if stream:
            stream.bit_rate = 12_200 if "amr" in codec else 64_000
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = RATE
            convert = av.AudioResampler(
                format=stream.codec_context.codec.audio_formats[0].name, layout="mono", rate=rate
            )
            for each in [*convert.resample(frame), *convert.resample(None)]:
                container.mux(stream.encode(each))
            container.mux(stream.encode(None))
    return path.read_bytes() if path else file.getvalue()


# format, subtype, sample rate, what the clip calls it
SNDFILE = [
    ("WAV", "PCM_U8", 44_100, "WAV"),
    ("WAV", "PCM_16", 48_000, "WAV"),
    ("WAV", "PCM_24", 44_100, "WAV"),
    ("WAV", "PCM_32", 22_050, "WAV"),
    ("WAV", "FLOAT", 48_000, "WAV"),
    ("WAV", "DOUBLE", 48_000, "WAV"),
    ("WAV", "ULAW", 8_000, "WAV"),
    ("WAV", "ALAW", 8_000, "WAV"),
    ("WAV", "IMA_ADPCM", 22_050, "WAV"),
    ("WAV", "MS_ADPCM", 22_050, "WAV"),
    ("WAVEX", "PCM_24", 96_000, "WAV"),
    ("RF64", "PCM_16", 16_000, "WAV"),
    ("W64", "PCM_16", 48_000, "W64"),
    ("AIFF", "PCM_16", 24_414, "AIFF"),
    ("AU", "PCM_16", 8_000, "AU"),
    ("CAF", "PCM_16", 48_000, "CAF"),
    ("CAF", "ALAC_16", 48_000, "CAF"),
    ("FLAC", "PCM_16", 48_000, "FLAC"),
    ("FLAC", "PCM_24", 192_000, "FLAC"),
    ("OGG", "VORBIS", 44_100, "OGG"),
    ("OGG", "OPUS", 48_000, "OGG"),
    ("MP3", "MPEG_LAYER_III", 44_100, "MP3"),
    ("NIST", "PCM_16", 16_000, "NIST"),
    ("VOC", "PCM_16", 16_000, "VOC"),
]

# format, encoder, sample rate, what the clip calls it
FFMPEG = [
    ("ipod", "aac", 44_100, "MP4"),
    ("mp4", "aac", 48_000, "MP4"),
    ("mp4", "alac", 44_100, "MP4"),
    ("mov", "aac", 44_100, "QuickTime"),
    ("3gp", "libopencore_amrnb", 8_000, "3GP"),
    ("amr", "libopencore_amrnb", 8_000, "AMR"),
    ("adts", "aac", 44_100, "AAC"),
    ("webm", "libopus", 48_000, "WebM"),
    ("matroska", "aac", 48_000, "Matroska"),
    ("asf", "wmav2", 44_100, "WMA"),
    ("mp3", "libmp3lame", 44_100, "MP3"),
    ("wav", "wmav2", 44_100, "WAV"),
    ("aiff", "adpcm_ima_ws", 44_100, "AIFF"),
    ("caf", "alac", 44_100, "CAF"),
    ("ogg", "libopus", 48_000, "OGG"),
    ("flac", "flac", 44_100, "FLAC"),
    ("avi", "mp3", 44_100, "AVI"),
    ("flv", "aac", 44_100, "FLV"),
    ("mpegts", "aac", 48_000, "MPEG-TS"),
    ("wv", "wavpack", 44_100, "WavPack"),
    ("tta", "tta", 44_100, "TTA"),
    ("ac3", "ac3", 48_000, "AC3"),
]


@pytest.mark.parametrize(("kind", "subtype", "rate", "container"), SNDFILE, ids=lambda value: str(value))
def test_a_tone_keeps_its_pitch_level_and_length_through_libsndfile(kind, subtype, rate, container):
    clip = decoding.decode(as_file(tone(1.0, rate), rate, kind, subtype))
    level, frequency = level_and_frequency(clip.waveform)
    assert clip.waveform.sample_rate == RATE
    assert clip.waveform.samples.dtype == np.float32
    assert clip.waveform.duration_s == pytest.approx(1.0, abs=0.06)
    assert level == pytest.approx(AMPLITUDE / np.sqrt(2), rel=0.03)
    assert frequency == pytest.approx(TONE_HZ, abs=1.0)
    assert (clip.container, clip.source_rate, clip.source_channels, clip.truncated) == (container, rate, 1, False)


@pytest.mark.parametrize(("kind", "codec", "rate", "container"), FFMPEG, ids=lambda value: str(value))
def test_a_tone_keeps_its_pitch_level_and_length_through_ffmpeg(kind, codec, rate, container):
    try:
        av.Codec(codec, "w")
    except ValueError:
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    clip = decoding.decode(encode(tone(), kind, codec, rate))
    level, frequency = level_and_frequency(clip.waveform)
    assert clip.waveform.duration_s == pytest.approx(1.0, abs=0.1)
    # AMR models a voice; a pure tone comes back 1.7 dB softer.
    assert level == pytest.approx(AMPLITUDE / np.sqrt(2), rel=0.2 if "amr" in codec else 0.06)
    assert frequency == pytest.approx(TONE_HZ, abs=1.0)
    assert (clip.container, clip.source_rate, clip.source_channels, clip.truncated) == (container, rate, 1, False)


def test_content_decides_and_not_the_name(tmp_path):
    path = tmp_path / "OAF_food_fear.wav"
    path.write_bytes(as_file(tone(), kind="AIFF"))
    assert decoding.decode(path).container == "AIFF"


def test_path_bytes_and_file_object_give_the_same_samples(tmp_path):
    data = as_file(tone(0.5, 44_100), 44_100, "OGG", "VORBIS")
    path = tmp_path / "a.ogg"
    path.write_bytes(data)
    expected = decoding.decode(data).waveform.samples
    for source in (path, str(path), io.BytesIO(data), path.open("rb"), bytearray(data), data):
        np.testing.assert_array_equal(decoding.decode(source).waveform.samples, expected)


def test_eight_threads_decode_the_same_samples_as_one():
    files = [as_file(tone(0.5, 48_000), 48_000, "FLAC"), encode(tone(0.5), "webm", "libopus", 48_000)]
    expected = [decoding.decode(file).waveform.samples for file in files]
    wrong = []

    def work():
        for file, samples in zip(files * 3, expected * 3, strict=True):
            if not np.array_equal(decoding.decode(file).waveform.samples, samples):
                wrong.append(file)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_16_bit_wav_comes_back_bit_by_bit():
    samples = np.arange(-8000, 8000, dtype=np.int16)
    decoded = decoding.decode(as_file(samples)).waveform.samples
    np.testing.assert_array_equal(decoded * 32768, samples)


def test_blocks_leave_no_seams():
    sound = tone(5.0, 48_000)
    expected = resample(Waveform(sound, 48_000), RATE).samples
    decoded = decoding.decode(as_file(sound, 48_000, subtype="FLOAT")).waveform.samples
    np.testing.assert_allclose(decoded, expected, atol=1e-6)


def test_another_sample_rate_can_be_asked_for():
    clip = decoding.decode(as_file(tone(1.0, 48_000), 48_000), sample_rate=22_050)
    assert (clip.waveform.sample_rate, len(clip.waveform.samples)) == (22_050, 22_050)


# Channels


def test_channels_are_averaged():
    clip = decoding.decode(as_file(np.stack([tone(), tone() / 2], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(clip.waveform.samples, 0.75 * tone(), atol=1e-7)
    assert clip.source_channels == 2


@pytest.mark.parametrize("seconds_of_silence", [0.0, 6.0], ids=["at once", "after 6 s"])
def test_channels_that_cancel_out_give_the_loudest_one(seconds_of_silence):
    left = np.concatenate([np.zeros(round(RATE * seconds_of_silence), np.float32), tone()])
    clip = decoding.decode(as_file(np.stack([left, -0.98 * left], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(clip.waveform.samples, left, atol=1e-6)


def test_eight_channels_are_the_most():
    assert decoding.decode(as_file(np.stack([tone()] * 8, axis=1))).source_channels == 8
    with pytest.raises(AudioError, match="has 9 channels; 1 to 8 can be used"):
        decoding.decode(as_file(np.stack([tone()] * 9, axis=1)))


# Levels of float files


@pytest.mark.parametrize(
    ("kind", "codec"), [("ipod", "aac"), ("wv", "wavpack"), ("matroska", "pcm_s16le"), ("webm", "libopus")]
)
def test_eight_channels_through_ffmpeg_are_heard(kind, codec):
    """PyAV's own way to an array reads a ninth plane there, which ends the process: this one dies where that comes back."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=48_000, layout="7.1")
        pcm = np.repeat((tone(0.5, 48_000) * 2**15).astype(np.int16), 8)[np.newaxis]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="7.1")
        frame.sample_rate = 48_000
        context = stream.codec_context
        resampler = av.AudioResampler(
            format=context.format, layout="7.1", rate=48_000, frame_size=context.frame_size or None
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            part.pts = None
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    clip = decoding.decode(file.getvalue())
    assert clip.source_channels == 8 and clip.waveform.duration_s == pytest.approx(0.5, abs=0.1)
    assert level_and_frequency(clip.waveform)[1] == pytest.approx(440, abs=5)


def test_frames_of_more_channels_midway_are_left_out():
    first, many = (av.AudioFrame(format="fltp", layout=layout, samples=1024) for layout in ("mono", "hexadecagonal"))
    for frame in (first, many):
        frame.sample_rate = 16_000
    # private: no file gives blocks of a layout that changes so
    header = decoding._Header("AAC", 16_000, 1, None)
    # private: see above
    assert sum(len(block) for block in decoding._av_blocks(first, iter([many, first]), header, "x.aac")) == 2048


def test_overshoots_are_clipped_and_integer_scales_are_divided():
    over = decoding.decode(as_file(3 * tone(), subtype="FLOAT")).waveform.samples
    np.testing.assert_allclose(over, np.clip(3 * tone(), -1, 1))
    integers = decoding.decode(as_file(32768 * tone(), subtype="FLOAT")).waveform.samples
    np.testing.assert_allclose(integers, tone() / np.abs(tone()).max(), atol=1e-6)


def test_silence_stays_silence():
    assert not decoding.decode(as_file(np.zeros((RATE, 2), np.float32))).waveform.samples.any()


# Limits


@pytest.mark.parametrize("rate", [1, 3_999, 384_001, 2_000_000_000])
def test_rates_outside_4_to_384_khz_are_refused(rate):
    data = bytearray(as_file(tone()))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(AudioError, match=f"has a sample rate of {rate} Hz; 4000 to 384000 Hz can be used"):
        decoding.decode(bytes(data))


def test_a_tenth_of_a_second_is_enough_and_less_is_not():
    assert len(decoding.decode(as_file(tone(0.1))).waveform.samples) == 1600
    with pytest.raises(AudioError, match=r"is 0\.099 s long; 0\.1 s is the least"):
        decoding.decode(as_file(tone(0.099)))


def test_the_limit_on_the_length_can_be_moved():
    data = as_file(tone(3.0))
    with pytest.raises(AudioError, match="is 3 s long; the limit here is 2 s"):
        decoding.decode(data, max_duration_s=2)
    assert decoding.decode(data, max_duration_s=3).waveform.duration_s == 3


@pytest.mark.parametrize(("kind", "codec", "rate"), [("adts", "aac", 16_000), ("webm", "libopus", 48_000)])
def test_a_stream_of_unknown_length_ends_at_the_limit(kind, codec, rate):
    data = encode(tone(4.0), kind, codec, rate, options={"live": "1"} if kind == "webm" else None)
    with pytest.raises(AudioError, match="goes on; the limit here is 2 s"):
        decoding.decode(data, max_duration_s=2)


UNTIMED = {"AMR", "AAC", "AC3"}


@pytest.mark.parametrize(("kind", "subtype", "rate", "container"), SNDFILE, ids=lambda value: str(value))
def test_a_file_says_how_long_it_is_through_libsndfile(kind, subtype, rate, container):
    assert decoding.declared_duration(as_file(tone(3.0, rate), rate, kind, subtype)) == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(("kind", "codec", "rate", "container"), FFMPEG, ids=lambda value: str(value))
def test_a_file_says_how_long_it_is_through_ffmpeg_or_nothing(kind, codec, rate, container):
    try:
        av.Codec(codec, "w")
    except ValueError:
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    said = decoding.declared_duration(encode(tone(3.0), kind, codec, rate))
    if codec != "adpcm_ima_ws":  # its header counts blocks as if they were samples
        assert said is None if container in UNTIMED else said == pytest.approx(3.0, abs=0.3)


def test_saying_how_long_it_is_decodes_nothing_and_says_more_than_may_be_decoded(monkeypatch):
    hours = as_file(np.zeros(4 * 3600 * 4000, np.int16), 4000, "FLAC")
    packets = encode(tone(), "webm", "libopus", 48_000)
    for decoder in ("_sndfile_blocks", "_av_frames"):
        monkeypatch.setattr(decoding, decoder, None)
    assert decoding.declared_duration(hours) == 4 * 3600
    assert decoding.declared_duration(packets) == pytest.approx(1.0, abs=0.1)
    assert decoding.declared_duration(Spool(hours)) == 4 * 3600


@pytest.mark.parametrize("live", [False, True])
def test_a_limit_tells_a_longer_file_from_every_other_fault(live):
    data = encode(tone(4.0), "webm", "libopus", 48_000, options={"live": "1"} if live else None)
    with pytest.raises(decoding.TooLongError):
        decoding.decode(data, max_duration_s=2)
    assert pickle.loads(pickle.dumps(decoding.TooLongError("It goes on."))).args == ("It goes on.",)
    with pytest.raises(AudioError) as caught:
        decoding.decode(b"no sound", max_duration_s=2)
    assert not isinstance(caught.value, decoding.TooLongError)


def test_too_many_bytes_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(decoding, "MAX_BYTES", 2**20)
    path = tmp_path / "big.wav"
    path.write_bytes(as_file(tone(40.0)))
    for source in (path, path.read_bytes(), path.open("rb")):
        with pytest.raises(AudioError, match=r"has 1 MB or more; the limit is 1 MB"):
            decoding.decode(source)


# Files that end too early


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("W64", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
        ("OGG", "OPUS"),
        ("OGG", "VORBIS"),
    ],
)
def test_half_a_file_gives_what_is_there_and_says_so(kind, subtype, rng):
    data = as_file(tone(4.0) + rng.normal(0, 0.02, 4 * RATE), RATE, kind, subtype)
    clip = decoding.decode(data[: len(data) // 2])
    assert clip.truncated
    assert 0.5 < clip.waveform.duration_s < 3.0
    assert level_and_frequency(clip.waveform)[1] == pytest.approx(TONE_HZ, abs=1.0)


@pytest.mark.parametrize(("kind", "options"), [("mp4", {"movflags": "+faststart"}), ("matroska", {})])
def test_half_a_file_of_ffmpeg_gives_what_is_there_and_says_so(kind, options, tmp_path):
    data = encode(tone(4.0), kind, "aac", 48_000, options=options, path=tmp_path / "whole")
    clip = decoding.decode(data[: len(data) // 2])
    assert clip.truncated
    assert 0.5 < clip.waveform.duration_s < 3.0


def test_a_wav_of_a_stream_that_never_learnt_its_length_is_whole():
    data = bytearray(as_file(tone()))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    clip = decoding.decode(bytes(data))
    assert (clip.waveform.duration_s, clip.truncated) == (1.0, False)


def test_an_mp3_that_does_not_count_its_frames_is_read_to_its_end():
    # A quiet start has a low bit rate; a length guessed from the loud rest, or the other way round, loses most of the sound.
    sound = np.concatenate(
        [np.random.default_rng(0).normal(0, 0.2, 2 * RATE).astype(np.float32), np.zeros(6 * RATE, np.float32)]
    )
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream(
            "libmp3lame", rate=RATE, layout="mono", options={"flags": "+qscale", "global_quality": "236"}
        )
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert soundfile.info(io.BytesIO(file.getvalue())).duration < 4
    assert decoding.decode(file.getvalue()).waveform.duration_s == pytest.approx(8.0, abs=0.2)


# Hostile files


def header_without_data() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
    return file.getvalue()


def with_sample(value: float, subtype: str) -> bytes:
    samples = tone().astype(np.float64)
    samples[700] = value
    return as_file(samples, subtype=subtype)


HOSTILE = {
    "empty": (lambda: b"", r"^clip\.wav is empty \(0 bytes\)\. Record or download it again\.$"),
    "text": (lambda: b"Kids are talking by the door.\n" * 50, r"is text, not audio\. Choose a WAV"),
    "accented text": (lambda: "Das schöne Mädchen läuft über die Straße. ".encode() * 90, "is text, not audio"),
    "html": (lambda: b"<!DOCTYPE html><html><body>404</body></html>", "is text, not audio"),
    "json": (lambda: b'{"error": "not found"}', "is text, not audio"),
    "git lfs": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        r"is a Git LFS pointer, not the recording\. Run 'git lfs pull'",
    ),
    "zip": (lambda: b"PK\x03\x04" + bytes(200), "is a zip archive, not a recording"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(200), "is a compressed archive"),
    "pdf": (lambda: b"%PDF-1.7\n" + bytes(200), "is a PDF document"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(200), "is a picture"),
    "jpeg": (lambda: b"\xff\xd8\xff\xe0" + bytes(200), "is a picture"),
    "webp": (lambda: b"RIFF\x00\x00\x00\x00WEBP" + bytes(200), "is a picture"),
    "midi": (lambda: b"MThd\x00\x00\x00\x06" + bytes(200), "is a MIDI file"),
    "program": (lambda: b"\x7fELF\x02\x01\x01" + bytes(200), "is a program"),
    "zeros": (lambda: bytes(5000), "is not a recording that can be read"),
    "one byte": (lambda: b"\xfe", "is not a recording that can be read"),
    "header without data": (header_without_data, "has a header but no sound in it"),
    "half a header": (lambda: as_file(tone())[:20], "cannot be read|not a recording"),
    "cut after the header": (lambda: as_file(tone())[:46], "s long; 0.1 s is the least"),
    "m4a without its index": (
        lambda: encode(tone(), "mp4", "aac", 48_000)[:3000],
        "begins like MP4, but the rest cannot be read",
    ),
    "NaN": (lambda: with_sample(np.nan, "FLOAT"), r"holds samples that are NaN \(not a number\)"),
    "Inf": (lambda: with_sample(-np.inf, "FLOAT"), "holds samples that are infinite"),
    "NaN in doubles": (lambda: with_sample(np.nan, "DOUBLE"), "holds samples that are NaN"),
    "1e300": (lambda: with_sample(1e300, "DOUBLE"), r"holds samples of 1\.0e\+300 times full scale"),
    "1e30": (lambda: with_sample(1e30, "FLOAT"), r"holds samples of 1\.0e\+30 times full scale"),
    "100 channels": (lambda: as_file(np.zeros((2000, 100), np.float32)), "has 100 channels; 1 to 8 can be used"),
    "2000 channels": (
        lambda: as_file(tone())[:22] + struct.pack("<H", 2000) + as_file(tone())[24:],
        "channels|has a header but no sound",
    ),
    "video without sound": (lambda: encode(tone(0), "mp4", "", RATE, picture=True), "is a video without sound"),
    "playlist": (lambda: b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "is text, not audio"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_gets_its_own_sentence(case):
    make, sentence = HOSTILE[case]
    with pytest.raises(AudioError, match=sentence) as caught:
        decoding.decode(make(), name="clip.wav")
    assert str(caught.value).startswith("clip.wav ")
    with contextlib.suppress(AudioError):
        decoding.declared_duration(make(), name="clip.wav")


def test_a_seek_before_the_start_prints_no_traceback(capfd):
    source = MemoryFile(b"RIFF")
    source.seek(3)
    assert (source.seek(-9), source.seek(2**70), source.seek(1)) == (3, 3, 1)
    decoding.decode(as_file(tone(), kind="MP3", subtype="MPEG_LAYER_III")[:2000])
    assert "Traceback" not in capfd.readouterr().err


def test_random_bytes_are_no_sound(rng):
    for _ in range(200):
        with pytest.raises(AudioError, match=r"^The file "):
            decoding.decode(rng.bytes(3000))


def test_a_video_with_sound_is_heard():
    clip = decoding.decode(encode(tone(), "mp4", "aac", 48_000, picture=True))
    assert level_and_frequency(clip.waveform)[1] == pytest.approx(TONE_HZ, abs=1.0)


def test_opening_a_file_decodes_no_picture():
    # private: what FFmpeg is offered
    codecs = decoding._audio_codecs().split(",")
    assert {"aac", "opus", "alac", "wmav2", "amrnb", "mp3float"} <= set(codecs)
    assert not {"h264", "mpeg4", "png", "mjpeg", "vp8"} & set(codecs)


def test_paths_that_are_no_file_get_their_own_sentences(tmp_path, monkeypatch):
    with pytest.raises(AudioError, match=r"does not exist\. Check its name and folder"):
        decoding.decode(tmp_path / "none.wav")
    with pytest.raises(AudioError, match=r"is a folder\. Name the sound files in it"):
        decoding.decode(tmp_path)
    with pytest.raises(AudioError, match="cannot be opened"):
        decoding.decode("a\0b.wav")
    with pytest.raises(AudioError, match="cannot be opened: File name too long"):
        decoding.decode(str(tmp_path / ("a" * 5000)))
    path = tmp_path / "locked.wav"
    path.write_bytes(as_file(tone()))

    def refuse(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(AudioError, match=r"cannot be opened: Permission denied\. Check its name and its permissions"):
        decoding.decode(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_an_endless_device_is_not_read():
    with pytest.raises(AudioError, match="is not a regular file"):
        decoding.decode("/dev/zero")


MEASURE = """
import re, resource, sys
from pathlib import Path
from ser_core.audio import decoding
from ser_core.errors import AudioError
from ser_core.system.spool import Spool
try:
    decoding.decode(sys.argv[1])
except AudioError as error:
    print(error)
status = Path("/proc/self/status")
if status.exists():  # Linux's ru_maxrss starts at the size of the process that started this one
    print(int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) // 2**10)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
@pytest.mark.parametrize(
    ("honest", "sentence"), [(True, "is 60 min long"), (False, "goes on")], ids=["length known", "length unknown"]
)
def test_an_hour_of_silence_in_a_small_flac_costs_no_memory(tmp_path, honest, sentence):
    path = tmp_path / "hour.flac"
    silence = np.zeros(60 * RATE, np.int16)
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(60):
            file.write(silence)
    data = bytearray(path.read_bytes())
    assert len(data) < 2**20
    if not honest:  # the 36 bits of the number of samples in STREAMINFO: 0 means "unknown"
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        path.write_bytes(bytes(data))
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    said, peak_mb = run.stdout.strip().rsplit("\n", 1)
    assert sentence in said
    assert "the limit here is 10 min" in said
    assert int(peak_mb) < 300


def test_mutated_files_give_a_clip_or_a_sentence(rng, capfd):
    sound = (tone(0.4) + rng.normal(0, 0.05, round(0.4 * RATE))).astype(np.float32)
    files = [
        *(as_file(sound, RATE, kind, subtype) for kind, subtype, _, _ in SNDFILE),
        encode(sound, "mp4", "aac", 44_100),
        encode(sound, "webm", "libopus", 48_000),
        encode(sound, "asf", "wmav2", 44_100),
    ]
    clips = 0
    for i in range(300):
        data = bytearray(files[i % len(files)])
        reach = len(data) if i % 2 else min(len(data), 200)
        for at in rng.integers(0, reach, rng.integers(1, 12)):
            data[at] = rng.integers(256)
        if i % 5 == 0:
            data = data[: rng.integers(1, len(data))]
        with contextlib.suppress(AudioError):
            said = decoding.declared_duration(bytes(data))
            assert said is None or 0 < said < float("inf")
        try:
            samples = decoding.decode(bytes(data)).waveform.samples
        except AudioError:
            continue
        clips += 1
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        assert np.abs(samples).max() <= 1  # false for NaN too
    assert clips > 50
    assert "Traceback" not in capfd.readouterr().err


# Resampling and writing


# Pieces

STREAMED = {
    "mono WAV": lambda: as_file(tone(9.0)),
    "resampled stereo FLAC": lambda: as_file(
        np.stack([tone(9.0, 44_100), 0.3 * tone(9.0, 44_100)], axis=1), 44_100, "FLAC"
    ),
    "channels that cancel": lambda: as_file(np.stack([tone(5.0), -0.98 * tone(5.0)], axis=1), subtype="FLOAT"),
    "an integer scale in floats": lambda: as_file(32768 * tone(5.0), subtype="FLOAT"),
    "overshoots": lambda: as_file(3 * tone(5.0), subtype="FLOAT"),
    "half a file": lambda: as_file(tone(6.0))[:100_000],
    "MP3": lambda: encode(tone(6.0), "mp3", "libmp3lame", 44_100),
    "M4A": lambda: encode(tone(6.0), "ipod", "aac", 44_100),
    "Opus": lambda: encode(tone(6.0), "ogg", "libopus", 48_000),
}


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_gives_the_samples_and_the_facts_that_decoding_gives(name, tmp_path):
    data = STREAMED[name]()
    path = tmp_path / "sound"
    path.write_bytes(data)
    whole = decoding.decode(data)
    for source in (data, path, str(path), io.BytesIO(data)):
        stream = decoding.stream(source)
        for _ in range(2):
            blocks = list(stream.blocks())
            assert max(map(len, blocks)) < 5 * RATE
            np.testing.assert_array_equal(np.concatenate(blocks), whole.waveform.samples)
        assert (stream.container, stream.source_rate, stream.source_channels, stream.truncated) == (
            whole.container,
            whole.source_rate,
            whole.source_channels,
            whole.truncated,
        )
        assert stream.duration_s == pytest.approx(whole.waveform.duration_s, abs=1e-3)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "memo is empty"),
        (b"hello", "memo is text"),
        (as_file(np.zeros(0, np.float32)), "no sound in it"),
        (as_file(tone(0.05)), "0.050 s long"),
        (as_file(tone(3.0)), "memo is 3 s long; the limit here is 2 s"),
        (as_file(np.array([0, np.nan] * 4000), subtype="FLOAT"), "not a number"),
    ],
)
def test_a_stream_refuses_what_decoding_refuses(data, sentence, tmp_path):
    (tmp_path / "sound").write_bytes(data)
    for source in (data, tmp_path / "sound"):
        with pytest.raises(AudioError, match=sentence):
            decoding.stream(source, name="memo", max_duration_s=2.0)


def test_reading_through_a_stream_can_be_stopped():
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    with pytest.raises(Enough):
        decoding.stream(as_file(tone(9.0)), check_stop=stop)
