"""What is announced about library directories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from server.events.model import Recorded, SpanEvent


@dataclass(frozen=True, kw_only=True)
class DirectoryTracks(SpanEvent):
    """Something that changes how all tracks of a directory read."""

    resource: ClassVar[str] = "track"


@dataclass(frozen=True, kw_only=True)
class DirectoryAdded(DirectoryTracks):
    """A folder is managed now, or again."""

    name: ClassVar[str] = "library:directory:added"
    directory: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DirectoryUpdated(Recorded):
    """Something about a directory was changed."""

    name: ClassVar[str] = "library:directory:updated"
    directory: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DirectoryRemoved(DirectoryTracks):
    """A folder isn't managed any more; its files are where they were."""

    name: ClassVar[str] = "library:directory:removed"
    directory: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class MediaConnected(DirectoryTracks):
    """The drive of a directory is there again, and all its tracks with it."""

    name: ClassVar[str] = "library:media:connected"
    directory: dict[str, Any]
    track_count: int


@dataclass(frozen=True, kw_only=True)
class MediaDisconnected(DirectoryTracks):
    """The drive of a directory is gone; its tracks read as missing until it comes back."""

    name: ClassVar[str] = "library:media:disconnected"
    directory: dict[str, Any]
    track_count: int
