-- A playlist of any type, or a folder of playlists. `search_words` is the folded name and description; `track_count`
-- and `total_duration_ms` follow the entries. The columns from `session_date` on belong to sessions.
CREATE TABLE playlists (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    search_words TEXT NOT NULL,
    parent_id TEXT REFERENCES playlists (id),
    description TEXT,
    color TEXT,
    icon TEXT,
    criteria TEXT,
    is_favorite INTEGER NOT NULL,
    is_readonly INTEGER NOT NULL,
    track_count INTEGER NOT NULL,
    total_duration_ms INTEGER NOT NULL,
    last_refreshed INTEGER,
    session_date TEXT,
    venue TEXT,
    started_at INTEGER,
    last_played_at INTEGER,
    session_duration_ms INTEGER,
    finalized_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX playlists_parent_id ON playlists (parent_id);
CREATE INDEX playlists_search_words ON playlists (search_words, id);
-- There is one thinking playlist, and one session at a time.
CREATE UNIQUE INDEX playlists_thinking ON playlists (type) WHERE type = 'temp';
CREATE UNIQUE INDEX playlists_active_session ON playlists (type) WHERE type = 'session' AND finalized_at IS NULL;

-- A track's place in a playlist, smart ones included. Positions are counted along `rank`, whose gaps let an entry move
-- without touching the others. A session's entries keep the title and artist they were played under.
CREATE TABLE playlist_entries (
    id TEXT PRIMARY KEY,
    playlist_id TEXT NOT NULL REFERENCES playlists (id) ON DELETE CASCADE,
    rank INTEGER NOT NULL,
    track_id TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    title TEXT,
    artist TEXT,
    added_at INTEGER NOT NULL,
    played_at INTEGER,
    play_duration_ms INTEGER,
    deck TEXT,
    notes TEXT,
    cue_in_ms INTEGER,
    cue_out_ms INTEGER,
    rating_in_context INTEGER
);
CREATE INDEX playlist_entries_rank ON playlist_entries (playlist_id, rank, id);
CREATE INDEX playlist_entries_track_id ON playlist_entries (track_id, playlist_id);

-- Smart playlists that wait to be evaluated again: since when changes have come (null: none), and when the clock alone
-- asks for it. `version` grows with each change, so that one that comes during an evaluation isn't forgotten.
CREATE TABLE playlist_refreshes (
    playlist_id TEXT PRIMARY KEY,
    first_change_at INTEGER,
    last_change_at INTEGER,
    clock_at INTEGER,
    due_at INTEGER NOT NULL,
    version INTEGER NOT NULL
);
CREATE INDEX playlist_refreshes_due_at ON playlist_refreshes (due_at);
