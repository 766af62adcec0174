"""Small audio files of every kind, made from nothing: valid to the parsers of their containers."""

from __future__ import annotations

import io
import struct

from mutagen.id3 import ID3
from mutagen.ogg import OggPage

MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo: 417 bytes, 1152 samples
MP3_RATE, MP3_SAMPLES = 44_100, 1152


def mp3(frames: int = 50) -> bytes:
    return MP3_FRAME * frames


def mp3_with_info(frames: int, *, word: bytes = b"Xing", lame_method: int | None = None) -> bytes:
    """A stream behind an encoder's header frame that states its length."""
    header = word + struct.pack(">III", 3, frames, 417 * (frames + 1))
    if lame_method is not None:
        header += b"LAME3.100" + bytes([lame_method])
    return (MP3_FRAME[:4] + bytes(32) + header).ljust(417, b"\0") + mp3(frames)


def id3(tags: ID3, version: int = 4, padding: int = 64) -> bytes:
    """A whole ID3v2 tag."""
    file = io.BytesIO()
    if version == 3:
        tags.update_to_v23()
    tags.save(file, v2_version=version, v1=0, padding=lambda _: padding)
    return file.getvalue()


def id3v1(title: str = "", artist: str = "", comment: str = "", track: int = 0, genre: int = 255) -> bytes:
    def padded(text: str, size: int) -> bytes:
        return text.encode("latin-1")[:size].ljust(size, b"\0")

    comment_field = padded(comment, 28) + bytes([0, track]) if track else padded(comment, 30)
    return b"TAG" + padded(title, 30) + padded(artist, 30) + bytes(30) + b"1999" + comment_field + bytes([genre])


def flac(blocks: bytes = b"", *, samples: int = 44_100, audio: bytes = bytes(1000)) -> bytes:
    """STREAMINFO of 44.1 kHz, stereo, 16 bits; then whole blocks with their headers; then padding as the last."""
    packed = 44_100 << 44 | 1 << 41 | 15 << 36 | samples
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + flac_block(0, info) + blocks + flac_block(0x81, bytes(8)) + audio


def flac_block(kind: int, body: bytes, stated_size: int | None = None) -> bytes:
    size = len(body) if stated_size is None else stated_size
    return bytes([kind]) + size.to_bytes(3, "big") + body


def vorbis_comments(*comments: str, vendor: str = "test encoder") -> bytes:
    parts = [comment.encode() for comment in comments]
    block = struct.pack("<I", len(vendor)) + vendor.encode() + struct.pack("<I", len(parts))
    return block + b"".join(struct.pack("<I", len(part)) + part for part in parts)


def flac_picture(data: bytes, mime: str = "image/png", kind: int = 3) -> bytes:
    head = struct.pack(">II", kind, len(mime)) + mime.encode() + struct.pack(">I", 0) + bytes(16)
    return head + struct.pack(">I", len(data)) + data


def ogg(packets: list[bytes], position: int, serial: int = 7) -> bytes:
    """One stream: its first packet on a page by itself, and one page for each of the others."""
    pages = b""
    for number, packet in enumerate(packets):
        for page in OggPage.from_packets([packet], number) if number else [_first_page(packet)]:
            page.serial = serial
            page.position = position if number == len(packets) - 1 else 0
            pages += page.write()
    return pages


def _first_page(packet: bytes) -> OggPage:
    page = OggPage()
    page.packets, page.first, page.position = [packet], True, 0
    return page


def ogg_vorbis(*comments: str, seconds: float = 2.0) -> bytes:
    identification = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 2, 44_100, 0, 160_000, 0, 0xB8, 1)
    return ogg(
        [identification, b"\x03vorbis" + vorbis_comments(*comments) + b"\1", b"\x05vorbis" + bytes(40), bytes(400)],
        int(seconds * 44_100),
    )


def opus(*comments: str, seconds: float = 2.0, skip: int = 312) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, skip, 44_100, 0, 0)
    return ogg([head, b"OpusTags" + vorbis_comments(*comments), bytes(500)], int(seconds * 48_000) + skip)


