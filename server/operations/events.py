"""What is announced about file operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from server.events.model import Recorded, Transient


@dataclass(frozen=True, kw_only=True)
class OperationStarted(Recorded):
    """An operation is about to touch the disk."""

    name: ClassVar[str] = "file_operation:started"
    operation: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OperationComplete(Recorded):
    """An operation is done; the track lies where it was asked to."""

    name: ClassVar[str] = "file_operation:complete"
    operation: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OperationFailed(Recorded):
    """An operation couldn't be done; the file is where it was."""

    name: ClassVar[str] = "file_operation:failed"
    operation: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OperationUndone(Recorded):
    """A finished operation was taken back."""

    name: ClassVar[str] = "file_operation:undone"
    operation: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OperationProgress(Transient):
    """How much of a file has been copied to another file system."""

    name: ClassVar[str] = "file_operation:progress"
    operation_id: str
    bytes_done: int
    bytes_total: int
