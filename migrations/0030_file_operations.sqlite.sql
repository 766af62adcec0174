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
