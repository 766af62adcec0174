"""From what was asked for and what lies on the disk to the exact steps (blocking, but changes nothing)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from server import paths
from server.clock import to_rfc3339
from server.operations.disk import Disk, is_result, is_source, look
from server.operations.failure import OperationFailed
from server.operations.model import Facts, Kind, OnConflict, Operation, Place, Plan, Step
from server.operations.transfer import is_case_change
from server.tracks.model import signed

MANIFEST = b"manifest.json"
_SIDECARS = {b".lrc", b".cue", b".jpg", b".jpeg", b".png", b".webp", b".gif"}
_MAX_SUFFIX = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """What the library knows of a track's file."""

    track_id: str
    place: Place
    facts: Facts


@dataclass(slots=True)
class Planner:
    """Plans the operations of one job, each on top of those before it. `now` in Unix milliseconds."""

    disk: Disk
    now: int
    _left: set[Place] = field(default_factory=set)
    _taken: set[Place] = field(default_factory=set)
    _made: set[Place] = field(default_factory=set)

    def plan(self, operation: Operation, known: Known | None, undone: Operation | None) -> Plan:
        """The plan of an operation; `known` is its track, `undone` what an undo takes back.

        Raises `OperationFailed` with a clear code when it can't be done as the disk is now, and OSError.
        """
        if undone is not None:
            plan = self._undo(undone, known)
        elif known is None:
            raise OperationFailed("no_track", "the track isn't in the library any more")
        elif operation.kind is Kind.DELETE:
            plan = self._trash(operation, known)
        else:
            assert operation.target is not None
            plan = self._move(operation, known, operation.target)
        for step in plan.steps:
            self._left.add(step.source)
            self._taken.add(step.target)
        self._made.update(plan.folders)
        return plan

    def _move(self, operation: Operation, known: Known, target: Place) -> Plan:
        options = operation.options
        first = self._first_step(known, target)
        folders = self._missing_folders(target)
        if folders and not options.create_directories:
            raise OperationFailed("no_such_folder", "the target's folder isn't there, and isn't to be created")
        sidecars = list(self._sidecars(known.place)) if options.with_sidecars else []
        for candidate in candidates(target, options.on_conflict):
            steps = (
                Step(first.source, candidate, first.facts),
                *(Step(place, _beside(candidate, place, known.place), facts) for place, facts in sidecars),
            )
            if all(self._is_free(step) for step in steps):
                return Plan(steps, folders, audio_hash=options.audio_hash)
        raise OperationFailed("target_exists", "something lies at the target already")

    def _trash(self, operation: Operation, known: Known) -> Plan:
        directory_id = known.place.library_directory_id
        folder = paths.TRASH + b"/" + operation.id.encode()
        target = Place(directory_id, folder + b"/" + os.path.basename(known.place.path))
        first = self._first_step(known, target)
        sidecars = list(self._sidecars(known.place)) if operation.options.with_sidecars else []
        steps = (
            first,
            *(
                Step(place, Place(directory_id, folder + b"/" + os.path.basename(place.path)), facts)
                for place, facts in sidecars
            ),
        )
        manifest_at = Place(directory_id, folder + b"/" + MANIFEST)
        folders = self._missing_folders(target)
        manifest = {
            "operation_id": operation.id,
            "track_id": known.track_id,
            "deleted_at": to_rfc3339(self.now),
            "files": [
                {"name": os.path.basename(step.target.stored()[1]), "from": step.source.stored()[1]} for step in steps
            ],
        }
        is_permanent = operation.options.permanent
        return Plan(
            steps,
            folders,
            manifest_at,
            manifest,
            discard=(*(step.target for step in steps), manifest_at) if is_permanent else (),
            tidy=folders if is_permanent else (),
            audio_hash=operation.options.audio_hash,
        )

    def _undo(self, undone: Operation, known: Known | None) -> Plan:
        done = undone.plan
        assert done is not None
        steps = []
        for number, step in enumerate(done.steps):
            there = self._at(step.target)
            if number == 0:
                self._expect_undoable(undone, step, there, known)
            elif there is None:
                continue  # a side-car that somebody has removed since
            assert there is not None
            back = Step(step.target, step.source, Facts(there.st_size, there.st_mtime_ns, signed(there.st_ino)))
            if not self._is_free(back):
                raise OperationFailed("target_exists", "something lies at the old place by now")
            steps.append(back)
        discard = () if done.manifest_at is None else (done.manifest_at,)
        return Plan(tuple(steps), self._missing_folders(steps[0].target), discard=discard, tidy=done.folders)

    def _expect_undoable(
        self, undone: Operation, step: Step, there: os.stat_result | None, known: Known | None
    ) -> None:
        if there is None:
            code = "not_in_trash" if undone.kind is Kind.DELETE else "vanished"
            raise OperationFailed(code, "the file isn't there any more")
        if undone.kind is Kind.DELETE:
            is_ours = is_result(there, step)
        else:
            is_ours = known is not None and known.place == step.target and is_source(there, known.facts)
        if not is_ours:
            raise OperationFailed("changed_on_disk", "the file, or its place, changed since")

    def _first_step(self, known: Known, target: Place) -> Step:
        there = self._at(known.place)
        if there is None:
            raise OperationFailed("vanished", "the file isn't there any more")
        if not is_source(there, known.facts):
            raise OperationFailed("changed_on_disk", "the file changed since the library last saw it")
        return Step(known.place, target, known.facts)

    def _at(self, place: Place) -> os.stat_result | None:
        with self.disk.folder(place) as folder:
            return None if folder is None else look(folder, os.path.basename(place.path))

    def _is_free(self, step: Step) -> bool:
        if step.target in self._taken:
            return False
        there = self._at(step.target)
        if there is None or step.target in self._left:
            return True
        # On a file system that ignores case the other spelling is the file itself.
        names = os.path.basename(step.source.path), os.path.basename(step.target.path)
        is_same_folder = os.path.dirname(step.source.path) == os.path.dirname(step.target.path)
        if not (is_same_folder and is_case_change(*names) and is_source(there, step.facts)):
            return False
        with self.disk.folder(step.source) as folder:
            return folder is not None and os.fsdecode(names[1]) not in os.listdir(folder)

    def _missing_folders(self, target: Place) -> tuple[Place, ...]:
        root = self.disk.root(target)
        missing = []
        parts = target.path.split(b"/")[:-1]
        for depth in range(1, len(parts) + 1):
            place = Place(target.library_directory_id, b"/".join(parts[:depth]))
            if place in self._made:
                continue
            way = os.path.join(root, paths.real(root, place.path))
            if os.path.isdir(way):
                continue
            if os.path.lexists(way):
                raise OperationFailed("not_a_folder", "something that isn't a folder lies on the way to the target")
            missing.append(place)
        return tuple(missing)

    def _sidecars(self, place: Place) -> Iterator[tuple[Place, Facts]]:
        """Lyrics, cue sheets and covers that have the track's name, unless another file of that name may own them."""
        folder_path, name = os.path.split(place.path)
        stem = os.path.splitext(name)[0]
        with self.disk.folder(place) as folder:
            if folder is None:
                return
            names = [os.fsencode(other) for other in os.listdir(folder)]
            same = sorted(other for other in names if other != name and os.path.splitext(other)[0] == stem)
            if any(not _is_sidecar(other) for other in same):
                return
            for other in same:
                status = look(folder, other)
                if status is not None and stat.S_ISREG(status.st_mode):
                    facts = Facts(status.st_size, status.st_mtime_ns, signed(status.st_ino))
                    yield Place(place.library_directory_id, os.path.join(folder_path, other)), facts


def _is_sidecar(name: bytes) -> bool:
    return os.path.splitext(name)[1].lower() in _SIDECARS


def candidates(target: Place, on_conflict: OnConflict) -> Iterator[Place]:
    """The target, and the names to fall back to: `Title (2).mp3`, `Title (3).mp3`, …"""
    yield target
    if on_conflict is OnConflict.FAIL:
        return
    stem, extension = os.path.splitext(target.path)
    folder, name = os.path.split(stem)
    for number in range(2, _MAX_SUFFIX):
        suffix = f" ({number})".encode()
        short = name[: paths.MAX_NAME_BYTES - len(suffix) - len(extension)].decode("utf-8", "ignore").encode()
        kept = name if len(name) + len(suffix) + len(extension) <= paths.MAX_NAME_BYTES else short
        yield Place(target.library_directory_id, os.path.join(folder, kept + suffix + extension))


def _beside(target: Place, sidecar: Place, track: Place) -> Place:
    """Where a side-car goes when its track goes to `target`."""
    ending = sidecar.path.removeprefix(os.path.splitext(track.path)[0])
    return Place(target.library_directory_id, os.path.splitext(target.path)[0] + ending)
