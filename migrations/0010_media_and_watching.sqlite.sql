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

-- How the watcher follows the directory: off, starting, watching, polling.
ALTER TABLE library_directories ADD COLUMN watch_state TEXT NOT NULL DEFAULT 'off';
ALTER TABLE library_directories ADD COLUMN watch_detail TEXT;

-- What happened to a track's file, beyond the day it was added: moved, missing, restored, retagged.
CREATE TABLE library_history (
    id INTEGER PRIMARY KEY,
    track_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    moved_from TEXT,
    moved_to TEXT,
    fields TEXT
);
CREATE INDEX library_history_track_id ON library_history (track_id, id);
