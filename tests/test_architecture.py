"""Who may know whom: the imports of every module, held against the order of the house."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from server import errors

ROOT = Path(__file__).resolve().parents[1]

# The thin floor, which knows no domain. Lower ones don't know higher ones.
FLOOR = {
    "errors": set(),
    "clock": set(),
    "ids": set(),
    "config": {"errors"},
    "log": {"config", "errors"},
    "supervise": {"log"},
    "duties": {"supervise", "db", "errors", "log"},
    "threads": set(),
    "filesystem": {"errors", "threads"},
    "paths": {"errors"},
    "child": set(),
    "cores": set(),
    "nesting": set(),
    "db": {"config", "errors", "log", "threads"},
    "events": {"db", "clock", "ids", "errors", "log"},
    "api": {"nesting", "db", "events", "clock", "ids", "errors", "log"},
    # `api.guard` says which hosts and tokens a websocket may come with, as for every request.
    "ws": {"nesting", "api", "events", "clock", "ids", "errors", "log"},
}
# Each domain, and the domains beneath it whose services it may be handed.
_BASE = {"settings", "metadata", "hashing"}
_TRACKS = _BASE | {"tracks"}
_LIBRARIES = _TRACKS | {"libraries"}
_SCANNING = _LIBRARIES | {"scanning"}
DOMAINS = {
    "access": set(),
    "system": set(),
    "companions": set(),
    "analyzer": set(),  # another process, which knows of the library only what it is sent
    "settings": set(),
    "hashing": set(),
    "metadata": {"hashing"},  # one window on a file serves both
    "tracks": _BASE,
    "libraries": _TRACKS,
    "scanning": _LIBRARIES,
    "watching": _SCANNING,
    "operations": _SCANNING,
    "duplicates": _SCANNING | {"operations"},
    "playlists": _LIBRARIES,
    "analysis": _LIBRARIES | {"companions"},
    "engine": _LIBRARIES | {"playlists", "analysis", "companions"},
}
# Above all: they may know everything.
TOP = {"app", "apart", "serving", "cli", "__main__"}

# Imports that a rule forbids and that stand for a reason: (who, what).
EXCEPTIONS = {
    # The key of a track is a value of its own, and tags are where it comes from.
    ("server.tracks.model", "server.metadata.key"),
    # Which container a file is, as its first bytes tell: the list of names.
    ("server.metadata.model", "server.hashing.container.Container"),
    # `/api/analysis/server` is the analysis companion by another name, and answers alike.
    ("server.analysis.routes", "server.companions.routes"),
    ("server.analysis.routes", "server.companions.definitions"),
    ("server.analysis.routes", "server.companions.service"),
    # They answer with tracks, which their own service serialises.
    ("server.operations.routes", "server.tracks.service"),
    ("server.scanning.routes", "server.tracks.service"),
    ("server.libraries.missing_routes", "server.tracks.service"),
    # A list's filters are made where its query is read.
    ("server.playlists.routes", "server.db.sql.Where"),
    # It looks into a database with which no server, and so no service, may be able to start.
    ("server.cli.doctor", "server.libraries.store"),
}


@dataclass(frozen=True)
class Module:
    """`imports` holds a name for each thing imported: `server.db.database.Row`, `server.tracks.model`."""

    name: str
    tree: ast.Module
    imports: tuple[str, ...]

    @property
    def package(self) -> str:
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def noun(self) -> str:
        return self.name.rpartition(".")[2]


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for file in sorted((ROOT / "server").rglob("*.py")):
        path = file.relative_to(ROOT).with_suffix("")
        name = ".".join(path.parts).removesuffix(".__init__")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found.append(Module(name, tree, tuple(dict.fromkeys(_imports(tree)))))
    return tuple(found)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "server")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module and node.module.split(".")[0] == "server":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def _module_of(name: str) -> str:
    """The module that an imported name lives in."""
    return name if _is_module(name) else name.rpartition(".")[0]


def _package_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def _is_excepted(module: Module, name: str) -> bool:
    return any(who == module.name and (name == what or name.startswith(f"{what}.")) for who, what in EXCEPTIONS)


def _is_called(name: str, noun: str) -> bool:
    """A file of a larger domain says whose store it is: `location_store`."""
    return name == noun or name.endswith(f"_{noun}")


def _violations(noun: str | None, is_allowed: object) -> list[str]:
    assert callable(is_allowed)
    return [
        f"{module.name} imports {name}"
        for module in modules()
        if noun is None or (_is_called(module.noun, noun) and module.package in DOMAINS)
        for name in module.imports
        if not is_allowed(module, name) and not _is_excepted(module, name)
    ]


def test_every_package_has_its_place_in_the_house() -> None:
    packages = {module.package for module in modules()} - {""}
    assert packages <= FLOOR.keys() | DOMAINS.keys() | TOP


def test_the_order_of_the_house_has_no_circle() -> None:
    for table in (FLOOR, DOMAINS):
        placed: set[str] = set()
        while waiting := table.keys() - placed:
            ready = {name for name in waiting if table[name] <= placed}
            assert ready, f"a circle among {sorted(waiting)}"
            placed |= ready


def test_no_package_knows_one_that_stands_above_it() -> None:
    def is_allowed(module: Module, name: str) -> bool:
        mine, theirs = module.package, _package_of(_module_of(name))
        if mine in TOP or theirs in (mine, ""):
            return True
        if mine in FLOOR:
            return theirs in FLOOR[mine]
        return theirs in FLOOR or theirs in DOMAINS[mine]

    assert _violations(None, is_allowed) == []


def test_a_store_knows_the_database_and_its_own_values() -> None:
    def is_allowed(module: Module, name: str) -> bool:
        target = _module_of(name)
        if _package_of(target) == module.package:
            return target.rpartition(".")[2] not in ("service", "routes", "schemas", "events")
        return target in ("server.db.database", "server.db.sql", "server.errors", "server.clock", "server.ids")

    assert _violations("store", is_allowed) == []


def test_a_model_knows_only_errors_and_other_models() -> None:
    def is_allowed(module: Module, name: str) -> bool:
        target = _module_of(name)
        if _package_of(target) == module.package:
            return target.rpartition(".")[2] not in ("store", "service", "routes", "schemas", "events")
        # `Row` is the type of what a store has read, for the function that makes a value of it.
        is_row = name == "server.db.database.Row"
        return is_row or target in ("server.errors", "server.clock") or target.endswith(".model")

    assert _violations("model", is_allowed) == []


def test_events_are_declared_knowing_only_models() -> None:
    def is_allowed(module: Module, name: str) -> bool:
        return _module_of(name).endswith(".model")

    assert _violations("events", is_allowed) == []


def test_routes_know_their_own_domain_the_api_and_the_errors_of_others() -> None:
    def is_allowed(module: Module, name: str) -> bool:
        target = _module_of(name)
        if _package_of(target) == module.package:
            return target.rpartition(".")[2] not in ("store", "events")
        is_shared = _package_of(target) == "api" or target in ("server.errors", "server.clock", "server.paths")
        return is_shared or target.endswith(".schemas") or _is_error(name)

    assert _violations("routes", is_allowed) == []


def _is_error(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute, None)
    return isinstance(value, type) and issubclass(value, errors.MismoError)


# Schemas aren't the inside: a track looks the same wherever it is answered.
@pytest.mark.parametrize("noun", ["store", "routes"])
def test_nobody_knows_the_inside_of_another_domain(noun: str) -> None:
    def is_allowed(module: Module, name: str) -> bool:
        target = _module_of(name)
        is_inside = _is_called(target.rpartition(".")[2], noun) and _package_of(target) in DOMAINS
        # The composition root makes the routes known to the server.
        return not is_inside or _package_of(target) == module.package or (noun == "routes" and module.package in TOP)

    assert _violations(None, is_allowed) == []


def test_only_the_unit_of_work_and_the_floor_open_transactions() -> None:
    """A write that isn't a unit of work can't announce itself: domains have no business with `database.write`."""
    found = [
        f"{module.name}:{node.lineno}"
        for module in modules()
        if module.package in DOMAINS.keys() - _WRITE_WITHOUT_EVENTS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "write" and _ends_in_database(node.value)
    ]
    assert found == []


# Tokens are nothing that a client may follow.
_WRITE_WITHOUT_EVENTS = {"access"}


def _ends_in_database(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_") == "database"


def test_no_task_runs_outside_a_group() -> None:
    naked = [
        f"{module.name}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _NAKED and module.name not in _KEEPS_ITS_TASKS
    ]
    assert naked == []


# Each holds the task it makes, and ends it in the same function, whoever is cancelled.
_KEEPS_ITS_TASKS = {
    "server.duties",  # a duty that may be lost while it is done
    "server.db.database",  # finishes a statement it began
    "server.analyzer.jobs",  # a job that may be called off by itself
    "server.analyzer.process",  # what a child complains of, read beside its answers
    "server.db.postgres_lock",  # the heartbeat of a lock, for as long as it is held
    "server.watching.source",  # the next change, waited for across a generator's steps
}
_NAKED = {"asyncio.create_task", "asyncio.ensure_future", "loop.create_task"}


def test_every_exception_is_still_needed() -> None:
    imports = {(module.name, name) for module in modules() for name in module.imports}
    unused = [
        (who, what)
        for who, what in EXCEPTIONS
        if not any(who == module and (name == what or name.startswith(f"{what}.")) for module, name in imports)
    ]
    assert unused == []


def test_the_rules_see_what_is_imported() -> None:
    """Guards the reading itself: a rule over an empty list would hold for ever."""
    by_name = {module.name: module for module in modules()}
    assert "server.db.database.Connection" in by_name["server.settings.store"].imports
    assert _module_of("server.db.database.Connection") == "server.db.database"
    assert _is_error("server.errors.NotFound")
    assert not _is_error("server.tracks.service.TrackService")
