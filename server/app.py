"""The composition root: `build` makes every object and lists every service."""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from server import errors
from server.access.service import AccessService
from server.analysis import assembly, audio_routes
from server.analysis import routes as analysis_routes
from server.analysis.pace import Pace
from server.api.app import Floor
from server.api.app import build as build_http
from server.api.guard import Guard
from server.api.idempotency import IdempotencyKeys
from server.api.metrics import Metrics
from server.api.ratelimit import RateLimit
from server.api.route import Route
from server.clock import Clock, SystemClock
from server.companions import routes as companion_routes
from server.companions.definitions import definitions
from server.companions.service import CompanionService
from server.companions.supervisor import Supervised
from server.config import Config
from server.cores import Cores
from server.db.database import Connection, Database
from server.db.uow import UnitOfWork
from server.duplicates import routes as duplicate_routes
from server.duplicates.grouping import DuplicateDetection, Grouper
from server.duplicates.service import DuplicateService
from server.duplicates.suggesting import Suggester
from server.duties import Duties, Duty
from server.engine import routes as engine_routes
from server.engine.info import TrackInfo
from server.engine.journal import Journal
from server.engine.link import EngineLink
from server.engine.pace import Pace as EnginePace
from server.engine.service import EngineService
from server.events.bus import Bus
from server.events.log import EventLog
from server.events.model import Event
from server.filesystem import FileSystem
from server.libraries import missing_routes
from server.libraries import routes as library_routes
from server.libraries.cleanup import CleanupService
from server.libraries.monitor import MountMonitor
from server.libraries.service import LibraryService
from server.operations import attempt, trash
from server.operations import routes as operation_routes
from server.operations.organize import Organizer
from server.operations.retention import TrashRetention
from server.operations.runner import OperationRunner
from server.operations.service import OperationService
from server.playlists import routes as playlist_routes
from server.playlists import special_routes as special_playlist_routes
from server.playlists.explanations import Explanations
from server.playlists.refresh import SmartMarker, SmartRefresher
from server.playlists.service import PlaylistService
from server.playlists.silence import SessionKeeper
from server.playlists.transfer import Transfer
from server.playlists.upkeep import EntryUpkeep
from server.scanning import routes as scan_routes
from server.scanning.backfill import HashBackfill
from server.scanning.catchup import CatchUp
from server.scanning.handover import InUse, People
from server.scanning.intake import Tools
from server.scanning.process import ScanProcess
from server.scanning.scanner import Scanner
from server.scanning.service import ScanService
from server.scanning.single import SingleFiles
from server.scanning.workers import WorkerPool
from server.settings import routes as setting_routes
from server.settings.service import SettingsService
from server.supervise import Service
from server.system import routes as system_routes
from server.system.health import Check
from server.system.retention import Retention
from server.tracks import cue_routes, play_routes
from server.tracks import routes as track_routes
from server.tracks.cues import CueService
from server.tracks.files import FileService
from server.tracks.history import Stories
from server.tracks.plays import PlayService
from server.tracks.service import TrackService
from server.watching import routes as watch_routes
from server.watching.follow import Tools as WatchTools
from server.watching.service import WatchService
from server.watching.source import FileSystemSource
from server.ws.endpoint import Endpoint
from server.ws.hub import Hub


@dataclass(frozen=True, slots=True)
class App:
    """Every part that another one, or a test, needs to reach."""

    config: Config
    database: Database
    duties: Duties
    log: EventLog
    bus: Bus
    hub: Hub
    uow: UnitOfWork[Event]
    access: AccessService
    settings: SettingsService
    tracks: TrackService
    cues: CueService
    plays: PlayService
    libraries: LibraryService
    scans: ScanService
    scanner: Scanner
    watcher: WatchService
    playlists: PlaylistService
    refresher: SmartRefresher
    operations: OperationService
    duplicates: DuplicateService
    companions: CompanionService
    analysis: assembly.Analysis
    workers: WorkerPool
    file_system: FileSystem
    services: tuple[Service, ...]
    routes: tuple[Route, ...]
    idempotency: IdempotencyKeys
    http: web.Application


