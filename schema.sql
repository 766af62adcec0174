-- The database as all migrations make it, in SQLite's dialect. Made by scripts/schema; don't edit, write a migration.
-- Times are Unix milliseconds, flags 0 or 1, lists and objects JSON text, ids UUIDs as text, paths bytes.

-- Which migrations were applied, when, and the SHA-256 of the text that was.
CREATE TABLE migrations (
    name TEXT PRIMARY KEY,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);

-- The event log: one row for each committed change, numbered in the order of commits.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    client_id TEXT
);
CREATE INDEX events_ts ON events (ts);

-- The head of the log, always one row. Updating it orders the commits of several processes.
CREATE TABLE event_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    oldest_seq INTEGER NOT NULL,
    epoch TEXT NOT NULL
);

-- For delta sync: where in the log each resource was first and last touched; tombstones stay for the retention time.
CREATE TABLE changes (
    resource TEXT NOT NULL,
    id TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    is_deleted INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (resource, id)
);
CREATE UNIQUE INDEX changes_seq ON changes (resource, seq);

-- How far each reaction inside the server has read the log.
CREATE TABLE event_consumers (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
);

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL
);

-- Bearer tokens: only the hash is kept.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

-- First answers to POSTs that carried an Idempotency-Key, kept for a day.
CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    location TEXT,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- A root folder that Mismo manages. A removed one keeps its row, so that adding it again revives its tracks.
CREATE TABLE library_directories (
    id TEXT PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    is_removable INTEGER NOT NULL,
    is_available INTEGER NOT NULL,
    unavailable_reason TEXT,
    filesystem TEXT NOT NULL,
    fingerprint TEXT,
    recursive_scan INTEGER NOT NULL,
    max_depth INTEGER NOT NULL,
    scan_patterns TEXT NOT NULL,
    exclude_patterns TEXT NOT NULL,
    follow_symlinks INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    watch INTEGER NOT NULL,
    last_scan INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- How the watcher follows the directory: off, starting, watching, polling.
    watch_state TEXT NOT NULL DEFAULT 'off',
    watch_detail TEXT
);

-- Where the tracks of a library directory lie, and whether that place can be reached: one row stands for all of them.
CREATE TABLE track_locations (
    library_directory_id TEXT PRIMARY KEY,
    root BLOB NOT NULL,
    unreachable_reason TEXT,
    unreachable_since INTEGER
);

