"""What is announced about analyses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from server.events.model import Recorded, Transient


@dataclass(frozen=True, kw_only=True)
class AnalysisStarted(Recorded):
    """A job was given to the analysis server."""

    name: ClassVar[str] = "analysis:started"
    job: dict[str, Any]
    track_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AnalysisComplete(Recorded):
    """All stages that were asked for are stored."""

    name: ClassVar[str] = "analysis:complete"
    job: dict[str, Any]
    track_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AnalysisFailed(Recorded):
    """A job ended without all its stages; its `status` says how: failed, cancelled or file_missing."""

    name: ClassVar[str] = "analysis:failed"
    job: dict[str, Any]
    track_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AnalysisStage(Recorded):
    """The result of one stage is stored; the tracks show it."""

    name: ClassVar[str] = "analysis:stage"
    job_id: str
    stage: str
    track_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StemsReady(Recorded):
    """The stems that somebody asked for can be fetched until `expires_at`; `stems` holds a URL for each name."""

    name: ClassVar[str] = "analysis:stems:ready"
    track_id: str
    stems: dict[str, str]
    expires_at: str


@dataclass(frozen=True, kw_only=True)
class AnalysisProgress(Transient):
    """How the queue stands: jobs that wait and run, jobs completed a minute, and seconds until nothing waits."""

    name: ClassVar[str] = "analysis:progress"
    queued: int
    running: int
    rate: float
    eta: float | None