async def build(
    config: Config,
    database: Database,
    clock: Clock | None = None,
    analysis_pace: Pace | None = None,
    engine_pace: EnginePace | None = None,
) -> App:
    """Make every object, on an opened and migrated database. Raises `StartupError`."""
    clock = clock or SystemClock()
    event_log = EventLog(database, clock)
    await event_log.open()
    uow: UnitOfWork[Event] = UnitOfWork(database, event_log)
    bus = Bus(database, event_log, clock.now_ms)
    hub = Hub(event_log)
    bus.attach(hub)
    file_system = FileSystem()
    cores = Cores()
    workers = WorkerPool(config.scan_workers, cores)

    access = AccessService(database, clock, config.api_token)
    settings = SettingsService(database, uow, event_log, clock)
    tracks = TrackService(database, uow, event_log, clock)
    cues = CueService(database, uow, tracks, clock)
    plays = PlayService(database, uow, tracks, settings, clock)
    plays.history_providers.append(tracks.file_history)
    libraries = LibraryService(database, uow, tracks, file_system, clock)
    tools = Tools(database, uow, tracks, libraries, file_system, workers, clock)
    scan_process = ScanProcess(config, database, cores, event_log.committed) if config.scan_process else None
    scanner = Scanner(tools, bus, config.max_concurrent_scans, scan_process)
    scans = ScanService(tools, bus, scanner)
    libraries.scan_status = scans.directory_status
    watcher = WatchService(WatchTools(libraries, scans, settings, file_system, FileSystemSource()), bus)
    scanner.growing = watcher.growing
    cleanup = CleanupService(database, uow, libraries, tracks, file_system, clock, config.backup_folder)
    monitor = MountMonitor(libraries)
    monitor.on_mounts_changed = watcher.look_again
    file_work = OperationRunner(attempt.Tools(database, uow, tracks, bus, clock))
    bus.attach(file_work)
    operations = OperationService(database, uow, tracks, libraries, file_work, clock)
    trash_can = trash.TrashService(database, libraries, file_system, clock)
    playlists = PlaylistService(database, uow, tracks, plays, settings, clock)
    plays.play_listeners.append(playlists.log_counted)
    cleanup.in_use = playlists.tracks_in_lists
    cleanup.belongings = {"cues": cues, "plays": plays, "entries": playlists, "history": Stories()}
    scanner.people = People(_worked_with(playlists, cues), operations.deletions, operations.in_flight)
    refresher = SmartRefresher(database, uow, playlists.smart, playlists.looks, clock)
    suggester = Suggester(tracks, libraries, playlists)
    grouper = Grouper(tracks, suggester, clock)
    duplicates = DuplicateService(database, uow, tracks, operations, suggester, grouper, clock, playlists, cues)
    supervised = [Supervised(definition, uow, clock, cores) for definition in definitions(config)]
    companions = CompanionService(supervised, bus.signals)
    analysis = assembly.assemble(config, database, uow, event_log, bus, tracks, file_system, clock, analysis_pace)
    link = EngineLink(
        config.audio_server_ws_url,
        config.audio_server_auth_token,
        bus,
        engine_pace
        or EnginePace(config.audio_server_reconnect_delay / 1000, config.audio_server_max_reconnect_delay / 1000),
    )
    link.on_change = lambda: cores.keep_one(link.state == "connected")
    track_info = TrackInfo(database, analysis.service, file_system, config.audio_server_key_format)
    engine = EngineService(
        link=link, info=track_info, analyses=analysis.service, cues=cues,
        journal=Journal(plays, playlists, settings, uow, database, clock), bus=bus,
    )  # fmt: skip
    hub.serve_resource("track", tracks.resources)

    # Of several processes on one PostgreSQL, one at a time has each of these. Scans and what they are told by the
    # watcher stay together; so do the engine's link and what is said over it.
    duties = Duties(database)
    library, upkeep = duties.post("library"), duties.post("upkeep")
    engine_post = duties.post("engine") if config.audio_server_ws_url else library
    link.is_elsewhere = lambda: not engine_post.is_held and duties.is_open
    services: tuple[Service, ...] = (
        duties,
        bus,
        hub,
        # One for each machine, where the address is the machine's own.
        *(Duty(item, duties.post(f"{item.name} on {socket.gethostname()}")) for item in supervised),
        Duty(Retention(event_log, clock, config.event_retention_days), upkeep),
        *([scan_process] if scan_process is not None else []),
        Duty(scanner, library),
        Duty(HashBackfill(tools, scanner), library),
        Duty(CatchUp(uow, event_log, bus, scans), upkeep),
        Duty(monitor, library),
        Duty(watcher, library),
        Duty(EntryUpkeep(uow, event_log, bus, tracks, clock), upkeep),
        Duty(SmartMarker(uow, event_log, bus, refresher, clock), upkeep),
        Duty(refresher, upkeep),
        Duty(SessionKeeper(playlists.sessions, clock), upkeep),
        file_work,
        Duty(TrashRetention(trash_can, libraries, settings, bus), upkeep),
        *(
            [Duty(DuplicateDetection(uow, event_log, bus, grouper), upkeep)]
            if config.duplicate_detection_enabled
            else []
        ),
        *analysis.services,
        Duty(engine, engine_post),
        Duty(link, engine_post),
    )
    metrics = _metrics(hub, event_log)
    routes: list[Route] = [
        *setting_routes.routes(settings),
        *library_routes.routes(libraries),
        *missing_routes.routes(libraries, tracks, cleanup),
        *scan_routes.routes(scans),
        *scan_routes.file_routes(SingleFiles(tools), tracks),
        *watch_routes.routes(watcher),
        *track_routes.routes(tracks, cues),
        *cue_routes.routes(cues),
        *play_routes.routes(plays, FileService(database, tracks, file_system), track_info.have_analysed),
        *special_playlist_routes.routes(playlists, Transfer(database, uow, tracks, playlists, clock)),
        *playlist_routes.routes(playlists, Explanations(database, tracks, playlists.smart)),
        *operation_routes.routes(
            operations,
            Organizer(database, tracks, operations),
            trash_can,
            tracks,
            confirm_deletes=config.confirm_file_deletes,
        ),
        *duplicate_routes.routes(duplicates, confirm_deletes=config.confirm_file_deletes),
        *companion_routes.routes(companions),
        *analysis_routes.routes(analysis.service, analysis.intake, companions),
        *audio_routes.routes(analysis.service),
        *engine_routes.routes(track_info, link),
    ]
    routes += system_routes.routes([Check("database", _database_check(database))], metrics, lambda: routes)
    idempotency = IdempotencyKeys(database, clock)
    floor = Floor(
        log=event_log,
        guard=await _guard(config, access),
        rate_limit=None if config.is_loopback else RateLimit(config.api_rate_limit),
        idempotency=idempotency,
        metrics=metrics,
    )
    http = build_http(routes, floor, [("GET", "/ws", Endpoint(hub, event_log).handle)])
    return App(
        config, database, duties, event_log, bus, hub, uow, access, settings, tracks, cues, plays, libraries, scans,
        scanner, watcher, playlists, refresher, operations, duplicates, companions, analysis, workers, file_system,
        services, tuple(routes), idempotency, http,
    )  # fmt: skip