-- One file in the library, with its user data. `*_fold` columns are the folded text that is filtered, sorted
-- and searched; `split_words` holds the parts of words with punctuation inside (AC/DC), which fold to one word.
CREATE TABLE tracks (
    pk INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    library_directory_id TEXT NOT NULL,
    path BLOB NOT NULL,
    relative_path TEXT NOT NULL,
    file_name TEXT NOT NULL,
    format TEXT NOT NULL,
    container TEXT,
    codec TEXT,
    file_size INTEGER NOT NULL,
    file_mtime_ns INTEGER NOT NULL,
    file_inode INTEGER NOT NULL,
    file_device INTEGER NOT NULL,
    audio_hash TEXT,
    hash_state TEXT NOT NULL,
    duplicate_group_id TEXT,
    missing_since INTEGER,
    tags_error TEXT,
    metadata_source TEXT NOT NULL,
    title TEXT,
    artist TEXT,
    artists TEXT NOT NULL,
    album TEXT,
    album_artist TEXT,
    genre TEXT,
    genres TEXT NOT NULL,
    year INTEGER,
    date TEXT,
    track_number INTEGER,
    track_total INTEGER,
    disc_number INTEGER,
    disc_total INTEGER,
    comment TEXT,
    composer TEXT,
    remixer TEXT,
    label TEXT,
    isrc TEXT,
    grouping TEXT,
    compilation INTEGER NOT NULL,
    has_lyrics INTEGER NOT NULL,
    has_artwork INTEGER NOT NULL,
    artwork_type TEXT,
    artwork_size INTEGER,
    encoder TEXT,
    duration_seconds REAL,
    sample_rate INTEGER,
    bit_depth INTEGER,
    bit_rate INTEGER,
    bit_rate_mode TEXT,
    channels INTEGER,
    replaygain TEXT,
    tag_bpm REAL,
    analysis_bpm REAL,
    user_bpm REAL,
    bpm REAL,
    bpm_source TEXT,
    tag_key INTEGER,
    analysis_key INTEGER,
    user_key INTEGER,
    key_index INTEGER,
    key_order INTEGER,
    key_source TEXT,
    first_beat_offset REAL,
    first_phrase_beat_no INTEGER,
    audible_start_time REAL,
    audible_end_time REAL,
    energy REAL,
    loudness REAL,
    danceability REAL,
    valence REAL,
    arousal REAL,
    acousticness REAL,
    instrumentalness REAL,
    is_analyzed INTEGER NOT NULL DEFAULT 0,
    date_analyzed INTEGER,
    analysis_stages TEXT NOT NULL DEFAULT '[]',
    tag_rating INTEGER,
    user_rating INTEGER,
    rating INTEGER,
    color_tag TEXT,
    tag_energy_level INTEGER,
    user_energy_level INTEGER,
    energy_level INTEGER,
    is_favorite INTEGER NOT NULL DEFAULT 0,
    tags TEXT NOT NULL DEFAULT '[]',
    overrides TEXT,
    play_count INTEGER NOT NULL DEFAULT 0,
    last_played INTEGER,
    date_added INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    title_fold TEXT,
    artist_fold TEXT,
    album_fold TEXT,
    album_artist_fold TEXT,
    genre_fold TEXT,
    label_fold TEXT,
    composer_fold TEXT,
    remixer_fold TEXT,
    comment_fold TEXT,
    file_name_fold TEXT NOT NULL,
    split_words TEXT
);
-- A place holds one present file; a missing track keeps the place where it was last seen, which another may have taken.
CREATE UNIQUE INDEX tracks_place ON tracks (library_directory_id, path) WHERE missing_since IS NULL;
CREATE INDEX tracks_path ON tracks (library_directory_id, path) WHERE missing_since IS NOT NULL;
CREATE INDEX tracks_file_inode ON tracks (file_inode);
CREATE INDEX tracks_audio_hash ON tracks (audio_hash) WHERE audio_hash IS NOT NULL;
CREATE INDEX tracks_duplicate_group_id ON tracks (duplicate_group_id) WHERE duplicate_group_id IS NOT NULL;
CREATE INDEX tracks_hash_pending ON tracks (library_directory_id, pk) WHERE hash_state = 'pending';
CREATE INDEX tracks_missing_since ON tracks (missing_since) WHERE missing_since IS NOT NULL;
-- Sorting puts missing values last, in a range of their own, which is sought in the index too.
CREATE INDEX tracks_title_fold ON tracks (title_fold);
CREATE INDEX tracks_artist_fold ON tracks (artist_fold);
CREATE INDEX tracks_album_fold ON tracks (album_fold);
CREATE INDEX tracks_genre_fold ON tracks (genre_fold);
CREATE INDEX tracks_label_fold ON tracks (label_fold);
CREATE INDEX tracks_year ON tracks (year);
CREATE INDEX tracks_bpm ON tracks (bpm);
CREATE INDEX tracks_key_order ON tracks (key_order);
CREATE INDEX tracks_energy ON tracks (energy);
CREATE INDEX tracks_rating ON tracks (rating);
CREATE INDEX tracks_last_played ON tracks (last_played);
CREATE INDEX tracks_play_count ON tracks (play_count);
CREATE INDEX tracks_date_added ON tracks (date_added);
CREATE INDEX tracks_duration_seconds ON tracks (duration_seconds);
-- What a scan compares with the disk, in the order of the paths, beside the wide rows of the tracks: an unchanged
-- library is told from this index alone.
CREATE INDEX tracks_known ON tracks (
    library_directory_id, path, missing_since, file_size, file_mtime_ns, file_inode, hash_state, pk
);

-- Genres, artists and tags beyond the first: a track that has several is found under each. `term` is the folded `value`.
CREATE TABLE track_terms (
    field TEXT NOT NULL,
    term TEXT NOT NULL,
    value TEXT NOT NULL,
    track_pk INTEGER NOT NULL REFERENCES tracks (pk) ON DELETE CASCADE,
    PRIMARY KEY (field, term, track_pk)
);
CREATE INDEX track_terms_track_pk ON track_terms (track_pk);

