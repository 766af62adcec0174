"""Which container a file really is, told by its first bytes; the extension only breaks ties."""

from __future__ import annotations

from enum import StrEnum
from typing import BinaryIO

from server.hashing import ac3, adts, mpeg, sync, wrapping
from server.hashing.window import Window


class Container(StrEnum):
    """The containers Mismo reads, by the name the API shows as `container`."""

    MPEG = "mpeg"  # MPEG-1/2 audio layers I-III, an elementary stream
    ADTS = "adts"  # AAC in ADTS frames
    ADIF = "adif"  # AAC behind one header
    FLAC = "flac"
    OGG = "ogg"
    MP4 = "mp4"
    WAV = "wav"  # RIFF/WAVE, RF64 and BW64
    W64 = "w64"  # Sony Wave64
    AIFF = "aiff"  # AIFF and AIFF-C
    CAF = "caf"
    AU = "au"
    ASF = "asf"  # WMA
    APE = "ape"  # Monkey's Audio
    WAVPACK = "wavpack"
    TTA = "tta"
    MUSEPACK = "musepack"  # SV7 and SV8
    DSF = "dsf"
    DFF = "dff"  # DSDIFF
    MATROSKA = "matroska"  # MKA and WebM
    AC3 = "ac3"  # AC-3 and E-AC-3
    TAK = "tak"
    OPTIMFROG = "optimfrog"


_MAGIC: dict[bytes, Container] = {
    b"fLaC": Container.FLAC,
    b"OggS": Container.OGG,
    b"ADIF": Container.ADIF,
    b"riff": Container.W64,
    b"caff": Container.CAF,
    b".snd": Container.AU,
    b"\x30\x26\xb2\x75": Container.ASF,
    b"MAC ": Container.APE,
    b"wvpk": Container.WAVPACK,
    b"TTA1": Container.TTA,
    b"MPCK": Container.MUSEPACK,
    b"DSD ": Container.DSF,
    b"\x1a\x45\xdf\xa3": Container.MATROSKA,
    b"tBaK": Container.TAK,
    b"OFR ": Container.OPTIMFROG,
}
"""The first four bytes of a file of this kind."""

_FORMS: dict[tuple[bytes, bytes], Container] = {
    (b"RIFF", b"WAVE"): Container.WAV,
    (b"RF64", b"WAVE"): Container.WAV,
    (b"BW64", b"WAVE"): Container.WAV,
    (b"FORM", b"AIFF"): Container.AIFF,
    (b"FORM", b"AIFC"): Container.AIFF,
}
"""A chunk file begins with an id, its size in four bytes, and the kind of form it holds."""

_MP4_ATOMS = {b"ftyp", b"moov", b"mdat"}
_MP4_FILLERS = {b"wide", b"free", b"skip", b"pnot"}  # words that a text may begin with, too
_PICTURE_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"crx "}

_STREAMS: dict[Container, sync.Syntax] = {
    Container.MPEG: mpeg.SYNTAX,
    Container.ADTS: adts.SYNTAX,
    Container.AC3: ac3.SYNTAX,
}
"""Kinds without a magic number: a run of frames tells them."""

_STREAM_EXTENSIONS: dict[str, Container] = {
    "mp3": Container.MPEG,
    "mp2": Container.MPEG,
    "mp1": Container.MPEG,
    "mpa": Container.MPEG,
    "mpga": Container.MPEG,
    "aac": Container.ADTS,
    "adts": Container.ADTS,
    "ac3": Container.AC3,
    "eac3": Container.AC3,
    "ec3": Container.AC3,
}

_OLD_MUSEPACK_EXTENSIONS = {"mpc", "mp+", "mpp"}


def identify(file: BinaryIO, name: str) -> Container | None:
    """Say what an open file is, or None when it is nothing that Mismo reads.

    `name`: the file's name, for the extension. It decides only where the bytes leave it open: for a stream so short or
    so damaged that its frames prove nothing, and for a file that holds tags and no more.
    Moves the file's position. Raises OSError when the file can't be read.
    """
    with Window(file) as window:
        return identify_window(window, name)


def identify_window(window: Window, name: str) -> Container | None:
    """`identify`, for a file that is looked at already."""
    head = wrapping.leading(window)
    magic = window.read(head.end, 16)
    if container := _by_magic(magic, window.size - head.end):
        return container
    extension = name.rpartition(".")[2].lower()
    if extension in _OLD_MUSEPACK_EXTENSIONS and _is_old_musepack(magic):
        return Container.MUSEPACK
    return _by_frames(window, head, extension)


def _by_magic(magic: bytes, room: int) -> Container | None:
    """`magic`: the first 16 bytes; `room`: how many there are in all."""
    if container := _MAGIC.get(magic[:4]):
        return container
    if form := _FORMS.get((magic[:4], magic[8:12])):
        return form
    if magic[:3] == b"MP+" and magic[3:4] and magic[3] & 15 == 7:
        return Container.MUSEPACK
    if magic[:4] == b"FRM8" and magic[12:16] == b"DSD ":
        return Container.DFF
    kind = magic[4:8]
    if kind in _MP4_ATOMS and magic[8:12] not in _PICTURE_BRANDS:
        return Container.MP4
    if kind in _MP4_FILLERS and 8 <= int.from_bytes(magic[:4], "big") <= room:
        return Container.MP4
    return None


def _is_old_musepack(magic: bytes) -> bool:
    """Stream versions 4 to 6 have no magic number, but a version in bits 11 to 20 of the first word."""
    return len(magic) >= 8 and int.from_bytes(magic[:4], "little") >> 11 & 0x3FF in (4, 5, 6)


def _by_frames(window: Window, head: wrapping.Head, extension: str) -> Container | None:
    start, end = head.end, window.size
    named = _STREAM_EXTENSIONS.get(extension)
    for container, syntax in _STREAMS.items():
        if sync.starts_run(window, syntax, start, end, sync.RUN - 1):
            return container
    if not head.tagged and named is None:
        return None  # frames behind foreign bytes are as likely a film's sound track
    for container, syntax in sorted(_STREAMS.items(), key=lambda item: item[0] is not named):
        if sync.find_run(window, syntax, start, end) is not None:
            return container
    if head.tagged:
        return named or Container.MPEG  # tags and nothing else: ID3v2 is MPEG's own
    assert named is not None
    has_frame = _STREAMS[named].parse(window.read(start, sync.LARGEST_HEADER)) is not None
    return named if has_frame or wrapping.trailing(window, start) < end else None
