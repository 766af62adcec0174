"""Everything of the analysis domain, put together in order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.analysis.audio import AudioFiles
from server.analysis.broker import Broker
from server.analysis.client import AnalysisClient
from server.analysis.deep import DeepAnalysis
from server.analysis.delivery import Delivery
from server.analysis.intake import Intake
from server.analysis.newcomers import Newcomers
from server.analysis.pace import Pace
from server.analysis.queue import Queue
from server.analysis.results import Results
from server.analysis.service import AnalysisService
from server.analysis.stems import StemCache
from server.clock import Clock
from server.config import Config
from server.db.database import Database
from server.db.uow import UnitOfWork
from server.events.bus import Bus
from server.events.log import EventLog
from server.events.model import Event
from server.filesystem import FileSystem
from server.supervise import Service
from server.tracks.service import TrackService


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the composition root, or a test, needs of it."""

    service: AnalysisService
    intake: Intake
    cache: StemCache
    services: tuple[Service, ...]

    def close(self) -> None:
        self.intake.close()


def assemble(
    config: Config,
    database: Database,
    uow: UnitOfWork[Event],
    event_log: EventLog,
    bus: Bus,
    tracks: TrackService,
    files: FileSystem,
    clock: Clock,
    pace: Pace | None = None,
) -> Analysis:
    pace = pace or Pace(timeout=config.analysis_timeout, retries=config.analysis_max_retries)
    client = AnalysisClient(
        config.analysis_server_url or "http://127.0.0.1:5000",
        is_remote=config.analysis_server_remote,
        answer_seconds=pace.answer,
        upload_seconds=pace.timeout,
    )
    queue = Queue(database, uow, tracks, Results(database, tracks, clock), clock)
    broker = Broker(
        queue,
        client,
        AudioFiles(database, tracks, files),
        bus,
        pace,
        config.max_concurrent_analysis,
    )
    cache = StemCache(_stem_folder(config), config.stem_cache_max_bytes, config.stem_ttl, files, clock)
    is_automatic = config.auto_analyze_new_tracks
    return Analysis(
        service=AnalysisService(queue, broker, cache, tracks, event_log, bus),
        intake=Intake(queue, broker, cache, Delivery(cache, client, files)),
        cache=cache,
        services=(
            broker,
            Newcomers(queue, event_log, bus, is_automatic=is_automatic),
            DeepAnalysis(queue, pace, is_automatic=is_automatic),
            cache,
        ),
    )


def _stem_folder(config: Config) -> Path:
    """Beside the database file; for a database elsewhere, where that file would be by default."""
    parent = Path("data") if config.is_postgres else config.sqlite_path.parent
    return parent / "stems"
