"""One maker for every way a recording can be kept."""

from __future__ import annotations

from collections.abc import Callable

from . import asf, chunked, elementary, lossless, matroska, mp4, ogg
from .sample import Sample

KINDS: dict[str, Callable[[int], Sample]] = {
    "mpeg": elementary.mpeg,
    "adts": elementary.adts,
    "adif": elementary.adif,
    "ac3": elementary.ac3,
    "eac3": elementary.eac3,
    "wav": chunked.wav,
    "rf64": chunked.rf64,
    "w64": chunked.w64,
    "aiff": chunked.aiff,
    "caf": chunked.caf,
    "au": chunked.au,
    "dsf": chunked.dsf,
    "dff": chunked.dff,
    "optimfrog": chunked.optimfrog,
    "flac": lossless.flac,
    "ape": lossless.ape,
    "old ape": lossless.old_ape,
    "tta": lossless.tta,
    "tak": lossless.tak,
    "wavpack": lossless.wavpack,
    "musepack 5": lossless.musepack5,
    "musepack 7": lossless.musepack7,
    "musepack 8": lossless.musepack8,
    "vorbis": ogg.vorbis,
    "opus": ogg.opus,
    "speex": ogg.speex,
    "ogg flac": ogg.flac,
    "m4a": mp4.m4a,
    "fragmented m4a": mp4.fragmented,
    "wma": asf.wma,
    "mka": matroska.mka,
}