-- The track as the API shows it, serialised when it changes and not at every reading.
CREATE TABLE track_resources (
    track_pk INTEGER PRIMARY KEY REFERENCES tracks (pk) ON DELETE CASCADE,
    json BLOB NOT NULL
);

-- The text behind the full-text tables, which keep none of their own.
CREATE VIEW track_texts AS SELECT
    pk,
    title_fold AS title_words,
    artist_fold AS artist_words,
    album_fold AS album_words,
    album_artist_fold AS album_artist_words,
    genre_fold AS genre_words,
    label_fold AS label_words,
    remixer_fold AS remixer_words,
    comment_fold AS comment_words,
    file_name_fold AS file_name_words,
    split_words AS other_words
FROM tracks;

-- Words, with prefixes as one types.
CREATE VIRTUAL TABLE track_words USING fts5 (
    title_words, artist_words, album_words, album_artist_words, genre_words, label_words, remixer_words, comment_words,
    file_name_words, other_words,
    content = 'track_texts', content_rowid = 'pk', prefix = '1 2 3',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'"
);

-- Fragments inside a word, of three letters and more.
CREATE VIRTUAL TABLE track_fragments USING fts5 (
    title_words, artist_words, album_words, file_name_words,
    content = 'track_texts', content_rowid = 'pk', tokenize = 'trigram', detail = 'none'
);

