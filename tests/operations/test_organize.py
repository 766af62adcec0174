"""Renaming a selection by its metadata: what the plan says is what happens, and doing it again changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import sound
from tests.support.application import Running
from tests.support.library import audio_on_disk, library

TEMPLATE = "{album_artist|artist}/{album}/{track:02} - {title}.{ext}"


async def organized(mismo: Running, **body: Any) -> Any:
    wanted = {"filter": {}, "template": TEMPLATE, **body}
    return (await mismo.client.post("/api/operations/organize", wanted, status=202))["data"]


async def test_plan_of_a_dry_run_is_what_happens_and_a_second_time_finds_nothing(mismo: Running, music: Path) -> None:
    for number in range(4):  # the same tags, so the same name
        sound.mp3(music / f"{number}.mp3", number, TIT2="What?", TPE1="AC/DC", TALB="Live.", TRCK="7")
    sound.mp3(music / "untagged.mp3", "u")
    sound.mp3(music / "half.mp3", "h", TIT2="Bj\u00f6rk: \u2026", TPE1="A")
    await library(mismo, music)
    before = audio_on_disk(music)
    plan = (await organized(mismo, dry_run=True))["plan"]
    done = await organized(mismo)
    assert done["plan"] == plan
    ended = await mismo.app.operations.finished([item["id"] for item in done["operations"]])
    assert {item.state for item in ended} == {"done"}
    assert {item.track_id: item.target.path.decode() for item in ended if item.target is not None} == {
        item["track_id"]: item["to"]["path"] for item in plan
    }
    assert {item["to"]["path"] for item in plan} >= {
        "AC_DC/Live/07 - What_.mp3", "AC_DC/Live/07 - What_ (2).mp3", "AC_DC/Live/07 - What_ (4).mp3",
        "A/Unknown Album/Bj\u00f6rk_ \u2026.mp3",
    }  # fmt: skip
    assert audio_on_disk(music) == before
    assert (await organized(mismo))["plan"] == []


async def test_of_two_that_want_one_name_the_second_stays_when_told_to(mismo: Running, music: Path) -> None:
    for number in range(2):
        sound.mp3(music / f"{number}.mp3", number, TIT2="One", TPE1="A")
    await library(mismo, music)
    done = await organized(mismo, template="{title}", on_conflict="fail")
    assert sorted(str(item["problem"]) for item in done["plan"]) == ["None", "same_target"]
    assert len(done["operations"]) == 1
    await mismo.app.operations.finished([done["operations"][0]["id"]])
    again = await organized(mismo, template="{title}", on_conflict="fail")
    assert [item["problem"] for item in again["plan"]] == ["same_target"]
    assert again["operations"] == []
