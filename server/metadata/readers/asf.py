"""ASF, the container of WMA (Microsoft, Advanced Systems Format specification 01.20.03)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import UUID

from server.metadata.draft import Draft
from server.metadata.errors import Damaged, NoAudio
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import asf, envelope


def _guid(text: str) -> bytes:
    return UUID(text).bytes_le


_HEADER = _guid("75b22630-668e-11cf-a6d9-00aa0062ce6c")
_FILE_PROPERTIES = _guid("8cabdca1-a947-11cf-8ee4-00c00c205365")
_STREAM_PROPERTIES = _guid("b7dc0791-a9b7-11cf-8ee6-00c00c205365")
_HEADER_EXTENSION = _guid("5fbf03b5-a92e-11cf-8ee3-00c00c205365")
_CONTENT_DESCRIPTION = _guid("75b22633-668e-11cf-a6d9-00aa0062ce6c")
_EXTENDED_DESCRIPTION = _guid("d2d0a440-e307-11d2-97f0-00a0c95ea850")
_METADATA = _guid("c5f8cbea-5baf-4877-8467-aa8c44fa4cca")
_METADATA_LIBRARY = _guid("44231c94-9498-49d1-a141-1d134e457054")
_AUDIO_STREAM = _guid("f8699e40-5b4d-11cf-a8fd-00805f5c442b")

_OBJECT_HEADER = 24
_MAX_HEADER = 128 << 20  # pictures included
_MAX_OBJECTS = 4096
_TEXT, _BYTES, _BOOL = 0, 1, 2
_DESCRIPTION_NAMES = ("Title", "Author", "", "Description", "")  # without copyright and parental rating
_NUMBER_SIZES = {3: 4, 4: 8, 5: 2}
_CODECS = {
    0x0001: "pcm",
    0x000A: "wmavoice",
    0x0055: "mp3",
    0x00FF: "aac",
    0x0160: "wmav1",
    0x0161: "wmav2",
    0x0162: "wmapro",
    0x0163: "wmalossless",
    0x1600: "aac",
}


def read(source: Source, draft: Draft) -> None:
    """Read an ASF file: its header object holds everything. One that is cut off gives what it still has."""
    start = envelope.read_leading(source, Draft())
    header = source.at(start, 30)
    if not header.startswith(_HEADER) or len(header) < 30:
        raise Damaged("The ASF header is missing or cut off.")
    size = int.from_bytes(header[16:24], "little")
    body = source.at(start + 30, min(max(0, size - 30), _MAX_HEADER))
    found: dict[bytes, list[bytes]] = {}
    _collect(found, body)
    for data in found.get(_FILE_PROPERTIES, [])[:1]:
        _read_file_properties(draft, data)
    for data in found.get(_STREAM_PROPERTIES, []):
        if data.startswith(_AUDIO_STREAM) and draft.codec is None:
            _read_stream(draft, data[54:])
    attributes: list[tuple[str, str]] = []
    for guid, read_tags in _TAG_READERS:
        for data in found.get(guid, []):
            read_tags(draft, attributes, data)
    asf.fill(draft, attributes)
    if draft.codec is None:
        raise NoAudio("The ASF header names no audio stream.")


def _collect(found: dict[bytes, list[bytes]], body: bytes) -> None:
    """Header objects by kind. The extension holds more of them, but no extension of its own, so this goes one deep."""
    for guid, data in _objects(body):
        if guid == _HEADER_EXTENSION:
            for inner_guid, inner in _objects(data[22:]):
                found.setdefault(inner_guid, []).append(inner)
        else:
            found.setdefault(guid, []).append(data)


def _objects(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(_MAX_OBJECTS):
        size = int.from_bytes(body[at + 16 : at + _OBJECT_HEADER], "little")
        if at + _OBJECT_HEADER > len(body) or size < _OBJECT_HEADER:
            return
        yield body[at : at + 16], body[at + _OBJECT_HEADER : at + size]
        at += size


def _read_file_properties(draft: Draft, data: bytes) -> None:
    if len(data) >= 64:
        length, _sent, preroll = struct.unpack_from("<QQQ", data, 40)  # units of 100 ns, and milliseconds
        draft.duration_seconds = max(0.0, length / 1e7 - preroll / 1e3)


def _read_stream(draft: Draft, wave_format: bytes) -> None:
    """The stream's WAVEFORMATEX."""
    if len(wave_format) < 16:
        return
    tag, channels, rate, byte_rate, _block, bits = struct.unpack_from("<HHIIHH", wave_format)
    draft.codec = _CODECS.get(tag, f"asf_{tag:04x}")
    draft.channels, draft.sample_rate = channels, rate
    draft.bit_rate = byte_rate * 8 or None
    draft.bit_depth = bits if draft.codec in ("pcm", "wmalossless") else None
    draft.bit_rate_mode = BitRateMode.VBR if draft.codec == "wmalossless" else None


def _read_description(_draft: Draft, attributes: list[tuple[str, str]], data: bytes) -> None:
    at = 10
    for name, length in zip(_DESCRIPTION_NAMES, struct.unpack_from("<5H", data.ljust(10, b"\0")), strict=True):
        if name and (text := _text(data[at : at + length])):
            attributes.append((name, text))
        at += length


def _read_extended(draft: Draft, attributes: list[tuple[str, str]], data: bytes) -> None:
    at = 2
    for _ in range(int.from_bytes(data[:2], "little")):
        length = int.from_bytes(data[at : at + 2], "little")
        name = _text(data[at + 2 : at + 2 + length])
        at += 2 + length
        kind, size = int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 2 : at + 4], "little")
        value = data[at + 4 : at + 4 + size]
        at += 4 + size
        if at > len(data):
            return
        _add(draft, attributes, name, kind, value)


def _read_metadata(draft: Draft, attributes: list[tuple[str, str]], data: bytes) -> None:
    at = 2
    for _ in range(int.from_bytes(data[:2], "little")):
        if at + 12 > len(data):
            return
        _language, _stream, name_length, kind, size = struct.unpack_from("<HHHHI", data, at)
        at += 12
        name, value = _text(data[at : at + name_length]), data[at + name_length : at + name_length + size]
        at += name_length + size
        if at > len(data):
            return
        _add(draft, attributes, name, kind, value)


def _add(draft: Draft, attributes: list[tuple[str, str]], name: str, kind: int, value: bytes) -> None:
    if kind == _BYTES:
        if name == "WM/Picture":
            asf.add_picture(draft, value)
        elif name == "WM/Lyrics_Synchronised":
            draft.has_lyrics = True
    elif kind == _TEXT:
        attributes.append((name, _text(value)))
    elif kind == _BOOL or kind in _NUMBER_SIZES:
        attributes.append((name, str(int.from_bytes(value, "little"))))


def _text(utf16: bytes) -> str:
    return utf16[: len(utf16) // 2 * 2].decode("utf-16-le", "replace").rstrip("\0")


_TAG_READERS = (
    (_CONTENT_DESCRIPTION, _read_description),
    (_EXTENDED_DESCRIPTION, _read_extended),
    (_METADATA, _read_metadata),
    (_METADATA_LIBRARY, _read_metadata),
)
"""In the order of precedence, wherever they stand in the file."""
