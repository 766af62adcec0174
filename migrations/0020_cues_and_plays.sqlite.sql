-- Hot cues: up to 8 (0-7) of a track for each source. Positions in seconds into the file.
CREATE TABLE hot_cues (
    track_id TEXT NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    cue_index INTEGER NOT NULL,
    position REAL NOT NULL,
    name TEXT,
    color TEXT,
    is_loop INTEGER NOT NULL,
    loop_end REAL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (track_id, source, cue_index)
);

-- What decks did with tracks: loads, starts, stops, completions, and what counted as a play.
CREATE TABLE track_history (
    id INTEGER PRIMARY KEY,
    track_id TEXT NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    deck TEXT,
    position REAL,
    at INTEGER NOT NULL
);
CREATE INDEX track_history_track_id ON track_history (track_id, at);
