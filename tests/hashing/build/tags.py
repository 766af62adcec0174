"""Tags as raw bytes, to be put around a file without any tagger's opinion."""

from __future__ import annotations

import struct


def id3v2(body: bytes = b"TIT2\0\0\0\2\0\0\0x", padding: int = 20, footer: bool = False, version: int = 4) -> bytes:
    """An ID3v2 tag; with a footer it has no padding, and may stand at the end of a file."""
    body += b"" if footer else bytes(padding)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    fields = bytes([version, 0, 0x10 if footer else 0]) + size
    return b"ID3" + fields + body + (b"3DI" + fields if footer else b"")


def id3v1(title: bytes = b"Title") -> bytes:
    """An ID3v1 tag of 128 bytes."""
    return (b"TAG" + title).ljust(127, b"\0") + b"\x0c"


def enhanced_id3v1() -> bytes:
    """The 227 bytes of an enhanced tag, which stand in front of an ID3v1 tag."""
    return b"TAG+" + bytes(223)


def ape(value: bytes = b"Artist", version: int = 2000, header: bool = True) -> bytes:
    """An APE tag with one item; version 1000 never has a header."""
    item = struct.pack("<II", len(value), 0) + b"Artist\0" + value
    size, flags = len(item) + 32, 0x80000000 if header else 0

    def edge(role: int) -> bytes:
        return b"APETAGEX" + struct.pack("<IIII8x", version, size, 1, flags | role)

    return (edge(0x20000000) if header else b"") + item + edge(0)


def lyrics3v1(text: bytes = b"la la la") -> bytes:
    """A Lyrics3 tag; it stands in front of an ID3v1 tag."""
    return b"LYRICSBEGIN" + text + b"LYRICSEND"


def lyrics3v2(text: bytes = b"la la la") -> bytes:
    """A Lyrics3 v2.00 tag with one field."""
    body = b"LYRICSBEGINLYR" + b"%05d" % len(text) + text
    return body + b"%06d" % len(body) + b"LYRICS200"
