"""The picture in one file's tags, read by a process of its own, since parsers meet hostile files.

`python -m server.tracks.picture PATH` writes the front cover, or else the first picture, to its standard output; with
none in the file it writes nothing. Its memory and time are limited, so that whatever a file does ends with it alone.
"""

from __future__ import annotations

import base64
import os
import resource
import stat
import sys
from collections.abc import Iterator
from typing import Any

MAX_BYTES = 32 << 20
MEMORY_BYTES = 512 << 20
CPU_SECONDS = 10
_FRONT_COVER = 3  # picture types are those of ID3v2 APIC in every format that has them


def pictures(media: Any) -> Iterator[tuple[int, bytes]]:
    """(type, data) of every picture that mutagen finds in a file."""
    import mutagen.flac

    for picture in getattr(media, "pictures", ()):
        yield picture.type, picture.data
    tags = media.tags
    if tags is None:
        return
    if hasattr(tags, "getall"):
        for frame in tags.getall("APIC"):
            yield frame.type, frame.data
        return
    for name, value in tags.items():
        values = value if isinstance(value, list) else [value]
        match str(name).lower():
            case "covr":
                yield from ((_FRONT_COVER, bytes(cover)) for cover in values)
            case "metadata_block_picture":
                for text in values:
                    picture = mutagen.flac.Picture(base64.b64decode(text))
                    yield picture.type, picture.data
            case "wm/picture":
                yield from (_of_asf(attribute.value) for attribute in values)
            case "cover art (front)" | "cover art (back)":
                kind = _FRONT_COVER if "front" in str(name).lower() else 0
                # APEv2: a file name, a NUL, the picture.
                yield from ((kind, bytes(item.value).partition(b"\0")[2]) for item in values)


def _of_asf(value: bytes) -> tuple[int, bytes]:
    """`WM/Picture`: type, size (4 bytes), MIME type and description (UTF-16, each ended by two NULs), data."""
    size = int.from_bytes(value[1:5], "little")
    return value[0], value[-size:] if 0 < size <= len(value) - 5 else b""


def best(found: Iterator[tuple[int, bytes]]) -> bytes:
    """The front cover, or else the first picture that has any data."""
    first = b""
    for kind, data in found:
        if not 0 < len(data) <= MAX_BYTES:
            continue
        if kind == _FRONT_COVER:
            return data
        first = first or data
    return first


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    import mutagen

    descriptor = os.open(os.fsencode(sys.argv[1]), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return
        media = mutagen.File(file)
        if media is not None:
            sys.stdout.buffer.write(best(pictures(media)))


if __name__ == "__main__":
    main()