def _worked_with(playlists: PlaylistService, cues: CueService) -> InUse:
    async def worked_with(connection: Connection, track_ids: Sequence[str]) -> set[str]:
        in_lists = await playlists.tracks_in_lists(connection, track_ids)
        return in_lists | await cues.set_by_hand(connection, track_ids)

    return worked_with


async def _guard(config: Config, access: AccessService) -> Guard:
    if not config.is_loopback and not await access.has_any():
        raise errors.StartupError(
            f"HOST is {config.host}, which others can reach:"
            " set API_TOKEN, or make a token with 'mismo token create NAME'"
        )
    is_token_needed = not config.is_loopback or config.api_token is not None
    return Guard(
        bound_host=config.host,
        allowed_hosts=config.allowed_hosts,
        cors_origins=config.cors_origins,
        verify_token=access.verify if is_token_needed else None,
    )


def _metrics(hub: Hub, event_log: EventLog) -> Metrics:
    metrics = Metrics()
    started = time.time()
    metrics.gauge("uptime_seconds", "Since the start", lambda: time.time() - started)
    metrics.gauge("websocket_clients", "Connected websocket clients", lambda: hub.connections)
    metrics.gauge("event_seq", "Number of the last committed event", lambda: event_log.seq)
    metrics.gauge("event_lag", "Committed events that aren't published yet", lambda: event_log.seq - hub.last_seq)
    return metrics


def _database_check(database: Database) -> Callable[[], Awaitable[str]]:
    async def probe() -> str:
        await database.fetch_value("SELECT 1")
        return database.dialect.value

    return probe


async def close(app: App) -> None:
    """Let go of everything, after the services have ended."""
    await app.workers.close()
    app.analysis.close()
    app.file_system.close()
    await app.database.close()