def wav(*chunks: bytes, samples: int = 8000, tag: int = 1, magic: bytes = b"RIFF") -> bytes:
    """16-bit mono at 8 kHz: the format, then the given chunks, then the samples."""
    parts = riff_chunk(b"fmt ", struct.pack("<HHIIHH", tag, 1, 8000, 16_000, 2, 16)) + b"".join(chunks)
    parts += riff_chunk(b"data", bytes(samples * 2))
    return magic + struct.pack("<I", len(parts) + 4) + b"WAVE" + parts


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def riff_info(**texts: bytes) -> bytes:
    return riff_chunk(
        b"LIST", b"INFO" + b"".join(riff_chunk(name.encode(), text + b"\0") for name, text in texts.items())
    )


def aiff(*chunks: bytes, frames: int = 8000) -> bytes:
    """16-bit mono at 8 kHz."""
    common = struct.pack(">hIh", 1, frames, 16) + b"\x40\x0b\xfa\0\0\0\0\0\0\0"
    sound = iff_chunk(b"SSND", bytes(8 + frames * 2))
    parts = b"AIFF" + iff_chunk(b"COMM", common) + b"".join(chunks) + sound
    return b"FORM" + struct.pack(">I", len(parts)) + parts


def iff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body)) + body + bytes(len(body) & 1)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def item(kind: bytes, data_type: int, value: bytes) -> bytes:
    return box(kind, box(b"data", struct.pack(">II", data_type, 0), value))


def mp4(
    *items: bytes, seconds: int = 3, sample_sizes: tuple[int, ...] = (100, 200, 300), brand: bytes = b"M4A "
) -> bytes:
    """AAC at 44.1 kHz without a stated bit rate: it follows from the sample sizes."""
    configuration = b"\x05\x02\x12\x10"  # AAC-LC, 44.1 kHz, stereo
    decoder = b"\x04" + bytes([13 + len(configuration)]) + b"\x40\x15" + bytes(11) + configuration
    esds = box(b"esds", bytes(4) + b"\x03" + bytes([3 + len(decoder)]) + bytes(3) + decoder)
    entry = box(b"mp4a", bytes(16), struct.pack(">HHII", 2, 16, 0, 44_100 << 16), esds)
    sizes = struct.pack(f">III{len(sample_sizes)}I", 0, 0, len(sample_sizes), *sample_sizes)
    table = box(b"stbl", box(b"stsd", bytes(4) + struct.pack(">I", 1) + entry), box(b"stsz", sizes))
    media = box(
        b"mdia",
        box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, 44_100, 44_100 * seconds, 0)),
        box(b"hdlr", bytes(8) + b"soun" + bytes(13)),
        box(b"minf", table),
    )
    track = box(b"trak", box(b"tkhd", struct.pack(">IIII", 7, 0, 0, 1) + bytes(68)), media)
    tags = box(b"udta", box(b"meta", bytes(4), box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9)), box(b"ilst", *items)))
    movie = box(b"moov", box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, seconds * 1000) + bytes(80)), track, tags)
    return box(b"ftyp", brand + bytes(4)) + movie + box(b"mdat", bytes(sum(sample_sizes)))


def ape_tag(**items: str) -> bytes:
    """An APEv2 tag with header and footer."""
    body = b"".join(
        struct.pack("<II", len(value.encode()), 0) + key.encode() + b"\0" + value.encode()
        for key, value in items.items()
    )
    ends = [
        b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, len(items), flags) + bytes(8)
        for flags in (0xA0000000, 0x80000000)
    ]
    return ends[0] + body + ends[1]


def element(element_id: int, body: bytes) -> bytes:
    """An EBML element with a size of eight bytes."""
    return (
        element_id.to_bytes((element_id.bit_length() + 7) // 8, "big") + b"\x01" + len(body).to_bytes(7, "big") + body
    )
