-- Whether a deck played when it was stored, where in its track (s), and up to when (Unix ms) its time on air is counted.
ALTER TABLE engine_decks ADD COLUMN is_playing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_decks ADD COLUMN position REAL;
ALTER TABLE engine_decks ADD COLUMN since INTEGER;
