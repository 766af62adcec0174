"""What can go wrong while a file's metadata is read. None of it leaves `read`: it ends up in `tags_error`."""

from __future__ import annotations

from typing import ClassVar


class MetadataError(Exception):
    """The metadata can't be read."""

    code: ClassVar[str] = "unreadable"
    """Stable, machine-readable name of the fault."""

    reason: str
    """One sentence for a person."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason or type(self).__doc__ or self.code
        super().__init__(self.reason)


class EmptyFile(MetadataError):
    """The file has no bytes."""

    code = "empty_file"


class UnknownContainer(MetadataError):
    """The content is no audio format that Mismo knows."""

    code = "unknown_container"


class Truncated(MetadataError):
    """The file ends before its headers do."""

    code = "truncated"


class Damaged(MetadataError):
    """The headers contradict themselves."""

    code = "damaged"


class NoAudio(MetadataError):
    """The container holds no audio that could be described."""

    code = "no_audio"


class TooComplex(MetadataError):
    """The tags are larger than any real recording needs, so they weren't read."""

    code = "too_complex"
