"""Holds the ground against how it was at first."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.operations.crash.ground import Ground

_MOVES = ("move", "rename", "undo")


@dataclass(slots=True)
class Judge:
    place: Ground
    content: Counter[bytes] = field(default_factory=Counter)
    seq: int = 0
    folders: frozenset[Path] = frozenset()

    def __post_init__(self) -> None:
        self.content = self._content()
        self.seq = self._values("SELECT seq FROM event_head")[0]
        self.folders = frozenset(self.place.folders())

    def _content(self) -> Counter[bytes]:
        return Counter(file.read_bytes() for file in self.place.files() if file.name != "manifest.json")

    def _values(self, sql: str, *params: Any) -> list[Any]:
        return [row[0] for row in self._rows(sql, *params)]

    def _rows(self, sql: str, *params: Any) -> list[Any]:
        connection = sqlite3.connect(self.place.database)
        try:
            return connection.execute(sql, params).fetchall()
        finally:
            connection.close()

    def state(self) -> Any:
        """All that a start which finds nothing to do leaves as it is."""
        files = sorted((str(file), (status := file.stat()).st_ino, status.st_mtime_ns) for file in self.place.files())
        rows = self._rows("SELECT id, state, error_code, attempts FROM file_operations ORDER BY pk")
        return self._values("SELECT seq FROM event_head"), files, self.place.folders(), rows

    def problems(self) -> list[str]:
        """After recovery: everything whole in one place, nothing temporary, and the database agrees."""
        return [*self._on_disk(), *self._in_database()]

    def _on_disk(self) -> list[str]:
        found = []
        content = self._content()
        if content != self.content:
            found.append(f"lost {len(self.content - content)} and doubled {len(content - self.content)} files")
        files = self.place.files()
        found += [f"temporary file {file.name}" for file in files if file.name.endswith(".part")]
        found += [
            f"manifest without a file in {file.parent}"
            for file in files
            if file.name == "manifest.json" and len(os.listdir(file.parent)) == 1
        ]
        folders = [folder for folder in self.place.folders() if folder not in self.folders]
        return found + [f"empty folder {folder}" for folder in folders if not os.listdir(folder)]

    def _in_database(self) -> list[str]:
        found = []
        states = Counter(self._values("SELECT state FROM file_operations"))
        if states["queued"] or states["running"]:
            found.append(f"operations neither done nor failed: {dict(states)}")
        trashed = {file for file in self.place.files() if ".mismo-trash" in file.parts}
        rows = self._rows(
            "SELECT root, path, missing_since, file_size, file_inode, file_mtime_ns, id FROM tracks"
            " JOIN track_locations USING (library_directory_id)"
        )
        for root, path, missing_since, *known, track_id in rows:
            file = Path(os.fsdecode(root)) / os.fsdecode(path)
            status = file.lstat() if file.exists() else None
            if missing_since is None:
                if status is None or not stat.S_ISREG(status.st_mode):
                    found.append(f"track {track_id} isn't at {file}")
                elif [status.st_size, status.st_ino, status.st_mtime_ns] != known:
                    found.append(f"track {track_id} doesn't know its file")
            elif status is not None or not any(item.name == file.name for item in trashed):
                found.append(f"track {track_id} is called missing, wrongly")
        return found + self._announcements()

    def _announcements(self) -> list[str]:
        """What happened since the ground was made is announced, once."""
        events = self._rows("SELECT name, data FROM events WHERE seq > ?", self.seq)
        moved = Counter(
            track_id for name, data in events if name == "track:moved" for track_id in orjson.loads(data)["ids"]
        )
        done = Counter(
            self._values(
                "SELECT operation.track_id FROM file_operations AS operation"
                " LEFT JOIN file_operations AS original ON original.id = operation.undo_of"
                " WHERE coalesce(original.kind, operation.kind) IN ('move', 'rename')"
                " AND operation.state = 'done' AND operation.pk > ?",
                self._kept_pk(),
            )
        )
        if moved != done:
            return [f"moved {sum(done.values())} tracks and announced {sum(moved.values())}"]
        return []

    def _kept_pk(self) -> int:
        connection = sqlite3.connect(self.place.database.with_name(f"kept-{self.place.database.name}"))
        try:
            return int(connection.execute("SELECT coalesce(max(pk), 0) FROM file_operations").fetchone()[0])
        finally:
            connection.close()
