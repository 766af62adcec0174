"""Entries follow a track that stands for another one, and come back whole."""

from __future__ import annotations

from typing import Any

import orjson

from tests.playlists.library import fill
from tests.playlists.test_lists import entries_of, made
from tests.support.application import Running


async def _state(mismo: Running, ids: list[str]) -> list[list[dict[str, Any]]]:
    return [await entries_of(mismo, playlist_id) for playlist_id in ids]


async def test_entries_follow_with_what_was_said_about_them_and_back(mismo: Running) -> None:
    copy, kept, other = await fill(
        mismo.app, [{"duration_seconds": 10.0}, {"duration_seconds": 20.0}, {"duration_seconds": 30.0}]
    )
    alone = await made(mismo, track_ids=[copy, other, copy])
    both = await made(mismo, track_ids=[other, copy, kept])
    path = f"/api/playlists/{both['id']}/tracks/{copy}"
    await mismo.client.put(path, {"notes": "drop", "cue_in_ms": 5})
    session = (await mismo.client.post("/api/playlists/sessions/start", status=201))["data"]
    await mismo.client.post(f"/api/playlists/sessions/{session['id']}/track", {"track_id": copy}, status=201)
    await mismo.client.post(f"/api/playlists/sessions/{session['id']}/finalize")
    ids = [alone["id"], both["id"], session["id"]]
    before = await _state(mismo, ids)
    playlists = mismo.app.playlists

    for dedupe in (False, True):
        async with mismo.app.uow() as tx:
            assert len(await playlists.entries_of(tx, [copy])) == 4
            record = orjson.loads(orjson.dumps(await playlists.repoint(tx, copy, kept, dedupe=dedupe)))
        alone_now, both_now, session_now = await _state(mismo, ids)
        assert [entry["track_id"] for entry in alone_now] == [kept, other, kept]
        assert [entry["track_id"] for entry in both_now] == ([other, kept] if dedupe else [other, kept, kept])
        assert (both_now[1]["notes"], both_now[1]["cue_in_ms"]) == ("drop", 5)
        (played,) = session_now
        assert {**played, "track": None} == {**before[2][0], "track": None, "track_id": kept}
        totals = (await mismo.client.get(f"/api/playlists/{both['id']}", include_tracks=False))["data"]
        assert totals["total_duration"] == (50.0 if dedupe else 70.0)

        async with mismo.app.uow() as tx:
            await playlists.undo_repoint(tx, record)
        assert await _state(mismo, ids) == before
