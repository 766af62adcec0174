"""Whether a library directory is really there: its root, its file system, and some of what was in it last time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SAMPLE = 16


class Reason(StrEnum):
    """Why a directory can't be used."""

    GONE = "gone"
    UNREADABLE = "unreadable"
    EMPTY = "empty"  # an empty mount point where there were files
    OTHER_MEDIA = "other_media"  # another device, with none of the known files
    UNRESPONSIVE = "unresponsive"  # a network mount that doesn't answer
    REMOVED = "removed"  # taken out of the library by a person


@dataclass(frozen=True, slots=True)
class Probe:
    """What a look at the root has shown. `fingerprint` is what to compare with the next time.

    `is_same_device`: the root lies on the file system that it lay on before.
    """

    reason: Reason | None
    fingerprint: dict[str, Any] | None = None
    is_same_device: bool = True

    @property
    def is_available(self) -> bool:
        return self.reason is None


def probe(path: bytes, known: dict[str, Any] | None) -> Probe:
    """Look at a root (blocking). `known` is the fingerprint of the last time it was available.

    The fingerprint holds the device and up to `SAMPLE` names in the root. Device numbers change between mounts, so
    another device alone says nothing: it is another drive when also none of the names is there any more.
    """
    try:
        status = os.stat(path)
        names = names_in(path)
    except FileNotFoundError:
        return Probe(Reason.GONE)
    except NotADirectoryError:
        return Probe(Reason.GONE)
    except OSError:
        return Probe(Reason.UNREADABLE)
    seen = {"device": status.st_dev, "names": names}
    if known is not None and known["names"]:
        is_same_device = known["device"] == status.st_dev
        if not names:
            return Probe(Reason.EMPTY, seen, is_same_device)
        if not is_same_device and not _any_there(path, known["names"]):
            return Probe(Reason.OTHER_MEDIA)
    return Probe(None, seen)


def names_in(path: bytes | int) -> list[str]:
    """The first names of a folder in the order of their bytes, as text that can be turned back into them."""
    with os.scandir(path) as entries:
        return sorted(os.fsdecode(entry.name).encode("utf-8", "surrogateescape").hex() for entry in entries)[:SAMPLE]


def _any_there(path: bytes, names: list[str]) -> bool:
    return any(os.path.lexists(os.path.join(path, bytes.fromhex(name))) for name in names)
