"""What the engine's deck updates mean for the history of a track."""

from __future__ import annotations

from server.engine.decks import Decks, Moment

TRACK, OTHER = "track", "other"


def play(decks: Decks, now: int, *, playing: bool = True, track: str = TRACK) -> list[Moment]:
    return [p.moment for p in decks.update("A", track, is_playing=playing, position=now / 1000, now=now)]


def test_track_counts_once_it_was_on_air_for_long_enough() -> None:
    decks = Decks(played_after_ms=30_000)
    assert play(decks, 0) == [Moment.STARTED]
    assert play(decks, 29_999) == []
    assert play(decks, 30_000) == [Moment.PLAYED]
    assert play(decks, 60_000) == []


def test_pauses_are_not_time_on_air() -> None:
    decks = Decks(played_after_ms=30_000)
    play(decks, 0)
    assert play(decks, 20_000, playing=False) == [Moment.STOPPED]
    assert play(decks, 100_000) == []
    assert play(decks, 109_000) == []
    assert play(decks, 110_000) == [Moment.PLAYED]


def test_track_loaded_again_counts_again() -> None:
    decks = Decks(played_after_ms=1000)
    play(decks, 0)
    assert play(decks, 1000) == [Moment.PLAYED]
    assert [p.moment for p in decks.loaded("A", TRACK, 2000)] == [Moment.STOPPED]
    assert play(decks, 3000) == [Moment.STARTED]
    assert play(decks, 4000) == [Moment.PLAYED]


def test_another_track_on_the_deck_ends_the_one_before() -> None:
    decks = Decks(played_after_ms=1000)
    play(decks, 0)
    moments = decks.update("A", OTHER, is_playing=True, position=0, now=500)
    assert [(p.moment, p.track_id) for p in moments] == [(Moment.STOPPED, TRACK), (Moment.STARTED, OTHER)]
    assert decks.track_on("A") == OTHER


def test_decks_do_not_mix() -> None:
    decks = Decks(played_after_ms=1000)
    decks.update("A", TRACK, is_playing=True, position=0, now=0)
    decks.update("B", OTHER, is_playing=False, position=0, now=0)
    assert decks.update("B", OTHER, is_playing=False, position=0, now=5000) == []
    assert decks.decks_with(TRACK) == ["A"]
