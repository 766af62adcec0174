-- What lies on the engine's decks and how long it was on air, so that a restart in the middle of a track counts it once.
CREATE TABLE engine_decks (
    deck TEXT PRIMARY KEY,
    track_id TEXT NOT NULL,
    started_at INTEGER,
    on_air_ms INTEGER NOT NULL,
    has_counted INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
