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
