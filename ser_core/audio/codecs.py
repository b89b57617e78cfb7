"""A waveform through a lossy codec and back, in memory: what MP3 and Opus leave of a voice at few bits a second.

PyAV (FFmpeg) encodes, decoding.py decodes: the sound comes back on the one path that files take.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import numpy as np

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, resample, to_pcm
from ser_core.errors import ConfigError


@dataclass(frozen=True)
class Codec:
    """One row of CODECS: FFmpeg's names of encoder, container and sample format; the rates in Hz that it takes; kbit/s it can have.

    container_options: FFmpeg's, of the container.
    """

    title: str
    encoder: str
    container: str
    sample_format: str
    rates: tuple[int, ...]
    kbps: tuple[int, int]
    container_options: tuple[tuple[str, str], ...] = ()


CODECS: dict[str, Codec] = {
    "mp3": Codec(
        "MP3",
        "libmp3lame",
        "mp3",
        "s16p",
        (8000, 11025, 12000, 16000, 22050, 24000),
        (8, 160),
        container_options=(("write_xing", "0"),),
    ),
    "opus": Codec("Opus", "libopus", "ogg", "s16", (8000, 12000, 16000, 24000, 48000), (6, 256)),
}
"""MP3 at the rates of MPEG-2 and 2.5: above them it takes 32 kbit/s at least, and FFmpeg would give that without a word. It has no Xing
header: libsndfile's decoder takes that for sound that is damaged, and says so on stderr."""


def round_trip(waveform: Waveform, codec: str, *, kbps: float) -> Waveform:
    """Return the clip as a codec gives it back at `kbps` kbit/s, at the rate that it had; up to a tenth of a second longer.

    Raises
    ------
    ConfigError : for a codec without a row in CODECS, or a bit rate that it cannot have.
    """
    if codec not in CODECS:
        raise ConfigError(f"There is no codec '{codec}'. Choose from {', '.join(CODECS)}.")
    row = CODECS[codec]
    least, most = row.kbps
    if not least <= kbps <= most:
        raise ConfigError(f"{row.title} takes {least} to {most} kbit/s. Got {kbps:g}.")
    return decoding.decode(
        _encode(waveform, row, kbps), sample_rate=waveform.sample_rate, name=f"The {row.title} copy"
    ).waveform


def _encode(waveform: Waveform, row: Codec, kbps: float) -> bytes:
    rate = next((rate for rate in row.rates if rate >= waveform.sample_rate), row.rates[-1])
    samples = to_pcm(resample(waveform, rate).samples)[np.newaxis]
    file = io.BytesIO()
    with av.open(file, "w", format=row.container, container_options=dict(row.container_options)) as container:
        stream = container.add_stream(row.encoder, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = round(kbps * 1000)
        frame = av.AudioFrame.from_ndarray(samples, format=row.sample_format, layout="mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()
