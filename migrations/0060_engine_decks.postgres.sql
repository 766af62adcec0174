-- What lies on the engine's decks and how long it was on air, so that a restart in the middle of a track counts it once.
CREATE TABLE engine_decks (
    deck TEXT PRIMARY KEY,
    track_id TEXT NOT NULL,
    started_at BIGINT,
    on_air_ms BIGINT NOT NULL,
    has_counted BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
