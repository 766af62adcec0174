"""What is on the decks, and what of it counts as played: pure bookkeeping over the engine's deck updates."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Moment(StrEnum):
    """What a deck update means for the history of a track."""

    STARTED = "start"
    PLAYED = "played"  # on air for long enough to count
    STOPPED = "stop"


@dataclass(slots=True)
class Deck:
    """One deck. `on_air_ms` is how long its track has really played since it was loaded, up to the moment `since`.

    `was_away`: nothing was heard of it for a while, because the link was down or Mismo was.
    """

    name: str
    track_id: str | None = None
    is_playing: bool = False
    position: float | None = None
    on_air_ms: int = 0
    since: int | None = None
    started_at: int | None = None
    has_counted: bool = False
    was_away: bool = False

    def advance(self, now: int, position: float | None) -> None:
        """Add what was on air since the last time; `position` (s) is where the deck is now.

        Over a time when nothing was heard of it, a deck played no longer than its position moved on: it may have been
        paused, or have been given the same track again.
        """
        if self.since is not None:
            passed = max(0, now - self.since)
            if self.was_away:
                moved = None if position is None or self.position is None else position - self.position
                passed = min(passed, 0 if moved is None else max(0, round(moved * 1000)))
            self.on_air_ms += passed
            self.since = now
        self.was_away = False
        self.position = position


@dataclass(frozen=True, slots=True)
class Play:
    """Something to log. Times in Unix milliseconds, `position` in seconds."""

    moment: Moment
    deck: str
    track_id: str
    at: int
    started_at: int
    on_air_ms: int
    position: float | None
    has_counted: bool


@dataclass(slots=True)
class Decks:
    """All decks of the engine. `played_after_ms` on air make a play; another load of the track makes another one."""

    played_after_ms: int
    decks: dict[str, Deck] = field(default_factory=dict)

    def loaded(self, name: str, track_id: str, now: int) -> list[Play]:
        """A track was put on a deck; what played there before has stopped."""
        plays = self._stop(self._deck(name), now)
        self.decks[name] = Deck(name, track_id)
        return plays

    def emptied(self, name: str, now: int) -> list[Play]:
        """Something that is no track of the library was put on a deck."""
        plays = self._stop(self._deck(name), now)
        self.decks[name] = Deck(name)
        return plays

    def lost(self) -> None:
        """Nothing is heard of the decks from now on."""
        for deck in self.decks.values():
            deck.was_away = True

    def track_on(self, name: str) -> str | None:
        deck = self.decks.get(name)
        return deck.track_id if deck is not None else None

    def decks_with(self, track_id: str) -> list[str]:
        return [deck.name for deck in self.decks.values() if deck.track_id == track_id]

    def update(
        self, name: str, track_id: str | None, *, is_playing: bool, position: float | None, now: int
    ) -> list[Play]:
        """A deck's state; returns what is to be logged, oldest first."""
        plays: list[Play] = []
        deck = self._deck(name)
        if track_id is not None and track_id != deck.track_id:
            plays += self.loaded(name, track_id, now)
            deck = self.decks[name]
        deck.advance(now, position)
        if is_playing and not deck.is_playing:
            deck.since = now
            if deck.started_at is None:
                deck.started_at = now
                plays += self._play(deck, Moment.STARTED, now)
        plays += self._count(deck, now)
        if deck.is_playing and not is_playing:
            deck.since = None
            plays += self._play(deck, Moment.STOPPED, now)
        deck.is_playing = is_playing
        return plays

    def _deck(self, name: str) -> Deck:
        return self.decks.setdefault(name, Deck(name))

    def _stop(self, deck: Deck, now: int) -> list[Play]:
        if not deck.is_playing:
            return []
        deck.advance(now, deck.position)
        return [*self._count(deck, now), *self._play(deck, Moment.STOPPED, now)]

    def _count(self, deck: Deck, now: int) -> list[Play]:
        if deck.has_counted or deck.started_at is None or deck.on_air_ms < self.played_after_ms:
            return []
        deck.has_counted = True
        return self._play(deck, Moment.PLAYED, now)

    @staticmethod
    def _play(deck: Deck, moment: Moment, now: int) -> list[Play]:
        if deck.track_id is None:
            return []
        started_at = now if deck.started_at is None else deck.started_at
        return [
            Play(moment, deck.name, deck.track_id, now, started_at, deck.on_air_ms, deck.position, deck.has_counted)
        ]
