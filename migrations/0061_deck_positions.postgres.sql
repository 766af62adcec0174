-- Whether a deck played when it was stored, where in its track (s), and up to when (Unix ms) its time on air is counted.
ALTER TABLE engine_decks ADD COLUMN is_playing BIGINT NOT NULL DEFAULT 0;
ALTER TABLE engine_decks ADD COLUMN position DOUBLE PRECISION;
ALTER TABLE engine_decks ADD COLUMN since BIGINT;
