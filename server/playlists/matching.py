"""Which track of the library a line of a playlist file means. Pure: it looks at candidates, never at the disk."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from server.tracks.fold import fold
from server.tracks.selection import Brief

DURATION_TOLERANCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a playlist file says of one track. `line` counts from 1; `path` has slashes between folders."""

    line: int
    text: str
    path: str | None = None
    is_absolute: bool = False
    title: str | None = None
    artist: str | None = None
    duration_seconds: float | None = None
    audio_hash: str | None = None
    track_id: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Folders and file name, resolved and in the form in which they are compared."""
        found: list[str] = []
        for part in _same(self.path or "").split("/"):
            if part == "..":
                found = found[:-1]
            elif part not in ("", "."):
                found.append(part)
        return tuple(found)

    @property
    def unquoted(self) -> Wanted | None:
        """The same with its path as VLC means it, which writes `Bj%C3%B6rk.mp3`; None when there is nothing quoted."""
        path = unquote(self.path or "", errors="strict") if _is_quoted(self.path or "") else self.path
        return None if path == self.path else replace(self, path=path)

    @property
    def stem(self) -> str:
        """The folded file name without its extension; empty without a path."""
        return fold(os.path.splitext(self.path.rsplit("/", 1)[-1])[0]) if self.path else ""


def _is_quoted(path: str) -> bool:
    try:
        return "\0" not in unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A track, or the reason why none was found."""

    wanted: Wanted
    track: Brief | None
    reason: str | None = None


def _same(text: str) -> str:
    """File systems differ in Unicode form and case; names that differ in nothing else are the same."""
    return unicodedata.normalize("NFC", text).casefold()


class Matcher:
    """`roots` holds the paths of the library directories, by id."""

    def __init__(self, candidates: Iterable[Brief], roots: Mapping[str, str]):
        self._by_id: dict[str, Brief] = {}
        self._by_name: dict[str, list[Brief]] = defaultdict(list)
        self._by_title: dict[str, list[Brief]] = defaultdict(list)
        self._by_hash: dict[str, list[Brief]] = defaultdict(list)
        self._roots = {key: _parts(_same(root)) for key, root in roots.items()}
        for track in candidates:
            self._by_id[track.id] = track
            self._by_name[_parts(_same(track.relative_path))[-1]].append(track)
            if track.title:
                self._by_title[fold(track.title)].append(track)
            if track.audio_hash:
                self._by_hash[track.audio_hash].append(track)

    def match(self, wanted: Wanted) -> Verdict:
        """By id, by the sound, by the path or its end, and last by artist and title."""
        verdict = self._match(wanted)
        unquoted = wanted.unquoted if verdict.track is None else None
        if unquoted is not None and (found := self._match(unquoted).track) is not None:
            return Verdict(wanted, found)
        return verdict

    def _match(self, wanted: Wanted) -> Verdict:
        if wanted.track_id in self._by_id:
            return Verdict(wanted, self._by_id[wanted.track_id])
        if wanted.audio_hash in self._by_hash:
            alike = self._by_hash[wanted.audio_hash]
            return Verdict(wanted, min(alike, key=lambda track: track.is_missing))
        named = self._by_name[wanted.parts[-1]] if wanted.parts else []
        found = self._at_place(wanted, named) or self._at_end(wanted, named)
        if len(found) == 1:
            return Verdict(wanted, found[0])
        if len(found) > 1:
            return Verdict(wanted, None, f"{len(found)} tracks have this path's end")
        titled = self._titled(wanted)
        if len(titled) == 1:
            return Verdict(wanted, titled[0])
        if len(titled) > 1:
            return Verdict(wanted, None, f"{len(titled)} tracks have this artist and title")
        if wanted.path is None and wanted.title is None:
            return Verdict(wanted, None, "names no file")
        return Verdict(wanted, None, "isn't in the library")

    def _at_place(self, wanted: Wanted, named: Sequence[Brief]) -> list[Brief]:
        """The track at exactly this absolute path."""
        if not wanted.is_absolute:
            return []
        parts = wanted.parts
        return _present(
            [
                track
                for track in named
                if parts == (*self._roots.get(track.library_directory_id, ()), *_parts(_same(track.relative_path)))
            ]
        )

    def _at_end(self, wanted: Wanted, named: Sequence[Brief]) -> list[Brief]:
        """Tracks whose path ends most like this one: lists move between machines, where folders lie elsewhere.

        A file name alone proves nothing, unless it is all that one of the two paths has, or the tags agree.
        """
        best: list[Brief] = []
        length = 0
        for track in named:
            theirs = _parts(_same(track.relative_path))
            common = _common_end(wanted.parts, theirs)
            is_proof = common > 1 or common in (len(theirs), len(wanted.parts)) or _agrees(wanted, track)
            if not is_proof or common < length:
                continue
            best = [track] if common > length else [*best, track]
            length = common
        return _narrowed(wanted, _present(best))

    def _titled(self, wanted: Wanted) -> list[Brief]:
        if not wanted.title:
            return []
        return _narrowed(
            wanted, _present([track for track in self._by_title[fold(wanted.title)] if _agrees(wanted, track)])
        )


def _agrees(wanted: Wanted, track: Brief) -> bool:
    """Whether artist, title and, where both are known, the length are the same."""
    if not wanted.title or fold(wanted.title) != fold(track.title or ""):
        return False
    if fold(wanted.artist or "") != fold(track.artist or ""):
        return False
    return not _differs_in_length(wanted, track)


def _differs_in_length(wanted: Wanted, track: Brief) -> bool:
    if wanted.duration_seconds is None or track.duration_seconds is None:
        return False
    return abs(wanted.duration_seconds - track.duration_seconds) > DURATION_TOLERANCE_SECONDS


def _present(found: list[Brief]) -> list[Brief]:
    """Those whose file is there, if there are any."""
    return [track for track in found if not track.is_missing] or found


def _narrowed(wanted: Wanted, found: list[Brief]) -> list[Brief]:
    """Of several, those that the tags or the length speak for."""
    if len(found) < 2:
        return found
    return (
        [track for track in found if _agrees(wanted, track)]
        or [track for track in found if not _differs_in_length(wanted, track)]
        or found
    )


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count