-- One run of the scanner over a directory or a part of it.
CREATE TABLE scans (
    id TEXT PRIMARY KEY,
    library_directory_id TEXT NOT NULL REFERENCES library_directories (id) ON DELETE CASCADE,
    strategy TEXT NOT NULL,
    priority INTEGER NOT NULL,
    path BLOB NOT NULL,
    state TEXT NOT NULL,
    counts TEXT NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    -- The run of a process that works on it: what another one writes of it meanwhile doesn't count.
    owner TEXT,
    -- 1: whoever works on it is asked to stop.
    is_cancel_asked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX scans_library_directory_id ON scans (library_directory_id, created_at);
CREATE INDEX scans_state ON scans (state) WHERE state IN ('queued', 'running', 'paused');
CREATE UNIQUE INDEX scans_active ON scans (library_directory_id) WHERE state IN ('queued', 'running', 'paused');

CREATE TABLE scan_failures (
    id INTEGER PRIMARY KEY,
    scan_id TEXT NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX scan_failures_scan_id ON scan_failures (scan_id);

-- Changes to all resources of one scope at once (the tracks of a library directory whose drive went or came back):
-- one row stands for one number per row number from `first_key` to `last_key`, beginning at `seq`.
CREATE TABLE change_spans (
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    seq INTEGER NOT NULL,
    first_key INTEGER NOT NULL,
    last_key INTEGER NOT NULL,
    PRIMARY KEY (resource, scope)
);

-- What happened to a track's file, beyond the day it was added: moved, missing, restored, retagged.
CREATE TABLE file_history (
    id INTEGER PRIMARY KEY,
    track_id TEXT NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    moved_from TEXT,
    moved_to TEXT,
    from_directory_id TEXT,
    to_directory_id TEXT,
    fields TEXT
);
CREATE INDEX file_history_track_id ON file_history (track_id, id);

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

-- The journal of file operations. What is to happen to the disk is committed here (`steps`) before it happens, the
-- outcome after. Operations with the same `job_id` are done together or not at all.
CREATE TABLE file_operations (
    pk INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    job_id TEXT NOT NULL,
    batch_id TEXT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    track_id TEXT NOT NULL,
    undo_of TEXT,
    library_directory_id TEXT NOT NULL,
    path BLOB NOT NULL,
    to_directory_id TEXT,
    to_path BLOB,
    options TEXT NOT NULL,
    steps TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    error_code TEXT,
    error TEXT,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
);
CREATE INDEX file_operations_job_id ON file_operations (job_id);
CREATE INDEX file_operations_track_id ON file_operations (track_id, pk);
CREATE INDEX file_operations_undo_of ON file_operations (undo_of) WHERE undo_of IS NOT NULL;
CREATE INDEX file_operations_active ON file_operations (pk) WHERE state IN ('queued', 'running');

-- Tracks with the same audio. The id follows from the audio hash, so it survives the group's going and coming back.
-- `reclaimable_bytes`: at least so much is freed when one copy is kept.
CREATE TABLE duplicate_groups (
    id TEXT PRIMARY KEY,
    audio_hash TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    track_count INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    reclaimable_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX duplicate_groups_status ON duplicate_groups (status, created_at);

-- Which tracks a group was made of when it was last looked at; also those that are deleted since.
CREATE TABLE duplicate_members (
    track_id TEXT PRIMARY KEY,
    group_id TEXT NOT NULL REFERENCES duplicate_groups (id) ON DELETE CASCADE
);
CREATE INDEX duplicate_members_group_id ON duplicate_members (group_id);

-- What a resolution changed, with what it takes to undo it.
CREATE TABLE duplicate_resolutions (
    id TEXT PRIMARY KEY,
    group_id TEXT NOT NULL,
    canonical_track_id TEXT NOT NULL,
    record TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    undone_at INTEGER
);
CREATE INDEX duplicate_resolutions_group_id ON duplicate_resolutions (group_id, created_at);

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
    version INTEGER NOT NULL,
    -- What a waiting refresh is about: `track_ids` holds the tracks that changed, as a JSON list (null: it may be any), and
    -- `is_order` whether their change may have moved them inside a list that they stay in.
    track_ids TEXT,
    is_order INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX playlist_refreshes_due_at ON playlist_refreshes (due_at);

-- One analysis job for each audio, by its hash. `stages` are still to come, `asked` were asked of the server in this
-- attempt; `attempts` failed, `losses` ended with the server itself. `owner` is the Mismo that waits for the callbacks
-- (at `callback_base`), until `lease_until` passes without a renewal; `server` is the analysis server that has the job.
CREATE TABLE analysis_jobs (
    pk INTEGER PRIMARY KEY,
    audio_hash TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    stages TEXT NOT NULL,
    asked TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    error TEXT,
    token_hash TEXT,
    server TEXT,
    server_job_id TEXT,
    owner TEXT,
    callback_base TEXT,
    lease_until INTEGER,
    deadline INTEGER,
    clients TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
);
CREATE UNIQUE INDEX analysis_jobs_token_hash ON analysis_jobs (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX analysis_jobs_queued ON analysis_jobs (priority, queued_at, pk) WHERE state = 'queued';
CREATE INDEX analysis_jobs_running ON analysis_jobs (audio_hash) WHERE state = 'running';
CREATE INDEX analysis_jobs_state ON analysis_jobs (state, queued_at, pk);
CREATE INDEX analysis_jobs_finished_at ON analysis_jobs (finished_at) WHERE state = 'completed';

-- What a stage found, for every file with this audio. `status`: done, or unsupported by the server that was asked.
-- Beats and waveforms have tables of their own.
CREATE TABLE analysis_results (
    audio_hash TEXT NOT NULL,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    data TEXT NOT NULL,
    digest TEXT NOT NULL,
    analyzed_at INTEGER NOT NULL,
    PRIMARY KEY (audio_hash, stage)
);
CREATE INDEX analysis_results_stage ON analysis_results (stage, audio_hash);

-- Times of beats and downbeats in seconds, as little-endian float64.
CREATE TABLE analysis_beats (
    audio_hash TEXT PRIMARY KEY,
    beats BLOB NOT NULL,
    downbeats BLOB NOT NULL
);

-- A picture of the sound: six planes of `num_pixels` bytes, amplitude and intensity of the low, mid and high band.
CREATE TABLE analysis_waveforms (
    audio_hash TEXT NOT NULL,
    zoom_level INTEGER NOT NULL,
    num_pixels INTEGER NOT NULL,
    samples_per_pixel REAL NOT NULL,
    etag TEXT NOT NULL,
    planes BLOB NOT NULL,
    PRIMARY KEY (audio_hash, zoom_level)
);

-- What lies on the engine's decks and how long it was on air, so that a restart in the middle of a track counts it once.
CREATE TABLE engine_decks (
    deck TEXT PRIMARY KEY,
    track_id TEXT NOT NULL,
    started_at INTEGER,
    on_air_ms INTEGER NOT NULL,
    has_counted INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- Whether a deck played when it was stored, where in its track (s), and up to when (Unix ms) its time on air is counted.
    is_playing INTEGER NOT NULL DEFAULT 0,
    position REAL,
    since INTEGER
);
