"""Which file names are recordings: one list for the uploader, folders, corpora and zips. What a file is, its content says (decoding.py)."""

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
