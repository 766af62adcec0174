"""Every field of the whole API that holds a path, found in its document, against every way out of the library.

The suite tries a part of the ways; `python -m tests.test_traversal` all of them on every field.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from server.api.openapi import document
from server.db.migrate import migrate
from tests.conftest import make_config
from tests.support.application import Running, running
from tests.support.database import opened
from tests.support.library import Library, library, tree
from tests.test_paths import ways_out

_NAMES_A_PATH = re.compile(r"path|file|folder|template|backup|new_name|root|location")
# Of an export, a choice among words. A directory's patterns aren't among the fields either: a glob is held against
# names that a walk has found, and nothing is looked up by it.
_NO_PATH = {"paths", "format"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a client fills: in the query, or at a way into the body (`*`: an item of a list)."""

    method: str
    url: str
    way: tuple[str, ...]
    is_query: bool

    def __str__(self) -> str:
        return f"{self.method} {self.url} {'.'.join(self.way)}"


def fields_of(api: Mapping[str, Any]) -> list[Field]:
    """All fields whose name says that they hold a path."""
    found = []
    for url, methods in api["paths"].items():
        for method, operation in methods.items():
            name = method.upper()
            found += [
                Field(name, url, (parameter["name"],), is_query=True)
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "query" and _is_path(parameter["name"], parameter["schema"])
            ]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                found += [Field(name, url, way, is_query=False) for way in _ways(api, content.get("schema", {}), ())]
    return [field for field in found if not (field.url.endswith("/export") and field.way[-1] in _NO_PATH)]


def _ways(api: Mapping[str, Any], schema: Mapping[str, Any], way: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if len(way) > 6:
        return
    schema = _resolved(api, schema)
    for part in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(part, ()):
            yield from _ways(api, inner, way)
    if "items" in schema:
        yield from _ways(api, schema["items"], (*way, "*"))
    for name, inner in schema.get("properties", {}).items():
        if _is_path(name, _resolved(api, inner)):
            yield (*way, name)
        yield from _ways(api, inner, (*way, name))


def _resolved(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = api["components"]["schemas"][schema["$ref"].split("/")[-1]]
    return schema


def _is_path(name: str, schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if "array" in kinds:
        return _is_path(name, schema.get("items", {}))
    return _NAMES_A_PATH.search(name) is not None and (not kinds or "string" in kinds) and "enum" not in schema


def request_for(field: Field, text: str, lib: Library, track_id: str) -> tuple[str, Any, Any]:
    """(url, query, body) of a request that is right in all but this field."""
    is_track = field.url.startswith("/api/tracks")
    url = field.url.replace("{id}", track_id if is_track else lib.directory_id)
    if field.is_query:
        return url, {**_QUERIES.get(field.url, {}), field.way[-1]: text}, None
    move = {"library_directory_id": lib.directory_id, "destination_path": "music/two.mp3"}
    bodies: dict[str, Any] = {
        "/api/tracks/{id}/move": move,
        "/api/tracks/bulk": {"filter": {}, "set": {"rating": 1}},
        "/api/operations/organize": {"filter": {}, "template": "{title}", "dry_run": True},
        "/api/duplicates/resolve": {"filter": {}, "dry_run": True},
    }
    body = bodies.get(field.url, {})
    name = field.way[-1]
    if name == "file_path":  # which is absolute, and must name what may be an audio file
        text = f"{lib.path}/music/{text}.mp3"
    if field.url == "/api/operations":
        item = {"kind": "rename", "new_name": text} if name == "new_name" else {"kind": "move", **move, name: text}
        return url, None, {"operations": [{"track_id": track_id, **item}]}
    if field.way[0] == "filter":
        return url, None, {**body, "filter": {name: [text]}}
    return url, None, {**body, name: text}


_QUERIES: dict[str, dict[str, str]] = {
    "/api/tracks/search": {"q": "a"},
    "/api/tracks/facets": {"fields": "genre"},
}


@contextmanager
def touched(base: Path, allowed: Path) -> Iterator[list[str]]:
    """What this process, the server in it too, opens, lists or changes below `base`, but not below `allowed`."""
    found: list[str] = []
    is_on = [True]
    inside = os.fsencode(allowed)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not is_on[0] or not (event == "open" or event.startswith("os.")):
            return
        for argument in arguments[:2]:
            if isinstance(argument, str | bytes):
                name = os.fsencode(argument)
                real = os.path.normpath(name)
                is_there = real.startswith(os.fsencode(base)) and not (real + b"/").startswith(inside + b"/")
                if is_there or b".." in name.split(b"/") or real == b"/etc/passwd":
                    found.append(f"{event} {argument!r}")

    sys.addaudithook(hook)
    try:
        yield found
    finally:
        is_on[0] = False


async def attack(mismo: Running, music: Path, every: int) -> tuple[int, int]:
    """Try each `every`-th way out on each field; (how many fields, how many requests)."""
    lib = await library(mismo, music, "music/one.mp3")
    track_id = lib.ids["music/one.mp3"]
    secret = music.parent / "secret.mp3"
    secret.write_bytes(b"not yours")
    (music / "link").symlink_to(music.parent)
    before = tree(music)
    fields = fields_of(document(mismo.app.routes))
    count = 0
    with touched(music.parent, music) as strayed:
        for field in fields:
            for number, text in enumerate(ways_out()):
                # Each field begins elsewhere, so that all ways are tried on some.
                # A library directory is named by its absolute path, and may lie anywhere.
                is_right = field.url == "/api/library/directories" and text.startswith("/")
                if (number + fields.index(field)) % every == 0 and not is_right:
                    url, params, body = request_for(field, text, lib, track_id)
                    answer = await mismo.client.request(field.method, url, body, params=params)
                    count += 1
                    told = (str(field), text, answer.status, answer.content[:300])
                    assert answer.status == 422, told
                    named = [item["field"].split(".")[-1].partition("[")[0] for item in answer.json["errors"]]
                    assert named == [field.way[-1]], told
    assert strayed == [], strayed[:8]
    assert tree(music) == before
    assert secret.read_bytes() == b"not yours"
    assert not await mismo.app.database.fetch_value("SELECT count(*) FROM file_operations")
    return len(fields), count


async def test_no_path_bearing_field_of_the_api_lets_a_way_out_through(mismo: Running, music: Path) -> None:
    fields, count = await attack(mismo, music, every=200)
    assert fields >= 12
    assert count > fields * 20


async def _main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="mismo-traversal-") as folder:
        config = make_config(database_url=f"sqlite:///{folder}/database/library.db")
        async with opened(config) as database:
            await migrate(database)
        music = Path(folder) / "home" / "library"
        music.mkdir(parents=True)
        async with running(config) as mismo:
            fields, count = await attack(mismo, music, every=1)
    print(f"traversal: {len(ways_out())} ways, {fields} fields, {count} requests, each a 422, 0 touches outside")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_main())
