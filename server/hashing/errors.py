"""What can go wrong between a file and its audio hash."""

from __future__ import annotations

from typing import ClassVar


class HashingError(Exception):
    """The audio in this file can't be hashed."""

    code: ClassVar[str] = "unhashable"
    """Stable, machine-readable name of the fault."""

    reason: str
    """One sentence for a person: what was expected, and what the file holds instead."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason or type(self).__doc__ or self.code
        super().__init__(self.reason)


class AudioTruncated(HashingError):
    """The file ends before its audio begins."""

    code = "audio_truncated"


class AudioMissing(HashingError):
    """The container is whole but holds no audio stream."""

    code = "audio_missing"


class ContainerDamaged(HashingError):
    """The structure that says where the audio lies contradicts itself."""

    code = "container_damaged"


class ContainerTooComplex(HashingError):
    """The structure that says where the audio lies is larger than any real recording needs."""

    code = "container_too_complex"
