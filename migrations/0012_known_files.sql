-- What a scan compares with the disk, in the order of the paths, beside the wide rows of the tracks: an unchanged
-- library is told from this index alone.
CREATE INDEX tracks_known ON tracks (
    library_directory_id, path, missing_since, file_size, file_mtime_ns, file_inode, hash_state, pk
);
