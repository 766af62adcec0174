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
INSERT INTO file_history (track_id, at, event, moved_from, moved_to, fields)
    SELECT track_id, at, event, moved_from, moved_to, fields FROM library_history
    WHERE track_id IN (SELECT id FROM tracks) ORDER BY id;
DROP TABLE library_history;
CREATE INDEX file_history_track_id ON file_history (track_id, id);
DELETE FROM event_consumers WHERE name = 'library history';
