"""A seeded storm over a library, held against a simple model: which recording lies where, and which track it is.

Files and folders are moved, renamed, retagged, copied, replaced, deleted and made unreadable, drives go and come, and
the server is stopped, killed (SIGKILL, in the middle of scans too) and started, in any order. After each settling every
surviving recording has its track, with its rating and its places in a playlist; no row is lost, none is doubled; and an
old copy with the events, or with its delta pages, is a fresh one.

`scripts/identity_storm --steps 2000 --seed 1` runs a long one; the tests run a short one.
"""

# ruff: noqa: T201 # it blocks its own loop, draws from a seed, and prints when run by itself

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.scanning.disk import Disk, File, Renamed, shown
from tests.scanning.life import Life
from tests.support import tmpfs
from tests.support.replay import Copy, replay


@dataclass
class Storm:
    disk: Disk
    life: Life
    random: random.Random
    directories: dict[Path, str] = field(default_factory=dict)
    ids: dict[int, set[str]] = field(default_factory=dict)  # audio → the tracks that have it, present or missing
    born: dict[str, int] = field(default_factory=dict)  # track → the settling that saw it first
    ratings: dict[str, int] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    playlist: str = ""
    settlings: int = 0
    _copy: Copy = field(default_factory=dict)
    _since: int = 0
    _old: tuple[int, Copy] | None = None
    _judged: int = 0  # the audio that is compared just now
    _suspects: set[str] = field(default_factory=set)  # tracks, beside the known ones of that audio
    _doubted: dict[int, frozenset[str]] = field(default_factory=dict)  # audio → its tracks when the doubt began

    async def begin(self) -> None:
        for _ in range(24):
            self.disk.add()
        await self.life.start()
        for root in self.disk.roots:
            made = await self.life.call("POST", "/api/library/directories", {"path": str(root)})
            self.directories[root] = made["id"]
        self.playlist = (await self.life.call("POST", "/api/playlists", {"type": "static", "name": "Best"}))["id"]
        await self.settle()

    async def step(self) -> None:
        """One act on the disk, or, seldom, on the server."""
        chance = self.random.random()
        if chance > 0.08:
            self.disk.act()
            return
        if not self.life.is_up:
            act = "start"
            await self.life.start()
        elif chance < 0.03:
            act = "stop"
            await self.life.stop()
        elif chance < 0.06:
            act = "kill"
            if self.random.random() < 0.5:
                await self._begin_a_scan()
            await self.life.kill()
        else:
            act = "scan begun"
            await self._begin_a_scan()
        self.disk.done[act] += 1
        self.disk.note(act)

    async def _begin_a_scan(self) -> None:
        """What comes next happens in the middle of it."""
        directory = self.random.choice(list(self.directories.values()))
        strategy = self.random.choice(["hybrid", "full"])
        await self.life.call("POST", f"/api/scan/library/{directory}", {"strategy": strategy}, refused=409)

    async def settle(self) -> None:
        """Let everything be seen, in any order, and compare."""
        if not self.life.is_up:
            await self.life.start()
        out = self.disk.out()
        await self.life.call("POST", "/api/library/directories/check-all-availability")
        while True:
            await self.life.quiet()
            for root in self.random.sample(list(self.directories), len(self.directories)):
                if root not in out:
                    scan = await self.life.scan(self.directories[root])
                    codes = {failure["code"] for failure in scan["failures"]}
                    assert scan["state"] == "complete", scan
                    assert codes <= ({"permission_denied"} if self.disk.closed else set()), scan["failures"]
            if not await self.life.is_pending():
                break
        await self.life.quiet()
        self.settlings += 1
        tracks = await self._at_rest()
        self._compare(tracks)
        await self._compare_playlist()
        await self._compare_copies(tracks)
        await self._use(tracks)
        self.disk.begin_round()

    # -- comparing

    def _compare(self, tracks: dict[str, dict[str, Any]]) -> None:
        out = {self.directories[root] for root in self.disk.out()}
        for track in tracks.values():
            if track["library_directory_id"] in out:
                assert track["missing_reason"] == "media", track
            elif track["is_missing"]:
                assert track["missing_reason"] == "file", track
        present: dict[str, str] = {}
        for track in tracks.values():
            if not track["is_missing"]:
                assert track["file_path"] not in present, f"two tracks at {track['file_path']}"
                present[track["file_path"]] = track["id"]
        reachable = self.disk.reachable()
        wanted = {shown(file.path) for file in reachable}
        assert present.keys() == wanted, f"surplus: {present.keys() - wanted}, lacking: {wanted - present.keys()}"
        before = {file: file.track_id for file in self.disk.files}
        for file in reachable:
            file.track_id, file.seen_at = present[shown(file.path)], file.path
        self._compare_ids(tracks, before)
        for track_id, rating in self.ratings.items():
            assert tracks[track_id]["rating"] == rating, tracks[track_id]

    def _compare_ids(self, tracks: dict[str, dict[str, Any]], before: dict[File, str | None]) -> None:
        for new, old in self.disk.replaced.items():
            (file,) = [file for file in self.disk.files if file.audio == new]
            track_id = before[file]
            assert track_id is not None
            self.ids[old].discard(track_id)
            self.ids[new] = {track_id}
        counted: dict[int, set[str]] = {}
        copies: Counter[int] = Counter()
        for file in self.disk.files:
            is_known_on_drive = file.seen_at is not None and self.disk.is_out(file.seen_at)
            if not self.disk.is_out(file.path) or is_known_on_drive:
                assert file.track_id is not None
                counted.setdefault(file.audio, set()).add(file.track_id)
                copies[file.audio] += 1
        for audio, ids in counted.items():
            self._judged = audio
            known = self.ids.setdefault(audio, set())
            assert len(ids) == copies[audio], f"audio {audio}: two files are one track"
            now = {track_id: tracks[track_id]["file_path"] for track_id in known | ids if track_id in tracks}
            if audio not in self.disk.doubtful:
                assert known <= ids or len(known) > copies[audio], f"audio {audio}: {known - ids} lost, {now}"
                assert len(known | ids) == max(len(known), copies[audio]), f"audio {audio} has new tracks, {known}"
                self._compare_ages(audio, ids, before)
            else:
                self._doubted.setdefault(audio, frozenset(known))
                is_seen = not self.disk.out() and audio not in self.disk.hidden()
                if is_seen and copies[audio] == 1 == len(self._doubted[audio]):
                    # A new track that somebody has used meanwhile stays what it is.
                    is_free = not any(self._is_used(track_id) for track_id in ids)
                    assert ids == self._doubted[audio] or not is_free, (
                        f"audio {audio} left a drive, and its track didn't follow: {now}"
                    )
            known |= ids
        if not self.disk.out():
            self.disk.doubtful &= self.disk.hidden()
            self._doubted = {audio: ids for audio, ids in self._doubted.items() if audio in self.disk.doubtful}
        for ids in self.ids.values():
            for track_id in ids:
                self.born.setdefault(track_id, self.settlings)
        lost = self.born.keys() - tracks.keys()
        assert not lost, f"rows were lost: {lost}"
        unseen = {shown(file.path) for file in self.disk.files if self.disk.is_out(file.path)}
        extra = [tracks[track_id] for track_id in tracks.keys() - self.born.keys()]
        for track in extra:
            alike = {other["id"] for other in tracks.values() if other["audio_hash"] == track["audio_hash"]}
            self._judged = next((audio for audio, ids in self.ids.items() if ids & alike), 0)
            self._suspects = alike
            assert track["file_path"] in unseen, f"a row without a file: {track}"

    def _compare_ages(self, audio: int, ids: set[str], before: dict[File, str | None]) -> None:
        """No track is missing while a later copy is there that nobody has used."""
        was = {track_id for file, track_id in before.items() if file.audio == audio and track_id is not None}
        gone = self.ids[audio] - ids
        for file in self.disk.reachable():
            untouched = file.audio == audio and file not in self.disk.touched
            if untouched and file.track_id in was and not self._is_used(file.track_id):
                for track_id in gone:
                    assert self.born[track_id] >= self.born[file.track_id or ""], f"{track_id} went, {file} stayed"

    def _is_used(self, track_id: str | None) -> bool:
        return track_id in self.ratings or track_id in self.listed

    async def tell(self) -> None:
        """What the disk and the server know of the audio that was compared last."""
        print("\n".join([f"audio {self._judged}:", *self.disk.stories.get(self._judged, [])]))
        if self.life.is_up:
            held = {file.track_id for file in self.disk.files if file.audio == self._judged and file.track_id}
            for track_id in sorted(self.ids.get(self._judged, set()) | held | self._suspects):
                print(f"{track_id}, since settling {self.born.get(track_id)}, used: {self._is_used(track_id)}")
                for entry in await self.life.call("GET", f"/api/tracks/{track_id}/history"):
                    print(f"  {entry}")

    async def _compare_playlist(self) -> None:
        entries = await self._all(f"/api/playlists/{self.playlist}/tracks")
        assert [entry["track_id"] for entry in entries] == self.listed

    async def _at_rest(self) -> dict[str, dict[str, Any]]:
        """All tracks; no number of the log, which also says what the server did by itself (duplicates), is later."""
        while True:
            await self._follow()
            tracks = {track["id"]: track for track in await self._all("/api/tracks")}
            if not await self._follow():
                return tracks

    async def _follow(self) -> bool:
        """Bring the copy up to date by small pages of the delta; whether anything has changed."""
        before = self._since
        while True:
            page = await self.life.call("GET", f"/api/library?since={self._since}&limit=7")
            for track in (*page["added"], *page["updated"]):
                self._copy[track["id"]] = track
            for track_id in page["deleted"]:
                self._copy.pop(track_id)
            self._since = page["seq"]
            if not page["has_more"]:
                return self._since != before

    async def _compare_copies(self, tracks: dict[str, dict[str, Any]]) -> None:
        """An old copy and its delta pages, or the events, are a fresh copy."""
        differing = [(self._copy.get(id_), tracks.get(id_)) for id_ in self._copy.keys() | tracks.keys()]
        assert self._copy == tracks, [pair for pair in differing if pair[0] != pair[1]]
        if self.disk.out():
            return  # while a drive is away its tracks read otherwise, and no event of each tells so
        if self._old is not None:
            since, old = self._old
            while True:
                copy = replay(old, await self.life.events(since))
                if not await self._follow():
                    break
                # The server did something by itself (duplicates) after the tracks were read: so those are old.
                tracks = await self._at_rest()
            assert copy == tracks, [(copy.get(id_), tracks.get(id_)) for id_ in tracks if copy.get(id_) != tracks[id_]]
            self.disk.done["events replayed"] += 1
        self._old = (self._since, dict(tracks))

    async def _use(self, tracks: dict[str, dict[str, Any]]) -> None:
        """Rate some tracks, and put some into the playlist."""
        doubtful = {track_id for audio in self.disk.doubtful for track_id in self.ids.get(audio, ())}
        for track_id in tracks:
            if track_id in doubtful or track_id not in self.born or self._is_used(track_id):
                continue
            chance = self.random.random()
            if chance < 0.25:
                self.ratings[track_id] = self.random.randrange(1, 6)
                await self.life.call("PATCH", f"/api/tracks/{track_id}", {"rating": self.ratings[track_id]})
            elif chance < 0.4:
                self.listed.append(track_id)
                await self.life.call("POST", f"/api/playlists/{self.playlist}/tracks", {"track_ids": [track_id]})

    async def _all(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while items := await self.life.call("GET", f"{path}?limit=1000&page={page}"):
            found += items
            page += 1
        return found


async def rage(database_url: str, folder: Path, seed: int, steps: int, *, mounting: bool | None = None) -> Counter[str]:
    """Run a storm; raises AssertionError as soon as the library differs from the model. Returns what was done."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        drives: list[Any] = [Renamed(folder / "renamed")]
        if tmpfs.can_mount() if mounting is None else mounting:
            drives.append(stack.enter_context(tmpfs.drive(folder / "usb")))
        (folder / "fixed").mkdir()
        disk = Disk(folder / "fixed", drives, chance)
        for root in disk.roots:
            (root / "notes.txt").touch()  # a root without anything would read as an empty mount point
        async with aiohttp.ClientSession() as session:
            life = Life(database_url, folder, session, chance)
            storm = Storm(disk, life, chance)
            try:
                await storm.begin()
                done = 0
                while done < steps:
                    for _ in range(chance.randrange(1, 20)):
                        await storm.step()
                        done += 1
                    await storm.settle()
                await life.stop()
            except BaseException:
                print(f"step {sum(disk.done.values())}, settling {storm.settlings}: {dict(disk.done)}")
                print("\n".join(["this round:", *disk.journal, f"closed: {list(disk.closed)}, out: {disk.out()}"]))
                await storm.tell()
                raise
            finally:
                disk.restore()
                await life.end()
    disk.done["settlings"] = storm.settlings
    return disk.done


def main() -> None:
    from tests.conftest import _migrated

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mismo-storm-") as folder:
        url = f"sqlite:///{folder}/library.db"
        _migrated(url)
        done = asyncio.run(rage(url, Path(folder), given.seed, given.steps))
    print(
        f"identity storm: seed {given.seed}, {given.steps} steps, library equals model after each of"
        f" {done.pop('settlings')} settlings, {time.monotonic() - began:.0f} s: {dict(done)}"
    )


if __name__ == "__main__":
    main()
