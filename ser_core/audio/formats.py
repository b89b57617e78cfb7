"""Which files are recordings: by the endings of their names, and by how they begin.

One list of endings for the uploader, folders, corpora and zips; what a file is, its content says (decoding.py).
"""

from __future__ import annotations

_WAV, _AIFF, _AMR = {"WAV", "W64"}, {"AIFF"}, {"AMR", "3GP"}
_MP4 = {"MP4", "QuickTime", "3GP"}
_MATROSKA = {"WebM", "Matroska"}

CONTAINERS: dict[str, set[str]] = {
    ".wav": {"WAV"},
    ".wave": {"WAV"},
    ".bwf": {"WAV"},
    ".rf64": {"WAV"},
    ".flac": {"FLAC"},
    ".aiff": _AIFF,
    ".aif": _AIFF,
    ".aifc": _AIFF,
    ".au": {"AU"},
    ".snd": {"AU", "AIFF"},
    ".caf": {"CAF"},
    ".w64": _WAV,
    ".sph": {"NIST"},
    ".nist": {"NIST"},
    ".voc": {"VOC"},
    ".wv": {"WavPack"},
    ".tta": {"TTA"},
    ".m4a": _MP4,
    ".m4b": _MP4,
    ".m4r": _MP4,
    ".aac": {"AAC", "MP4"},
    ".adts": {"AAC"},
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MP4,
    ".qt": _MP4,
    ".qta": _MP4,
    ".ogg": {"OGG"},
    ".oga": {"OGG"},
    ".ogx": {"OGG"},
    ".ogv": {"OGG"},
    ".opus": {"OGG"},
    ".spx": {"OGG"},
    ".mp3": {"MP3"},
    ".mp2": {"MP3"},
    ".mpga": {"MP3"},
    ".mka": _MATROSKA,
    ".mkv": _MATROSKA,
    ".webm": _MATROSKA,
    ".weba": _MATROSKA,
    ".wma": {"WMA"},
    ".asf": {"WMA"},
    ".wmv": {"WMA"},
    ".ac3": {"AC3"},
    ".amr": _AMR,
    ".awb": _AMR,
    ".3gp": _MP4,
    ".3gpp": _MP4,
    ".3ga": _MP4,
    ".3g2": _MP4,
    ".avi": {"AVI"},
    ".flv": {"FLV"},
    ".mts": {"MPEG-TS"},
    ".ts": {"MPEG-TS"},
}
"""Ending of a file's name -> what decoding.Clip.container may then be; the best copy first: some corpora hold each clip twice."""

ENDINGS = tuple(CONTAINERS)
"""Endings of files that may be recordings."""

# libsndfile's other formats have so weak a signature that random bytes pass for them.
SNDFILE = {
    "WAV": "WAV",
    "WAVEX": "WAV",
    "RF64": "WAV",
    "W64": "W64",
    "AIFF": "AIFF",
    "AU": "AU",
    "CAF": "CAF",
    "FLAC": "FLAC",
    "OGG": "OGG",
    "MP3": "MP3",
    "NIST": "NIST",
    "VOC": "VOC",
}

# How a file begins, FFmpeg's name of the format, ours. The format is never left to FFmpeg's guess: its list holds playlists,
# which open other files, and formats that random bytes pass for.
FFMPEG = (
    (rb"....ftyp3g", "mov", "3GP"),
    (rb"....ftypqt", "mov", "QuickTime"),
    (rb"....(ftyp|moov|mdat|free|skip|wide)", "mov", "MP4"),
    (rb"\x1a\x45\xdf\xa3.{0,64}webm", "matroska", "WebM"),
    (rb"\x1a\x45\xdf\xa3", "matroska", "Matroska"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf", "WMA"),
    (rb"#!AMR", "amr", "AMR"),
    (rb"RIFF....AVI ", "avi", "AVI"),
    (rb"(RIFF|RF64)....WAVE", "wav", "WAV"),
    (rb"FORM....AIF", "aiff", "AIFF"),
    (rb"caff", "caf", "CAF"),
    (rb"OggS", "ogg", "OGG"),
    (rb"fLaC", "flac", "FLAC"),
    (rb"FLV\x01", "flv", "FLV"),
    (rb"wvpk", "wv", "WavPack"),
    (rb"TTA1", "tta", "TTA"),
    (rb"\x0b\x77", "ac3", "AC3"),
    (rb"\x47.{187}\x47", "mpegts", "MPEG-TS"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "aac", "AAC"),
    (rb"ID3|\xff[\xe0-\xff]", "mp3", "MP3"),
)

BEGINNINGS = (
    rb"\.snd|dns\.",
    rb"riff\x2e\x91\xcf\x11",
    rb"NIST_1A",
    rb"Creative Voice File",
    rb"RIFX....WAVE|BW64....WAVE",
)
"""How files begin that libsndfile alone reads."""
