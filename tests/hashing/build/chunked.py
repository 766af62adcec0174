"""Files made of chunks."""

from __future__ import annotations

import struct

from server.hashing.container import Container

from .sample import Sample, noise

WAVE_FORMAT = struct.pack("<HHIIHH", 1, 2, 44100, 176400, 4, 16)
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


def chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk with its padding; `size` is what it claims instead of the truth."""
    return kind + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def wav(
    seed: int = 1,
    length: int = 4001,
    before: bytes = b"",
    after: bytes = b"",
    form: bytes = b"RIFF",
    claimed: int | None = None,
) -> Sample:
    """A wave file with an odd number of bytes of samples, and chunks around them."""
    (samples,) = noise(seed, length)
    chunks = chunk(b"fmt ", WAVE_FORMAT) + before + chunk(b"data", samples, claimed) + after
    data = form + struct.pack("<I", len(chunks) + 4 if claimed is None else 0xFFFFFFFF) + b"WAVE" + chunks
    return Sample(Container.WAV, "wav", data, (samples,))


def rf64(seed: int = 1, form: bytes = b"RF64", after: bytes = b"") -> Sample:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, 4002, 0, 0))
    return wav(seed, 4002, before=ds64, after=after, form=form, claimed=0xFFFFFFFF)


def w64(seed: int = 1, claimed: int | None = None) -> Sample:
    (samples,) = noise(seed, 4000)

    def guid_chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
        return kind + _W64_TAIL + struct.pack("<Q", 24 + len(body) if size is None else size) + body

    riff = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000") + bytes(8) + b"wave" + _W64_TAIL
    data = riff + guid_chunk(b"fmt ", WAVE_FORMAT) + guid_chunk(b"data", samples, claimed)
    return Sample(Container.W64, "w64", data, (samples,))


def aiff_chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    return kind + struct.pack(">I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def aiff(
    seed: int = 1, form: bytes = b"AIFF", after: bytes = b"", alignment: int = 0, streamed: bool = False
) -> Sample:
    (samples,) = noise(seed, 4001)
    common = struct.pack(">hIh", 2, 1000, 16) + b"\x40\x0e\xac\x44" + bytes(6)
    sound = struct.pack(">II", alignment, 0) + bytes(alignment) + samples
    chunks = aiff_chunk(b"COMM", common) + aiff_chunk(b"SSND", sound, 0 if streamed else None) + after
    if streamed:
        chunks = chunks[:-1]
    data = b"FORM" + struct.pack(">I", len(chunks) + 4) + form + chunks
    return Sample(Container.AIFF, "aiff", data, (samples,))


def caf(seed: int = 1, streamed: bool = False) -> Sample:
    (samples,) = noise(seed, 4001)
    description = b"desc" + struct.pack(">Qd4sIIIII", 32, 44100.0, b"lpcm", 0, 4, 1, 2, 16)
    size = (1 << 64) - 1 if streamed else len(samples) + 4
    data = b"caff\0\1\0\0" + description + b"data" + struct.pack(">QI", size, 7) + samples
    if not streamed:
        data += b"info" + struct.pack(">QI", 4, 0)
    return Sample(Container.CAF, "caf", data, (samples,))


def au(seed: int = 1, size: int = 0xFFFFFFFF) -> Sample:
    (samples,) = noise(seed, 4000)
    data = b".snd" + struct.pack(">IIIII", 32, size, 3, 44100, 2) + b"comment\0" + samples
    return Sample(Container.AU, "au", data, (samples,))


def dsf(seed: int = 1) -> Sample:
    (samples,) = noise(seed, 8192)
    form = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 2, 2, 2822400, 1, 32768, 4096, 0)
    body = form + b"data" + struct.pack("<Q", 12 + len(samples)) + samples
    data = b"DSD " + struct.pack("<QQQ", 28, 28 + len(body), 0) + body
    return Sample(Container.DSF, "dsf", data, (samples,))


def dff(seed: int = 1, sound: bytes = b"DSD ") -> Sample:
    (samples,) = noise(seed, 4001)

    def wide(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">Q", len(body)) + body + bytes(len(body) % 2)

    channels = wide(b"CHNL", struct.pack(">H4s4s", 2, b"SLFT", b"SRGT"))
    compression = wide(b"CMPR", b"DSD \x0enot compressed\0")
    properties = wide(b"PROP", b"SND " + wide(b"FS  ", struct.pack(">I", 2822400)) + channels + compression)
    body = b"DSD " + wide(b"FVER", b"\1\5\0\0") + properties + wide(sound, samples)
    return Sample(Container.DFF, "dff", b"FRM8" + struct.pack(">Q", len(body)) + body, (samples,))


def optimfrog(seed: int = 1) -> Sample:
    first, second = noise(seed, 900, 701)
    header = struct.pack("<IHBBIBHB", 88200, 0, 3, 1, 44100, 0, 0, 0)[:15]
    parts = [(b"OFR ", header), (b"HEAD", b"RIFF" * 11), (b"COMP", first), (b"COMP", second), (b"TAIL", b"LIST")]
    data = b"".join(kind + struct.pack("<I", len(body)) + body for kind, body in parts)
    return Sample(Container.OPTIMFROG, "ofr", data, (first, second))
